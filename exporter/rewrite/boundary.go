package rewrite

import (
	"fmt"
	"slices"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

// NormalizeInput makes the model take raw numbers: it puts (x - mean) / std, per channel, between the named input
// [N, C, H, W] and everything that reads it. mean and std are in the units of the raw numbers (0..255 for pixels),
// one for each channel.
//
// It is not folded into the first convolution: that would also normalize the zeros with which the convolution pads.
func NormalizeInput(m *onnx.ModelProto, name string, mean, std []float32) error {
	g := m.GetGraph()
	at := slices.IndexFunc(g.GetInput(), func(v *onnx.ValueInfoProto) bool { return v.GetName() == name })
	if at < 0 {
		return fmt.Errorf("normalize input %q: the model has no such input, it has %v", name, names(g.GetInput()))
	}
	shape := g.GetInput()[at].Shape()
	if len(shape) != 4 || shape[1] != int64(len(mean)) || len(std) != len(mean) {
		return fmt.Errorf("normalize input %q: %d means and %d standard deviations do not fit the channels of the shape %v", name, len(mean), len(std), shape)
	}
	for i, v := range std {
		if !(v > 0) {
			return fmt.Errorf("normalize input %q: the standard deviation %g of channel %d is not positive", name, v, i)
		}
	}
	x := newIndex(m)
	dims := []int64{1, int64(len(mean)), 1, 1}
	meanName, stdName := x.unique("normalize/mean"), x.unique("normalize/std")
	centered, out := x.unique("normalize/Sub"), x.unique("normalize/Div")
	x.setConstant(m, onnx.NewFloat32(meanName, dims, mean))
	x.setConstant(m, onnx.NewFloat32(stdName, dims, std))
	rename(g.GetNode(), name, out)
	g.Node = slices.Insert(g.Node, 0,
		&onnx.NodeProto{OpType: "Sub", Name: centered, Input: []string{name, meanName}, Output: []string{centered}},
		&onnx.NodeProto{OpType: "Div", Name: out, Input: []string{centered, stdName}, Output: []string{out}},
	)
	return nil
}

// AppendSoftmax replaces the named output [N, K] by its softmax over K, under a new name.
func AppendSoftmax(m *onnx.ModelProto, logits, probabilities, doc string) error {
	g := m.GetGraph()
	at := slices.IndexFunc(g.GetOutput(), func(v *onnx.ValueInfoProto) bool { return v.GetName() == logits })
	if at < 0 {
		return fmt.Errorf("append softmax to %q: the model has no such output, it has %v", logits, names(g.GetOutput()))
	}
	if shape := g.GetOutput()[at].Shape(); len(shape) != 2 {
		return fmt.Errorf("append softmax to %q: the shape is %v, not [batch, classes]", logits, shape)
	}
	if x := newIndex(m); x.taken[probabilities] {
		return fmt.Errorf("append softmax to %q: the name %q is taken", logits, probabilities)
	}
	g.Node = append(g.Node, &onnx.NodeProto{
		OpType: "Softmax", Name: probabilities, Input: []string{logits}, Output: []string{probabilities},
		Attribute: []*onnx.AttributeProto{onnx.IntAttribute("axis", 1)}, // explicit, since the default changed with opset 13
	})
	g.Output[at].Name, g.Output[at].DocString = probabilities, doc
	return nil
}

func names(vs []*onnx.ValueInfoProto) []string {
	out := make([]string, len(vs))
	for i, v := range vs {
		out[i] = v.GetName()
	}
	return out
}
