package rewrite

import (
	"fmt"
	"slices"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

// outputs gives the shapes of a node's outputs. An operator that is not in this table is an error: its cost would be
// left out unseen.
func (w *walk) outputs(n *onnx.NodeProto, in [][]int64) ([][]int64, error) {
	if least := arity(n.GetOpType()); len(in) < least || slices.ContainsFunc(in[:least], func(s []int64) bool { return s == nil }) {
		return nil, fmt.Errorf("it has fewer than the %d inputs that it needs", least)
	}
	switch n.GetOpType() {
	case "Relu", "LeakyRelu", "ThresholdedRelu", "Elu", "Selu", "Celu", "Gelu", "Sigmoid", "HardSigmoid", "HardSwish", "Mish", "Tanh",
		"Softplus", "Softsign", "Erf", "Exp", "Log", "Sqrt", "Neg", "Abs", "Sign", "Reciprocal", "Floor", "Ceil", "Round", "Sin", "Cos",
		"Not", "Clip", "Softmax", "LogSoftmax", "Hardmax", "Identity", "Cast", "InstanceNormalization", "GroupNormalization",
		"LpNormalization", "LRN", "QuantizeLinear", "DequantizeLinear":
		return [][]int64{in[0]}, nil
	case "BatchNormalization":
		return [][]int64{in[0], in[3], in[4], in[3], in[4]}, nil // the training form also gives statistics
	case "Dropout":
		return [][]int64{in[0], in[0]}, nil
	case "LayerNormalization":
		axis, err := axisOf(intAttribute(n, "axis", -1), len(in[0]))
		if err != nil {
			return nil, err
		}
		reduced := slices.Clone(in[0])
		for i := axis; i < len(reduced); i++ {
			reduced[i] = 1
		}
		return [][]int64{in[0], reduced, reduced}, nil
	case "Add", "Sub", "Mul", "Div", "Pow", "Mod", "PRelu", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual",
		"And", "Or", "Xor", "Where", "Sum", "Mean", "Max", "Min":
		return one(broadcast(in...))
	case "Conv":
		return one(convShape(n, in))
	case "ConvTranspose":
		return one(convTransposeShape(n, in))
	case "MaxPool", "AveragePool", "LpPool":
		s, err := windowShape(n, in[0], attribute(n, "kernel_shape").GetInts())
		return [][]int64{s, s}, err
	case "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool":
		s := slices.Clone(in[0])
		for i := 2; i < len(s); i++ {
			s[i] = 1
		}
		return [][]int64{s}, nil
	case "Gemm":
		return one(gemmShape(n, in))
	case "MatMul":
		return one(matMulShape(in))
	case "Flatten":
		return one(flattenShape(n, in))
	case "Reshape":
		return one(w.reshapeShape(n, in))
	case "Transpose":
		return one(transposeShape(n, in))
	case "Concat":
		return one(concatShape(n, in))
	case "Split":
		return w.splitShapes(n, in)
	case "Slice":
		return one(w.sliceShape(n, in))
	case "Squeeze", "Unsqueeze":
		return one(w.squeezeShape(n, in))
	case "Pad":
		return one(w.padShape(n, in))
	case "Shape":
		return [][]int64{{int64(len(in[0]))}}, nil
	case "Gather":
		axis, err := axisOf(intAttribute(n, "axis", 0), len(in[0]))
		if err != nil {
			return nil, err
		}
		return [][]int64{slices.Concat(in[0][:axis], in[1], in[0][axis+1:])}, nil
	case "Expand":
		to, err := w.list(n, 1, "shape")
		if err != nil {
			return nil, err
		}
		return one(broadcast(in[0], to))
	case "ConstantOfShape":
		return one(w.list(n, 0, "shape"))
	case "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp":
		return one(w.reduceShape(n, in))
	case "ArgMax", "ArgMin":
		axis, err := axisOf(intAttribute(n, "axis", 0), len(in[0]))
		if err != nil {
			return nil, err
		}
		return [][]int64{drop(in[0], []int{axis}, intAttribute(n, "keepdims", 1) != 0)}, nil
	}
	return nil, fmt.Errorf("the operator %s (operator set %d) is not known, so its cost cannot be told", n.GetOpType(), w.opset)
}

// arity is the number of inputs without which an operator's rule cannot work.
func arity(op string) int {
	switch op {
	case "Conv", "ConvTranspose", "Gemm", "MatMul", "Gather", "Expand", "PRelu", "Add", "Sub", "Mul", "Div", "Pow", "Mod":
		return 2
	case "Where":
		return 3
	case "BatchNormalization":
		return 5
	}
	return 1
}

func one(shape []int64, err error) ([][]int64, error) { return [][]int64{shape}, err }

func gemmShape(n *onnx.NodeProto, in [][]int64) ([]int64, error) {
	if len(in[0]) != 2 || len(in[1]) != 2 {
		return nil, fmt.Errorf("its operands are not matrices")
	}
	m, k := in[0][0], in[0][1]
	if intAttribute(n, "transA", 0) != 0 {
		m, k = k, m
	}
	k2, c := in[1][0], in[1][1]
	if intAttribute(n, "transB", 0) != 0 {
		k2, c = c, k2
	}
	if k != k2 {
		return nil, fmt.Errorf("the inner dimensions %d and %d differ", k, k2)
	}
	return []int64{m, c}, nil
}

func matMulShape(in [][]int64) ([]int64, error) {
	a, b := in[0], in[1]
	if len(a) == 0 || len(b) == 0 {
		return nil, fmt.Errorf("it multiplies a scalar")
	}
	// A vector is a matrix of one row on the left and of one column on the right, and its dimension goes again.
	row, column := len(a) == 1, len(b) == 1
	if row {
		a = []int64{1, a[0]}
	}
	if column {
		b = []int64{b[0], 1}
	}
	la, lb := len(a)-2, len(b)-2
	if a[la+1] != b[lb] {
		return nil, fmt.Errorf("the inner dimensions %d and %d differ", a[la+1], b[lb])
	}
	out, err := broadcast(a[:la], b[:lb])
	if err != nil {
		return nil, err
	}
	if !row {
		out = append(out, a[la])
	}
	if !column {
		out = append(out, b[lb+1])
	}
	return out, nil
}

// convShape is [N, M, spatial...] of a convolution of [N, C, spatial...] with [M, C/group, kernel...].
func convShape(n *onnx.NodeProto, in [][]int64) ([]int64, error) {
	x, k := in[0], in[1]
	group := intAttribute(n, "group", 1)
	if len(x) < 3 || len(k) != len(x) || group < 1 || x[1] != k[1]*group || k[0]%group != 0 {
		return nil, fmt.Errorf("input and weight do not fit in %d groups", group)
	}
	out, err := windowShape(n, x, k[2:])
	if err != nil {
		return nil, err
	}
	out[1] = k[0]
	return out, nil
}

// windowShape slides a kernel over the spatial dimensions of x [N, C, spatial...].
func windowShape(n *onnx.NodeProto, x, kernel []int64) ([]int64, error) {
	rank := len(x) - 2
	if rank < 1 || len(kernel) != rank {
		return nil, fmt.Errorf("the kernel %v does not fit the rank", kernel)
	}
	strides, dilations, pads, err := windowAttributes(n, rank)
	if err != nil {
		return nil, err
	}
	auto := string(attribute(n, "auto_pad").GetS())
	out := slices.Clone(x)
	for i := range rank {
		size, stride := x[2+i], strides[i]
		if auto == "SAME_UPPER" || auto == "SAME_LOWER" {
			out[2+i] = (size + stride - 1) / stride
			continue
		}
		room := size - (dilations[i]*(kernel[i]-1) + 1)
		if auto != "VALID" {
			room += pads[i] + pads[rank+i]
		}
		if room < 0 {
			return nil, fmt.Errorf("the kernel %v does not fit into the padded input", kernel)
		}
		if intAttribute(n, "ceil_mode", 0) != 0 {
			room += stride - 1
		}
		out[2+i] = room/stride + 1
	}
	return out, nil
}

func windowAttributes(n *onnx.NodeProto, rank int) (strides, dilations, pads []int64, err error) {
	get := func(name string, count int, absent int64) []int64 {
		v := attribute(n, name).GetInts()
		if len(v) == 0 {
			return slices.Repeat([]int64{absent}, count)
		}
		if len(v) != count || slices.Min(v) < absent {
			err = fmt.Errorf("the attribute %s %v does not fit", name, v)
		}
		return v
	}
	strides, dilations, pads = get("strides", rank, 1), get("dilations", rank, 1), get("pads", 2*rank, 0)
	return strides, dilations, pads, err
}

// convTransposeShape is [N, M, spatial...] for input [N, C, spatial...] and weight [C, M/group, kernel...].
func convTransposeShape(n *onnx.NodeProto, in [][]int64) ([]int64, error) {
	x, k := in[0], in[1]
	group := intAttribute(n, "group", 1)
	if len(x) < 3 || len(k) != len(x) || group < 1 || x[1] != k[0] {
		return nil, fmt.Errorf("input and weight do not fit in %d groups", group)
	}
	rank := len(x) - 2
	strides, dilations, pads, err := windowAttributes(n, rank)
	if err != nil {
		return nil, err
	}
	out := slices.Clone(x)
	out[1] = k[1] * group
	fixed, extra := attribute(n, "output_shape").GetInts(), attribute(n, "output_padding").GetInts()
	auto := string(attribute(n, "auto_pad").GetS())
	for i := range rank {
		switch {
		case len(fixed) >= rank: // with or without the batch and channel dimensions
			out[2+i] = fixed[len(fixed)-rank+i]
		case auto == "SAME_UPPER" || auto == "SAME_LOWER":
			out[2+i] = x[2+i] * strides[i]
		default:
			out[2+i] = strides[i]*(x[2+i]-1) + dilations[i]*(k[2+i]-1) + 1
			if auto != "VALID" {
				out[2+i] -= pads[i] + pads[rank+i]
			}
			if len(extra) == rank {
				out[2+i] += extra[i]
			}
		}
	}
	return out, nil
}
