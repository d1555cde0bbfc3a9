package autodiff

import (
	"maps"
	"slices"

	"github.com/plateau-nas/plateau/exporter/graph"
)

// branches makes the gradient of the If node n an If on the same condition, so that the branch that was not taken
// costs nothing in the backward direction either. Each branch computes the gradients of all values that either
// branch uses: zeros for those that only the other one does.
//
// What the forward branches have computed, the backward ones find as further results of n, except for what is
// cheaper to compute again than to keep.
func (p *pass) branches(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	g := n.Outputs[0].Graph()
	inputs := dependencies(n)
	var wrt []*graph.Value
	for i, v := range inputs {
		if need[i] {
			wrt = append(wrt, v)
		}
	}
	kept := graph.Expose(n, func(m *graph.Node) bool { return !recomputed(m.Op) })
	branch := func(body graph.Body) func() []*graph.Value {
		return func() []*graph.Value {
			var outputs, seeds []*graph.Value
			for i, d := range dy {
				if d != nil {
					outputs, seeds = append(outputs, body.Results[i]), append(seeds, d)
				}
			}
			inside := newPass(p.options, outputs, seeds, wrt)
			inside.scope = n.Scope
			inside.view = p.viewInto(body, kept)
			if err := inside.run(inside.between(body.Block.Nodes())); err != nil {
				g.Fail("If", err)
			}
			grads := inside.gradients(wrt)
			for i, v := range grads {
				if v == nil {
					grads[i] = zeros(g, wrt[i].Shape())
				}
			}
			return grads
		}
	}
	cond := p.seen(n.Inputs)[0]
	grads := graph.If(cond, branch(n.Bodies[0]), branch(n.Bodies[1]))
	out := make([]*graph.Value, len(inputs))
	for i, v := range inputs {
		if k := slices.Index(wrt, v); k >= 0 && k < len(grads) {
			out[i] = grads[k]
		}
	}
	return out
}

// viewInto returns what stands for the values of a forward branch inside the backward branch that is being built: what
// was kept, and copies of the other nodes. Copies that nothing uses are not part of the model.
func (p *pass) viewInto(body graph.Body, kept map[*graph.Value]*graph.Value) map[*graph.Value]*graph.Value {
	view := maps.Clone(p.view)
	if view == nil {
		view = map[*graph.Value]*graph.Value{}
	}
	for v, outside := range kept {
		view[v] = p.seen([]*graph.Value{outside})[0]
	}
	for _, m := range body.Block.Nodes() {
		if slices.ContainsFunc(m.Outputs, func(v *graph.Value) bool { return view[v] == nil }) {
			for i, v := range m.Clone(view) {
				if view[m.Outputs[i]] == nil {
					view[m.Outputs[i]] = v
				}
			}
		}
	}
	return view
}

// recomputed tells the operators whose results are computed again rather than kept: they cost about as much as the
// memory traffic of keeping them.
func recomputed(op string) bool {
	switch op {
	case "Add", "Sub", "Mul", "Neg", "Relu", "Clip", "Identity", "Cast", "Greater", "Less", "Equal",
		"Reshape", "Flatten", "Transpose", "Expand", "Slice", "Split":
		return true
	}
	return false
}
