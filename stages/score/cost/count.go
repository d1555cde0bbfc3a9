package cost

import (
	"fmt"
	"math"
	"slices"

	"github.com/plateau-nas/plateau/exporter/rewrite"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// Size is what the stand-alone network of an architecture holds and computes.
type Size struct {
	Parameters   int64 // trainable numbers, as Parameters
	MultiplyAdds int64 // for one image, as MultiplyAdds
}

func (s Size) plus(o Size) Size {
	return Size{s.Parameters + o.Parameters, s.MultiplyAdds + o.MultiplyAdds}
}

func (s Size) minus(o Size) Size {
	return Size{s.Parameters - o.Parameters, s.MultiplyAdds - o.MultiplyAdds}
}

// Counter tells the sizes of the networks of a space in a skeleton without building each: a network is its skeleton and an
// operation an edge, so what they cost adds up. It is not changed once it is made, so goroutines may share it.
type Counter struct {
	space *space.Space
	base  Size
	edge  [][]Size // edge x operation
	none  int      // index of "none", -1 where the space has none
}

// NewCounter measures the operations of a space in a skeleton.
func NewCounter(s *space.Space, m supernet.Macro) (*Counter, error) {
	if err := m.CheckFor(s); err != nil {
		return nil, fmt.Errorf("counting the operations of %s: %w", s.Name, err)
	}
	c := &Counter{space: s, none: slices.Index(s.Operations, "none"), edge: make([][]Size, len(s.Edges))}
	measure := c.measureEdges
	if s.Pairs {
		measure = c.measurePairs
	}
	if err := measure(m); err != nil {
		return nil, fmt.Errorf("counting the operations of %s: %w", s.Name, err)
	}
	return c, nil
}

// measureEdges compares cells that have the same operation everywhere. Every edge has the same channels and resolution, so an
// operation costs the same on each. Costs are relative to "none" or, where there is none, to the first operation.
func (c *Counter) measureEdges(m supernet.Macro) error {
	reference := max(c.none, 0)
	uniform := make([]Size, len(c.space.Operations))
	for op := range uniform {
		a := make(space.Architecture, len(c.space.Edges))
		for e := range a {
			a[e] = op
		}
		var err error
		if uniform[op], err = measure(c.space, m, a); err != nil {
			return err
		}
	}
	c.base = uniform[reference]
	per, edges := make([]Size, len(uniform)), int64(len(c.space.Edges))
	for op, u := range uniform {
		d := u.minus(c.base)
		per[op] = Size{d.Parameters / edges, d.MultiplyAdds / edges}
	}
	for e := range c.edge {
		c.edge[e] = per
	}
	return nil
}

// measurePairs changes one kept edge of an architecture whose nodes keep their edges from the two inputs, a max pool on each. Costs
// are relative to such an edge. Within a cell those edges alone can have a stride, so an operation has two costs a kind of cell.
func (c *Counter) measurePairs(m supernet.Macro) error {
	s := c.space
	reference := make(space.Architecture, len(s.Edges))
	for e, edge := range s.Edges {
		if edge.From < 2 {
			reference[e] = 1
		}
	}
	var err error
	if c.base, err = measure(s, m, reference); err != nil {
		return err
	}
	type class struct {
		cell  string
		input bool
	}
	known := map[class][]Size{}
	for e, edge := range s.Edges {
		k := class{s.Cell(e), edge.From < 2}
		per := known[k]
		if per == nil {
			per = make([]Size, len(s.Operations)) // what is not kept costs nothing
			for op := 1; op < len(per); op++ {
				a := reference.Clone()
				if !k.input {
					a[e-edge.From] = 0 // in place of the node's edge from the first input
				}
				a[e] = op
				size, err := measure(s, m, a)
				if err != nil {
					return err
				}
				per[op] = size.minus(c.base)
			}
			known[k] = per
		}
		c.edge[e] = per
	}
	return nil
}

// measure builds the network of an architecture.
func measure(s *space.Space, m supernet.Macro, a space.Architecture) (Size, error) {
	net := supernet.Network{Space: s.Reference(), Architecture: s.Format(a), Macro: m}
	index, running, err := net.Indexes()
	if err != nil {
		return Size{}, err
	}
	model, err := net.Inference(make([]float32, index.Total()), make([]float32, running.Total())) // the values do not matter to the cost
	if err != nil {
		return Size{}, err
	}
	c, err := rewrite.CostOf(model, nil)
	if err != nil {
		return Size{}, err
	}
	return Size{Parameters: int64(index.Total()), MultiplyAdds: c.MultiplyAdds}, nil
}

// Of returns the size of an architecture's network. It is what Evaluator gives: operations that do not lead to the cell's output
// have parameters but are not computed.
func (c *Counter) Of(a space.Architecture) Size {
	size := c.All(a)
	if c.none < 0 || c.space.Pairs {
		return size
	}
	for e, dead := range c.dead(a) {
		if dead {
			size.MultiplyAdds -= c.edge[e][a[e]].MultiplyAdds
		}
	}
	return size
}

// All is Of with the multiply-adds of every operation that the architecture names, computed or not: it is a sum over the edges.
func (c *Counter) All(a space.Architecture) Size {
	size := c.base
	for e, op := range a {
		size = size.plus(c.edge[e][op])
	}
	return size
}

// Base and Edge are the parts of All: what every network has, and what an operation on an edge adds. Edge is relative to some
// operation, so it can be negative.
func (c *Counter) Base() Size { return c.base }

// Edge returns what operation op on edge e adds to Base.
func (c *Counter) Edge(e, op int) Size { return c.edge[e][op] }

// Useful returns the multiply-adds of the skeleton and of the operations that take part in what an architecture computes: those
// that lead to the cell's output and are not given zeros.
func (c *Counter) Useful(a space.Architecture) int64 {
	if c.none < 0 || c.space.Pairs {
		return c.Of(a).MultiplyAdds
	}
	live := c.nonzero(a)
	n := c.base.MultiplyAdds
	for e, dead := range c.dead(live) {
		if !dead {
			n += c.edge[e][live[e]].MultiplyAdds
		}
	}
	return n
}

// nonzero returns an architecture with "none" on the edges out of nodes that are zero.
func (c *Counter) nonzero(a space.Architecture) space.Architecture {
	out := a.Clone()
	some := make([]bool, c.space.Nodes)
	some[0] = true
	for e, edge := range c.space.Edges { // ascending in To, so From is settled
		if !some[edge.From] {
			out[e] = c.none
		}
		some[edge.To] = some[edge.To] || out[e] != c.none
	}
	return out
}

// dead tells of each edge whether it does not lead to the last node.
func (c *Counter) dead(a space.Architecture) []bool {
	edges := c.space.Edges
	out, leads := make([]bool, len(edges)), make([]bool, c.space.Nodes)
	leads[len(leads)-1] = true
	for e := len(edges) - 1; e >= 0; e-- { // descending in To, so whether To leads is settled
		out[e] = !leads[edges[e].To]
		if !out[e] && a[e] != c.none {
			leads[edges[e].From] = true
		}
	}
	return out
}

// Largest returns the size of the largest network of the space: the largest operation on every edge or, where nodes keep two of their
// edges, on the two that add the most. The most parameters and the most multiply-adds need not be those of one architecture.
func (c *Counter) Largest() Size {
	out := c.base
	for first := 0; first < len(c.edge); {
		end := first + 1
		for c.space.Pairs && end < len(c.edge) && end%c.space.CellEdges() != 0 && c.space.Edges[end].To == c.space.Edges[first].To {
			end++
		}
		keep := 1
		if c.space.Pairs {
			keep = 2
		}
		out.Parameters += c.most(first, end, keep, func(s Size) int64 { return s.Parameters })
		out.MultiplyAdds += c.most(first, end, keep, func(s Size) int64 { return s.MultiplyAdds })
		first = end
	}
	return out
}

// most is the sum of what the keep edges add that add the most, each by its largest operation.
func (c *Counter) most(first, end, keep int, of func(Size) int64) (sum int64) {
	var adds []int64
	for e := first; e < end; e++ {
		best := int64(math.MinInt64)
		for op, s := range c.edge[e] {
			if c.space.Pairs && op == c.none {
				continue // an edge that is kept has an operation
			}
			best = max(best, of(s))
		}
		adds = append(adds, best)
	}
	slices.Sort(adds)
	for _, v := range adds[len(adds)-min(keep, len(adds)):] {
		sum += v
	}
	return sum
}
