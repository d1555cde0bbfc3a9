package graph

import "slices"

// DefaultEpsilon is added to variances in normalization; the default of PyTorch and of ONNX.
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
	// Model gives the node private memory in place of its last two inputs, see statistics.go.
	c := []int{x.shape[1]}
	none := g.Fill(0, c...)
	out := g.node("BatchNormalization", []*Value{x, scale, bias, none, none},
		Attributes{{"epsilon", epsilon}, {"momentum", float32(0)}, {"training_mode", 1}}, nil, []spec{{Float32, x.shape}, {Float32, c}, {Float32, c}}, true)
	mean, variance = out[1], out[2]
	if momentum != 0 {
		blend := func(old, batch *Value) *Value {
			return Add(Mul(old, g.Scalar(momentum)), Mul(batch, g.Scalar(1-momentum)))
		}
		mean, variance = blend(runningMean, mean), blend(runningVar, variance)
	}
	return out[0], mean, variance
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

// LayerNorm normalizes x over the dimensions from axis to the last one to mean 0 and variance 1 (of the population, plus
// epsilon), then multiplies by scale and adds bias. Both have the shape of those dimensions; bias may be nil. The
// statistics are each sample's own, so that training and inference are the same (Ba, Kiros and Hinton, 2016).
func LayerNorm(x, scale, bias *Value, axis int, epsilon float32) *Value {
	g := graphOf(x)
	a := x.axis("LayerNormalization", axis)
	if len(x.shape) == 0 {
		return g.dummy(Float32, x.shape)
	}
	in := []*Value{x, scale}
	if bias != nil {
		in = append(in, bias)
	}
	for _, v := range in[1:] {
		if v.dtype != Float32 || !slices.Equal(v.shape, x.shape[a:]) {
			g.fail("LayerNormalization", "wants scale and bias of the shape %v, the dimensions of %v from axis %d on; has %v%v", x.shape[a:], x.shape, a, v.dtype, v.shape)
		}
	}
	return g.node("LayerNormalization", in, Attributes{{"axis", a}, {"epsilon", epsilon}}, nil, []spec{{Float32, x.shape}}, true)[0]
}
