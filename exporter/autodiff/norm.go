package autodiff

import (
	"errors"

	"github.com/plateau-nas/plateau/exporter/graph"
)

// batchNormRule differentiates batch normalization of x [N, C, H, W]. In training, with xhat = (x - mean) * rstd over the
// M = N*H*W elements of a channel:
//
//	dbias = sum(dy)
//	dscale = sum(dy * xhat)
//	dx = scale * rstd * (dy - dbias/M - xhat * dscale/M)
//
// The last line takes three passes over the activations: a product, one affine map per channel (which is what batch
// normalization with given statistics is, as one fast kernel) and an addition. The running statistics carry no
// gradient; the batch's do where something is computed from them, as gradients of gradients are.
//
// The batch's statistics are the node's own second and third output: the builder gives training nodes momentum 0.
//
// What is summed up in dscale must be small beside its terms: either x is centered first or dy is, which gives the same sum.
// Normalizations whose results are added up have dy in common, so that one pass does for all of them.
func (o *options) batchNormRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	if n.Attrs.Int("training_mode", 0) == 0 {
		return batchNormInferenceRule(n, dy[0], need)
	}
	out := make([]*graph.Value, 5)
	if n.Attrs.Float("momentum", 0.9) != 0 {
		n.Outputs[0].Graph().Fail("BatchNormalization", errors.New("gradients in training mode want momentum 0, see graph.BatchNormTrain"))
		return out
	}
	d := dy[0]
	if d == nil {
		out[0] = byStatistics(n, dy)
		return out
	}
	x, scale, mean := n.Inputs[0], n.Inputs[1], n.Outputs[1]
	g, channels := x.Graph(), x.Dim(1)
	rstd := reciprocalDeviation(n.Outputs[2], n)
	dbias := graph.ReduceSum(d, false, 0, 2, 3)
	share := g.Scalar(-float32(channels) / float32(x.Size()))
	meanless := graph.Mul(share, dbias) // what takes the mean of d away
	out[2] = dbias
	// Each of these gives dscale, and the sum dy - dbias/M - xhat * dscale/M as the rule of a convolution before this wants it,
	// which takes the factor in front apart again.
	var sum func() *graph.Value
	switch {
	case isConstant(scale, 1) && isConstant(n.Inputs[2], 0):
		xhat := n.Outputs[0]
		out[1] = graph.ReduceSum(graph.Mul(d, xhat), false, 0, 2, 3)
		sum = func() *graph.Value { return graph.Add(d, affine(xhat, graph.Mul(share, out[1]), meanless)) }
	case o.uses(CenteredGradient):
		centered := graph.Add(d, perChannel(meanless))
		out[1] = graph.Mul(graph.ReduceSum(graph.Mul(centered, x), false, 0, 2, 3), rstd)
		sum = func() *graph.Value {
			// share * dscale * xhat is a normalization with the same statistics.
			return graph.Add(centered, graph.BatchNorm(x, graph.Mul(share, out[1]), g.Fill(0, channels), mean, n.Outputs[2], n.Attrs.Float("epsilon", graph.DefaultEpsilon)))
		}
	default:
		centered := graph.Sub(x, perChannel(mean))
		out[1] = graph.Mul(graph.ReduceSum(graph.Mul(d, centered), false, 0, 2, 3), rstd)
		sum = func() *graph.Value {
			return graph.Add(d, affine(centered, graph.Mul(graph.Mul(share, out[1]), rstd), meanless))
		}
	}
	if !need[0] {
		return out
	}
	out[0] = graph.Mul(sum(), perChannel(graph.Mul(scale, rstd)))
	if more := byStatistics(n, dy); more != nil {
		out[0] = graph.Add(out[0], more)
	}
	return out
}

// byStatistics returns what the gradients of the batch's mean and variance, dy[1] and dy[2], add to that of x: dmean/M and
// 2/M * dvariance * (x - mean). It is nil where there are none, as in all training by first derivatives.
func byStatistics(n *graph.Node, dy []*graph.Value) *graph.Value {
	x := n.Inputs[0]
	share := float32(x.Dim(1)) / float32(x.Size())
	var dx *graph.Value
	if dy[1] != nil {
		dx = graph.Expand(perChannel(graph.Mul(dy[1], x.Graph().Scalar(share))), x.Shape()...)
	}
	if dy[2] != nil {
		centered := graph.Sub(x, perChannel(n.Outputs[1]))
		byVariance := graph.Mul(centered, perChannel(graph.Mul(dy[2], x.Graph().Scalar(2*share))))
		if dx == nil {
			return byVariance
		}
		return graph.Add(dx, byVariance)
	}
	return dx
}

// reciprocalDeviation returns 1 / sqrt(variance + epsilon).
func reciprocalDeviation(variance *graph.Value, n *graph.Node) *graph.Value {
	epsilon := variance.Graph().Scalar(n.Attrs.Float("epsilon", graph.DefaultEpsilon))
	return graph.Reciprocal(graph.Sqrt(graph.Add(variance, epsilon)))
}

// batchNormInferenceRule differentiates y = scale * (x - mean) * rstd + bias with given statistics.
func batchNormInferenceRule(n *graph.Node, d *graph.Value, need []bool) []*graph.Value {
	x, scale, mean, variance := n.Inputs[0], n.Inputs[1], n.Inputs[3], n.Inputs[4]
	g := x.Graph()
	rstd := reciprocalDeviation(variance, n)
	slope := graph.Mul(scale, rstd)
	out := make([]*graph.Value, 5)
	if need[0] {
		out[0] = graph.Mul(d, perChannel(slope))
	}
	if !need[1] && !need[2] && !need[3] && !need[4] {
		return out
	}
	sum := graph.ReduceSum(d, false, 0, 2, 3)
	out[2] = sum
	out[3] = graph.Neg(graph.Mul(sum, slope))
	if need[1] || need[4] {
		onCentered := graph.ReduceSum(graph.Mul(d, graph.Sub(x, perChannel(mean))), false, 0, 2, 3)
		out[1] = graph.Mul(onCentered, rstd)
		out[4] = graph.Mul(graph.Mul(out[1], g.Scalar(-0.5)), graph.Mul(slope, rstd))
	}
	return out
}

// perChannel gives v [C] the shape [C, 1, 1], which broadcasts over [N, C, H, W].
func perChannel(v *graph.Value) *graph.Value { return graph.Reshape(v, v.Dim(0), 1, 1) }

// affine returns a * x + b with a and b [C] for x [N, C, H, W], in one pass.
func affine(x, a, b *graph.Value) *graph.Value {
	g, channels := x.Graph(), x.Dim(1)
	const epsilon = graph.DefaultEpsilon
	return graph.BatchNorm(x, a, b, g.Fill(0, channels), g.Fill(1-epsilon, channels), epsilon)
}
