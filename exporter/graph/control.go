package graph

import (
	"errors"
	"slices"
)

// If computes one of two branches: those of the branch that is not taken cost nothing. cond is a Bool of one element. Each
// branch is a function that builds values from those around it and returns its results; both return the same
// number of results, of equal types and shapes.
func If(cond *Value, then, otherwise func() []*Value) []*Value {
	g := graphOf(cond)
	if cond.dtype != Bool || cond.Size() != 1 {
		g.fail("If", "the condition is %v%v, not one bool", cond.dtype, cond.shape)
	}
	a, b := g.body("then_branch", then), g.body("else_branch", otherwise)
	if len(a.Results) != len(b.Results) || len(a.Results) == 0 {
		g.fail("If", "the branches have %d and %d results", len(a.Results), len(b.Results))
		return g.dummies(max(len(a.Results), len(b.Results), 1))
	}
	specs := make([]spec, len(a.Results))
	for i, v := range a.Results {
		if w := b.Results[i]; v.dtype != w.dtype || !slices.Equal(v.shape, w.shape) {
			g.fail("If", "result %d is %v%v in one branch and %v%v in the other", i, v.dtype, v.shape, w.dtype, w.shape)
		}
		specs[i] = spec{v.dtype, v.shape}
	}
	return g.node("If", []*Value{cond}, nil, []Body{a, b}, specs, false)
}

// Switch computes the branch that the int64 index (one element, 0 and up) chooses, as a balanced tree of If nodes. An
// index outside the branches chooses the last or the first one. Results are as for If.
func Switch(index *Value, branches ...func() []*Value) []*Value {
	g := graphOf(index)
	if len(branches) == 0 || index.dtype != Int64 || index.Size() != 1 {
		g.fail("Switch", "wants one int64 index and at least one branch, has %v%v and %d", index.dtype, index.shape, len(branches))
		return g.dummies(1)
	}
	return switchRange(index, 0, branches)
}

// dummies stand in for results whose shapes are not known.
func (g *Graph) dummies(n int) []*Value {
	out := make([]*Value, n)
	for i := range out {
		out[i] = g.dummy(Float32, []int{1})
	}
	return out
}

func switchRange(index *Value, first int, branches []func() []*Value) []*Value {
	if len(branches) == 1 {
		return branches[0]()
	}
	half := len(branches) / 2
	limit := index.graph.Ints(first + half)
	if len(index.shape) == 0 {
		limit = index.graph.Int(first + half)
	}
	return If(Less(index, limit),
		func() []*Value { return switchRange(index, first, branches[:half]) },
		func() []*Value { return switchRange(index, first+half, branches[half:]) })
}

func (g *Graph) body(name string, build func() []*Value) Body {
	block := &Block{parent: g.block, seen: map[string]*Node{}}
	g.block = block
	defer func() { g.block = block.parent }()
	results := slices.Clone(build())
	for i, v := range results {
		if v == nil {
			g.Fail("If", errors.New("a branch returned no value"))
			return Body{Name: name, Block: block}
		}
		// A branch must itself produce its results, each under a name of its own.
		if v.block != block || v.node == nil || slices.Contains(results[:i], v) {
			results[i] = g.node("Identity", []*Value{v}, nil, nil, []spec{{v.dtype, v.shape}}, false)[0]
		}
	}
	return Body{Name: name, Block: block, Results: results}
}

// Clone builds the node again in the current block with other inputs (and, for values that bodies use, with the
// given replacements), and returns its outputs. Autodiff replays branches with it.
func (n *Node) Clone(replace map[*Value]*Value) []*Value {
	get := func(v *Value) *Value {
		if r, ok := replace[v]; ok {
			return r
		}
		return v
	}
	in := make([]*Value, len(n.Inputs))
	for i, v := range n.Inputs {
		in[i] = get(v)
	}
	g := n.Outputs[0].graph
	var bodies []Body
	for _, b := range n.Bodies {
		bodies = append(bodies, g.body(b.Name, func() []*Value { return b.Replay(replace) }))
		bodies[len(bodies)-1].Name = b.Name
	}
	specs := make([]spec, len(n.Outputs))
	for i, o := range n.Outputs {
		specs[i] = spec{o.dtype, o.shape}
	}
	return g.node(n.Op, in, slices.Clone(n.Attrs), bodies, specs, !n.private)
}

// Replay builds the body's nodes again in the current block and returns its results there. Values in replace
// take the place of the originals; the map is not changed.
func (b Body) Replay(replace map[*Value]*Value) []*Value {
	m := make(map[*Value]*Value, len(replace)+len(b.Block.nodes))
	for k, v := range replace {
		m[k] = v
	}
	for _, n := range b.Block.nodes {
		for i, v := range n.Clone(m) {
			m[n.Outputs[i]] = v
		}
	}
	out := make([]*Value, len(b.Results))
	for i, v := range b.Results {
		out[i] = v
		if r, ok := m[v]; ok {
			out[i] = r
		}
	}
	return out
}

// Captured returns the values of the blocks around the body that the body uses, in the order of their IDs.
func (b Body) Captured() []*Value {
	seen := map[*Value]bool{}
	b.capture(b.Block, seen)
	out := make([]*Value, 0, len(seen))
	for v := range seen {
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b *Value) int { return a.id - b.id })
	return out
}

func (b Body) capture(outer *Block, seen map[*Value]bool) {
	note := func(v *Value) {
		if v != nil && v.data == nil && !v.block.within(outer) {
			seen[v] = true
		}
	}
	for _, n := range b.Block.nodes {
		for _, v := range n.Inputs {
			note(v)
		}
		for _, inner := range n.Bodies {
			inner.capture(outer, seen)
		}
	}
	for _, v := range b.Results {
		note(v)
	}
}
