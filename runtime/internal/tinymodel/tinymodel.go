// Package tinymodel writes small ONNX models by hand, so that the runtime can try a provider, and be tested, without
// a package that builds graphs.
package tinymodel

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Element types of the ONNX format.
const (
	Float32 = 1
	Int64   = 7
	Bool    = 9
)

// Value is an input or output. A dimension below zero is dynamic, nil Dims means that the shape is not stated.
type Value struct {
	Name string
	Type int
	Dims []int64
}

// Node is one operator. Ints, Int and Branches, which are graphs, are its attributes.
type Node struct {
	Op              string
	Inputs, Outputs []string
	Int             map[string]int64
	Ints            map[string][]int64
	Branches        map[string]Model
}

// Initializer is a float32 constant.
type Initializer struct {
	Name string
	Dims []int64
	Data []float32
	// File, when set, is the file beside the model that holds the data instead.
	File string
}

// Model is a graph with its metadata.
type Model struct {
	Inputs, Outputs []Value
	Nodes           []Node
	Initializers    []Initializer
	Metadata        [][2]string
}

// Bytes returns the model as a file of IR version 8, opset 17.
func (m Model) Bytes() []byte {
	model := number(nil, 1, 8)
	model = text(model, 2, "plateau")
	model = message(model, 7, m.graph())
	model = message(model, 8, number(text(nil, 1, ""), 2, 17))
	for _, entry := range m.Metadata {
		model = message(model, 14, text(text(nil, 1, entry[0]), 2, entry[1]))
	}
	return model
}

func (m Model) graph() []byte {
	var graph []byte
	for _, n := range m.Nodes {
		graph = message(graph, 1, n.bytes())
	}
	graph = text(graph, 2, "tiny")
	for _, i := range m.Initializers {
		graph = message(graph, 5, i.bytes())
	}
	for _, v := range m.Inputs {
		graph = message(graph, 11, v.bytes())
	}
	for _, v := range m.Outputs {
		graph = message(graph, 12, v.bytes())
	}
	return graph
}

func (v Value) bytes() []byte {
	tensor := number(nil, 1, int64(v.Type))
	if v.Dims != nil {
		var shape []byte
		for _, d := range v.Dims {
			if d < 0 {
				shape = message(shape, 1, text(nil, 2, "N"))
			} else {
				shape = message(shape, 1, number(nil, 1, d))
			}
		}
		tensor = message(tensor, 2, shape)
	}
	return message(text(nil, 1, v.Name), 2, message(nil, 1, tensor))
}

func (n Node) bytes() []byte {
	var b []byte
	for _, name := range n.Inputs {
		b = text(b, 1, name)
	}
	for _, name := range n.Outputs {
		b = text(b, 2, name)
	}
	b = text(b, 4, n.Op)
	for name, value := range n.Int {
		b = message(b, 5, number(number(text(nil, 1, name), 20, 2), 3, value))
	}
	for name, values := range n.Ints {
		attribute := number(text(nil, 1, name), 20, 7)
		for _, v := range values {
			attribute = number(attribute, 8, v)
		}
		b = message(b, 5, attribute)
	}
	for name, branch := range n.Branches {
		b = message(b, 5, message(number(text(nil, 1, name), 20, 5), 6, branch.graph()))
	}
	return b
}

func (i Initializer) bytes() []byte {
	var b []byte
	for _, d := range i.Dims {
		b = number(b, 1, d)
	}
	b = number(b, 2, Float32)
	b = text(b, 8, i.Name)
	if i.File != "" {
		b = message(b, 13, text(text(nil, 1, "location"), 2, i.File))
		return number(b, 14, 1) // data_location: external
	}
	return message(b, 9, i.Raw())
}

// Raw returns the data as the format stores it.
func (i Initializer) Raw() []byte {
	var raw []byte
	for _, v := range i.Data {
		raw = protowire.AppendFixed32(raw, math.Float32bits(v))
	}
	return raw
}

func message(b []byte, field protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), content)
}

func text(b []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func number(b []byte, field protowire.Number, n int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(n))
}
