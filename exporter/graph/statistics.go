package graph

import (
	"errors"
	"fmt"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

// ONNX Runtime's CPU kernel of BatchNormalization in training mode writes the new running statistics over the old
// ones: its second and third output are the memory of its fourth and fifth input, whatever else reads them. Two
// normalizations that are given one constant of zeros, as hash-consing and the runtime's own merging of equal
// nodes would have it, then overwrite each other's statistics. So every such node gets private memory when the
// model is written: its part of one vector of zeros that the runtime cannot compute in advance. The builder gives these
// nodes momentum 0, so that what the memory held before does not count.

// statistics hands out private inputs to the batch normalizations of a model.
type statistics struct {
	sizes []int
	names map[*Node][2]string
}

const statisticsName = "batch_statistics"

// collect notes the live training normalizations of a block and its bodies.
func (s *statistics) collect(b *Block, live map[*Node]bool) {
	for _, n := range b.nodes {
		if !live[n] {
			continue
		}
		if n.Op == "BatchNormalization" && n.Attrs.Int("training_mode", 0) == 1 {
			var names [2]string
			for i := range names {
				names[i] = fmt.Sprintf("%s:%d", statisticsName, len(s.sizes))
				s.sizes = append(s.sizes, n.Inputs[3+i].Size())
			}
			s.names[n] = names
		}
		for _, body := range n.Bodies {
			s.collect(body.Block, live)
		}
	}
}

// emit returns the nodes and constants that make the vector of zeros: a corner of an input, times zero, expanded and
// split. A constant would be computed when the model is loaded, and equal parts of it merged.
func (s *statistics) emit(inputs []*Value) ([]*onnx.NodeProto, []*onnx.TensorProto, error) {
	if len(s.sizes) == 0 {
		return nil, nil, nil
	}
	var from *Value
	for _, v := range inputs {
		if v.dtype == Float32 && v.Size() > 0 {
			from = v
			break
		}
	}
	if from == nil {
		return nil, nil, errors.New("batch normalization in training mode needs a graph with a float32 input")
	}
	name := func(part string) string { return statisticsName + "/" + part }
	rank := len(from.shape)
	zeros, ones, axes := make([]int64, rank), make([]int64, rank), make([]int64, rank)
	for i := range axes {
		ones[i], axes[i] = 1, int64(i)
	}
	total := int64(0)
	sizes := make([]int64, len(s.sizes))
	parts := make([]string, len(s.sizes))
	for i, n := range s.sizes {
		sizes[i], parts[i] = int64(n), fmt.Sprintf("%s:%d", statisticsName, i)
		total += int64(n)
	}
	constants := []*onnx.TensorProto{
		onnx.NewInt64(name("one"), []int64{1}, []int64{1}),
		onnx.NewFloat32(name("zero"), []int64{1}, []float32{0}),
		onnx.NewInt64(name("total"), []int64{1}, []int64{total}),
		onnx.NewInt64(name("sizes"), []int64{int64(len(sizes))}, sizes),
	}
	corner := from.name
	var nodes []*onnx.NodeProto
	node := func(op, out string, in ...string) {
		nodes = append(nodes, &onnx.NodeProto{OpType: op, Name: out, Input: in, Output: []string{out}})
	}
	if rank > 0 {
		constants = append(constants, onnx.NewInt64(name("starts"), []int64{int64(rank)}, zeros), onnx.NewInt64(name("ends"), []int64{int64(rank)}, ones), onnx.NewInt64(name("axes"), []int64{int64(rank)}, axes))
		node("Slice", name("corner"), corner, name("starts"), name("ends"), name("axes"))
		corner = name("corner")
	}
	node("Reshape", name("element"), corner, name("one"))
	node("Mul", name("nothing"), name("element"), name("zero"))
	node("Expand", name("vector"), name("nothing"), name("total"))
	nodes = append(nodes, &onnx.NodeProto{
		OpType: "Split", Name: statisticsName, Input: []string{name("vector"), name("sizes")}, Output: parts,
		Attribute: []*onnx.AttributeProto{onnx.IntAttribute("axis", 0)},
	})
	return nodes, constants, nil
}
