package optimizer

import (
	"fmt"

	"github.com/plateau-nas/plateau/exporter/graph"
)

// ClipGlobalNorm scales the gradient vector [N] so that its Euclidean norm is at most limit, and returns it with
// the norm that it had, of shape [1]. As in PyTorch the factor is limit / (norm + 1e-6), and never more than 1.
func ClipGlobalNorm(grad *graph.Value, limit float32) (clipped, norm *graph.Value) {
	g := grad.Graph()
	defer g.Scope("clip")()
	if grad.Rank() != 1 || limit <= 0 {
		g.Fail("ClipGlobalNorm", fmt.Errorf("wants a vector and a limit above 0, has the shape %v and %v", grad.Shape(), limit))
		return grad, grad
	}
	norm = graph.Sqrt(graph.ReduceSumSquare(grad, true, 0))
	factor := graph.Div(g.Floats([]float32{limit}, 1), graph.Add(norm, g.Scalar(1e-6)))
	return graph.Mul(grad, graph.Min(factor, g.Scalar(1))), norm
}
