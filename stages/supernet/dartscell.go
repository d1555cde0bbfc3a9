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

// dartsOperation applies one operation of a stand-alone network to x.
func (l *layers) dartsOperation(op string, x *graph.Value, stride int) *graph.Value {
	switch op {
	case opMaxPool:
		return graph.MaxPool(x, graph.SquarePool(3, stride, 1))
	case opAvgPool:
		return graph.AveragePool(x, graph.SquarePool(3, stride, 1))
	case opSkip:
		if stride == 1 {
			return x
		}
		return l.factorizedReduce(l.relu(x), 1, x.Dim(1), true, nil)
	case opSep3x3, opSep5x5, opDilated3, opDilated5:
		return l.convolution(op, l.relu(x), 1, stride, true, nil)
	}
	x.Graph().Fail("cell", fmt.Errorf("no operation is called %q", op))
	return x
}

// convolution applies one of the convolutions of the space to x [N, C, H, W], which has been through ReLU, on several edges at
// once: the result has the channels of one edge after those of the other.
func (l *layers) convolution(op string, x *graph.Value, edges, stride int, affine bool, scale *graph.Value) *graph.Value {
	kernel := 3
	if op == opSep5x5 || op == opDilated5 {
		kernel = 5
	}
	if op == opDilated3 || op == opDilated5 {
		return l.spread(x, edges, kernel, stride, 2, affine, scale)
	}
	g := x.Graph()
	done := g.Scope("a")
	x = l.relu(l.spread(x, edges, kernel, stride, 1, affine, nil))
	done()
	defer g.Scope("b")()
	return l.separable(x, edges, kernel, 1, 1, affine, scale)
}

// spread is separable for edges that leave the same state x [N, C, H, W]. The depthwise convolution has a filter for each channel and
// edge and gives the results for one channel next to each other, which costs far less than the same filters on copies of
// x. Sorting by edge is left to the 1x1 convolution, which gets zeros between different edges.
func (l *layers) spread(x *graph.Value, edges, kernel, stride, dilation int, affine bool, scale *graph.Value) *graph.Value {
	if edges == 1 || l.copied {
		copies := make([]*graph.Value, edges)
		for i := range copies {
			copies[i] = x
		}
		return l.separable(graph.Concat(1, copies...), edges, kernel, stride, dilation, affine, scale)
	}
	g, channels := x.Graph(), x.Dim(1)
	all := edges * channels
	depthwise, pointwise := l.separableWeights(g, edges, channels, kernel)
	byChannel := graph.Transpose(graph.Reshape(depthwise, edges, channels, kernel*kernel), 1, 0, 2)
	x = l.convolve(x, graph.Reshape(byChannel, all, 1, kernel, kernel), graph.Same(kernel, stride, dilation, channels))
	own := make([]float32, edges*edges)
	for e := range edges {
		own[e*edges+e] = 1
	}
	dense := graph.Mul(graph.Reshape(pointwise, edges, channels, channels, 1), g.Floats(own, edges, 1, 1, edges))
	return l.norm(graph.Conv(x, graph.Reshape(dense, all, all, 1, 1), nil, graph.ConvConfig{}), affine, scale)
}

// separableWeights declares the weights of separable convolutions on several edges, edge by edge.
func (l *layers) separableWeights(g *graph.Graph, edges, channels, kernel int) (depthwise, pointwise *graph.Value) {
	depthwise = l.param(g, "depthwise.weight", params.Conv, edges*channels, 1, kernel, kernel)
	return depthwise, l.param(g, "pointwise.weight", params.Conv, edges*channels, channels, 1, 1)
}

// separable is depthwise convolution, 1x1 convolution, normalization, on several edges at once: x [N, edges * C, H, W] has the
// channels of one edge after those of the other.
func (l *layers) separable(x *graph.Value, edges, kernel, stride, dilation int, affine bool, scale *graph.Value) *graph.Value {
	all := x.Dim(1)
	depthwise, pointwise := l.separableWeights(x.Graph(), edges, all/edges, kernel)
	x = l.convolve(x, depthwise, graph.Same(kernel, stride, dilation, all))
	return l.norm(l.carried(graph.Conv(x, pointwise, nil, graph.ConvConfig{Groups: edges})), affine, scale)
}

// factorizedReduce halves the resolution of x [N, C, H, W], which has been through ReLU, for several edges at once: the result
// [N, edges * out, H/2, W/2] has for each edge half of the channels from the pixels of even rows and columns, half from those of
// odd ones. Height and width are even.
func (l *layers) factorizedReduce(x *graph.Value, edges, out int, affine bool, scale *graph.Value) *graph.Value {
	g := x.Graph()
	if out%2 != 0 {
		g.Fail("factorized reduce", fmt.Errorf("%d channels do not have two halves", out))
		return x
	}
	half := func(name string, from int) *graph.Value {
		w := l.param(g, name+".weight", params.Conv, edges*out/2, x.Dim(1), 1, 1)
		picked := graph.Slice(x, graph.Range{Axis: 2, Start: from, Step: 2}, graph.Range{Axis: 3, Start: from, Step: 2})
		y := graph.Conv(picked, w, nil, graph.ConvConfig{})
		return graph.Reshape(y, y.Dim(0)*edges, out/2, y.Dim(2), y.Dim(3))
	}
	y := graph.Concat(1, half("even", 0), half("odd", 1))
	return l.norm(graph.Reshape(y, x.Dim(0), edges*out, y.Dim(2), y.Dim(3)), affine, scale)
}

// preprocess brings both inputs of a cell to its channels and resolution.
func (l *layers) preprocess(p place, s0, s1 *graph.Value, affine bool) []*graph.Value {
	g := s0.Graph()
	done := g.Scope("preprocess0")
	if p.afterReduce {
		s0 = l.factorizedReduce(l.relu(s0), 1, p.channels, affine, nil)
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

// firstEdge is the row of alpha that belongs to the first edge of the cell.
func (p place) firstEdge() int {
	if p.reduce {
		return space.DARTSEdges
	}
	return 0
}

// genotypeCell is the cell of a genotype. dropped, when not nil, applies drop path to the result of an edge.
func (l *layers) genotypeCell(gt space.Genotype, dropped func(*graph.Value) *graph.Value) func(p place, s0, s1 *graph.Value) *graph.Value {
	return func(p place, s0, s1 *graph.Value) *graph.Value {
		states := l.preprocess(p, s0, s1, true)
		for n, node := range cellOf(gt, p) {
			var terms []*graph.Value
			for _, e := range node {
				done := edgeScope(s0.Graph(), space.Edge{From: e.Input, To: space.DARTSInputs + n}, e.Op)
				y := l.dartsOperation(e.Op, states[e.Input], p.stride(e.Input))
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
