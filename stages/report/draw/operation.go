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
	case "max_pool_3x3":
		return "max 3×3"
	case "sep_conv_3x3":
		return "sep 3×3"
	case "sep_conv_5x5":
		return "sep 5×5"
	case "dil_conv_3x3":
		return "dil 3×3"
	case "dil_conv_5x5":
		return "dil 5×5"
	}
	return strings.ReplaceAll(operation, "_", " ")
}

// Color returns the color of an operation as #rrggbb: the same in every picture, dark enough for white text on it and light enough
// for a line on a dark page.
func Color(operation string) string {
	switch {
	case operation == "none":
		return "#6b7280"
	case operation == "max_pool_3x3":
		return "#a21caf"
	case operation == "sep_conv_5x5":
		return "#4338ca"
	case strings.HasPrefix(operation, "dil_conv_3"):
		return "#0f766e"
	case strings.HasPrefix(operation, "dil_conv_5"):
		return "#15803d"
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
