package supernet

import (
	"fmt"
	"strings"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/stages/space"
)

// NewDARTS returns the supernet of the DARTS space in a skeleton. It is New with the skeleton as the space's own.
func NewDARTS(m DARTSMacro) (*Supernet, error) {
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("supernet of darts: %w", err)
	}
	return New(space.DARTS(), m.macro())
}

func (m DARTSMacro) images(g *graph.Graph, batch int) *graph.Value {
	return inputImages(g, batch, Macro{Image: m.Image})
}

// pathDARTSCell computes on each edge only the operation that choices [2 * edges] names, those of normal cells first. An
// edge on which that is "none" costs nothing, so a genotype costs what its own operations cost.
//
// The weights are those of relaxedDARTSCell, which keeps them for all edges that leave a state in one parameter; index
// tells which there are.
func (l *layers) pathDARTSCell(index *params.Index, choices *graph.Value) func(p place, s0, s1 *graph.Value) *graph.Value {
	g := choices.Graph()
	return func(p place, s0, s1 *graph.Value) *graph.Value {
		states := l.preprocess(p, s0, s1, false)
		first := p.firstEdge()
		shares := map[int]*shares{} // of the edges that leave a state
		var terms, past []*graph.Value
		edges := space.DARTSCellEdges()
		for e, edge := range edges {
			if shares[edge.From] == nil {
				shares[edge.From] = l.shares(g, index, edge.From)
			}
			choice := graph.Slice(choices, graph.Range{Axis: 0, Start: first + e, End: first + e + 1})
			terms = append(terms, l.chosenOperation(choice, l.given(states[edge.From]), edge, p, shares[edge.From]))
			past = append(past, l.past(states[edge.From], p.stride(edge.From), nil))
			if e+1 == len(edges) || edges[e+1].To != edge.To {
				states = append(states, l.join(graph.Sum(terms...), past))
				terms, past = nil, nil
			}
		}
		return graph.Concat(1, states[space.DARTSInputs:]...)
	}
}

// chosenOperation applies the operation that choice names to the state that an edge leaves.
func (l *layers) chosenOperation(choice, x *graph.Value, edge space.Edge, p place, own *shares) *graph.Value {
	g, stride := x.Graph(), p.stride(edge.From)
	own.edge = edge.To - max(edge.From+1, space.DARTSInputs)
	on := &layers{params: own} // statistics are not kept: they stay inside the branches
	defer g.Scope(fmt.Sprintf("state%d", edge.From))()
	var branches []func() []*graph.Value
	for _, op := range space.DARTSOperations() {
		branches = append(branches, func() []*graph.Value {
			defer g.Scope(op)()
			y := on.sharedOperation(op, x, stride)
			if y == nil {
				y = graph.Expand(g.Fill(0, 1), x.Dim(0), x.Dim(1), x.Dim(2)/stride, x.Dim(3)/stride)
			}
			return []*graph.Value{y}
		})
	}
	return graph.Switch(choice, branches...)[0]
}

// sharedOperation applies one operation of the supernet to x, on one edge. Its result is nil for "none".
func (l *layers) sharedOperation(op string, x *graph.Value, stride int) *graph.Value {
	switch op {
	case opNone:
		return nil
	case opMaxPool:
		return l.norm(graph.MaxPool(x, graph.SquarePool(3, stride, 1)), false, nil)
	case opAvgPool:
		return l.norm(graph.AveragePool(x, graph.SquarePool(3, stride, 1)), false, nil)
	case opSkip:
		if stride == 1 {
			return x
		}
		return l.factorizedReduce(graph.Relu(x), 1, x.Dim(1), false, nil)
	}
	return l.convolution(op, graph.Relu(x), 1, stride, false, nil)
}

// shares bind the parameters of one edge to its part of those of all edges that leave the same state.
type shares struct {
	parts map[string][]*graph.Value
	edge  int
}

var _ params.Binder = (*shares)(nil)

// shares splits the parameters of the edges that leave a state, in the open scope of a cell.
func (l *layers) shares(g *graph.Graph, index *params.Index, from int) *shares {
	defer g.Scope(fmt.Sprintf("state%d", from))()
	edges := space.DARTSInputs + space.DARTSNodes - max(from+1, space.DARTSInputs)
	out := &shares{parts: map[string][]*graph.Value{}}
	for _, p := range index.All() {
		if !strings.HasPrefix(p.Name, parameterName(g, "")) {
			continue
		}
		sizes := ones(edges)
		for i := range sizes {
			sizes[i] = p.Shape[0] / edges
		}
		out.parts[p.Name] = graph.Split(l.params.Param(p.Name, p.Init, p.Shape...), 0, sizes...)
	}
	return out
}

// Param implements params.Binder.
func (s *shares) Param(name string, _ params.Init, shape ...int) *graph.Value {
	return s.parts[name][s.edge]
}
