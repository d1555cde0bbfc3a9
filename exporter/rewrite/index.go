package rewrite

import (
	"fmt"
	"slices"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

// index answers who makes a value of a graph and how often it is used.
type index struct {
	producer map[string]*onnx.NodeProto
	uses     map[string]int               // by nodes, subgraphs and graph outputs
	held     map[string]*onnx.TensorProto // every tensor in the file
	constant map[string]*onnx.TensorProto // those that nothing can replace
	input    map[string]bool
	output   map[string]bool
	taken    map[string]bool // every name of a value
}

func newIndex(m *onnx.ModelProto) *index {
	g := m.GetGraph()
	x := &index{
		producer: map[string]*onnx.NodeProto{}, uses: map[string]int{}, held: map[string]*onnx.TensorProto{},
		constant: map[string]*onnx.TensorProto{}, input: map[string]bool{}, output: map[string]bool{}, taken: map[string]bool{},
	}
	for _, v := range g.GetInput() {
		x.input[v.GetName()], x.taken[v.GetName()] = true, true
	}
	for _, v := range g.GetOutput() {
		x.output[v.GetName()] = true
		x.uses[v.GetName()]++
	}
	for _, t := range g.GetInitializer() {
		x.taken[t.GetName()] = true
		x.held[t.GetName()] = t
		// From IR version 4 on an initializer that is also an input is only a default, which a caller may replace.
		if m.GetIrVersion() < 4 || !x.input[t.GetName()] {
			x.constant[t.GetName()] = t
		}
	}
	for _, n := range g.GetNode() {
		for _, name := range n.GetOutput() {
			x.producer[name], x.taken[name] = n, true
		}
		if n.GetOpType() == "Constant" && len(n.GetOutput()) == 1 {
			if t := attribute(n, "value").GetT(); t != nil {
				x.held[n.GetOutput()[0]], x.constant[n.GetOutput()[0]] = t, t
			}
		}
		x.count(n)
	}
	return x
}

// count adds what a node and its subgraphs read.
func (x *index) count(n *onnx.NodeProto) {
	for _, name := range n.GetInput() {
		if name != "" {
			x.uses[name]++
		}
	}
	eachSubgraph(n, func(g *onnx.GraphProto) {
		for _, v := range g.GetOutput() {
			x.uses[v.GetName()]++ // a branch may return a value from outside
		}
		for _, inner := range g.GetNode() {
			for _, name := range inner.GetOutput() {
				x.taken[name] = true
			}
			x.count(inner)
		}
	})
}

// unique returns base, or base with a number when a value has that name, and reserves it.
func (x *index) unique(base string) string {
	name := base
	for i := 1; x.taken[name]; i++ {
		name = fmt.Sprintf("%s_%d", base, i)
	}
	x.taken[name] = true
	return name
}

// setConstant stores a tensor under its name as an initializer, in the place of an earlier one.
func (x *index) setConstant(m *onnx.ModelProto, t *onnx.TensorProto) {
	g := m.GetGraph()
	x.held[t.GetName()], x.constant[t.GetName()] = t, t
	x.taken[t.GetName()] = true
	for i, old := range g.Initializer {
		if old.GetName() == t.GetName() {
			g.Initializer[i] = t
			return
		}
	}
	g.Initializer = append(g.Initializer, t)
	if m.GetIrVersion() < 4 { // where initializers must be declared as inputs too
		g.Input = append(g.Input, onnx.NewValueInfo(t.GetName(), onnx.TensorProto_DataType(t.GetDataType()), t.GetDims(), ""))
	}
}

// eachSubgraph calls f for every subgraph among the node's attributes; f descends by itself.
func eachSubgraph(n *onnx.NodeProto, f func(*onnx.GraphProto)) {
	for _, a := range n.GetAttribute() {
		if g := a.GetG(); g != nil {
			f(g)
		}
		for _, g := range a.GetGraphs() {
			f(g)
		}
	}
}

// rename makes every node, subgraphs included, that reads the value from read the value to.
func rename(nodes []*onnx.NodeProto, from, to string) {
	for _, n := range nodes {
		for i, name := range n.GetInput() {
			if name == from {
				n.Input[i] = to
			}
		}
		eachSubgraph(n, func(g *onnx.GraphProto) {
			rename(g.GetNode(), from, to)
			for _, v := range g.GetOutput() {
				if v.GetName() == from {
					v.Name = to
				}
			}
		})
	}
}

// remove drops the nodes in the set and keeps the order of the others.
func remove(g *onnx.GraphProto, gone map[*onnx.NodeProto]bool) {
	g.Node = slices.DeleteFunc(g.Node, func(n *onnx.NodeProto) bool { return gone[n] })
}

// standard reports whether a node is the named operator of the standard set.
func standard(n *onnx.NodeProto, op string) bool {
	return n.GetOpType() == op && (n.GetDomain() == "" || n.GetDomain() == "ai.onnx")
}

// attribute returns the named attribute of a node, or nil, whose getters return zero values.
func attribute(n *onnx.NodeProto, name string) *onnx.AttributeProto {
	for _, a := range n.GetAttribute() {
		if a.GetName() == name {
			return a
		}
	}
	return nil
}

func intAttribute(n *onnx.NodeProto, name string, absent int64) int64 {
	if a := attribute(n, name); a != nil {
		return a.GetI()
	}
	return absent
}

func floatAttribute(n *onnx.NodeProto, name string, absent float32) float32 {
	if a := attribute(n, name); a != nil {
		return a.GetF()
	}
	return absent
}

// setAttribute replaces the attribute of the same name, or adds it.
func setAttribute(n *onnx.NodeProto, a *onnx.AttributeProto) {
	for i, old := range n.GetAttribute() {
		if old.GetName() == a.GetName() {
			n.Attribute[i] = a
			return
		}
	}
	n.Attribute = append(n.Attribute, a)
}

// input returns the name of input i, empty when it is omitted.
func input(n *onnx.NodeProto, i int) string {
	if i < len(n.GetInput()) {
		return n.GetInput()[i]
	}
	return ""
}

// title names a node in errors.
func title(n *onnx.NodeProto) string {
	name := n.GetName()
	if name == "" && len(n.GetOutput()) > 0 {
		name = n.GetOutput()[0]
	}
	return fmt.Sprintf("%s node %q", n.GetOpType(), name)
}
