package autodiff

import (
	"math"

	"github.com/plateau-nas/plateau/exporter/graph"
)

// erfRule: the derivative is 2/sqrt(pi) * e^(-x^2).
func erfRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	x := n.Inputs[0]
	bell := graph.Exp(graph.Neg(graph.Mul(x, x)))
	return one(graph.Mul(dy[0], graph.Mul(bell, x.Graph().Scalar(float32(2/math.Sqrt(math.Pi))))))
}

// hardSigmoidRule gives the slope alpha strictly between the corners and zero elsewhere, as PyTorch does.
func hardSigmoidRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	y := n.Outputs[0]
	g := y.Graph()
	inside := graph.Mul(graph.Cast(graph.Greater(y, g.Scalar(0)), graph.Float32), graph.Cast(graph.Less(y, g.Scalar(1)), graph.Float32))
	return one(graph.Mul(dy[0], graph.Mul(inside, g.Scalar(n.Attrs.Float("alpha", 0.2)))))
}

// hardSwishRule gives 0 below -3, 1 from 3 up, and x/3 + 1/2 between, -3 included, as PyTorch's kernel for whole
// vectors does. (Its kernel for the elements that are left over gives 3/2 at 3.)
func hardSwishRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	x, d := n.Inputs[0], dy[0]
	g := x.Graph()
	middle := graph.Mul(d, graph.Add(graph.Mul(x, g.Scalar(float32(1)/3)), g.Scalar(0.5)))
	upper := graph.Where(graph.Less(x, g.Scalar(3)), middle, d)
	return one(graph.Where(graph.Less(x, g.Scalar(-3)), g.Scalar(0), upper))
}

// clipRule passes on the gradients of the elements that were left as they are, those at the bounds among them, as
// PyTorch does.
func clipRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	out := make([]*graph.Value, len(n.Inputs))
	same := graph.Cast(graph.Equal(n.Inputs[0], n.Outputs[0]), graph.Float32)
	out[0] = graph.Mul(dy[0], same)
	return out
}
