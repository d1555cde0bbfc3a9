package onnx

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"
)

// NewFloat32 returns a float32 tensor with the given data in row-major order.
func NewFloat32(name string, dims []int64, data []float32) *TensorProto {
	raw := make([]byte, 4*len(data))
	for i, v := range data {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(v))
	}
	return &TensorProto{Name: name, Dims: slices.Clone(dims), DataType: int32(TensorProto_FLOAT), RawData: raw}
}

// NewInt64 returns an int64 tensor with the given data in row-major order.
func NewInt64(name string, dims []int64, data []int64) *TensorProto {
	raw := make([]byte, 8*len(data))
	for i, v := range data {
		binary.LittleEndian.PutUint64(raw[8*i:], uint64(v))
	}
	return &TensorProto{Name: name, Dims: slices.Clone(dims), DataType: int32(TensorProto_INT64), RawData: raw}
}

// Count returns the number of elements that the dimensions declare; an error when it does not fit into memory.
func (t *TensorProto) Count() (int, error) {
	n := int64(1)
	for _, d := range t.GetDims() {
		if d < 0 {
			return 0, fmt.Errorf("tensor %q has the negative dimension %d", t.GetName(), d)
		}
		if d > 0 && n > math.MaxInt32*8/d {
			return 0, fmt.Errorf("tensor %q declares more elements than fit: %v", t.GetName(), t.GetDims())
		}
		n *= d
	}
	return int(n), nil
}

// Float32s returns the elements of a float32 tensor, wherever in the message they are kept.
func (t *TensorProto) Float32s() ([]float32, error) {
	n, err := t.check(TensorProto_FLOAT, 4, len(t.GetFloatData()))
	if err != nil {
		return nil, err
	}
	if t.RawData == nil {
		return slices.Clone(t.GetFloatData()), nil
	}
	out := make([]float32, n)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.RawData[4*i:]))
	}
	return out, nil
}

// Int64s returns the elements of an int64 tensor, wherever in the message they are kept.
func (t *TensorProto) Int64s() ([]int64, error) {
	n, err := t.check(TensorProto_INT64, 8, len(t.GetInt64Data()))
	if err != nil {
		return nil, err
	}
	if t.RawData == nil {
		return slices.Clone(t.GetInt64Data()), nil
	}
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(binary.LittleEndian.Uint64(t.RawData[8*i:]))
	}
	return out, nil
}

func (t *TensorProto) check(want TensorProto_DataType, width, typed int) (int, error) {
	if got := TensorProto_DataType(t.GetDataType()); got != want {
		return 0, fmt.Errorf("tensor %q holds %v, not %v", t.GetName(), got, want)
	}
	if t.GetDataLocation() == TensorProto_EXTERNAL {
		return 0, fmt.Errorf("tensor %q is in another file; use Load instead of Decode", t.GetName())
	}
	n, err := t.Count()
	if err != nil {
		return 0, err
	}
	have := typed
	if t.RawData != nil {
		if len(t.RawData)%width != 0 {
			return 0, fmt.Errorf("tensor %q has %d bytes, not a multiple of %d", t.GetName(), len(t.RawData), width)
		}
		have = len(t.RawData) / width
	}
	if have != n {
		return 0, fmt.Errorf("tensor %q of shape %v holds %d elements instead of %d", t.GetName(), t.GetDims(), have, n)
	}
	return n, nil
}

// IntAttribute makes an attribute of one integer.
func IntAttribute(name string, v int64) *AttributeProto {
	return &AttributeProto{Name: name, Type: AttributeProto_INT, I: proto.Int64(v)}
}

// FloatAttribute makes an attribute of one float.
func FloatAttribute(name string, v float32) *AttributeProto {
	return &AttributeProto{Name: name, Type: AttributeProto_FLOAT, F: proto.Float32(v)}
}

// StringAttribute makes an attribute of one string.
func StringAttribute(name, v string) *AttributeProto {
	return &AttributeProto{Name: name, Type: AttributeProto_STRING, S: []byte(v)}
}

// IntsAttribute makes an attribute of a list of integers.
func IntsAttribute(name string, v []int64) *AttributeProto {
	return &AttributeProto{Name: name, Type: AttributeProto_INTS, Ints: slices.Clone(v)}
}

// FloatsAttribute makes an attribute of a list of floats.
func FloatsAttribute(name string, v []float32) *AttributeProto {
	return &AttributeProto{Name: name, Type: AttributeProto_FLOATS, Floats: slices.Clone(v)}
}

// TensorAttribute makes an attribute of one tensor.
func TensorAttribute(name string, t *TensorProto) *AttributeProto {
	return &AttributeProto{Name: name, Type: AttributeProto_TENSOR, T: t}
}

// GraphAttribute makes an attribute of a subgraph.
func GraphAttribute(name string, g *GraphProto) *AttributeProto {
	return &AttributeProto{Name: name, Type: AttributeProto_GRAPH, G: g}
}
