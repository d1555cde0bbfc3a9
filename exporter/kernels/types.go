package kernels

import (
	"maps"
	"strings"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

// isElementType reports whether a name is that of an element type rather than of a type parameter.
func isElementType(name string) bool {
	_, ok := onnx.TensorProto_DataType_value[strings.ToUpper(name)]
	return ok && name == strings.ToLower(name)
}

// typeName is the tables' name of an element type: that of the ONNX schema in lower case.
func typeName(n int32) string { return strings.ToLower(onnx.TensorProto_DataType(n).String()) }

// types knows the element types of the values in one graph and those around it, as far as they can be told.
type types map[string]string

// declare notes the inputs and initializers of a graph.
func (t types) declare(g *onnx.GraphProto) {
	for _, v := range g.GetInput() {
		if e := v.GetType().GetTensorType().GetElemType(); e != 0 {
			t[v.GetName()] = typeName(e)
		}
	}
	for _, c := range g.GetInitializer() {
		t[c.GetName()] = typeName(c.GetDataType())
	}
}

// inside returns a copy for a subgraph.
func (t types) inside(g *onnx.GraphProto) types {
	c := maps.Clone(t)
	c.declare(g)
	return c
}

// infer notes the element types of a node's outputs: by the type parameters that inputs and outputs share, by the type that
// a position always has, and by the attributes that name one.
func (t types) infer(n *onnx.NodeProto, k kernel, v version) {
	bound := map[string]string{}
	for i, name := range n.GetInput() {
		p, ok := parameter(k.inputs, i)
		if _, seen := bound[p]; ok && !seen && t[name] != "" {
			bound[p] = t[name]
		}
	}
	branch := firstSubgraph(n)
	for i, name := range n.GetOutput() {
		if name == "" {
			continue
		}
		p, _ := parameter(k.outputs, i)
		switch {
		case branch != nil && i < len(branch.GetOutput()):
			// The branches of If; the body of Loop says it of all but its own condition, which comes first.
			if n.GetOpType() == "Loop" && i+1 < len(branch.GetOutput()) {
				i++
			}
			t[name] = typeName(branch.GetOutput()[i].GetType().GetTensorType().GetElemType())
		case bound[p] != "":
			t[name] = bound[p]
		case isElementType(p):
			t[name] = p
		case len(v.types[p]) == 1:
			t[name] = v.types[p][0]
		default:
			t[name] = named(n)
		}
	}
}

// named returns the element type that an attribute of the node gives to its output; float where none does, as ONNX has it.
func named(n *onnx.NodeProto) string {
	for _, a := range n.GetAttribute() {
		switch {
		case a.GetName() == "to" || a.GetName() == "dtype":
			return typeName(int32(a.GetI()))
		case a.GetName() == "value" && a.GetT() != nil:
			return typeName(a.GetT().GetDataType())
		}
	}
	return typeName(int32(onnx.TensorProto_FLOAT))
}

func firstSubgraph(n *onnx.NodeProto) *onnx.GraphProto {
	for _, a := range n.GetAttribute() {
		if a.GetG() != nil {
			return a.GetG()
		}
	}
	return nil
}
