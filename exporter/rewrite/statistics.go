package rewrite

import (
	"fmt"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

// WriteOutStatistics replaces every BatchNormalization in training mode, those in branches too, by the computation of the
// batch's mean and variance and a BatchNormalization in inference form that is given them, and returns how many it replaced.
// The input must be [N, C, H, W] and the momentum 0, as this module builds such nodes: their second and third
// output are then the batch's own statistics.
func WriteOutStatistics(m *onnx.ModelProto) (int, error) {
	opset, err := onnx.OpsetOf(m)
	if err != nil {
		return 0, fmt.Errorf("write out batch statistics: %w", err)
	}
	w := &statisticsWriter{model: m, x: newIndex(m), opset: opset}
	if err := w.graph(m.GetGraph()); err != nil {
		return 0, fmt.Errorf("write out batch statistics: %w", err)
	}
	if w.count > 0 {
		RemoveUnused(m) // the memory that the nodes were given for their statistics
	}
	return w.count, nil
}

type statisticsWriter struct {
	model       *onnx.ModelProto
	x           *index
	opset       int64
	shape, axes string // constants, made when first needed
	count       int
}

func (w *statisticsWriter) graph(g *onnx.GraphProto) error {
	var nodes []*onnx.NodeProto
	for _, n := range g.GetNode() {
		var err error
		eachSubgraph(n, func(inner *onnx.GraphProto) {
			if err == nil {
				err = w.graph(inner)
			}
		})
		if err != nil {
			return err
		}
		if !standard(n, "BatchNormalization") || intAttribute(n, "training_mode", 0) == 0 {
			nodes = append(nodes, n)
			continue
		}
		if floatAttribute(n, "momentum", 0.9) != 0 || len(n.GetInput()) != 5 {
			return fmt.Errorf("%s: its momentum is not 0 or it has not five inputs", title(n))
		}
		nodes = append(nodes, w.writeOut(n)...)
		w.count++
	}
	g.Node = nodes
	return nil
}

// writeOut returns what takes the place of a node. The variance is the mean of squared deviations rather than the difference
// of two large numbers.
func (w *statisticsWriter) writeOut(n *onnx.NodeProto) []*onnx.NodeProto {
	if w.shape == "" {
		w.shape = w.x.unique("batch_normalization/per_channel")
		w.x.setConstant(w.model, onnx.NewInt64(w.shape, []int64{4}, []int64{1, -1, 1, 1}))
	}
	y, x := n.GetOutput()[0], n.GetInput()[0]
	output := func(i int, part string) string {
		if len(n.GetOutput()) > i && n.GetOutput()[i] != "" {
			return n.GetOutput()[i]
		}
		return w.x.unique(y + "/" + part)
	}
	mean, variance := output(1, "mean"), output(2, "variance")
	wide, centered, square := w.x.unique(y+"/mean_wide"), w.x.unique(y+"/centered"), w.x.unique(y+"/square")
	node := func(op, out string, in ...string) *onnx.NodeProto {
		return &onnx.NodeProto{OpType: op, Name: out, Input: in, Output: []string{out}}
	}
	normalized := &onnx.NodeProto{OpType: "BatchNormalization", Name: n.GetName(), Input: append(append([]string{}, n.GetInput()[:3]...), mean, variance), Output: []string{y}}
	if a := attribute(n, "epsilon"); a != nil {
		normalized.Attribute = []*onnx.AttributeProto{a}
	}
	return []*onnx.NodeProto{
		w.perChannel(mean, x),
		node("Reshape", wide, mean, w.shape),
		node("Sub", centered, x, wide),
		node("Mul", square, centered, centered),
		w.perChannel(variance, square),
		normalized,
	}
}

// perChannel is the mean of in [N, C, H, W] for each channel, [C].
func (w *statisticsWriter) perChannel(out, in string) *onnx.NodeProto {
	n := &onnx.NodeProto{OpType: "ReduceMean", Name: out, Input: []string{in}, Output: []string{out}, Attribute: []*onnx.AttributeProto{onnx.IntAttribute("keepdims", 0)}}
	if w.opset < 18 {
		n.Attribute = append(n.Attribute, onnx.IntsAttribute("axes", []int64{0, 2, 3}))
		return n
	}
	if w.axes == "" {
		w.axes = w.x.unique("batch_normalization/all_but_channels")
		w.x.setConstant(w.model, onnx.NewInt64(w.axes, []int64{3}, []int64{0, 2, 3}))
	}
	n.Input = append(n.Input, w.axes)
	return n
}
