package supernet

import (
	"fmt"
	"slices"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/stages/space"
)

// Features is the output of a Stem and the input of a Body: float32 [batch, channels, height, width].
const Features = "features"

// Discrete returns one architecture of the supernet as a graph of its own, with its share of the weights inside the
// model: images give logits. It holds only the operations that Live keeps and computes what the other forms compute,
// normalization using the statistics of the batch. Weights that are constant let ONNX Runtime lay them out in blocks for
// its fastest convolution. weights are all shared weights in the order of the index.
func (sn *Supernet) Discrete(batch int, a space.Architecture, weights []float32) (*onnx.ModelProto, error) {
	return sn.constant("architecture", a, weights, func(g *graph.Graph, l *layers) {
		x := inputImages(g, batch, sn.Macro)
		var logits *graph.Value
		if sn.Space.Pairs {
			logits, _ = l.darts(x, sn.Macro.DARTS(), false, l.discreteDARTSCell(sn.Index, weights, sn.Live(a)))
		} else {
			logits = l.body(l.stem(x, sn.Macro), sn.Macro, l.discreteCell(sn.Space, sn.Live(a), false))
		}
		g.Output(Logits, logits, "Unnormalized scores of the classes.")
	})
}

// HasStem reports whether what all architectures begin with has a graph of its own, so that it can run once for all. In
// the DARTS space it is a small part of a network, and feeds two cells.
func (sn *Supernet) HasStem() bool { return !sn.Space.Pairs }

// Stem returns what all architectures of a supernet that HasStem begin with, the weights inside the model: images give
// features.
func (sn *Supernet) Stem(batch int, weights []float32) (*onnx.ModelProto, error) {
	return sn.constant("stem", nil, weights, func(g *graph.Graph, l *layers) {
		sn.needStem(g)
		g.Output(Features, l.stem(inputImages(g, batch, sn.Macro), sn.Macro), "What the first cell is given.")
	})
}

// Body returns the rest of Discrete, behind the stem: features give logits.
func (sn *Supernet) Body(batch int, a space.Architecture, weights []float32) (*onnx.ModelProto, error) {
	return sn.constant("body", a, weights, func(g *graph.Graph, l *layers) {
		sn.needStem(g)
		x := g.Input(Features, graph.Float32, []int{batch, sn.Macro.Channels, sn.Macro.Image[1] / sn.Macro.stride(), sn.Macro.Image[2] / sn.Macro.stride()}, "Output of the stem.")
		g.Output(Logits, l.body(x, sn.Macro, l.discreteCell(sn.Space, sn.Live(a), false)), "Unnormalized scores of the classes.")
	})
}

func (sn *Supernet) needStem(g *graph.Graph) {
	if !sn.HasStem() {
		g.Fail("stem", fmt.Errorf("the supernet of %s has no stem of its own", sn.Space.Name))
	}
}

// constant builds a graph whose parameters are initializers. a is nil where it does not depend on the architecture.
func (sn *Supernet) constant(name string, a space.Architecture, weights []float32, build func(*graph.Graph, *layers)) (*onnx.ModelProto, error) {
	if a != nil {
		if err := sn.Space.Check(a); err != nil {
			return nil, fmt.Errorf("supernet of %s: %s: %w", sn.Space.Name, name, err)
		}
	}
	g := graph.New(name)
	build(g, &layers{params: params.NewConst(g, sn.Index, weights), parts: sn.Macro.Partial})
	m, err := sn.finish(g, "Part of a weight-sharing supernet with constant weights; normalization uses the statistics of the batch.")
	if err != nil {
		return nil, fmt.Errorf("supernet of %s: %s: %w", sn.Space.Name, name, err)
	}
	return m, nil
}

// discreteDARTSCell is the cell of one architecture with the supernet's weights, which are those of relaxedDARTSCell.
func (l *layers) discreteDARTSCell(index *params.Index, weights []float32, a space.Architecture) func(p place, s0, s1 *graph.Value) *graph.Value {
	return func(p place, s0, s1 *graph.Value) *graph.Value {
		g := s0.Graph()
		states := l.preprocess(p, s0, s1, false)
		first := p.firstEdge()
		var terms, past []*graph.Value
		edges := space.DARTSCellEdges()
		for e, edge := range edges {
			// Names of scopes and parameters are those of the edges that leave the state.
			place := edge.To - max(edge.From+1, space.DARTSInputs)
			on := &layers{params: &part{graph: g, index: index, data: weights, edge: place}}
			op := space.DARTSOperations()[a[first+e]]
			done := g.Scope(fmt.Sprintf("state%d/%s", edge.From, op))
			if y := on.sharedOperation(op, l.given(states[edge.From]), p.stride(edge.From)); y != nil {
				terms = append(terms, y)
			}
			done()
			past = append(past, l.past(states[edge.From], p.stride(edge.From), nil))
			if e+1 < len(edges) && edges[e+1].To == edge.To {
				continue
			}
			states = append(states, l.join(graph.Sum(terms...), past))
			terms, past = nil, nil
		}
		return graph.Concat(1, states[space.DARTSInputs:]...)
	}
}

// part binds the parameters of one edge to its part of those of all edges that leave the same state, as constants.
type part struct {
	graph *graph.Graph
	index *params.Index
	data  []float32
	edge  int
}

var _ params.Binder = (*part)(nil)

// Param implements params.Binder.
func (b *part) Param(name string, _ params.Init, shape ...int) *graph.Value {
	size := 1
	for _, d := range shape {
		size *= d
	}
	p, ok := b.index.Lookup(name)
	if !ok || p.Size() < (b.edge+1)*size || len(b.data) != b.index.Total() {
		b.graph.Fail("Param", fmt.Errorf("the shared weights hold no part %d of %v of a parameter %q", b.edge, shape, name))
		return b.graph.Fill(0, shape...)
	}
	return b.graph.Parameter(fmt.Sprintf("%s.%d", name, b.edge), p.Of(b.data)[b.edge*size:(b.edge+1)*size], shape...)
}

// Live returns the architecture with "none" in place of every operation that has no bearing on the supernet's logits:
// on edges out of a node that is zero, since every operation of the supernet maps zero to zero (its normalization
// in the cells has no parameters), and on edges that do not lead to the cell's output. Architectures that are equal
// after that have equal scores. a must be of the space.
func (sn *Supernet) Live(a space.Architecture) space.Architecture {
	out, none := a.Clone(), slices.Index(sn.Space.Operations, opNone)
	if none < 0 || sn.Space.Pairs { // there every node keeps two edges and is part of the cell's output
		return out
	}
	if sn.Macro.Partial > 1 { // what goes past the operations keeps every node from being zero, and joins it to the output
		return out
	}
	dropZero(out, none, sn.Space.Edges, sn.Space.Nodes)
	dropDead(out, none, sn.Space.Edges, sn.Space.Nodes)
	return out
}

// dropZero puts none on edges out of nodes that are zero; node 0 is the cell's input. Edges lead from lower nodes to
// higher ones, so one pass settles all.
func dropZero(a space.Architecture, none int, edges []space.Edge, nodes int) {
	nonzero := make([]bool, nodes)
	for n := range nodes {
		nonzero[n] = n == 0
		for e, edge := range edges {
			if edge.To == n && !nonzero[edge.From] {
				a[e] = none
			}
			nonzero[n] = nonzero[n] || edge.To == n && a[e] != none
		}
	}
}

// dropDead puts none on edges that do not lead to the last node.
func dropDead(a space.Architecture, none int, edges []space.Edge, nodes int) {
	reaches := make([]bool, nodes)
	reaches[nodes-1] = true
	for n := nodes - 1; n > 0; n-- {
		for e, edge := range edges {
			if edge.To == n && !reaches[n] {
				a[e] = none
			}
			reaches[edge.From] = reaches[edge.From] || edge.To == n && a[e] != none
		}
	}
}
