package rewrite

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

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

// ReplaceBySoftmax replaces the named output [N, K] by its softmax over K, under a new name.
func ReplaceBySoftmax(m *onnx.ModelProto, logits, probabilities, doc string) error {
	at, err := appendSoftmax(m, logits, probabilities)
	if err != nil {
		return err
	}
	m.Graph.Output[at].Name, m.Graph.Output[at].DocString = probabilities, doc
	return nil
}

// AddSoftmax adds an output behind the others: the softmax over K of the named output [N, K], which stays.
func AddSoftmax(m *onnx.ModelProto, logits, probabilities, doc string) error {
	at, err := appendSoftmax(m, logits, probabilities)
	if err != nil {
		return err
	}
	out := proto.Clone(m.Graph.Output[at]).(*onnx.ValueInfoProto)
	out.Name, out.DocString = probabilities, doc
	m.Graph.Output = append(m.Graph.Output, out)
	return nil
}

// appendSoftmax adds the node, and returns the place of the output that it reads.
func appendSoftmax(m *onnx.ModelProto, logits, probabilities string) (int, error) {
	wrap := func(format string, args ...any) error {
		return fmt.Errorf("append softmax to %q: %w", logits, fmt.Errorf(format, args...))
	}
	g := m.GetGraph()
	at := slices.IndexFunc(g.GetOutput(), func(v *onnx.ValueInfoProto) bool { return v.GetName() == logits })
	if at < 0 {
		return 0, wrap("the model has no such output, it has %v", names(g.GetOutput()))
	}
	if shape := g.GetOutput()[at].Shape(); len(shape) != 2 {
		return 0, wrap("the shape is %v, not [batch, classes]", shape)
	}
	if x := newIndex(m); x.taken[probabilities] {
		return 0, wrap("the name %q is taken", probabilities)
	}
	g.Node = append(g.Node, &onnx.NodeProto{
		OpType: "Softmax", Name: probabilities, Input: []string{logits}, Output: []string{probabilities},
		Attribute: []*onnx.AttributeProto{onnx.IntAttribute("axis", 1)}, // explicit, since the default changed with opset 13
	})
	return at, nil
}

func names(vs []*onnx.ValueInfoProto) []string {
	out := make([]string, len(vs))
	for i, v := range vs {
		out[i] = v.GetName()
	}
	return out
}
