// Package onnx holds ONNX models in memory and on disk: the protobuf types of our subset of the schema,
// loading and saving (with large tensors in a file beside the model), tensors and metadata.
//
// A Model here is the protobuf message itself, so everything that a file says can be reached; fields that our
// subset leaves out survive a load and a save as unknown fields.
//
// The Go code of the messages is generated with protoc (Debian: protobuf-compiler) by `go generate ./exporter/onnx`.
package onnx

//go:generate sh -c "protoc --plugin=protoc-gen-go=$(go tool -n protoc-gen-go) --go_out=. --go_opt=paths=source_relative onnx.proto"
