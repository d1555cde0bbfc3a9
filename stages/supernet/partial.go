package supernet

import (
	"fmt"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/space"
)

// Partial channels (PC-DARTS; Xu et al., ICLR 2020; yuhuixu1993/PC-DARTS, model_search.py): on every edge the operations are given
// the first C/parts channels. The others go past them, by a 2x2 max pool where the edge halves the resolution, and what
// comes of both is shuffled, so that the next edges give their operations other channels. All that follows the
// operations is linear and the same for every edge, so it is done once a node.
//
// Where the operations are weighed, what goes past them is weighed with the sum of their weights. That is 1 for edge
// probabilities, and the weight of the edge where it is multiplied into the probabilities, as PC-DARTS does.

// given returns the channels of a state that operations are given.
func (l *layers) given(x *graph.Value) *graph.Value {
	if l.parts <= 1 {
		return x
	}
	return graph.Slice(x, graph.Range{Axis: 1, Start: 0, End: x.Dim(1) / l.parts})
}

// past returns the channels of a state that go past the operations of an edge, times the weight of the edge, which is nil or
// has one element; nil when there are none.
func (l *layers) past(x *graph.Value, stride int, weight *graph.Value) *graph.Value {
	if l.parts <= 1 {
		return nil
	}
	y := graph.Slice(x, graph.Range{Axis: 1, Start: x.Dim(1) / l.parts, End: x.Dim(1)})
	if stride > 1 {
		y = graph.MaxPool(y, graph.SquarePool(2, stride, 0))
	}
	if weight != nil {
		y = graph.Mul(y, weight)
	}
	return y
}

// join makes a node of the sum of what the operations of its edges give and of what went past them.
func (l *layers) join(sum *graph.Value, past []*graph.Value) *graph.Value {
	if l.parts <= 1 {
		return sum
	}
	y := graph.Concat(1, sum, graph.Sum(past...))
	n, c, h, w := y.Dim(0), y.Dim(1), y.Dim(2), y.Dim(3)
	return graph.Reshape(graph.Transpose(graph.Reshape(y, n, l.parts, c/l.parts, h*w), 0, 2, 1, 3), n, c, h, w)
}

// rowSum returns the sum [1] of row e of a matrix.
func rowSum(matrix *graph.Value, e int) *graph.Value {
	row := graph.Slice(matrix, graph.Range{Axis: 0, Start: e, End: e + 1})
	return graph.Reshape(graph.ReduceSum(row, true, 1), 1)
}

// checkPartial reports whether the channels can be divided.
func (m Macro) checkPartial(s *space.Space) error {
	fail := func(format string, args ...any) error {
		return &pipeline.SettingError{Path: "partial_channels", Err: fmt.Errorf(format, args...)}
	}
	switch {
	case m.Partial < 0:
		return fail("one in %d channels; give 1 for all channels, or for example 4 for a quarter of them", m.Partial)
	case m.Partial <= 1 || m.Channels < 1:
		return nil
	case m.Channels%m.Partial != 0:
		return fail("%d channels cannot be divided by %d; give channels that can", m.Channels, m.Partial)
	}
	return nil
}
