package onnx

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"

	"google.golang.org/protobuf/proto"

	"github.com/plateau-nas/plateau/exporter/atomicfile"
)

const (
	// IRVersion is the format version that plateau writes; ONNX 1.10 and ONNX Runtime 1.10 and newer read it.
	IRVersion = 8
	// Opset is the version of the standard operator set that plateau writes.
	Opset = 17
	// DefaultExternalThreshold is the size in bytes of all initializers together above which Save moves them to a
	// file of their own. A protobuf message cannot exceed 2 GiB.
	DefaultExternalThreshold = 1 << 30
)

// SaveOptions says how Save lays a model out on disk.
type SaveOptions struct {
	// ExternalThreshold is the size in bytes of all initializers together above which the large ones go to
	// PATH.data; 0 means DefaultExternalThreshold, a negative value never.
	ExternalThreshold int64
}

// Decode reads a model from the bytes of an .onnx file. Tensors in external files are not resolved; use Load.
func Decode(data []byte) (*ModelProto, error) {
	m := new(ModelProto)
	if err := proto.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("decoding ONNX model of %d bytes: %w", len(data), err)
	}
	if m.GetGraph() == nil {
		return nil, fmt.Errorf("decoding ONNX model of %d bytes: it has no graph, so it is not an ONNX model", len(data))
	}
	return m, nil
}

// Encode returns the bytes of an .onnx file. Equal models give equal bytes.
func Encode(m *ModelProto) ([]byte, error) {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encoding ONNX model: %w", err)
	}
	return data, nil
}

// Load reads an .onnx file and the external tensors that it names, which must lie in its own folder or below.
func Load(path string) (*ModelProto, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("loading ONNX model: %w", err)
	}
	m, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", path, err)
	}
	if err := loadExternal(m.GetGraph(), filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("loading %s: %w", path, err)
	}
	return m, nil
}

// Save writes an .onnx file atomically; when the initializers exceed the threshold they go to path + ".data", which
// is written first. The model itself is not changed.
func Save(path string, m *ModelProto, o SaveOptions) error {
	threshold := o.ExternalThreshold
	if threshold == 0 {
		threshold = DefaultExternalThreshold
	}
	var total int64
	for _, t := range m.GetGraph().GetInitializer() {
		total += int64(len(t.GetRawData()))
	}
	if threshold >= 0 && total > threshold {
		var err error
		if m, err = moveExternal(m, path+".data"); err != nil {
			return fmt.Errorf("saving %s: %w", path, err)
		}
	}
	data, err := Encode(m)
	if err != nil {
		return fmt.Errorf("saving %s: %w", path, err)
	}
	return atomicfile.WriteBytes(path, data)
}

// Metadata returns the model's metadata properties.
func Metadata(m *ModelProto) map[string]string {
	out := make(map[string]string, len(m.GetMetadataProps()))
	for _, p := range m.GetMetadataProps() {
		out[p.GetKey()] = p.GetValue()
	}
	return out
}

// SetMetadata adds the properties to the model's metadata, replacing those with equal keys. The result is in
// the order of the keys.
func SetMetadata(m *ModelProto, props map[string]string) {
	all := Metadata(m)
	for k, v := range props {
		all[k] = v
	}
	keys := make([]string, 0, len(all))
	for k := range all {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	m.MetadataProps = m.MetadataProps[:0]
	for _, k := range keys {
		m.MetadataProps = append(m.MetadataProps, &StringStringEntryProto{Key: k, Value: all[k]})
	}
}

// OpsetOf returns the version of the standard operator set that the model is written in.
func OpsetOf(m *ModelProto) (int64, error) {
	for _, o := range m.GetOpsetImport() {
		if o.GetDomain() == "" || o.GetDomain() == "ai.onnx" {
			return o.GetVersion(), nil
		}
	}
	return 0, errors.New("model imports no version of the standard operator set")
}

// Shape returns the dimensions of a value as the file declares them: -1 where a dimension has a name or nothing.
// It is nil when the file declares no shape.
func (v *ValueInfoProto) Shape() []int64 {
	sh := v.GetType().GetTensorType().GetShape()
	if sh == nil {
		return nil
	}
	out := make([]int64, len(sh.GetDim()))
	for i, d := range sh.GetDim() {
		out[i] = -1
		if x, ok := d.GetValue().(*TensorShapeProto_Dimension_DimValue); ok {
			out[i] = x.DimValue
		}
	}
	return out
}

// NewValueInfo declares a value. A negative dimension is written as the named dimension "batch".
func NewValueInfo(name string, t TensorProto_DataType, shape []int64, doc string) *ValueInfoProto {
	sh := new(TensorShapeProto)
	for _, d := range shape {
		dim := &TensorShapeProto_Dimension{Value: &TensorShapeProto_Dimension_DimValue{DimValue: d}}
		if d < 0 {
			dim.Value = &TensorShapeProto_Dimension_DimParam{DimParam: "batch"}
		}
		sh.Dim = append(sh.Dim, dim)
	}
	return &ValueInfoProto{Name: name, DocString: doc, Type: &TypeProto{Value: &TypeProto_TensorType{
		TensorType: &TypeProto_Tensor{ElemType: int32(t), Shape: sh},
	}}}
}
