package runtime

import (
	"fmt"
	goruntime "runtime"
	"strings"

	ort "github.com/yalue/onnxruntime_go"
)

// Tensor is a dense array in row-major order.
type Tensor struct {
	Shape []int64
	// Data is a slice with one element for each position of Shape: []float32, []float64, []int8, []int16, []int32,
	// []int64, []uint8, []uint16, []uint32, []uint64 or []bool.
	Data any
}

// DType returns the type of the elements, Undefined when Data is of none of the types listed there.
func (t Tensor) DType() DType {
	d, _ := dtypeOf(t.Data)
	return d
}

// Elements returns the number of positions of a shape, and -1 when a dimension is dynamic. It is 1 for the empty
// shape, a scalar.
func Elements(shape []int64) int {
	n := int64(1)
	for _, d := range shape {
		if d < 0 {
			return -1
		}
		n *= d
	}
	return int(n)
}

// IOInfo describes an input or an output of a model.
type IOInfo struct {
	Name  string
	DType DType
	// Shape has -1 for each dimension that a run decides. It is empty for a scalar and nil when the model does
	// not state even the number of dimensions.
	Shape []int64
}

// String returns the name, the type and the shape, such as "x float32 [? 3 32 32]".
func (i IOInfo) String() string { return i.Name + " " + i.DType.String() + " " + formatShape(i.Shape) }

func formatShape(shape []int64) string {
	if shape == nil {
		return "[...]"
	}
	var b strings.Builder
	b.WriteByte('[')
	for i, d := range shape {
		if i > 0 {
			b.WriteByte(' ')
		}
		if d < 0 {
			b.WriteByte('?')
		} else {
			fmt.Fprint(&b, d)
		}
	}
	b.WriteByte(']')
	return b.String()
}

// accepts checks a tensor against what the model declares for it.
func (i IOInfo) accepts(t Tensor) error {
	got, n := dtypeOf(t.Data)
	if got == Undefined {
		return fmt.Errorf("input %q: data of Go type %T cannot be passed; expected %s %s", i.Name, t.Data, i.DType, formatShape(i.Shape))
	}
	matches := i.Shape == nil || len(i.Shape) == len(t.Shape)
	for k := 0; matches && k < len(i.Shape); k++ {
		matches = i.Shape[k] < 0 || i.Shape[k] == t.Shape[k]
	}
	shape := t.Shape
	if shape == nil {
		shape = []int64{}
	}
	if got != i.DType || !matches {
		return fmt.Errorf("input %q: got %s %s, expected %s %s", i.Name, got, formatShape(shape), i.DType, formatShape(i.Shape))
	}
	if want := Elements(shape); want < 0 || want != n {
		return fmt.Errorf("input %q: got %d elements for shape %s", i.Name, n, formatShape(shape))
	}
	return nil
}

// value is an ONNX Runtime value whose handle is kept, since the binding allocates a new wrapper each time it is
// asked for it.
type value struct {
	ort.Value
	internals *ort.ValueInternalData
}

// GetInternals implements ort.Value.
func (v *value) GetInternals() *ort.ValueInternalData { return v.internals }

// newValue makes a value over data, which ONNX Runtime then reads and writes in place. The data is pinned with pin
// and must stay so until the value is destroyed: the C side keeps its address.
func newValue(shape []int64, data any, pin *goruntime.Pinner) (*value, error) {
	var v ort.Value
	var err error
	switch d := data.(type) {
	case []float32:
		v, err = pinned(shape, d, pin)
	case []float64:
		v, err = pinned(shape, d, pin)
	case []int8:
		v, err = pinned(shape, d, pin)
	case []int16:
		v, err = pinned(shape, d, pin)
	case []int32:
		v, err = pinned(shape, d, pin)
	case []int64:
		v, err = pinned(shape, d, pin)
	case []uint8:
		v, err = pinned(shape, d, pin)
	case []uint16:
		v, err = pinned(shape, d, pin)
	case []uint32:
		v, err = pinned(shape, d, pin)
	case []uint64:
		v, err = pinned(shape, d, pin)
	case []bool:
		v, err = pinned(shape, d, pin)
	default:
		err = fmt.Errorf("data of Go type %T cannot be passed", data)
	}
	if err != nil {
		return nil, err
	}
	return &value{Value: v, internals: v.GetInternals()}, nil
}

func pinned[T ort.TensorData](shape []int64, data []T, pin *goruntime.Pinner) (ort.Value, error) {
	if len(shape) == 0 {
		return ort.NewScalar(data[0]) // the binding has no tensor without dimensions; a scalar holds a copy
	}
	if len(data) > 0 {
		pin.Pin(&data[0])
	}
	return ort.NewTensor(ort.Shape(shape), data)
}
