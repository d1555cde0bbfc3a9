package draw

import (
	"strings"

	"github.com/plateau-nas/plateau/stages/space"
)

// lane is the distance of two nodes in a text drawing, in characters.
const lane = 6

// Text returns a drawing of an architecture for a terminal: a column for each node, and below each other a line for each edge,
// an arrow from column to column with the operation beside it. An edge without an operation is dotted and ends before its
// node. Lines end in a newline and have no color and no trailing blanks.
//
//	in    1     2     out
//	├────▶●               nor_conv_3x3
//	├─────│────▶●         skip_connect
//	│     ├────▶●         nor_conv_1x1
//	└┄┄┄┄┄│┄┄┄┄┄│┄┄┄┄×│   none
//	      └─────│────▶●   nor_conv_3x3
//	            └────▶●   avg_pool_3x3
//
// It returns "" for what is no architecture of the space.
func Text(s *space.Space, a space.Architecture) string {
	if s.Check(a) != nil {
		return ""
	}
	var b strings.Builder
	header := []rune(strings.Repeat(" ", lane*s.Nodes))
	for n := range s.Nodes {
		copy(header[lane*n:], []rune(nodeName(n, s.Nodes)))
	}
	b.WriteString(strings.TrimRight(string(header), " "))
	b.WriteByte('\n')
	for e, edge := range s.Edges {
		operation := s.Operations[a[e]]
		line := []rune(strings.Repeat(" ", lane*(s.Nodes-1)+1))
		for n := range s.Nodes {
			if first, last := span(s, n); first <= e && e <= last {
				line[lane*n] = '│'
			}
		}
		stroke, end := '─', '▶'
		if operation == "none" {
			stroke, end = '┄', '×'
		}
		for i := lane*edge.From + 1; i < lane*edge.To; i++ {
			if line[i] == ' ' {
				line[i] = stroke
			}
		}
		line[lane*edge.From] = '├'
		if _, last := span(s, edge.From); last == e {
			line[lane*edge.From] = '└'
		}
		line[lane*edge.To-1] = end
		if operation != "none" {
			line[lane*edge.To] = '●'
		}
		b.WriteString(string(line))
		b.WriteString("   " + operation + "\n")
	}
	return b.String()
}

// span returns the first and the last line on which a node's column is drawn: from where something first reaches it, for
// the input from the top, to where it is last read or reached.
func span(s *space.Space, node int) (first, last int) {
	first, last = len(s.Edges), -1
	if node == 0 {
		first = 0
	}
	for e, edge := range s.Edges {
		if edge.To == node {
			first, last = min(first, e), max(last, e)
		}
		if edge.From == node {
			last = max(last, e)
		}
	}
	return first, last
}
