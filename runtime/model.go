package runtime

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// description is what a model file says of itself.
type description struct {
	inputs, outputs []IOInfo
	metadata        map[string]string
	blocked         bool // see blockedPays
}

// describeModel reads the inputs, outputs and metadata of an ONNX model. The binding can tell them only by loading
// the model a second time, which for a training graph takes longer than the scan of its bytes here by orders of
// magnitude.
func describeModel(model []byte) (description, error) {
	d := description{metadata: map[string]string{}}
	var graph []byte
	err := fields(model, func(number protowire.Number, bytes []byte, _ uint64) error {
		switch number {
		case 7: // ModelProto.graph
			graph = append(graph, bytes...) // a message field that is repeated on the wire is merged
		case 14: // ModelProto.metadata_props
			var key, text string
			err := fields(bytes, func(number protowire.Number, bytes []byte, _ uint64) error {
				switch number {
				case 1:
					key = string(bytes)
				case 2:
					text = string(bytes)
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("metadata: %w", err)
			}
			d.metadata[key] = text
		}
		return nil
	})
	if err != nil {
		return d, fmt.Errorf("not an ONNX model: %w", err)
	}
	if graph == nil {
		return d, fmt.Errorf("not an ONNX model: it holds no graph")
	}
	// Initializers may be listed among the inputs, as defaults; a run does not have to pass those.
	initializers := map[string]bool{}
	err = fields(graph, func(number protowire.Number, bytes []byte, _ uint64) error {
		switch number {
		case 5: // GraphProto.initializer; TensorProto.name is 8
			name, err := stringField(bytes, 8)
			initializers[name] = true
			return err
		case 15: // GraphProto.sparse_initializer; its name is that of SparseTensorProto.values, 1
			return fields(bytes, func(number protowire.Number, bytes []byte, _ uint64) error {
				if number != 1 {
					return nil
				}
				name, err := stringField(bytes, 8)
				initializers[name] = true
				return err
			})
		case 11, 12: // GraphProto.input, output
			info, err := describeValue(bytes)
			if err != nil {
				return fmt.Errorf("input or output %q: %w", info.Name, err)
			}
			if number == 11 {
				d.inputs = append(d.inputs, info)
			} else {
				d.outputs = append(d.outputs, info)
			}
		}
		return nil
	})
	if err != nil {
		return d, fmt.Errorf("not an ONNX model: graph: %w", err)
	}
	required := d.inputs[:0]
	for _, in := range d.inputs {
		if !initializers[in.Name] {
			required = append(required, in)
		}
	}
	d.inputs = required
	d.blocked = blockedPays(graph)
	if len(d.outputs) == 0 {
		return d, fmt.Errorf("the model has no outputs")
	}
	return d, nil
}

// describeValue reads a ValueInfoProto. What is no tensor keeps the type Undefined.
func describeValue(message []byte) (IOInfo, error) {
	var info IOInfo
	err := fields(message, func(number protowire.Number, bytes []byte, _ uint64) error {
		switch number {
		case 1: // ValueInfoProto.name
			info.Name = string(bytes)
		case 2: // ValueInfoProto.type
			return fields(bytes, func(number protowire.Number, bytes []byte, _ uint64) error {
				if number != 1 { // TypeProto.tensor_type
					return nil
				}
				return fields(bytes, func(number protowire.Number, bytes []byte, n uint64) error {
					switch number {
					case 1: // TypeProto.Tensor.elem_type
						info.DType = DType(int32(n))
					case 2: // TypeProto.Tensor.shape
						info.Shape = []int64{}
						return fields(bytes, func(number protowire.Number, bytes []byte, _ uint64) error {
							if number != 1 { // TensorShapeProto.dim
								return nil
							}
							size, err := describeDim(bytes)
							info.Shape = append(info.Shape, size)
							return err
						})
					}
					return nil
				})
			})
		}
		return nil
	})
	return info, err
}

func describeDim(message []byte) (int64, error) {
	size := int64(-1)
	err := fields(message, func(number protowire.Number, _ []byte, n uint64) error {
		if number == 1 { // TensorShapeProto.Dimension.dim_value
			if size = int64(n); size < 0 {
				size = -1
			}
		}
		return nil
	})
	return size, err
}

func stringField(message []byte, wanted protowire.Number) (string, error) {
	var text string
	err := fields(message, func(number protowire.Number, bytes []byte, _ uint64) error {
		if number == wanted {
			text = string(bytes)
		}
		return nil
	})
	return text, err
}

// fields calls yield for each field of a protobuf message, with the bytes of a length-delimited field or the
// number of a varint.
func fields(message []byte, yield func(number protowire.Number, bytes []byte, n uint64) error) error {
	for len(message) > 0 {
		number, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return protowire.ParseError(size)
		}
		message = message[size:]
		var bytes []byte
		var n uint64
		switch kind {
		case protowire.BytesType:
			bytes, size = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(message)
		default:
			size = protowire.ConsumeFieldValue(number, kind, message)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		message = message[size:]
		if err := yield(number, bytes, n); err != nil {
			return err
		}
	}
	return nil
}
