package rewrite

import (
	"fmt"
	"math"
	"slices"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

func flattenShape(n *onnx.NodeProto, in [][]int64) ([]int64, error) {
	axis := intAttribute(n, "axis", 1)
	if axis < 0 {
		axis += int64(len(in[0]))
	}
	if axis < 0 || axis > int64(len(in[0])) {
		return nil, fmt.Errorf("axis %d is outside the shape", axis)
	}
	rows, err := product(in[0][:axis]...)
	if err != nil {
		return nil, err
	}
	columns, err := product(in[0][axis:]...)
	return []int64{rows, columns}, err
}

func (w *walk) reshapeShape(n *onnx.NodeProto, in [][]int64) ([]int64, error) {
	to, err := w.list(n, 1, "shape")
	if err != nil {
		return nil, err
	}
	total, err := product(in[0]...)
	if err != nil {
		return nil, err
	}
	out, hole, known := slices.Clone(to), -1, int64(1)
	if out == nil {
		out = []int64{}
	}
	for i, d := range out {
		if d == 0 && intAttribute(n, "allowzero", 0) == 0 {
			if i >= len(in[0]) {
				return nil, fmt.Errorf("the new shape %v copies a dimension that is not there", to)
			}
			out[i] = in[0][i]
		}
		if d == -1 && hole < 0 {
			hole = i
			continue
		}
		if known, err = product(known, out[i]); err != nil {
			return nil, err
		}
	}
	if hole >= 0 && known > 0 {
		out[hole] = total / known
		known *= out[hole]
	}
	if known != total {
		return nil, fmt.Errorf("%d elements do not fill the shape %v", total, to)
	}
	return out, nil
}

func transposeShape(n *onnx.NodeProto, in [][]int64) ([]int64, error) {
	perm := attribute(n, "perm").GetInts()
	out := slices.Clone(in[0])
	if perm == nil {
		slices.Reverse(out)
		return out, nil
	}
	sorted := slices.Sorted(slices.Values(perm))
	for i := range sorted {
		if len(perm) != len(out) || sorted[i] != int64(i) {
			return nil, fmt.Errorf("%v does not permute the dimensions", perm)
		}
	}
	if len(perm) != len(out) {
		return nil, fmt.Errorf("%v does not permute the dimensions", perm)
	}
	for i, p := range perm {
		out[i] = in[0][p]
	}
	return out, nil
}

func concatShape(n *onnx.NodeProto, in [][]int64) ([]int64, error) {
	axis, err := axisOf(intAttribute(n, "axis", 1), len(in[0]))
	if err != nil {
		return nil, err
	}
	out := slices.Clone(in[0])
	for _, s := range in[1:] {
		if len(s) != len(out) {
			return nil, fmt.Errorf("the ranks differ")
		}
		out[axis] += s[axis]
	}
	return out, nil
}

func (w *walk) splitShapes(n *onnx.NodeProto, in [][]int64) ([][]int64, error) {
	axis, err := axisOf(intAttribute(n, "axis", 0), len(in[0]))
	if err != nil {
		return nil, err
	}
	sizes, err := w.list(n, 1, "split")
	if err != nil {
		return nil, err
	}
	count := int64(len(n.GetOutput()))
	if sizes == nil && count > 0 {
		each := (in[0][axis] + count - 1) / count
		for i := range count { // the last part is the smaller one when they do not come out even
			sizes = append(sizes, min(each, in[0][axis]-i*each))
		}
	}
	if int64(len(sizes)) != count {
		return nil, fmt.Errorf("%d sizes for %d outputs", len(sizes), count)
	}
	out := make([][]int64, count)
	for i, size := range sizes {
		out[i] = slices.Clone(in[0])
		out[i][axis] = size
	}
	return out, nil
}

func (w *walk) sliceShape(n *onnx.NodeProto, in [][]int64) ([]int64, error) {
	out := slices.Clone(in[0])
	err := w.eachSlice(n, len(out), func(axis int, start, end, step int64) error {
		start, end, err := clampSlice(out[axis], start, end, step)
		if err != nil {
			return err
		}
		out[axis] = sliceCount(start, end, step)
		return nil
	})
	return out, err
}

// eachSlice calls f for every range of a Slice node, whose operands are attributes before operator set 10.
func (w *walk) eachSlice(n *onnx.NodeProto, rank int, f func(axis int, start, end, step int64) error) error {
	var lists [4][]int64
	for i, name := range []string{"starts", "ends", "axes", "steps"} {
		var err error
		if lists[i], err = w.list(n, i+1, name); err != nil {
			return err
		}
	}
	starts, ends, axes, steps := lists[0], lists[1], lists[2], lists[3]
	for i := range starts {
		axis, step := int64(i), int64(1)
		if axes != nil && i < len(axes) {
			axis = axes[i]
		}
		if steps != nil && i < len(steps) {
			step = steps[i]
		}
		a, err := axisOf(axis, rank)
		if err != nil {
			return err
		}
		if i >= len(ends) {
			return fmt.Errorf("%d starts and %d ends", len(starts), len(ends))
		}
		if err := f(a, starts[i], ends[i], step); err != nil {
			return err
		}
	}
	return nil
}

// clampSlice resolves bounds that count from the back or lie outside, as the operator defines.
func clampSlice(size, start, end, step int64) (int64, int64, error) {
	if step == 0 {
		return 0, 0, fmt.Errorf("a slice has step 0")
	}
	low, high := int64(0), size
	if step < 0 {
		low, high = -1, size-1
	}
	bound := func(v int64) int64 {
		if v < 0 {
			v += size
		}
		return min(max(v, low), high)
	}
	return bound(start), bound(end), nil
}

// sliceCount is the number of elements from start in steps before end, both within a dimension.
func sliceCount(start, end, step int64) int64 {
	if step < 0 {
		start, end, step = end, start, -max(step, -math.MaxInt64)
	}
	if start >= end {
		return 0
	}
	return (end-start-1)/step + 1
}

func (w *walk) squeezeShape(n *onnx.NodeProto, in [][]int64) ([]int64, error) {
	axes, err := w.list(n, 1, "axes")
	if err != nil {
		return nil, err
	}
	unsqueeze := n.GetOpType() == "Unsqueeze"
	if axes == nil {
		return slices.DeleteFunc(slices.Clone(in[0]), func(d int64) bool { return d == 1 && !unsqueeze }), nil
	}
	rank := len(in[0])
	if unsqueeze {
		rank += len(axes)
	}
	resolved := make([]int, len(axes))
	for i, a := range axes {
		if resolved[i], err = axisOf(a, rank); err != nil {
			return nil, err
		}
	}
	if !unsqueeze {
		return drop(in[0], resolved, false), nil
	}
	slices.Sort(resolved)
	out := slices.Clone(in[0])
	for _, a := range resolved {
		if a > len(out) {
			return nil, fmt.Errorf("the axes %v repeat", axes)
		}
		out = slices.Insert(out, a, 1)
	}
	return out, nil
}

func (w *walk) padShape(n *onnx.NodeProto, in [][]int64) ([]int64, error) {
	pads, err := w.list(n, 1, "pads")
	if err != nil {
		return nil, err
	}
	axes, err := w.list(n, 3, "axes")
	if err != nil {
		return nil, err
	}
	out := slices.Clone(in[0])
	count := len(out)
	if axes != nil {
		count = len(axes)
	}
	if len(pads) != 2*count {
		return nil, fmt.Errorf("the padding %v does not fit the rank", pads)
	}
	for i := range count {
		a := i
		if axes != nil {
			if a, err = axisOf(axes[i], len(out)); err != nil {
				return nil, err
			}
		}
		out[a] += pads[i] + pads[count+i]
	}
	return out, nil
}

func (w *walk) reduceShape(n *onnx.NodeProto, in [][]int64) ([]int64, error) {
	axes, err := w.list(n, 1, "axes")
	if err != nil {
		return nil, err
	}
	var resolved []int
	for _, a := range axes {
		r, err := axisOf(a, len(in[0]))
		if err != nil {
			return nil, err
		}
		resolved = append(resolved, r)
	}
	if len(axes) == 0 {
		if intAttribute(n, "noop_with_empty_axes", 0) != 0 {
			return in[0], nil
		}
		for i := range in[0] {
			resolved = append(resolved, i)
		}
	}
	return drop(in[0], resolved, intAttribute(n, "keepdims", 1) != 0), nil
}

// drop removes dimensions, or makes them 1.
func drop(shape []int64, axes []int, keep bool) []int64 {
	out := []int64{}
	for i, d := range shape {
		switch {
		case !slices.Contains(axes, i):
			out = append(out, d)
		case keep:
			out = append(out, 1)
		}
	}
	return out
}
