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
// Of a space with several cells all are drawn, each under its name, with the edges that its nodes keep; the output of such a cell
// is the concatenation of its nodes.
//
// It returns "" for what is no architecture of the space.
func Text(s *space.Space, a space.Architecture) string {
	if s.Check(a) != nil {
		return ""
	}
	var b strings.Builder
	for i, c := range cellsOf(s, a) {
		if c.name != "" {
			if i > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(c.name + " cell\n")
		}
		c.text(&b)
	}
	return b.String()
}

func (c cell) text(b *strings.Builder) {
	header := []rune(strings.Repeat(" ", lane*len(c.nodes)))
	for n, name := range c.nodes {
		copy(header[lane*n:], []rune(name))
	}
	b.WriteString(strings.TrimRight(string(header), " "))
	b.WriteByte('\n')
	for e, edge := range c.edges {
		operation := c.operations[e]
		line := []rune(strings.Repeat(" ", lane*(len(c.nodes)-1)+1))
		for n := range c.nodes {
			if first, last := c.span(n); first <= e && e <= last {
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
		if _, last := c.span(edge.From); last == e {
			line[lane*edge.From] = '└'
		}
		line[lane*edge.To-1] = end
		if operation != "none" {
			line[lane*edge.To] = '●'
		}
		b.WriteString(string(line))
		b.WriteString("   " + operation + "\n")
	}
}

// span returns the first and the last line on which a node's column is drawn: from where something first reaches it, for
// an input from the top, to where it is last read or reached.
func (c cell) span(node int) (first, last int) {
	first, last = len(c.edges), -1
	if strings.HasPrefix(c.nodes[node], "in") {
		first = 0
	}
	for e, edge := range c.edges {
		if edge.To == node {
			first, last = min(first, e), max(last, e)
		}
		if edge.From == node {
			last = max(last, e)
		}
	}
	return first, last
}
