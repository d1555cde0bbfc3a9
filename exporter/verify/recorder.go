package verify

import (
	"fmt"

	onnxgo "github.com/owulveryck/onnx-go"
	gonum "gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/iterator"
	"gorgonia.org/tensor"
)

// value is a node of the decoder's graph: there, nodes are tensors, and an operator is a set of edges from each of
// its outputs to its inputs.
type value struct {
	id   int64
	name string
	data tensor.Tensor
}

func (v *value) ID() int64                       { return v.id }
func (v *value) SetName(name string)             { v.name = name }
func (v *value) GetName() string                 { return v.name }
func (v *value) GetTensor() tensor.Tensor        { return v.data }
func (v *value) SetTensor(t tensor.Tensor) error { v.data = t; return nil }

// edge leads from an output of an operator to one of its inputs; the weight is the input's position.
type edge struct {
	from, to gonum.Node
	weight   float64
}

func (e edge) From() gonum.Node         { return e.from }
func (e edge) To() gonum.Node           { return e.to }
func (e edge) Weight() float64          { return e.weight }
func (e edge) ReversedEdge() gonum.Edge { return edge{e.to, e.from, e.weight} }

// call is one operator as the decoder has understood it.
type call struct {
	op      string
	inputs  []string
	outputs []string
	attrs   map[string]any
}

// recorder is a backend for onnx-go that computes nothing: it writes down what the decoder tells it. The decoder
// announces the edges of an operator and then the operator, so the edges seen since the last one are its own.
type recorder struct {
	values  []*value
	calls   []call
	pending []edge
	edges   []edge
}

var (
	_ onnxgo.Backend     = (*recorder)(nil)
	_ onnxgo.Namer       = (*value)(nil)
	_ onnxgo.DataCarrier = (*value)(nil)
)

// ApplyOperation implements onnxgo.OperationCarrier.
func (r *recorder) ApplyOperation(o onnxgo.Operation, outputs ...gonum.Node) error {
	c := call{op: o.Name, attrs: o.Attributes}
	for i, n := range outputs {
		v, ok := n.(*value)
		if !ok {
			return fmt.Errorf("operator %s has a result of type %T", o.Name, n)
		}
		c.outputs = append(c.outputs, v.name)
		var inputs []string
		for _, e := range r.pending {
			if e.from.ID() != v.id {
				continue
			}
			if int(e.weight) != len(inputs) {
				return fmt.Errorf("operator %s: input %v of result %q comes after %d others", o.Name, e.weight, v.name, len(inputs))
			}
			inputs = append(inputs, e.to.(*value).name)
		}
		if i == 0 {
			c.inputs = inputs
		} else if fmt.Sprint(inputs) != fmt.Sprint(c.inputs) {
			return fmt.Errorf("operator %s: result %q reads %q, but result %q reads %q", o.Name, c.outputs[0], c.inputs, v.name, inputs)
		}
	}
	r.edges = append(r.edges, r.pending...)
	r.pending = nil
	r.calls = append(r.calls, c)
	return nil
}

// NewNode implements graph.NodeAdder. The node counts as part of the graph from here on, since its ID is taken.
func (r *recorder) NewNode() gonum.Node {
	v := &value{id: int64(len(r.values))}
	r.values = append(r.values, v)
	return v
}

// AddNode implements graph.NodeAdder.
func (r *recorder) AddNode(gonum.Node) {}

// NewWeightedEdge implements graph.WeightedEdgeAdder.
func (r *recorder) NewWeightedEdge(from, to gonum.Node, weight float64) gonum.WeightedEdge {
	return edge{from, to, weight}
}

// SetWeightedEdge implements graph.WeightedEdgeAdder. Edges between the same two values are all kept: x * x reads x
// twice.
func (r *recorder) SetWeightedEdge(e gonum.WeightedEdge) {
	r.pending = append(r.pending, edge{e.From(), e.To(), e.Weight()})
}

// Node implements graph.Graph.
func (r *recorder) Node(id int64) gonum.Node {
	if id < 0 || id >= int64(len(r.values)) {
		return nil
	}
	return r.values[id]
}

// Nodes implements graph.Graph.
func (r *recorder) Nodes() gonum.Nodes {
	all := make([]gonum.Node, len(r.values))
	for i, v := range r.values {
		all[i] = v
	}
	return iterator.NewOrderedNodes(all)
}

// From implements graph.Graph.
func (r *recorder) From(id int64) gonum.Nodes {
	return r.collect(func(e edge) (gonum.Node, bool) { return e.to, e.from.ID() == id })
}

// To implements graph.Directed.
func (r *recorder) To(id int64) gonum.Nodes {
	return r.collect(func(e edge) (gonum.Node, bool) { return e.from, e.to.ID() == id })
}

func (r *recorder) collect(pick func(edge) (gonum.Node, bool)) gonum.Nodes {
	seen := map[int64]bool{}
	found := []gonum.Node{}
	for _, e := range r.edges {
		if n, ok := pick(e); ok && !seen[n.ID()] {
			seen[n.ID()] = true
			found = append(found, n)
		}
	}
	return iterator.NewOrderedNodes(found)
}

// HasEdgeFromTo implements graph.Directed.
func (r *recorder) HasEdgeFromTo(from, to int64) bool { return r.Edge(from, to) != nil }

// HasEdgeBetween implements graph.Graph.
func (r *recorder) HasEdgeBetween(a, b int64) bool {
	return r.HasEdgeFromTo(a, b) || r.HasEdgeFromTo(b, a)
}

// Edge implements graph.Graph; of several edges, the first.
func (r *recorder) Edge(from, to int64) gonum.Edge {
	for _, e := range r.edges {
		if e.from.ID() == from && e.to.ID() == to {
			return e
		}
	}
	return nil
}
