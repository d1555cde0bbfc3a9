package sampling

import "github.com/plateau-nas/plateau/stages/space"

// choices are an architecture as independent choices with so many possibilities each: the operation of every edge or, where
// nodes keep two of their edges, for every node which two and the operations of the first and of the second.
type choices struct {
	space *space.Space
	sizes []int
	nodes [][2]int // where nodes keep two of their edges, those of each: from, to
}

func newChoices(s *space.Space) *choices {
	c := &choices{space: s}
	if !s.Pairs {
		for range s.Edges {
			c.sizes = append(c.sizes, len(s.Operations))
		}
		return c
	}
	for e, edge := range s.Edges {
		if e%s.CellEdges() == 0 || edge.To != s.Edges[e-1].To {
			c.nodes = append(c.nodes, [2]int{e, e})
		}
		c.nodes[len(c.nodes)-1][1] = e + 1
	}
	for _, n := range c.nodes {
		k := n[1] - n[0]
		c.sizes = append(c.sizes, k*(k-1)/2, len(s.Operations)-1, len(s.Operations)-1)
	}
	return c
}

// of returns what an architecture has chosen.
func (c *choices) of(a space.Architecture) []int {
	if !c.space.Pairs {
		return a
	}
	var out []int
	for _, n := range c.nodes {
		var kept [2]int
		i := 0
		for e := n[0]; e < n[1]; e++ {
			if a[e] != 0 && i < 2 {
				kept[i] = e
				i++
			}
		}
		out = append(out, pairIndex(kept[0]-n[0], kept[1]-n[0]), a[kept[0]]-1, a[kept[1]]-1)
	}
	return out
}

// architecture returns the architecture with these choices.
func (c *choices) architecture(chosen []int) space.Architecture {
	a := make(space.Architecture, len(c.space.Edges))
	if !c.space.Pairs {
		copy(a, chosen)
		return a
	}
	for i, n := range c.nodes {
		second := 1
		for pairIndex(0, second+1) <= chosen[3*i] {
			second++
		}
		first := chosen[3*i] - pairIndex(0, second)
		a[n[0]+first], a[n[0]+second] = 1+chosen[3*i+1], 1+chosen[3*i+2]
	}
	return a
}

// pairIndex numbers the pairs of edges: (0,1), (0,2), (1,2), (0,3) and so on.
func pairIndex(first, second int) int { return second*(second-1)/2 + first }
