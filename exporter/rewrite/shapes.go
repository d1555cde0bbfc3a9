package rewrite

import (
	"fmt"
	"math"
	"slices"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

// walk follows the shapes of a graph from its inputs to its outputs. Small integer tensors whose content is known
// (the shape operand of Reshape, above all) are followed too, since other shapes depend on them.
type walk struct {
	opset  int64
	shapes map[string][]int64
	ints   map[string][]int64
}

// maxFollowed is the number of elements up to which the content of an integer tensor is followed. Shapes and
// indices are far smaller.
const maxFollowed = 1 << 12

// newWalk sets out from the inputs and initializers. inputs overrides declared input shapes; where neither gives a
// size, the first dimension is 1 and any other is an error.
func newWalk(m *onnx.ModelProto, inputs map[string][]int64) (*walk, error) {
	opset, err := onnx.OpsetOf(m)
	if err != nil {
		return nil, err
	}
	w := &walk{opset: opset, shapes: map[string][]int64{}, ints: map[string][]int64{}}
	for _, t := range m.GetGraph().GetInitializer() {
		if err := w.setTensor(t.GetName(), t); err != nil {
			return nil, err
		}
	}
	for _, v := range m.GetGraph().GetInput() {
		name := v.GetName()
		if _, ok := w.shapes[name]; ok {
			continue // the declaration of an initializer
		}
		if s, ok := inputs[name]; ok {
			w.shapes[name] = append([]int64{}, s...)
			continue
		}
		shape := v.Shape()
		if shape == nil {
			return nil, fmt.Errorf("input %q declares no shape; give its shape", name)
		}
		for i, d := range shape {
			if d >= 0 {
				continue
			}
			if i > 0 {
				return nil, fmt.Errorf("input %q declares no size for dimension %d of %v; give its shape", name, i, shape)
			}
			shape[i] = 1
		}
		w.shapes[name] = shape
	}
	return w, nil
}

// setTensor records a constant.
func (w *walk) setTensor(name string, t *onnx.TensorProto) error {
	n, err := t.Count()
	if err != nil {
		return err
	}
	w.shapes[name] = append([]int64{}, t.GetDims()...) // never nil, which marks an omitted input
	if t.GetDataType() == int32(onnx.TensorProto_INT64) && n <= maxFollowed {
		v, err := t.Int64s()
		if err != nil {
			return err
		}
		w.ints[name] = v
	}
	return nil
}

// visit records the shapes of a node's outputs.
func (w *walk) visit(n *onnx.NodeProto) error {
	if n.GetDomain() != "" && n.GetDomain() != "ai.onnx" {
		return fmt.Errorf("%s: operators of the domain %q are not known", title(n), n.GetDomain())
	}
	if n.GetOpType() == "Constant" {
		return w.constant(n)
	}
	if len(n.GetOutput()) == 0 {
		return fmt.Errorf("%s has no output", title(n))
	}
	in := make([][]int64, len(n.GetInput()))
	for i, name := range n.GetInput() {
		if name == "" {
			continue
		}
		s, ok := w.shapes[name]
		if !ok {
			return fmt.Errorf("%s: the value %q that it reads does not exist yet", title(n), name)
		}
		in[i] = s
	}
	out, err := w.outputs(n, in)
	if err != nil {
		return fmt.Errorf("%s on %v: %w", title(n), in, err)
	}
	for i, name := range n.GetOutput() {
		if name == "" {
			continue
		}
		if i >= len(out) {
			return fmt.Errorf("%s: the shape of output %d is not known", title(n), i)
		}
		for _, d := range out[i] {
			if d < 0 {
				return fmt.Errorf("%s on %v: the result would have the shape %v", title(n), in, out[i])
			}
		}
		if _, err := product(out[i]...); err != nil {
			return fmt.Errorf("%s: %w", title(n), err)
		}
		w.shapes[name] = append([]int64{}, out[i]...)
	}
	if len(n.GetOutput()) == 1 {
		if v, ok := w.content(n); ok && len(v) <= maxFollowed {
			w.ints[n.GetOutput()[0]] = v
		}
	}
	return nil
}

func (w *walk) constant(n *onnx.NodeProto) error {
	if len(n.GetOutput()) != 1 {
		return fmt.Errorf("%s has %d outputs", title(n), len(n.GetOutput()))
	}
	name := n.GetOutput()[0]
	for _, a := range n.GetAttribute() {
		switch a.GetName() {
		case "value":
			if a.GetT() == nil {
				return fmt.Errorf("%s: its value is not a tensor", title(n))
			}
			return w.setTensor(name, a.GetT())
		case "value_int":
			w.shapes[name], w.ints[name] = []int64{}, []int64{a.GetI()}
			return nil
		case "value_ints":
			w.shapes[name], w.ints[name] = []int64{int64(len(a.GetInts()))}, slices.Clone(a.GetInts())
			return nil
		case "value_float", "value_string":
			w.shapes[name] = []int64{}
			return nil
		case "value_floats":
			w.shapes[name] = []int64{int64(len(a.GetFloats()))}
			return nil
		}
	}
	return fmt.Errorf("%s holds no value that is understood", title(n))
}

// list reads integers that are an input in newer operator sets and an attribute in older ones; nil when absent.
func (w *walk) list(n *onnx.NodeProto, i int, name string) ([]int64, error) {
	if in := input(n, i); in != "" {
		v, ok := w.ints[in]
		if !ok {
			return nil, fmt.Errorf("the %s (%q) are computed from data, so the shape is not known in advance", name, in)
		}
		return v, nil
	}
	if a := attribute(n, name); a != nil {
		return a.GetInts(), nil
	}
	return nil, nil
}

// product multiplies sizes; an error when the result does not fit.
func product(dims ...int64) (int64, error) {
	p := int64(1)
	for _, d := range dims {
		if d < 0 {
			return 0, fmt.Errorf("the shape %v has a negative dimension", dims)
		}
		if d > 0 && p > math.MaxInt64/d {
			return 0, fmt.Errorf("the sizes %v multiply to more than 64 bits hold", dims)
		}
		p *= d
	}
	return p, nil
}

// axisOf resolves a negative axis against a rank.
func axisOf(axis int64, rank int) (int, error) {
	a := axis
	if a < 0 {
		a += int64(rank)
	}
	if a < 0 || a >= int64(rank) {
		return 0, fmt.Errorf("axis %d is outside a value of rank %d", axis, rank)
	}
	return int(a), nil
}

// broadcast gives the shape of an elementwise operation under NumPy's rules.
func broadcast(shapes ...[]int64) ([]int64, error) {
	var out []int64
	for _, s := range shapes {
		for len(out) < len(s) {
			out = slices.Insert(out, 0, 1)
		}
		for i := 1; i <= len(s); i++ {
			a, b := &out[len(out)-i], s[len(s)-i]
			switch {
			case *a == b || b == 1:
			case *a == 1:
				*a = b
			default:
				return nil, fmt.Errorf("the shapes %v do not broadcast", shapes)
			}
		}
	}
	if out == nil {
		out = []int64{}
	}
	return out, nil
}
