package autodiff

import (
	"slices"

	"github.com/plateau-nas/plateau/exporter/graph"
)

func (o *options) convRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	x, w, c := n.Inputs[0], n.Inputs[1], graph.ConvConfigOf(n)
	out := make([]*graph.Value, len(n.Inputs))
	// The gradient of a normalization is a factor a channel times a sum. The factor can as well go to the weights,
	// which are much smaller than dy.
	d, factor := dy[0], (*graph.Value)(nil)
	if o.uses(FactorOnWeights) {
		d, factor = channelFactor(d)
	}
	scaled := func(v *graph.Value) *graph.Value {
		if factor == nil {
			return v
		}
		return graph.Mul(v, graph.Reshape(factor, factor.Size(), 1, 1, 1))
	}
	if need[0] {
		out[0] = o.convInputGradient(x, scaled(w), d, c)
	}
	if need[1] {
		out[1] = scaled(o.convWeightGradient(x, w, d, c))
	}
	if len(need) == 3 && need[2] {
		out[2] = graph.ReduceSum(dy[0], false, 0, 2, 3)
	}
	return out
}

// channelFactor splits a product of v [N, C, H, W] with a factor a channel [C, 1, 1] in two; the factor is nil where d
// is none.
func channelFactor(d *graph.Value) (v, factor *graph.Value) {
	n := d.Node()
	if n == nil || n.Op != "Mul" || d.Rank() != 4 {
		return d, nil
	}
	v, factor = n.Inputs[0], n.Inputs[1]
	if !slices.Equal(v.Shape(), d.Shape()) || !slices.Equal(factor.Shape(), []int{d.Dim(1), 1, 1}) {
		return d, nil
	}
	return v, factor
}

// convInputGradient returns dx of y = conv(x, w): at stride 1 the convolution of dy with the mirrored weights,
// which ONNX Runtime does at the speed of the forward direction, otherwise the transposed convolution.
func (o *options) convInputGradient(x, w, dy *graph.Value, c graph.ConvConfig) *graph.Value {
	back := graph.ConvConfig{Stride: [2]int{1, 1}, Dilation: c.Dilation, Groups: c.Groups}
	mirror := o.uses(MirroredInput) && c.Stride == [2]int{1, 1}
	for i := range 2 {
		span := c.Dilation[i] * (w.Dim(2+i) - 1)
		back.Pad[i], back.Pad[i+2] = span-c.Pad[i], span-c.Pad[i+2]
		mirror = mirror && back.Pad[i] >= 0 && back.Pad[i+2] >= 0
	}
	if mirror {
		return graph.Conv(dy, mirrored(w, c.Groups), nil, back)
	}
	c.OutputPad = [2]int{}
	for i := range 2 {
		reach := c.Stride[i]*(dy.Dim(2+i)-1) + c.Dilation[i]*(w.Dim(2+i)-1) + 1
		c.OutputPad[i] = x.Dim(2+i) + c.Pad[i] + c.Pad[i+2] - reach
	}
	return graph.ConvTranspose(dy, w, c)
}

// mirrored returns the weights [M, C/groups, KH, KW] with input and output channels exchanged within each group and
// the kernel turned by 180 degrees: [C, M/groups, KH, KW].
func mirrored(w *graph.Value, groups int) *graph.Value {
	m, in, kh, kw := w.Dim(0)/groups, w.Dim(1), w.Dim(2), w.Dim(3)
	taps := kh * kw
	if groups == 1 {
		w = graph.Transpose(w, 1, 0, 2, 3)
	} else {
		w = graph.Transpose(graph.Reshape(w, groups, m, in, taps), 0, 2, 1, 3)
	}
	if taps > 1 {
		turn := make([]int, taps)
		for i := range turn {
			turn[i] = taps - 1 - i
		}
		w = graph.Gather(graph.Reshape(w, groups*in, m, taps), w.Graph().Ints(turn...), 2)
	}
	return graph.Reshape(w, groups*in, m, kh, kw)
}

// convTransposeRule: the transposed convolution is the input gradient of a convolution, so its own gradients are
// that convolution and its weight gradient with the roles of input and output exchanged.
func (o *options) convTransposeRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	x, w, c := n.Inputs[0], n.Inputs[1], graph.ConvConfigOf(n)
	out := make([]*graph.Value, len(n.Inputs))
	d := dy[0]
	for i := range 2 {
		// Output padding first takes back padding; rows beyond that get nothing from x.
		end := c.Pad[i+2] - c.OutputPad[i]
		if end < 0 {
			d = graph.Slice(d, graph.Range{Axis: 2 + i, End: d.Dim(2+i) + end})
		}
		c.Pad[i+2] = max(end, 0)
	}
	c.OutputPad = [2]int{}
	if need[0] {
		out[0] = graph.Conv(d, w, nil, c)
	}
	if need[1] {
		out[1] = o.convWeightGradient(d, w, x, c)
	}
	return out
}
