package graph

import (
	"fmt"
	"sort"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

// Attribute is a named setting of a node. Value is an int, a float32, a string, an []int or a []float32.
type Attribute struct {
	Name  string
	Value any
}

// Attributes are a node's settings, in the order of their names.
type Attributes []Attribute

func (a Attributes) sort() {
	sort.Slice(a, func(i, j int) bool { return a[i].Name < a[j].Name })
}

// Int returns an integer attribute, or the default when it is absent.
func (a Attributes) Int(name string, def int) int {
	for _, x := range a {
		if v, ok := x.Value.(int); ok && x.Name == name {
			return v
		}
	}
	return def
}

// Float returns a float attribute, or the default when it is absent.
func (a Attributes) Float(name string, def float32) float32 {
	for _, x := range a {
		if v, ok := x.Value.(float32); ok && x.Name == name {
			return v
		}
	}
	return def
}

// Ints returns an attribute that is a list of integers, or the default when it is absent. The slice must not be
// changed.
func (a Attributes) Ints(name string, def []int) []int {
	for _, x := range a {
		if v, ok := x.Value.([]int); ok && x.Name == name {
			return v
		}
	}
	return def
}

// String returns a string attribute, or the default when it is absent.
func (a Attributes) String(name, def string) string {
	for _, x := range a {
		if v, ok := x.Value.(string); ok && x.Name == name {
			return v
		}
	}
	return def
}

func (a Attribute) proto() (*onnx.AttributeProto, error) {
	switch v := a.Value.(type) {
	case int:
		return onnx.IntAttribute(a.Name, int64(v)), nil
	case float32:
		return onnx.FloatAttribute(a.Name, v), nil
	case string:
		return onnx.StringAttribute(a.Name, v), nil
	case []int:
		return onnx.IntsAttribute(a.Name, int64s(v)), nil
	case []float32:
		return onnx.FloatsAttribute(a.Name, v), nil
	}
	return nil, fmt.Errorf("attribute %s has the unsupported type %T", a.Name, a.Value)
}

func int64s(v []int) []int64 {
	out := make([]int64, len(v))
	for i, x := range v {
		out[i] = int64(x)
	}
	return out
}
