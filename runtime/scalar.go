package runtime

import (
	"fmt"

	ort "github.com/yalue/onnxruntime_go"
)

// newScalar returns a value without dimensions for a run to write.
func newScalar(d DType) (ort.Value, error) {
	switch d {
	case Float32:
		return ort.NewEmptyScalar[float32]()
	case Float64:
		return ort.NewEmptyScalar[float64]()
	case Int8:
		return ort.NewEmptyScalar[int8]()
	case Int16:
		return ort.NewEmptyScalar[int16]()
	case Int32:
		return ort.NewEmptyScalar[int32]()
	case Int64:
		return ort.NewEmptyScalar[int64]()
	case Uint8:
		return ort.NewEmptyScalar[uint8]()
	case Uint16:
		return ort.NewEmptyScalar[uint16]()
	case Uint32:
		return ort.NewEmptyScalar[uint32]()
	case Uint64:
		return ort.NewEmptyScalar[uint64]()
	case Bool:
		return ort.NewEmptyScalar[bool]()
	}
	return nil, fmt.Errorf("elements of type %s cannot be passed out", d)
}

// readScalar returns a slice with the one element of a scalar, or nil for another value.
func readScalar(v ort.Value) any {
	switch s := v.(type) {
	case *ort.Scalar[float32]:
		return []float32{s.GetData()}
	case *ort.Scalar[float64]:
		return []float64{s.GetData()}
	case *ort.Scalar[int8]:
		return []int8{s.GetData()}
	case *ort.Scalar[int16]:
		return []int16{s.GetData()}
	case *ort.Scalar[int32]:
		return []int32{s.GetData()}
	case *ort.Scalar[int64]:
		return []int64{s.GetData()}
	case *ort.Scalar[uint8]:
		return []uint8{s.GetData()}
	case *ort.Scalar[uint16]:
		return []uint16{s.GetData()}
	case *ort.Scalar[uint32]:
		return []uint32{s.GetData()}
	case *ort.Scalar[uint64]:
		return []uint64{s.GetData()}
	case *ort.Scalar[bool]:
		return []bool{s.GetData()}
	}
	return nil
}
