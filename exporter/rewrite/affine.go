package rewrite

import (
	"slices"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

// ScaleByConv replaces multiplications by, and additions of, one constant a channel by depthwise convolutions with a kernel of one
// element, a multiplication and the addition behind it by one convolution, and returns how many convolutions it made. That is what
// remains of a normalization that could not be folded. A convolution says the same to programs that know how to run it in whole
// numbers and do not know the other form. It needs the rank of the values, so the shapes of the model must be known; where they are not,
// it leaves the node alone.
func ScaleByConv(m *onnx.ModelProto) (int, error) {
	w, err := newWalk(m, nil)
	if err != nil {
		return 0, nil // shapes are not known at all
	}
	g := m.GetGraph()
	x := newIndex(m)
	gone := map[*onnx.NodeProto]bool{}
	made := map[*onnx.NodeProto]*onnx.NodeProto{} // by the last node that it replaces
	for i, n := range g.GetNode() {
		if w.visit(n) != nil || gone[n] || !standard(n, "Mul") && !standard(n, "Add") {
			continue
		}
		source, constant, ok := perChannel(w, x, n)
		if !ok {
			continue
		}
		shape := w.shapes[source]
		a := affine{scale: slices.Repeat([]float64{1}, int(shape[1])), shift: make([]float64, shape[1])}
		last, out := n, n.GetOutput()[0]
		if standard(n, "Mul") {
			copy(a.scale, constant)
			if next := soleReader(g.GetNode()[i+1:], x, out); next != nil && standard(next, "Add") {
				w.shapes[out] = shape
				if from, shift, ok := perChannel(w, x, next); ok && from == out {
					copy(a.shift, shift)
					gone[n] = true
					last, out = next, next.GetOutput()[0]
				}
			}
		} else {
			copy(a.shift, constant)
		}
		gone[last] = true
		dims := slices.Repeat([]int64{1}, len(shape))
		dims[0] = shape[1]
		stem := last.GetName()
		if stem == "" {
			stem = out
		}
		weight, bias := x.unique(stem+"/weight"), x.unique(stem+"/bias")
		x.setConstant(m, onnx.NewFloat32(weight, dims, float32s(a.scale)))
		x.setConstant(m, onnx.NewFloat32(bias, []int64{shape[1]}, float32s(a.shift)))
		rank := len(shape) - 2
		made[last] = &onnx.NodeProto{
			OpType: "Conv", Name: stem, Input: []string{source, weight, bias}, Output: []string{out},
			Attribute: []*onnx.AttributeProto{
				onnx.IntsAttribute("dilations", slices.Repeat([]int64{1}, rank)), onnx.IntAttribute("group", shape[1]),
				onnx.IntsAttribute("kernel_shape", slices.Repeat([]int64{1}, rank)), onnx.IntsAttribute("pads", slices.Repeat([]int64{0}, 2*rank)),
				onnx.IntsAttribute("strides", slices.Repeat([]int64{1}, rank)),
			},
		}
	}
	var nodes []*onnx.NodeProto
	for _, n := range g.GetNode() {
		if c := made[n]; c != nil {
			nodes = append(nodes, c)
		} else if !gone[n] {
			nodes = append(nodes, n)
		}
	}
	g.Node = nodes
	return len(made), nil
}

// perChannel reads a node with two operands as a value [N, C, spatial...] and a constant with one number a channel.
func perChannel(w *walk, x *index, n *onnx.NodeProto) (source string, constant []float64, ok bool) {
	if len(n.GetInput()) != 2 || len(n.GetOutput()) != 1 {
		return "", nil, false
	}
	for i := range 2 {
		source = input(n, 1-i)
		c, isConstant, err := weights(x, input(n, i))
		shape := w.shapes[source]
		if err != nil || !isConstant || x.constant[source] != nil || len(shape) < 3 {
			continue
		}
		channels := shape[1]
		if len(c.data) != 1 && (int64(len(c.data)) != channels || len(c.dims) < len(shape)-1 || c.dims[len(c.dims)-len(shape)+1] != channels || len(c.dims) > len(shape)) {
			continue
		}
		for k := range channels {
			constant = append(constant, float64(c.data[int(k)%len(c.data)]))
		}
		return source, constant, true
	}
	return "", nil, false
}

// soleReader is the node among those given that alone reads a value; nil when others do, or the value leaves the graph.
func soleReader(nodes []*onnx.NodeProto, x *index, value string) *onnx.NodeProto {
	if x.uses[value] != 1 || x.output[value] {
		return nil
	}
	for _, n := range nodes {
		if slices.Contains(n.GetInput(), value) {
			return n
		}
	}
	return nil
}
