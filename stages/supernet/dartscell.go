package supernet

import (
	"fmt"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/stages/space"
)

// The operations of the DARTS space that NAS-Bench-201 does not have, by their public names.
const (
	opMaxPool  = "max_pool_3x3"
	opSep3x3   = "sep_conv_3x3"
	opSep5x5   = "sep_conv_5x5"
	opDilated3 = "dil_conv_3x3"
	opDilated5 = "dil_conv_5x5"
)

// dartsOperation applies one operation to x. In search normalization has no parameters, pools are normalized too, and scale
// is the weight of the operation, of one element: it is the scale of the last normalization where there is one. A stand-alone
// network has affine normalization, plain pools and no scale. The result of "none" is nil.
func (l *layers) dartsOperation(op string, x *graph.Value, stride int, scale *graph.Value) *graph.Value {
	search := scale != nil
	pooled := func(y *graph.Value) *graph.Value {
		if search {
			return l.norm(y, false, scale)
		}
		return y
	}
	separable := func(name string, x *graph.Value, kernel, stride int, scale *graph.Value) *graph.Value {
		defer x.Graph().Scope(name)()
		return l.separable(x, kernel, stride, 1, !search, scale)
	}
	twice := func(kernel int) *graph.Value {
		return separable("b", separable("a", x, kernel, stride, nil), kernel, 1, scale)
	}
	switch op {
	case opNone:
		return nil
	case opMaxPool:
		return pooled(graph.MaxPool(x, graph.SquarePool(3, stride, 1)))
	case opAvgPool:
		return pooled(graph.AveragePool(x, graph.SquarePool(3, stride, 1)))
	case opSkip:
		switch {
		case stride != 1:
			return l.factorizedReduce(x, x.Dim(1), !search, scale)
		case search:
			return graph.Mul(x, scale)
		}
		return x
	case opSep3x3:
		return twice(3)
	case opSep5x5:
		return twice(5)
	case opDilated3:
		return l.separable(x, 3, stride, 2, !search, scale)
	case opDilated5:
		return l.separable(x, 5, stride, 2, !search, scale)
	}
	x.Graph().Fail("cell", fmt.Errorf("no operation is called %q", op))
	return x
}

// separable is ReLU, depthwise convolution, 1x1 convolution, normalization.
func (l *layers) separable(x *graph.Value, kernel, stride, dilation int, affine bool, scale *graph.Value) *graph.Value {
	g, c := x.Graph(), x.Dim(1)
	depthwise := l.param(g, "depthwise.weight", params.Conv, c, 1, kernel, kernel)
	pointwise := l.param(g, "pointwise.weight", params.Conv, c, c, 1, 1)
	x = graph.Conv(graph.Relu(x), depthwise, nil, graph.Same(kernel, stride, dilation, c))
	return l.norm(graph.Conv(x, pointwise, nil, graph.ConvConfig{}), affine, scale)
}

// factorizedReduce halves the resolution: half of the channels come from the pixels of even rows and columns, half from those
// of odd ones. Height and width are even. The pixels are picked first, which all that reduce the same x share.
func (l *layers) factorizedReduce(x *graph.Value, out int, affine bool, scale *graph.Value) *graph.Value {
	g := x.Graph()
	if out%2 != 0 {
		g.Fail("factorized reduce", fmt.Errorf("%d channels do not have two halves", out))
		return x
	}
	x = graph.Relu(x)
	half := func(name string, from int) *graph.Value {
		w := l.param(g, name+".weight", params.Conv, out/2, x.Dim(1), 1, 1)
		picked := graph.Slice(x, graph.Range{Axis: 2, Start: from, Step: 2}, graph.Range{Axis: 3, Start: from, Step: 2})
		return graph.Conv(picked, w, nil, graph.ConvConfig{})
	}
	return l.norm(graph.Concat(1, half("even", 0), half("odd", 1)), affine, scale)
}

// preprocess brings both inputs of a cell to its channels and resolution.
func (l *layers) preprocess(p place, s0, s1 *graph.Value, affine bool) []*graph.Value {
	g := s0.Graph()
	done := g.Scope("preprocess0")
	if p.afterReduce {
		s0 = l.factorizedReduce(s0, p.channels, affine, nil)
	} else {
		s0 = l.reluConvNorm(s0, p.channels, 1, 1, affine, nil)
	}
	done()
	defer g.Scope("preprocess1")()
	return []*graph.Value{s0, l.reluConvNorm(s1, p.channels, 1, 1, affine, nil)}
}

// stride is that of an edge from the given state: reduction cells halve their two inputs.
func (p place) stride(from int) int {
	if p.reduce && from < space.DARTSInputs {
		return 2
	}
	return 1
}

// relaxedDARTSCell weighs every operation of every edge with probabilities [2, edges, operations], of which the first
// matrix is for normal cells and the second for reduction cells.
func (l *layers) relaxedDARTSCell(probabilities *graph.Value) func(p place, s0, s1 *graph.Value) *graph.Value {
	g := probabilities.Graph()
	edges, operations := space.DARTSCellEdges(), space.DARTSOperations()
	weights := graph.Split(graph.Reshape(probabilities, -1), 0, ones(probabilities.Size())...)
	return func(p place, s0, s1 *graph.Value) *graph.Value {
		states := l.preprocess(p, s0, s1, false)
		first := 0
		if p.reduce {
			first = len(edges) * len(operations)
		}
		for n := range space.DARTSNodes {
			var terms []*graph.Value
			for e, edge := range edges {
				if edge.To != space.DARTSInputs+n {
					continue
				}
				for o, op := range operations {
					done := edgeScope(g, edge, op)
					if y := l.dartsOperation(op, states[edge.From], p.stride(edge.From), weights[first+e*len(operations)+o]); y != nil {
						terms = append(terms, y)
					}
					done()
				}
			}
			states = append(states, graph.Sum(terms...))
		}
		return graph.Concat(1, states[space.DARTSInputs:]...)
	}
}

// genotypeCell is the cell of a genotype. dropped, when not nil, applies drop path to the result of an edge.
func (l *layers) genotypeCell(gt space.Genotype, dropped func(*graph.Value) *graph.Value) func(p place, s0, s1 *graph.Value) *graph.Value {
	return func(p place, s0, s1 *graph.Value) *graph.Value {
		states := l.preprocess(p, s0, s1, true)
		for n, node := range cellOf(gt, p) {
			var terms []*graph.Value
			for _, e := range node {
				done := edgeScope(s0.Graph(), space.Edge{From: e.Input, To: space.DARTSInputs + n}, e.Op)
				y := l.dartsOperation(e.Op, states[e.Input], p.stride(e.Input), nil)
				if dropped != nil && drops(p, e) {
					y = dropped(y)
				}
				done()
				terms = append(terms, y)
			}
			states = append(states, graph.Sum(terms...))
		}
		return graph.Concat(1, states[space.DARTSInputs:]...)
	}
}

// drops reports whether drop path applies to an edge: to all but the identity.
func drops(p place, e space.GenotypeEdge) bool {
	return e.Op != opSkip || p.stride(e.Input) != 1
}

// cellOf returns the cell of a genotype that stands at a place.
func cellOf(gt space.Genotype, p place) space.GenotypeCell {
	if p.reduce {
		return gt.Reduce
	}
	return gt.Normal
}
