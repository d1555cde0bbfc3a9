package supernet

import (
	"fmt"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/stages/space"
)

// The operations of NAS-Bench-201, by the names of the space.
const (
	opNone    = "none"
	opSkip    = "skip_connect"
	opConv1x1 = "nor_conv_1x1"
	opConv3x3 = "nor_conv_3x3"
	opAvgPool = "avg_pool_3x3"
)

// edge opens the scope of an edge and, inside it, of an operation.
func edgeScope(g *graph.Graph, e space.Edge, op string) func() {
	return g.Scope(fmt.Sprintf("edge_%d_%d/%s", e.To, e.From, op))
}

// operation applies one operation to x. Its result is nil for "none".
func (l *layers) operation(op string, x *graph.Value, affine bool) *graph.Value {
	switch op {
	case opNone:
		return nil
	case opSkip:
		return x
	case opConv1x1:
		return l.reluConvNorm(x, x.Dim(1), 1, 1, affine, nil)
	case opConv3x3:
		return l.reluConvNorm(x, x.Dim(1), 3, 1, affine, nil)
	case opAvgPool:
		return graph.AveragePool(x, graph.SquarePool(3, 1, 1))
	}
	return l.named(op, x, affine, nil)
}

// nodes runs through the nodes of a cell: terms returns what edge e adds to its node. With partial channels, terms is
// about those that the operations are given, and weighted gives the weight of those that go past them, when it is not nil.
func (l *layers) nodes(s *space.Space, x *graph.Value, weighted func(e int) *graph.Value, terms func(e int, from *graph.Value) []*graph.Value) *graph.Value {
	states := []*graph.Value{x}
	for n := 1; n < s.Nodes; n++ {
		var sum, past []*graph.Value
		for e, edge := range s.Edges {
			if edge.To != n {
				continue
			}
			sum = append(sum, terms(e, l.given(states[edge.From]))...)
			if l.parts > 1 {
				var weight *graph.Value
				if weighted != nil {
					weight = weighted(e)
				}
				past = append(past, l.past(states[edge.From], 1, weight))
			}
		}
		if len(sum) == 0 {
			// Every edge into the node is "none": it is zero, but what is applied to it need not be.
			sum = append(sum, graph.Mul(l.given(x), x.Graph().Scalar(0)))
		}
		states = append(states, l.join(graph.Sum(sum...), past))
	}
	return states[len(states)-1]
}

// discreteCell is the cell of one architecture.
func (l *layers) discreteCell(s *space.Space, a space.Architecture, affine bool) func(*graph.Value) *graph.Value {
	return func(x *graph.Value) *graph.Value {
		return l.nodes(s, x, nil, func(e int, from *graph.Value) []*graph.Value {
			op := s.Operations[a[e]]
			defer edgeScope(x.Graph(), s.Edges[e], op)()
			if y := l.operation(op, from, affine); y != nil {
				return []*graph.Value{y}
			}
			return nil
		})
	}
}

// relaxedCell weighs every operation with its probability [edges, operations]. The weights of normalized operations are the
// scales of their normalization; "none" needs nothing.
func (l *layers) relaxedCell(s *space.Space, probabilities *graph.Value) func(*graph.Value) *graph.Value {
	g := probabilities.Graph()
	weight := func(e, op int) *graph.Value {
		flat := graph.Split(graph.Reshape(probabilities, -1), 0, ones(len(s.Edges)*len(s.Operations))...)
		return flat[e*len(s.Operations)+op]
	}
	return func(x *graph.Value) *graph.Value {
		return l.nodes(s, x, func(e int) *graph.Value { return rowSum(probabilities, e) }, func(e int, from *graph.Value) []*graph.Value {
			var out []*graph.Value
			for o, op := range s.Operations {
				func() {
					defer edgeScope(g, s.Edges[e], op)()
					switch op {
					case opNone:
					case opConv1x1:
						out = append(out, l.reluConvNorm(from, from.Dim(1), 1, 1, false, weight(e, o)))
					case opConv3x3:
						out = append(out, l.reluConvNorm(from, from.Dim(1), 3, 1, false, weight(e, o)))
					default:
						if scales(op) {
							out = append(out, l.named(op, from, false, weight(e, o)))
						} else if y := l.operation(op, from, false); y != nil {
							out = append(out, graph.Mul(y, weight(e, o)))
						}
					}
				}()
			}
			return out
		})
	}
}

// pathCell computes on each edge only the operation that choices [edges] names.
func (l *layers) pathCell(s *space.Space, choices *graph.Value) func(*graph.Value) *graph.Value {
	g := choices.Graph()
	return func(x *graph.Value) *graph.Value {
		return l.nodes(s, x, nil, func(e int, from *graph.Value) []*graph.Value {
			index := graph.Slice(choices, graph.Range{Axis: 0, Start: e, End: e + 1})
			l.chooses(from, e)
			outer := l.watch
			defer func() { l.watch = outer }()
			var branches []func() []*graph.Value
			for _, op := range s.Operations {
				branches = append(branches, func() []*graph.Value {
					defer edgeScope(g, s.Edges[e], op)()
					l.watch = outer.inside()
					y := l.operation(op, from, false)
					if y == nil {
						y = graph.Expand(g.Fill(0, 1), from.Shape()...)
					}
					return l.watch.leaving(y)
				})
			}
			return outer.entered(e, graph.Switch(index, branches...))
		})
	}
}

func ones(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = 1
	}
	return out
}
