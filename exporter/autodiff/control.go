package autodiff

import (
	"slices"

	"github.com/plateau-nas/plateau/exporter/graph"
)

// ifRule makes the gradient of If an If on the same condition, so that the branch that was not taken costs nothing
// in the backward direction either. Each branch computes its forward values again and then the gradients of
// all values that either branch uses: zeros for those that only the other one does.
//
// Values are recomputed because a branch can hand out nothing but its results. What the branches share with the
// graph around them is not computed again.
func ifRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	var wrt []*graph.Value
	inputs := dependencies(n)
	for i, v := range inputs {
		if need[i] {
			wrt = append(wrt, v)
		}
	}
	g := n.Outputs[0].Graph()
	branch := func(body graph.Body) func() []*graph.Value {
		return func() []*graph.Value {
			var outputs, seeds []*graph.Value
			for i, v := range body.Replay(nil) {
				if dy[i] != nil {
					outputs, seeds = append(outputs, v), append(seeds, dy[i])
				}
			}
			grads, err := backward(outputs, seeds, wrt, true)
			if err != nil {
				g.Fail("If", err)
				grads = make([]*graph.Value, len(wrt))
			}
			for i, v := range grads {
				if v == nil {
					grads[i] = zeros(g, wrt[i].Shape())
				}
			}
			return grads
		}
	}
	grads := graph.If(n.Inputs[0], branch(n.Bodies[0]), branch(n.Bodies[1]))
	out := make([]*graph.Value, len(inputs))
	for i, v := range inputs {
		if k := slices.Index(wrt, v); k >= 0 && k < len(grads) {
			out[i] = grads[k]
		}
	}
	return out
}
