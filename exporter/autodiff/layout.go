package autodiff

import (
	"errors"
	"slices"

	"github.com/plateau-nas/plateau/exporter/graph"
)

func reshapeRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	return []*graph.Value{graph.Reshape(dy[0], n.Inputs[0].Shape()...), nil}
}

func transposeRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	perm := n.Attrs.Ints("perm", nil)
	inverse := make([]int, len(perm))
	for i, p := range perm {
		inverse[p] = i
	}
	return one(graph.Transpose(dy[0], inverse...))
}

func expandRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	return []*graph.Value{unbroadcast(dy[0], n.Inputs[0].Shape()), nil}
}

// concatRule cuts dy into the parts again, with one Split when all are wanted.
func concatRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	axis := n.Attrs.Int("axis", 0)
	if !slices.Contains(need, false) {
		sizes := make([]int, len(n.Inputs))
		for i, x := range n.Inputs {
			sizes[i] = x.Dim(axis)
		}
		return graph.Split(dy[0], axis, sizes...)
	}
	out := make([]*graph.Value, len(n.Inputs))
	at := 0
	for i, x := range n.Inputs {
		end := at + x.Dim(axis)
		if need[i] {
			out[i] = graph.Slice(dy[0], graph.Range{Axis: axis, Start: at, End: end})
		}
		at = end
	}
	return out
}

// splitRule joins the parts again, with zeros for those that no output needs.
func splitRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	parts := slices.Clone(dy)
	for i, d := range parts {
		if d == nil {
			parts[i] = zeros(n.Inputs[0].Graph(), n.Outputs[i].Shape())
		}
	}
	return []*graph.Value{graph.Concat(n.Attrs.Int("axis", 0), parts...), nil}
}

// sliceRule puts dy back in its place among zeros.
func sliceRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	x, d := n.Inputs[0], dy[0]
	out := make([]*graph.Value, len(n.Inputs))
	ranges, ok := graph.SliceOf(n)
	if !ok {
		x.Graph().Fail("Slice", errors.New("the ranges are not constants"))
		return out
	}
	for _, r := range ranges {
		d = placeSteps(d, r.Axis, r.Start, r.Step, x.Dim(r.Axis))
	}
	out[0] = d
	return out
}

func padRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	x := n.Inputs[0]
	out := make([]*graph.Value, len(n.Inputs))
	pads, err := n.Inputs[1].Constant().Int64s()
	if err != nil {
		x.Graph().Fail("Pad", err)
		return out
	}
	var ranges []graph.Range
	for i, d := range x.Shape() {
		if d != dy[0].Dim(i) {
			ranges = append(ranges, graph.Range{Axis: i, Start: int(pads[i]), End: int(pads[i]) + d})
		}
	}
	out[0] = graph.Slice(dy[0], ranges...)
	return out
}

// gatherRule multiplies by the one-hot matrix of the indices: rows that were picked several times add up, and
// the matrix is small where networks gather (classes, kernel positions).
func gatherRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	x, index := n.Inputs[0], n.Inputs[1]
	axis := n.Attrs.Int("axis", 0)
	depth, picks := x.Dim(axis), index.Size()
	before, rest := product(x.Shape()[:axis]), product(x.Shape()[axis+1:])
	rows := graph.Transpose(graph.OneHot(graph.Reshape(index, picks), depth), 1, 0) // [depth, picks]
	d := graph.MatMul(rows, graph.Reshape(dy[0], before, picks, rest))
	return []*graph.Value{graph.Reshape(d, x.Shape()...), nil}
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
