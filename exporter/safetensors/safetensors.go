// Package safetensors reads and writes the safetensors format: named tensors and text metadata in one file
// that needs no code to be loaded.
//
// A file is eight bytes that hold the header's length (little-endian), a JSON header, and the tensors' bytes
// (little-endian, row-major) without gaps:
//
//	{"__metadata__": {"key": "text"}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
//
// Write is canonical: tensors lie in descending order of their element's size and then by name, and the header
// is padded so that the data starts at a multiple of eight bytes. Every tensor is therefore aligned, and equal
// content gives equal bytes. Read is strict: it accepts what the reference implementation accepts (see
// https://github.com/huggingface/safetensors, Format), so no two tensors overlap and no byte is unaccounted for.
package safetensors

import (
	"fmt"
	"math"
	"slices"
)

// DType names the type of a tensor's elements as the format spells it.
type DType string

// The element types that the package can carry. Only F32, I64 and U8 have typed constructors and accessors; the
// others pass through as bytes.
const (
	Bool   DType = "BOOL"
	U8     DType = "U8"
	I8     DType = "I8"
	F8E5M2 DType = "F8_E5M2"
	F8E4M3 DType = "F8_E4M3"
	U16    DType = "U16"
	I16    DType = "I16"
	F16    DType = "F16"
	BF16   DType = "BF16"
	U32    DType = "U32"
	I32    DType = "I32"
	F32    DType = "F32"
	U64    DType = "U64"
	I64    DType = "I64"
	F64    DType = "F64"
)

// Size returns the bytes of one element, or 0 for a type that the package does not know.
func (d DType) Size() int {
	switch d {
	case Bool, U8, I8, F8E5M2, F8E4M3:
		return 1
	case U16, I16, F16, BF16:
		return 2
	case U32, I32, F32:
		return 4
	case U64, I64, F64:
		return 8
	}
	return 0
}

// Tensor is one named array.
type Tensor struct {
	Name  string
	DType DType
	Shape []int  // sizes from the slowest to the fastest axis; empty for a scalar
	Data  []byte // little-endian elements in row-major order; its length is the shape's product times DType.Size()
	// Parts are, for writing only, what Data would be in pieces, one after the other, so that what is not in one place needs not be brought
	// together; Data is nil then. A file that was read has none.
	Parts [][]byte
}

// bytes is the length of the data.
func (t *Tensor) bytes() int {
	n := len(t.Data)
	for _, p := range t.Parts {
		n += len(p)
	}
	return n
}

// File is the content of a safetensors file.
type File struct {
	Metadata map[string]string
	Tensors  []Tensor
	// Written, when it is not nil, is told each part of a tensor's bytes that has been written, some megabytes at a time, by those who have
	// the bytes in a mapped file and give the memory back.
	Written func(part []byte)
}

// FormatError says what is wrong with the bytes of a file that was to be read.
type FormatError struct {
	Problem string
	Err     error // the cause, or nil
}

// Error implements error.
func (e *FormatError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("not a valid safetensors file: %s: %v", e.Problem, e.Err)
	}
	return "not a valid safetensors file: " + e.Problem
}

// Unwrap returns the cause.
func (e *FormatError) Unwrap() error { return e.Err }

// Names returns the names of the tensors in the order in which the file holds them.
func (f *File) Names() []string {
	names := make([]string, len(f.Tensors))
	for i, t := range f.Tensors {
		names[i] = t.Name
	}
	return names
}

// Tensor returns the tensor with the given name, and whether there is one.
func (f *File) Tensor(name string) (Tensor, bool) {
	i := slices.IndexFunc(f.Tensors, func(t Tensor) bool { return t.Name == name })
	if i < 0 {
		return Tensor{}, false
	}
	return f.Tensors[i], true
}

// elements returns the product of a shape's sizes, or an error when one is negative or the product does not
// fit an int.
func elements(shape []int) (int, error) {
	n := 1
	empty := false
	for _, s := range shape {
		switch {
		case s < 0:
			return 0, fmt.Errorf("shape %v has a negative size", shape)
		case s == 0:
			empty = true
		case n > math.MaxInt/s:
			return 0, fmt.Errorf("shape %v has more elements than an int can count", shape)
		default:
			n *= s
		}
	}
	if empty {
		return 0, nil
	}
	return n, nil
}

// byteSize returns the bytes that the tensor's type and shape call for.
func byteSize(d DType, shape []int) (int, error) {
	size := d.Size()
	if size == 0 {
		return 0, fmt.Errorf("unknown element type %q", string(d))
	}
	n, err := elements(shape)
	if err != nil {
		return 0, err
	}
	if n > math.MaxInt/size {
		return 0, fmt.Errorf("shape %v has more bytes than an int can count", shape)
	}
	return n * size, nil
}
