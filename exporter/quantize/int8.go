package quantize

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

// Int8 writes the products of a model, and what lies between them, in whole numbers of eight bits, with QuantizeLinear and
// DequantizeLinear around each operator (QDQ, the form that runtimes recognize and fuse): weights symmetric, a scale an output
// channel, of at most WeightLimit; activations asymmetric of 0 to 255, a scale a value; biases in 32 bits, in units of input times
// weight. ranges has a range for each of the values that Observe names. Inputs and outputs of the model stay as they are.
//
// What it makes is the graph that was meant, not fewer instructions: those come from a runtime that replaces Dequantize, operator,
// Quantize by one operator on whole numbers. How that is to be recognized decides about details, such as that the last product has no
// Quantize behind it, and that a Relu belongs to the operator before it.
func Int8(m *onnx.ModelProto, ranges map[string]Range) error {
	wrap := func(err error) error { return fmt.Errorf("write the model in int8: %w", err) }
	n, err := newNetwork(m)
	if err != nil {
		return wrap(err)
	}
	q := newInt8(n)
	if len(q.own) == 0 { // the products have forms for which there is no operator on whole numbers
		return wrap(ErrNothing)
	}
	for _, name := range q.own {
		r, ok := ranges[name]
		if !ok {
			return wrap(fmt.Errorf("the range of the value %q is not known", name))
		}
		if math.IsNaN(r.Low) || math.IsNaN(r.High) || math.IsInf(r.Low, 0) || math.IsInf(r.High, 0) || r.Low > r.High {
			return wrap(fmt.Errorf("the value %q has the range %v to %v; the network gives numbers that are not finite", name, r.Low, r.High))
		}
		q.scales[name] = q.hold(name, Asymmetric(r))
	}
	if err := q.write(); err != nil {
		return wrap(err)
	}
	n.dropUnread()
	return nil
}

// int8Pass is the pass.
type int8Pass struct {
	*network
	whole  map[*onnx.NodeProto]bool // nodes that compute in whole numbers
	own    []string                 // values that are quantized by a range of their own, in order
	passed map[string]string        // values that are quantized as another one: what a pool or Flatten gives of it
	scales map[string]scale         // by value
	read   map[string]string        // the dequantized form of a value, by value
	nodes  []*onnx.NodeProto
}

// scale is a Linear in the file.
type scale struct {
	Linear
	scale, zero string // names of the constants
}

func newInt8(n *network) *int8Pass {
	q := &int8Pass{network: n, whole: map[*onnx.NodeProto]bool{}, passed: map[string]string{}, scales: map[string]scale{}, read: map[string]string{}}
	for node := range n.inside {
		q.whole[node] = q.fits(node)
	}
	seen := map[string]bool{}
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			q.own = append(q.own, name)
		}
	}
	for _, node := range n.graph.GetNode() {
		if !q.whole[node] {
			continue
		}
		for _, v := range q.activations(node) {
			add(v)
		}
		switch out := node.GetOutput()[0]; {
		case q.keepsScale(node):
			from := node.GetInput()[0]
			if to, ok := q.passed[from]; ok {
				from = to
			}
			for _, out := range node.GetOutput() {
				q.passed[out], seen[out] = from, true
			}
		case q.fused(out) != nil, q.last(node):
		default:
			add(out)
		}
	}
	return q
}

// activations are the inputs of a node that are no constants.
func (q *int8Pass) activations(node *onnx.NodeProto) []string {
	in := node.GetInput()
	if q.fused(in[0]) == node {
		return nil
	}
	if q.product(node) || q.keepsScale(node) {
		in = in[:1]
	}
	return in
}

// fits tells whether a node inside can compute in whole numbers.
func (q *int8Pass) fits(node *onnx.NodeProto) bool {
	if !standard(node) || len(node.GetInput()) == 0 || len(node.GetOutput()) == 0 {
		return false
	}
	constant := func(i int) bool { return q.constant[node.GetInput()[i]] != nil }
	bias := func(channels int64) bool {
		if len(node.GetInput()) < 3 || node.GetInput()[2] == "" {
			return true
		}
		b := q.constant[node.GetInput()[2]]
		return b.GetDataType() == int32(onnx.TensorProto_FLOAT) && slices.Equal(b.GetDims(), []int64{channels})
	}
	switch node.GetOpType() {
	case "Conv":
		return q.product(node) && bias(q.constant[node.GetInput()[1]].GetDims()[0])
	case "Gemm":
		if !q.product(node) {
			return false
		}
		one := func(name string) bool { a := attribute(node, name); return a == nil || a.GetF() == 1 }
		return one("alpha") && one("beta") && attribute(node, "transA").GetI() == 0 && bias(q.constant[node.GetInput()[1]].GetDims()[q.axis(node)])
	case "MatMul":
		return q.product(node)
	case "Add", "Mul":
		return len(node.GetInput()) == 2 && !constant(0) && !constant(1)
	case "Concat":
		for i := range node.GetInput() {
			if constant(i) {
				return false
			}
		}
		return true
	case "Relu", "LeakyRelu", "Sigmoid", "AveragePool", "GlobalAveragePool":
		return !constant(0)
	}
	return q.keepsScale(node)
}

// keepsScale tells whether a node only chooses or moves numbers, so that they stay as they are written.
func (q *int8Pass) keepsScale(node *onnx.NodeProto) bool {
	if q.constant[node.GetInput()[0]] != nil {
		return false
	}
	switch node.GetOpType() {
	case "MaxPool":
		return len(node.GetOutput()) == 1
	case "Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Split":
		return true
	}
	return false
}

// axis is the dimension of a product's weights that counts output channels.
func (q *int8Pass) axis(node *onnx.NodeProto) int64 {
	if node.GetOpType() == "Conv" || node.GetOpType() == "Gemm" && attribute(node, "transB").GetI() != 0 {
		return 0
	}
	return 1
}

// fused is the Relu that belongs to the operator before it: then the value between the two is not quantized.
func (q *int8Pass) fused(value string) *onnx.NodeProto {
	r := q.soleReader(value)
	if r == nil || !q.whole[r] || r.GetOpType() != "Relu" || q.producer[value] == nil {
		return nil
	}
	if p := q.producer[value]; !q.whole[p] || q.keepsScale(p) || p.GetOpType() == "Relu" {
		return nil
	}
	return r
}

// last tells whether a product with a matrix is read by nothing in whole numbers, so that its result is best left as it is.
func (q *int8Pass) last(node *onnx.NodeProto) bool {
	if node.GetOpType() != "Gemm" && node.GetOpType() != "MatMul" {
		return false
	}
	return !slices.ContainsFunc(q.readers[node.GetOutput()[0]], func(r *onnx.NodeProto) bool { return q.whole[r] })
}

// hold stores what a value is written with.
func (q *int8Pass) hold(value string, l Linear) scale {
	s := scale{Linear: l, scale: q.unique(value + "/scale"), zero: q.unique(value + "/zero_point")}
	q.network.hold(onnx.NewFloat32(s.scale, nil, []float32{l.Scale}))
	q.network.hold(&onnx.TensorProto{Name: s.zero, DataType: int32(onnx.TensorProto_UINT8), RawData: []byte{l.Zero}})
	return s
}

// write makes the nodes.
func (q *int8Pass) write() error {
	for value, from := range q.passed {
		q.scales[value] = q.scales[from]
	}
	quantized := map[string]bool{}
	for _, v := range slices.Concat(q.own, slices.Sorted(maps.Keys(q.passed))) {
		quantized[v] = true
	}
	for _, v := range q.graph.GetInput() {
		if quantized[v.GetName()] {
			q.quantize(v.GetName(), v.GetName())
		}
	}
	for _, node := range q.graph.GetNode() {
		weighs := q.whole[node] && q.product(node)
		scaleOfInput := scale{}
		if weighs {
			scaleOfInput = q.scales[node.GetInput()[0]]
		}
		for i, name := range node.GetInput() {
			if to, ok := q.read[name]; ok && (q.whole[node] || q.whole[q.producer[name]]) {
				node.Input[i] = to
			}
		}
		if weighs {
			if err := q.weights(node, scaleOfInput); err != nil {
				return fmt.Errorf("%s: %w", title(node), err)
			}
		}
		q.nodes = append(q.nodes, node)
		for i, out := range node.GetOutput() {
			if !quantized[out] {
				continue
			}
			raw := out
			if q.output[out] && q.whole[node] { // what the model gives is what its other parts go on with
				raw = q.unique(out + "/float")
				node.Output[i] = raw
			}
			q.quantize(raw, out)
		}
	}
	q.graph.Node = q.nodes
	return nil
}

// quantize writes a value as whole numbers and back. raw is its name in the graph, which is not that of the value when the value is
// an output of the model: then what comes back has the name.
func (q *int8Pass) quantize(raw, value string) {
	s := q.scales[value]
	whole, back := q.unique(value+"/quantized"), value
	if raw == value {
		back = q.unique(value + "/dequantized")
	}
	q.nodes = append(q.nodes,
		&onnx.NodeProto{OpType: "QuantizeLinear", Name: whole, Input: []string{raw, s.scale, s.zero}, Output: []string{whole}},
		&onnx.NodeProto{OpType: "DequantizeLinear", Name: back, Input: []string{whole, s.scale, s.zero}, Output: []string{back}})
	q.read[value] = back
}

// weights writes the weights and the bias of a product as whole numbers.
func (q *int8Pass) weights(node *onnx.NodeProto, input scale) error {
	t := q.constant[node.GetInput()[1]]
	data, err := t.Float32s()
	if err != nil {
		return err
	}
	dims, axis := t.GetDims(), q.axis(node)
	channels := int(dims[axis])
	var bias []float32
	if len(node.GetInput()) > 2 && node.GetInput()[2] != "" {
		if bias, err = q.constant[node.GetInput()[2]].Float32s(); err != nil {
			return err
		}
	}
	for _, v := range slices.Concat(data, bias) {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return fmt.Errorf("a weight or bias is %v", v)
		}
	}
	// index of element i of a channel
	at := func(channel, i int) int { return channel*(len(data)/channels) + i }
	if axis == 1 {
		at = func(channel, i int) int { return i*channels + channel }
	}
	whole, scales := make([]byte, len(data)), make([]float32, channels)
	each := make([]float32, len(data)/max(channels, 1))
	for c := range channels {
		for i := range each {
			each[i] = data[at(c, i)]
		}
		s, of := Symmetric(each, WeightLimit)
		if bias != nil {
			if wider := scaleFor(s, input.Scale, bias[c]); wider != s {
				s = wider
				fill(of, each, s, WeightLimit)
			}
		}
		scales[c] = s
		for i, v := range of {
			whole[at(c, i)] = byte(v)
		}
	}
	node.Input[1] = q.dequantized(t.GetName(), onnx.TensorProto_INT8, dims, whole, scales, axis)
	if bias == nil {
		return nil
	}
	units, of := make([]float32, channels), make([]byte, 0, 4*channels)
	for c, b := range bias {
		units[c] = input.Scale * scales[c]
		v := int32(min(max(math.RoundToEven(float64(b)/float64(units[c])), -mostBias), mostBias))
		of = append(of, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
	}
	node.Input[2] = q.dequantized(q.constant[node.GetInput()[2]].GetName(), onnx.TensorProto_INT32, []int64{int64(channels)}, of, units, 0)
	return nil
}

// dequantized stores whole numbers with a scale an element of an axis, and returns the name of the value that they stand for.
func (q *int8Pass) dequantized(name string, kind onnx.TensorProto_DataType, dims []int64, whole []byte, scales []float32, axis int64) string {
	width := 1
	if kind == onnx.TensorProto_INT32 {
		width = 4
	}
	count := []int64{int64(len(scales))}
	stored, back := q.unique(name+"/quantized"), q.unique(name+"/dequantized")
	q.network.hold(&onnx.TensorProto{Name: stored, Dims: slices.Clone(dims), DataType: int32(kind), RawData: whole})
	s := q.network.hold(onnx.NewFloat32(q.unique(name+"/scale"), count, scales))
	z := q.network.hold(&onnx.TensorProto{Name: q.unique(name + "/zero_point"), Dims: count, DataType: int32(kind), RawData: make([]byte, width*len(scales))})
	q.nodes = append(q.nodes, &onnx.NodeProto{
		OpType: "DequantizeLinear", Name: back, Input: []string{stored, s, z}, Output: []string{back},
		Attribute: []*onnx.AttributeProto{onnx.IntAttribute("axis", axis)},
	})
	return back
}
