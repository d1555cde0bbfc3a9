package runtime

import (
	"fmt"

	ort "github.com/yalue/onnxruntime_go"
)

// DType is the type of a tensor's elements. Its values are those of the ONNX format.
type DType int

// The element types. Float16, BFloat16 and String can be described but not passed in or out.
const (
	Undefined DType = 0
	Float32   DType = 1
	Uint8     DType = 2
	Int8      DType = 3
	Uint16    DType = 4
	Int16     DType = 5
	Int32     DType = 6
	Int64     DType = 7
	String    DType = 8
	Bool      DType = 9
	Float16   DType = 10
	Float64   DType = 11
	Uint32    DType = 12
	Uint64    DType = 13
	BFloat16  DType = 16
)

var dtypeNames = map[DType]string{
	Undefined: "undefined", Float32: "float32", Uint8: "uint8", Int8: "int8", Uint16: "uint16", Int16: "int16",
	Int32: "int32", Int64: "int64", String: "string", Bool: "bool", Float16: "float16", Float64: "float64",
	Uint32: "uint32", Uint64: "uint64", BFloat16: "bfloat16",
}

// String returns the type's name, such as "float32".
func (d DType) String() string {
	if name, ok := dtypeNames[d]; ok {
		return name
	}
	return fmt.Sprintf("element type %d", int(d))
}

// dtypeOf returns the element type of a Go slice that Tensor.Data may hold, and its length.
func dtypeOf(data any) (DType, int) {
	switch d := data.(type) {
	case []float32:
		return Float32, len(d)
	case []float64:
		return Float64, len(d)
	case []int8:
		return Int8, len(d)
	case []int16:
		return Int16, len(d)
	case []int32:
		return Int32, len(d)
	case []int64:
		return Int64, len(d)
	case []uint8:
		return Uint8, len(d)
	case []uint16:
		return Uint16, len(d)
	case []uint32:
		return Uint32, len(d)
	case []uint64:
		return Uint64, len(d)
	case []bool:
		return Bool, len(d)
	}
	return Undefined, 0
}

// makeData returns a slice of n zero elements, or nil for a type that Go slices do not hold.
func makeData(d DType, n int) any {
	switch d {
	case Float32:
		return make([]float32, n)
	case Float64:
		return make([]float64, n)
	case Int8:
		return make([]int8, n)
	case Int16:
		return make([]int16, n)
	case Int32:
		return make([]int32, n)
	case Int64:
		return make([]int64, n)
	case Uint8:
		return make([]uint8, n)
	case Uint16:
		return make([]uint16, n)
	case Uint32:
		return make([]uint32, n)
	case Uint64:
		return make([]uint64, n)
	case Bool:
		return make([]bool, n)
	}
	return nil
}

// contents returns the slice behind a value that ONNX Runtime has allocated, or nil for a kind that is not
// passed out.
func contents(v ort.Value) any {
	switch t := v.(type) {
	case *ort.Tensor[float32]:
		return t.GetData()
	case *ort.Tensor[float64]:
		return t.GetData()
	case *ort.Tensor[int8]:
		return t.GetData()
	case *ort.Tensor[int16]:
		return t.GetData()
	case *ort.Tensor[int32]:
		return t.GetData()
	case *ort.Tensor[int64]:
		return t.GetData()
	case *ort.Tensor[uint8]:
		return t.GetData()
	case *ort.Tensor[uint16]:
		return t.GetData()
	case *ort.Tensor[uint32]:
		return t.GetData()
	case *ort.Tensor[uint64]:
		return t.GetData()
	case *ort.Tensor[bool]:
		return t.GetData()
	}
	return nil
}
