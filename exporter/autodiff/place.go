package autodiff

import (
	"slices"

	"github.com/plateau-nas/plateau/exporter/graph"
)

// place puts v at an offset along an axis of the given length, with zeros around it; what falls outside is cut off.
func place(v *graph.Value, axis, offset, length int) *graph.Value {
	start, end := max(-offset, 0), min(v.Dim(axis), length-offset)
	if start >= end {
		shape := slices.Clone(v.Shape())
		shape[axis] = length
		return zeros(v.Graph(), shape)
	}
	v = graph.Slice(v, graph.Range{Axis: axis, Start: start, End: end})
	before, after := make([]int, v.Rank()), make([]int, v.Rank())
	before[axis] = max(offset, 0)
	after[axis] = length - before[axis] - v.Dim(axis)
	return graph.Pad(v, before, after, 0)
}

// placeSteps is place with step-1 zeros between the elements: element i goes to start + i*step.
func placeSteps(v *graph.Value, axis, start, step, length int) *graph.Value {
	if step == 1 {
		return place(v, axis, start, length)
	}
	n := v.Dim(axis)
	if n*length <= maxMatrix {
		rows := make([][]float32, n)
		for i := range rows {
			rows[i] = make([]float32, length)
			rows[i][start+i*step] = 1
		}
		return along(v, axis, rows)
	}
	spread := slices.Insert(slices.Clone(v.Shape()), axis+1, 1)
	before, after := make([]int, len(spread)), make([]int, len(spread))
	after[axis+1] = step - 1
	shape := slices.Clone(v.Shape())
	shape[axis] *= step
	return place(graph.Reshape(graph.Pad(graph.Reshape(v, spread...), before, after, 0), shape...), axis, start, length)
}

// maxMatrix is the number of elements up to which placeSteps multiplies by a constant matrix: a quarter of a
// megabyte in the model at most.
const maxMatrix = 1 << 16

// along multiplies the vectors of v along an axis by a constant matrix with a row for each element of the axis; the
// result's axis has the length of the rows.
func along(v *graph.Value, axis int, rows [][]float32) *graph.Value {
	g, in, out := v.Graph(), len(rows), len(rows[0])
	shape := slices.Clone(v.Shape())
	shape[axis] = out
	if product(shape[axis+1:]) == 1 {
		matrix := g.Floats(slices.Concat(rows...), in, out)
		return graph.Reshape(graph.MatMul(graph.Reshape(v, -1, in), matrix), shape...)
	}
	transposed := make([]float32, 0, in*out)
	for j := range out {
		for i := range in {
			transposed = append(transposed, rows[i][j])
		}
	}
	d := graph.MatMul(g.Floats(transposed, out, in), graph.Reshape(v, -1, in, product(shape[axis+1:])))
	return graph.Reshape(d, shape...)
}
