package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// Float32 returns an F32 tensor that holds a copy of values. A length that does not fit the shape is reported
// by Write.
func Float32(name string, shape []int, values []float32) Tensor {
	data := make([]byte, 4*len(values))
	for i, v := range values {
		binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(v))
	}
	return Tensor{Name: name, DType: F32, Shape: slices.Clone(shape), Data: data}
}

// Int64 returns an I64 tensor that holds a copy of values. A length that does not fit the shape is reported by
// Write.
func Int64(name string, shape []int, values []int64) Tensor {
	data := make([]byte, 8*len(values))
	for i, v := range values {
		binary.LittleEndian.PutUint64(data[8*i:], uint64(v))
	}
	return Tensor{Name: name, DType: I64, Shape: slices.Clone(shape), Data: data}
}

// Uint8 returns a U8 tensor whose data is values itself, not a copy: images are large. A length that does not
// fit the shape is reported by Write.
func Uint8(name string, shape []int, values []uint8) Tensor {
	return Tensor{Name: name, DType: U8, Shape: slices.Clone(shape), Data: values}
}

// Float32s returns a copy of the elements of an F32 tensor.
func (t Tensor) Float32s() ([]float32, error) {
	if err := t.check(F32); err != nil {
		return nil, err
	}
	values := make([]float32, len(t.Data)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
	}
	return values, nil
}

// Int64s returns a copy of the elements of an I64 tensor.
func (t Tensor) Int64s() ([]int64, error) {
	if err := t.check(I64); err != nil {
		return nil, err
	}
	values := make([]int64, len(t.Data)/8)
	for i := range values {
		values[i] = int64(binary.LittleEndian.Uint64(t.Data[8*i:]))
	}
	return values, nil
}

// Uint8s returns the elements of a U8 tensor: the tensor's data itself, not a copy.
func (t Tensor) Uint8s() ([]uint8, error) {
	if err := t.check(U8); err != nil {
		return nil, err
	}
	return t.Data, nil
}

// Float32 returns a copy of the elements of the named F32 tensor. Give the shape that is expected, where -1
// stands for any size; give none to accept every shape.
func (f *File) Float32(name string, shape ...int) ([]float32, error) {
	t, err := f.find(name, shape)
	if err != nil {
		return nil, err
	}
	return t.Float32s()
}

// Int64 returns a copy of the elements of the named I64 tensor; shape is as for Float32.
func (f *File) Int64(name string, shape ...int) ([]int64, error) {
	t, err := f.find(name, shape)
	if err != nil {
		return nil, err
	}
	return t.Int64s()
}

// Uint8 returns the elements of the named U8 tensor, not a copy; shape is as for Float32.
func (f *File) Uint8(name string, shape ...int) ([]uint8, error) {
	t, err := f.find(name, shape)
	if err != nil {
		return nil, err
	}
	return t.Uint8s()
}

func (f *File) find(name string, shape []int) (Tensor, error) {
	t, ok := f.Tensor(name)
	if !ok {
		return Tensor{}, fmt.Errorf("no tensor %q among the file's %d", name, len(f.Tensors))
	}
	fits := func(a, want int) bool { return want < 0 || a == want }
	if len(shape) > 0 && !slices.EqualFunc(t.Shape, shape, fits) {
		return Tensor{}, fmt.Errorf("tensor %q has shape %v, want %v", name, t.Shape, shape)
	}
	return t, nil
}

// check returns an error unless the tensor has type d and as many bytes as its shape calls for.
func (t Tensor) check(d DType) error {
	if t.DType != d {
		return fmt.Errorf("tensor %q holds %s, want %s", t.Name, t.DType, d)
	}
	return t.checkSize()
}

func (t Tensor) checkSize() error {
	want, err := byteSize(t.DType, t.Shape)
	if err != nil {
		return fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	if got := t.bytes(); got != want {
		return fmt.Errorf("tensor %q: %s of shape %v is %d bytes, got %d", t.Name, t.DType, t.Shape, want, got)
	}
	return nil
}
