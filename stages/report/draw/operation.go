// Package draw draws the cell of an architecture: Text for terminals, SVG for pages. Both show every edge, with the
// operation on it, from the node that it reads to the node that it adds to.
package draw

import "strings"

// Label returns a short name of an operation for people: "conv 3×3" for nor_conv_3x3. An operation without one keeps
// its public name.
func Label(operation string) string {
	switch operation {
	case "skip_connect":
		return "skip"
	case "nor_conv_1x1":
		return "conv 1×1"
	case "nor_conv_3x3":
		return "conv 3×3"
	case "avg_pool_3x3":
		return "avg 3×3"
	}
	return strings.ReplaceAll(operation, "_", " ")
}

// Color returns the color of an operation as #rrggbb: the same in every picture, dark enough for white text on it and light enough
// for a line on a dark page.
func Color(operation string) string {
	switch {
	case operation == "none":
		return "#6b7280"
	case operation == "skip_connect":
		return "#b45309"
	case strings.Contains(operation, "pool"):
		return "#7c3aed"
	case strings.HasSuffix(operation, "conv_1x1"):
		return "#0f766e"
	case strings.HasSuffix(operation, "conv_3x3"):
		return "#2563eb"
	}
	return "#be185d"
}

// nodeName returns what a node is called in a drawing.
func nodeName(node, nodes int) string {
	switch node {
	case 0:
		return "in"
	case nodes - 1:
		return "out"
	}
	return string(rune('0' + node%10))
}
