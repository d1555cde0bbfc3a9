package autodiff

import (
	"slices"

	"github.com/plateau-nas/plateau/exporter/graph"
)

// kept returns v, a result of the reduction n or its gradient, with the reduced dimensions as 1, so that it broadcasts
// to the input.
func kept(n *graph.Node, v *graph.Value) *graph.Value {
	shape := slices.Clone(n.Inputs[0].Shape())
	for _, a := range graph.ReduceAxes(n) {
		shape[a] = 1
	}
	return graph.Reshape(v, shape...)
}

func reduceSumRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	return []*graph.Value{graph.Expand(kept(n, dy[0]), n.Inputs[0].Shape()...), nil}
}

func reduceMeanRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	x := n.Inputs[0]
	share := float32(n.Outputs[0].Size()) / float32(x.Size())
	small := graph.Mul(kept(n, dy[0]), x.Graph().Scalar(share))
	return one(graph.Expand(small, x.Shape()...))
}

func reduceSumSquareRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	x := n.Inputs[0]
	return one(graph.Mul(x, graph.Mul(kept(n, dy[0]), x.Graph().Scalar(2))))
}

// reduceMaxRule shares dy evenly among equal maxima, as torch.amax does.
func reduceMaxRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	x := n.Inputs[0]
	mask := graph.Cast(graph.Equal(x, kept(n, n.Outputs[0])), graph.Float32)
	ties := graph.ReduceSum(mask, true, graph.ReduceAxes(n)...)
	return one(graph.Mul(mask, graph.Div(kept(n, dy[0]), ties)))
}
