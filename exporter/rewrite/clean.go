package rewrite

import (
	"slices"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

// RemoveIdentity removes Identity nodes and returns how many. An Identity that only gives a graph output its name is
// removed by giving that name to the node that computes the value. One that makes a graph output of an input, of
// an initializer or of another output stays, since nothing can be renamed.
func RemoveIdentity(m *onnx.ModelProto) int {
	g := m.GetGraph()
	x := newIndex(m)
	gone := map[*onnx.NodeProto]bool{}
	for _, n := range g.GetNode() {
		if !standard(n, "Identity") || len(n.GetInput()) != 1 || len(n.GetOutput()) != 1 {
			continue
		}
		from, to := n.GetInput()[0], n.GetOutput()[0]
		if !x.output[to] {
			rename(g.GetNode(), to, from)
			gone[n] = true
			continue
		}
		p := x.producer[from]
		if p == nil || x.output[from] || gone[p] {
			continue
		}
		for i, name := range p.GetOutput() {
			if name == from {
				p.Output[i] = to
			}
		}
		gone[n] = true
		rename(g.GetNode(), from, to)
		x.producer[to] = p
	}
	remove(g, gone)
	return len(gone)
}

// RemoveUnused removes the nodes, initializers and value descriptions that no output of the graph needs, and returns
// how many nodes and initializers it removed. Inputs stay, except those that only declare a removed initializer.
func RemoveUnused(m *onnx.ModelProto) int {
	g := m.GetGraph()
	needed := map[string]bool{}
	for _, v := range g.GetOutput() {
		needed[v.GetName()] = true
	}
	before := len(g.GetNode()) + len(g.GetInitializer())
	live := map[*onnx.NodeProto]bool{}
	// Nodes come after what they read, so one pass from the end sees every use before its source.
	for _, n := range slices.Backward(g.GetNode()) {
		if slices.ContainsFunc(n.GetOutput(), func(name string) bool { return needed[name] }) {
			live[n] = true
			need(n, needed)
		}
	}
	g.Node = slices.DeleteFunc(g.Node, func(n *onnx.NodeProto) bool { return !live[n] })
	dropped := map[string]bool{}
	g.Initializer = slices.DeleteFunc(g.Initializer, func(t *onnx.TensorProto) bool {
		dropped[t.GetName()] = !needed[t.GetName()]
		return !needed[t.GetName()]
	})
	g.Input = slices.DeleteFunc(g.Input, func(v *onnx.ValueInfoProto) bool { return dropped[v.GetName()] })
	made := map[string]bool{}
	for _, n := range g.Node {
		for _, name := range n.GetOutput() {
			made[name] = true
		}
	}
	g.ValueInfo = slices.DeleteFunc(g.ValueInfo, func(v *onnx.ValueInfoProto) bool {
		return !made[v.GetName()] && !needed[v.GetName()]
	})
	return before - len(g.Node) - len(g.Initializer)
}

// need marks everything that a node and its subgraphs read.
func need(n *onnx.NodeProto, needed map[string]bool) {
	for _, name := range n.GetInput() {
		if name != "" {
			needed[name] = true
		}
	}
	eachSubgraph(n, func(g *onnx.GraphProto) {
		for _, v := range g.GetOutput() {
			needed[v.GetName()] = true
		}
		for _, inner := range g.GetNode() {
			need(inner, needed)
		}
	})
}

// Simplify runs RemoveIdentity, FoldBatchNorm, LowerBatchNorm and RemoveUnused: the form in which a finished network is
// shipped.
func Simplify(m *onnx.ModelProto) error {
	RemoveIdentity(m)
	if _, err := FoldBatchNorm(m); err != nil {
		return err
	}
	if _, err := LowerBatchNorm(m); err != nil {
		return err
	}
	RemoveUnused(m)
	return nil
}
