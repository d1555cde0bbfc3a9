package autodiff

import "github.com/plateau-nas/plateau/exporter/graph"

// gatherElementsRule adds each gradient up at the place that its element was picked from.
func gatherElementsRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	x := n.Inputs[0]
	blank := graph.Expand(x.Graph().Scalar(0), x.Shape()...)
	return []*graph.Value{graph.ScatterAdd(blank, n.Inputs[1], dy[0], n.Attrs.Int("axis", 0)), nil}
}

// scatterElementsRule hands the gradients of the places that were named to the updates, and to x those of the others
// or, where updates are added, all. Of several updates that replace one place each gets its gradient, as in PyTorch,
// though only one has won.
func scatterElementsRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	indices, axis := n.Inputs[1], n.Attrs.Int("axis", 0)
	out := make([]*graph.Value, 3)
	if need[2] {
		out[2] = graph.GatherElements(dy[0], indices, axis)
	}
	switch {
	case !need[0]:
	case n.Attrs.String("reduction", "none") == "add":
		out[0] = dy[0]
	default:
		out[0] = graph.ScatterElements(dy[0], indices, zeros(dy[0].Graph(), indices.Shape()), axis)
	}
	return out
}
