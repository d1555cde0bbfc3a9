package graph

import (
	"fmt"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

// Floats returns a float32 constant of the given shape. Equal constants are stored once.
func (g *Graph) Floats(data []float32, shape ...int) *Value {
	if size(shape) != len(data) {
		g.fail("Floats", "%d elements do not fill the shape %v", len(data), shape)
		return g.dummy(Float32, shape)
	}
	return g.constant(Float32, shape, onnx.NewFloat32("", dims(shape), data))
}

// Scalar returns a float32 constant of rank 0.
func (g *Graph) Scalar(v float32) *Value { return g.Floats([]float32{v}) }

// Fill returns a float32 constant of the given shape whose elements all are v.
func (g *Graph) Fill(v float32, shape ...int) *Value {
	for _, d := range shape {
		if d < 0 {
			g.fail("Fill", "the shape %v has a negative dimension", shape)
			return g.dummy(Float32, shape)
		}
	}
	data := make([]float32, size(shape))
	for i := range data {
		data[i] = v
	}
	return g.Floats(data, shape...)
}

// Ints returns an int64 constant of rank 1.
func (g *Graph) Ints(data ...int) *Value {
	return g.constant(Int64, []int{len(data)}, onnx.NewInt64("", []int64{int64(len(data))}, int64s(data)))
}

// Int returns an int64 constant of rank 0.
func (g *Graph) Int(v int) *Value {
	return g.constant(Int64, nil, onnx.NewInt64("", nil, []int64{int64(v)}))
}

// Parameter returns a float32 initializer with a name of its own: a trained weight of a finished network.
// Parameters are never merged with equal ones.
func (g *Graph) Parameter(name string, data []float32, shape ...int) *Value {
	if size(shape) != len(data) {
		g.fail("Parameter", "%d elements do not fill the shape %v of %q", len(data), shape, name)
		return g.dummy(Float32, shape)
	}
	if name == "" || g.names[name] > 0 {
		g.fail("Parameter", "the name %q is empty or taken", name)
		return g.dummy(Float32, shape)
	}
	g.names[name]++
	v := g.newValue(g.root, Float32, shape)
	v.name, v.data = name, onnx.NewFloat32(name, dims(shape), data)
	g.consts = append(g.consts, v)
	return v
}

func (g *Graph) constant(t DType, shape []int, data *onnx.TensorProto) *Value {
	key := fmt.Sprintf("%d%v%s", t, shape, data.GetRawData())
	if v, ok := g.byData[key]; ok {
		return v
	}
	v := g.newValue(g.root, t, shape)
	for v.name == "" || g.names[v.name] > 0 {
		v.name = fmt.Sprintf("constant_%d", g.names["constant_"])
		g.names["constant_"]++
	}
	g.names[v.name]++
	v.data = data
	data.Name = v.name
	g.byData[key] = v
	g.consts = append(g.consts, v)
	return v
}

func dims(shape []int) []int64 { return int64s(shape) }
