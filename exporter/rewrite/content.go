package rewrite

import (
	"slices"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

// content computes the integers in a node's result where those in its operands are known: what exporters write to
// pass sizes from Shape to Reshape, Expand and Slice.
func (w *walk) content(n *onnx.NodeProto) ([]int64, bool) {
	in := make([][]int64, len(n.GetInput()))
	all := true
	for i, name := range n.GetInput() {
		v, ok := w.ints[name]
		in[i], all = v, all && (ok || name == "")
	}
	switch n.GetOpType() {
	case "Shape":
		s := w.shapes[input(n, 0)]
		start, end := intAttribute(n, "start", 0), intAttribute(n, "end", int64(len(s)))
		start, end, err := clampSlice(int64(len(s)), start, end, 1)
		if err != nil || start > end {
			return nil, false
		}
		return slices.Clone(s[start:end]), true
	case "Cast":
		to := onnx.TensorProto_DataType(intAttribute(n, "to", 0))
		if len(in) == 0 || in[0] == nil || to != onnx.TensorProto_INT64 && to != onnx.TensorProto_INT32 {
			return nil, false
		}
		return in[0], true
	case "Identity", "Squeeze", "Unsqueeze", "Reshape", "Flatten":
		if len(in) == 0 || in[0] == nil {
			return nil, false
		}
		return in[0], true // the order of the elements stays
	}
	if !all || len(in) == 0 {
		return nil, false
	}
	switch n.GetOpType() {
	case "Concat":
		if len(w.shapes[n.GetOutput()[0]]) != 1 {
			return nil, false
		}
		return slices.Concat(in...), true
	case "Gather":
		if len(w.shapes[n.GetInput()[0]]) != 1 {
			return nil, false
		}
		out := make([]int64, 0, len(in[1]))
		for _, i := range in[1] {
			a, err := axisOf(i, len(in[0]))
			if err != nil {
				return nil, false
			}
			out = append(out, in[0][a])
		}
		return out, true
	case "Slice":
		return w.sliceContent(n, in[0])
	case "Add", "Sub", "Mul", "Div":
		return arithmetic(n.GetOpType(), in[0], in[1])
	}
	return nil, false
}

func (w *walk) sliceContent(n *onnx.NodeProto, v []int64) ([]int64, bool) {
	if len(w.shapes[n.GetInput()[0]]) != 1 {
		return nil, false
	}
	out := []int64{}
	err := w.eachSlice(n, 1, func(_ int, start, end, step int64) error {
		start, end, err := clampSlice(int64(len(v)), start, end, step)
		if err != nil {
			return err
		}
		for i := range sliceCount(start, end, step) {
			out = append(out, v[start+i*step])
		}
		return nil
	})
	return out, err == nil
}

func arithmetic(op string, a, b []int64) ([]int64, bool) {
	if len(a) != len(b) && len(a) != 1 && len(b) != 1 || len(a) == 0 || len(b) == 0 {
		return nil, false
	}
	out := make([]int64, max(len(a), len(b)))
	for i := range out {
		x, y := a[i%len(a)], b[i%len(b)]
		switch op {
		case "Add":
			out[i] = x + y
		case "Sub":
			out[i] = x - y
		case "Mul":
			out[i] = x * y
		case "Div":
			if y == 0 {
				return nil, false
			}
			out[i] = x / y
		}
	}
	return out, true
}
