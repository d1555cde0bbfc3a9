package graph

import (
	"slices"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

// DefaultEpsilon is added to variances in batch normalization; the default of PyTorch and of ONNX.
const DefaultEpsilon = 1e-5

// BatchNorm is batch normalization of x [N, C, H, W] with statistics that are given: the form for inference. All
// others are [C].
func BatchNorm(x, scale, bias, mean, variance *Value, epsilon float32) *Value {
	g := graphOf(x)
	if !checkChannels(x, scale, bias, mean, variance) {
		return g.dummy(Float32, x.shape)
	}
	return g.node("BatchNormalization", []*Value{x, scale, bias, mean, variance}, Attributes{{"epsilon", epsilon}}, nil, []spec{{Float32, x.shape}}, true)[0]
}

// BatchNormTrain is batch normalization of x [N, C, H, W] with the statistics of the batch. It also returns
// momentum * runningMean + (1 - momentum) * batch mean, and the same for the variance (of the population, not
// the sample). Note that momentum weighs the old value, as ONNX defines it: PyTorch's 0.1 is 0.9 here, and
// momentum 0 returns the batch's own statistics.
//
// The node itself always has momentum 0, so that gradients find the batch's statistics at its outputs; the
// averages are computed beside it.
func BatchNormTrain(x, scale, bias, runningMean, runningVar *Value, epsilon, momentum float32) (y, mean, variance *Value) {
	g := graphOf(x)
	if !checkChannels(x, scale, bias, runningMean, runningVar) {
		d := g.dummy(Float32, []int{1})
		return g.dummy(Float32, x.shape), d, d
	}
	out := g.batchStatisticsNorm(x, scale, bias, epsilon)
	mean, variance = out[1], out[2]
	if momentum != 0 {
		blend := func(old, batch *Value) *Value {
			return Add(Mul(old, g.Scalar(momentum)), Mul(batch, g.Scalar(1-momentum)))
		}
		mean, variance = blend(runningMean, mean), blend(runningVar, variance)
	}
	return out[0], mean, variance
}

// batchStatisticsNorm appends the BatchNormalization node of BatchNormTrain. Its inputs for the running statistics
// count for nothing, but they must not be constants or values that anything else reads: ONNX Runtime writes the outputs
// for the running statistics into the memory of these inputs (its kernels declare them as aliases), even into
// that of an initializer. So each node gets two vectors of its own, which are elements of x.
func (g *Graph) batchStatisticsNorm(x, scale, bias *Value, epsilon float32) []*Value {
	attrs := Attributes{{"epsilon", epsilon}, {"momentum", float32(0)}, {"training_mode", 1}}
	key := nodeKey("BatchNormalization", []*Value{x, scale, bias}, slices.Clone(attrs))
	if n := g.equal(key); n != nil {
		return n.Outputs
	}
	channels := x.shape[1]
	index := make([]int64, 4*channels)
	for i := range channels {
		index[4*i+1] = int64(i)
	}
	first := g.constant(Int64, []int{channels, 4}, onnx.NewInt64("", []int64{int64(channels), 4}, index))
	own := func() *Value {
		return g.node("GatherND", []*Value{x, first}, nil, nil, []spec{{Float32, []int{channels}}}, false)[0]
	}
	c := []int{channels}
	out := g.node("BatchNormalization", []*Value{x, scale, bias, own(), own()}, attrs, nil, []spec{{Float32, x.shape}, {Float32, c}, {Float32, c}}, false)
	if g.err == nil {
		g.block.seen[key] = out[0].node
	}
	return out
}

func checkChannels(x *Value, vs ...*Value) bool {
	if len(x.shape) != 4 {
		x.graph.fail("BatchNormalization", "wants x [N, C, H, W], has %v", x.shape)
		return false
	}
	for _, v := range vs {
		if len(v.shape) != 1 || v.shape[0] != x.shape[1] {
			x.graph.fail("BatchNormalization", "wants [%d] for the channels of %v, has %v", x.shape[1], x.shape, v.shape)
			return false
		}
	}
	return true
}
