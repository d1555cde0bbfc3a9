package supernet

import "github.com/plateau-nas/plateau/exporter/graph"

// normalizedPointwise is the convolution of x [N, C, H, W] with 1x1 kernels w [M, C, 1, 1], normalized by the statistics of the
// batch and scaled by scale [M], as one convolution. Its results are linear in x, so their mean and their mean square follow from
// those of x: w E[x] and w E[x x^T] w^T. The normalization is a factor and a bias of the kernels then, and
// neither it nor its gradient passes over the M channels of the result.
func (l *layers) normalizedPointwise(x, w, scale *graph.Value) *graph.Value {
	g := x.Graph()
	defer g.Scope("bn")()
	in, out := x.Dim(1), w.Dim(0)
	n := x.Size() / in
	rows := graph.Reshape(x, x.Dim(0), in, -1)
	share := g.Scalar(1 / float32(n))
	moments := graph.Mul(graph.ReduceSum(graph.MatMul(rows, graph.Transpose(rows, 0, 2, 1)), false, 0), share) // mean of x x^T
	kernels := graph.Reshape(w, out, in)
	mean := graph.Reshape(graph.MatMul(kernels, graph.Reshape(graph.ReduceMean(x, false, 0, 2, 3), in, 1)), out)
	square := graph.ReduceSum(graph.Mul(graph.MatMul(kernels, moments), kernels), false, 1)
	// Rounding can take a variance of nothing below zero.
	variance := graph.Relu(graph.Sub(square, graph.Mul(mean, mean)))
	l.observe(mean, variance, n)
	factor := graph.Div(scale, graph.Sqrt(graph.Add(variance, g.Scalar(graph.DefaultEpsilon))))
	kernels = graph.Mul(kernels, graph.Reshape(factor, out, 1))
	return graph.Conv(x, graph.Reshape(kernels, out, in, 1, 1), graph.Neg(graph.Mul(mean, factor)), graph.Same(1, 1, 1, 1))
}
