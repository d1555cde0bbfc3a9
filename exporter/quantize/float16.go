package quantize

import (
	"fmt"
	"math"
	"slices"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

// Half says what became of the numbers that Float16 wrote.
type Half struct {
	Numbers int // that were written
	Clipped int // too large for float16, which became its greatest number
	Lost    int // too small, which became zero
}

// Float16 writes the products of a model, and what lies between them, in float16, with a Cast where numbers come in and where they
// leave. Inputs and outputs of the model, the normalization of pixels before the first product and the softmax behind the last stay
// float32, so that programs use the model as they used it before.
//
// A runtime without operators for float16, such as ONNX Runtime on most processors of the x86-64 kind, puts Casts around each and
// computes in float32: the file is half as large there and nothing else.
func Float16(m *onnx.ModelProto) (Half, error) {
	wrap := func(err error) error { return fmt.Errorf("write the model in float16: %w", err) }
	n, err := newNetwork(m)
	if err != nil {
		return Half{}, wrap(err)
	}
	h := &halfPass{network: n, made: map[string]string{}, kept: map[string]string{}}
	for _, node := range n.graph.GetNode() {
		if n.inside[node] && (!standard(node) || !slices.Contains(inHalf, node.GetOpType())) {
			return Half{}, wrap(fmt.Errorf("it is not known how %s computes in float16", title(node)))
		}
	}
	for _, node := range n.graph.GetNode() {
		if err := h.write(node); err != nil {
			return Half{}, wrap(fmt.Errorf("%s: %w", title(node), err))
		}
	}
	n.graph.Node = h.nodes
	n.dropUnread()
	return h.count, nil
}

// inHalf are the operators that take and give float16 where they take and give float32.
var inHalf = []string{
	"Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Sub", "Mul", "Div", "Sum", "Max", "Min", "Neg", "Abs", "Sqrt", "Pow", "Exp",
	"Relu", "LeakyRelu", "Elu", "Selu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Erf", "Clip", "Softmax", "PRelu",
	"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceSum", "ReduceMax",
	"Concat", "Split", "Slice", "Pad", "Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Expand", "Identity", "InstanceNormalization",
}

// numbers tells whether an input of an operator holds the numbers that it computes with, and not sizes or places.
func numbers(op string, i int) bool {
	switch op {
	case "Reshape", "Slice", "Split", "Squeeze", "Unsqueeze", "Expand", "ReduceMean", "ReduceSum", "ReduceMax":
		return i == 0
	case "Pad":
		return i == 0 || i == 2
	}
	return true
}

// halfPass is the pass.
type halfPass struct {
	*network
	made  map[string]string // the float16 form of a value from outside or of a constant, by its name
	kept  map[string]string // the float32 form of a value from inside
	nodes []*onnx.NodeProto
	count Half
}

func (h *halfPass) write(node *onnx.NodeProto) error {
	for i, name := range node.GetInput() {
		if name == "" {
			continue
		}
		within := h.producer[name] != nil && h.inside[h.producer[name]]
		switch {
		case h.inside[node] && !within && numbers(node.GetOpType(), i):
			to, err := h.half(name)
			if err != nil {
				return err
			}
			node.Input[i] = to
		case h.inside[node] && within && h.made[name] != "": // an output of the model, which is float32 there
			node.Input[i] = h.made[name]
		case !h.inside[node] && within && h.kept[name] != "":
			node.Input[i] = h.kept[name]
		}
	}
	h.nodes = append(h.nodes, node)
	if !h.inside[node] {
		return nil
	}
	for i, name := range node.GetOutput() {
		leaves := h.output[name]
		outside := slices.ContainsFunc(h.readers[name], func(r *onnx.NodeProto) bool { return !h.inside[r] })
		within := slices.ContainsFunc(h.readers[name], func(r *onnx.NodeProto) bool { return h.inside[r] })
		switch {
		case leaves: // the name is that of the float32 form
			raw := h.unique(name + "/float16")
			node.Output[i] = raw
			h.cast(raw, name, onnx.TensorProto_FLOAT)
			if within {
				h.made[name] = raw
			}
		case outside:
			back := h.unique(name + "/float32")
			h.cast(name, back, onnx.TensorProto_FLOAT)
			h.kept[name] = back
		}
	}
	return nil
}

func (h *halfPass) cast(from, to string, kind onnx.TensorProto_DataType) {
	h.nodes = append(h.nodes, &onnx.NodeProto{
		OpType: "Cast", Name: to, Input: []string{from}, Output: []string{to},
		Attribute: []*onnx.AttributeProto{onnx.IntAttribute("to", int64(kind))},
	})
}

// half returns the name of the float16 form of a constant, or of a value from outside.
func (h *halfPass) half(name string) (string, error) {
	if to, ok := h.made[name]; ok {
		return to, nil
	}
	to := h.unique(name + "/float16")
	h.made[name] = to
	t := h.constant[name]
	if t == nil {
		h.cast(name, to, onnx.TensorProto_FLOAT16)
		return to, nil
	}
	data, err := t.Float32s()
	if err != nil {
		return "", err
	}
	raw := make([]byte, 0, 2*len(data))
	for _, v := range data {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return "", fmt.Errorf("the constant %q holds %v", name, v)
		}
		bits := float16Bits(min(max(v, -maxHalf), maxHalf))
		h.count.Numbers++
		if v > maxHalf || v < -maxHalf {
			h.count.Clipped++
		}
		if v != 0 && bits&0x7fff == 0 {
			h.count.Lost++
		}
		raw = append(raw, byte(bits), byte(bits>>8))
	}
	h.hold(&onnx.TensorProto{Name: to, Dims: slices.Clone(t.GetDims()), DataType: int32(onnx.TensorProto_FLOAT16), RawData: raw})
	return to, nil
}

// maxHalf is the greatest finite number in float16.
const maxHalf = 65504

// float16Bits rounds a finite number to float16, of two equally near ones to the even one. Numbers below the least normal one, 2^-14,
// keep the bits that are left.
func float16Bits(v float32) uint16 {
	sign := uint16(0)
	if math.Signbit(float64(v)) {
		sign = 0x8000
	}
	x := math.Abs(float64(v))
	if x < 0x1p-14 {
		return sign | uint16(math.RoundToEven(x*0x1p24)) // 2^10 of these are the least normal number, whose bits come next
	}
	fraction, exponent := math.Frexp(x) // x = fraction * 2^exponent, fraction from 0.5 to below 1
	// The fraction brings the leading bit, which is not stored, as one more in the exponent; so does one that is rounded up to 1.
	return sign | (uint16(exponent+13)<<10 + uint16(math.RoundToEven(fraction*0x1p11)))
}
