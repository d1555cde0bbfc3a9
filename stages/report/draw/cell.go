package draw

import (
	"strconv"

	"github.com/plateau-nas/plateau/stages/space"
)

// cell is what is drawn of one cell of an architecture: its nodes by their names, and its edges with their operations.
type cell struct {
	name       string // "" when the space has only one
	nodes      []string
	edges      []space.Edge
	operations []string
}

// cellsOf returns the cells of an architecture. Edges that a node does not keep are left out.
func cellsOf(s *space.Space, a space.Architecture) []cell {
	cells := make([]cell, max(1, len(s.Cells)))
	for i := range cells {
		c := &cells[i]
		c.name = s.Cell(i * s.CellEdges())
		c.nodes = nodeNames(s)
	}
	for _, e := range s.Chosen(a) {
		c := &cells[e/s.CellEdges()]
		c.edges, c.operations = append(c.edges, s.Edges[e]), append(c.operations, s.Operations[a[e]])
	}
	return cells
}

// EdgeName returns what an edge is called where its operations are listed: the node that it leads to, an arrow and the node that it comes
// from, by the names that they have in the drawing, such as "out←in"; after the name of its cell where there are several.
func EdgeName(s *space.Space, e int) string {
	names := nodeNames(s)
	name := names[s.Edges[e].To] + "←" + names[s.Edges[e].From]
	if cell := s.Cell(e); cell != "" {
		return cell + " " + name
	}
	return name
}

// nodeNames returns what the nodes of a cell are called: by their numbers, but for inputs and an output.
func nodeNames(s *space.Space) []string {
	inputs := s.Nodes
	for _, e := range s.Edges {
		inputs = min(inputs, e.To)
	}
	out := make([]string, s.Nodes)
	for n := range out {
		out[n] = strconv.Itoa(n)
		switch {
		case n < inputs && inputs == 1:
			out[n] = "in"
		case n < inputs:
			out[n] = "in" + out[n]
		case n == s.Nodes-1 && !s.Pairs:
			out[n] = "out"
		}
	}
	return out
}
