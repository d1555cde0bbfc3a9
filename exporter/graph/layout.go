package graph

import "slices"

// Reshape gives the elements another shape of the same size. One dimension may be -1 and is then computed.
func Reshape(x *Value, shape ...int) *Value {
	g := graphOf(x)
	out := slices.Clone(shape)
	hole, known := -1, 1
	for i, d := range out {
		switch {
		case d == -1 && hole < 0:
			hole = i
		case d < 0:
			g.fail("Reshape", "the shape %v has a negative dimension", shape)
		default:
			known *= d
		}
	}
	if hole >= 0 {
		out[hole] = x.Size() / max(known, 1)
	}
	if size(out) != x.Size() {
		g.fail("Reshape", "%v has %d elements, %v wants %d", x.shape, x.Size(), shape, size(out))
	}
	if slices.Equal(out, x.shape) {
		return x
	}
	return g.node("Reshape", []*Value{x, g.Ints(out...)}, nil, nil, []spec{{x.dtype, out}}, true)[0]
}

// Flatten makes a matrix of x: the dimensions before axis become its rows, the others its columns. Unlike
// Reshape it leaves the size of the batch open.
func Flatten(x *Value, axis int) *Value {
	g := graphOf(x)
	a := x.axis("Flatten", axis)
	out := []int{size(x.shape[:a]), size(x.shape[a:])}
	return g.node("Flatten", []*Value{x}, Attributes{{"axis", a}}, nil, []spec{{x.dtype, out}}, true)[0]
}

// Transpose permutes the dimensions: dimension i of the result is dimension perm[i] of x.
func Transpose(x *Value, perm ...int) *Value {
	g := graphOf(x)
	// Checked whole before it is used: an entry out of range must not reach the shape.
	valid := len(perm) == len(x.shape)
	for i, p := range slices.Sorted(slices.Values(perm)) {
		valid = valid && p == i
	}
	if !valid {
		g.fail("Transpose", "%v is not a permutation of the dimensions of %v", perm, x.shape)
		return g.dummy(x.dtype, x.shape)
	}
	out := make([]int, len(perm))
	for i, p := range perm {
		out[i] = x.shape[p]
	}
	// Dimensions of 1 can be anywhere without an element being moved.
	moved := slices.DeleteFunc(slices.Clone(perm), func(p int) bool { return x.shape[p] == 1 })
	if slices.IsSorted(moved) {
		return Reshape(x, out...)
	}
	return g.node("Transpose", []*Value{x}, Attributes{{"perm", slices.Clone(perm)}}, nil, []spec{{x.dtype, out}}, true)[0]
}

// Concat joins values along an axis; the other dimensions are equal. One value is returned as it is; of none nil.
func Concat(axis int, xs ...*Value) *Value {
	if len(xs) == 0 {
		return nil
	}
	if len(xs) == 1 {
		return xs[0]
	}
	g := graphOf(xs...)
	a := xs[0].axis("Concat", axis)
	out := slices.Clone(xs[0].shape)
	if len(out) == 0 {
		return g.dummy(xs[0].dtype, out)
	}
	for _, x := range xs[1:] {
		same := len(x.shape) == len(out) && x.dtype == xs[0].dtype
		for i := 0; same && i < len(out); i++ {
			same = i == a || x.shape[i] == out[i]
		}
		if !same {
			g.fail("Concat", "%v%v and %v%v do not join along axis %d", xs[0].dtype, xs[0].shape, x.dtype, x.shape, a)
			return g.dummy(xs[0].dtype, out)
		}
		out[a] += x.shape[a]
	}
	return g.node("Concat", xs, Attributes{{"axis", a}}, nil, []spec{{xs[0].dtype, out}}, true)[0]
}

// Split cuts x along an axis into parts of the given sizes.
func Split(x *Value, axis int, sizes ...int) []*Value {
	g := graphOf(x)
	a := x.axis("Split", axis)
	total, negative := 0, false
	specs := make([]spec, len(sizes))
	for i, n := range sizes {
		sh := slices.Clone(x.shape)
		if len(sh) > 0 {
			sh[a] = n
		}
		specs[i] = spec{x.dtype, sh}
		total += n
		negative = negative || n < 0
	}
	if negative || len(x.shape) > 0 && total != x.shape[a] {
		g.fail("Split", "the parts %v do not add up to axis %d of %v", sizes, a, x.shape)
	}
	if len(sizes) == 1 {
		return []*Value{x}
	}
	return g.node("Split", []*Value{x, g.Ints(sizes...)}, Attributes{{"axis", a}}, nil, specs, true)
}

// Range is a part of an axis for Slice: Start, Start+Step, ... before End, all counted from the front. An End of 0
// or less counts from the back (0 is the end itself). Step 0 means 1; a negative step is not supported.
type Range struct {
	Axis, Start, End, Step int
}

// Slice takes parts of axes.
func Slice(x *Value, ranges ...Range) *Value {
	g := graphOf(x)
	out := slices.Clone(x.shape)
	var starts, ends, axes, steps []int
	for _, r := range ranges {
		a := x.axis("Slice", r.Axis)
		if len(x.shape) == 0 {
			return g.dummy(x.dtype, x.shape)
		}
		end := r.End
		if end <= 0 {
			end += x.shape[a]
		}
		step := max(r.Step, 1)
		if r.Start < 0 || r.Start > end || end > x.shape[a] || r.Step < 0 || slices.Contains(axes, a) {
			g.fail("Slice", "the range %+v does not lie in %v", r, x.shape)
			return g.dummy(x.dtype, x.shape)
		}
		out[a] = (end - r.Start + step - 1) / step
		starts, ends, axes, steps = append(starts, r.Start), append(ends, end), append(axes, a), append(steps, step)
	}
	if slices.Equal(out, x.shape) {
		return x
	}
	return g.node("Slice", []*Value{x, g.Ints(starts...), g.Ints(ends...), g.Ints(axes...), g.Ints(steps...)}, nil, nil, []spec{{x.dtype, out}}, true)[0]
}

// SliceOf reads the ranges back from a Slice node that this package has built.
func SliceOf(n *Node) ([]Range, bool) {
	if n.Op != "Slice" || len(n.Inputs) != 5 {
		return nil, false
	}
	var lists [4][]int64
	for i := range lists {
		c := n.Inputs[i+1].Constant()
		if c == nil {
			return nil, false
		}
		v, err := c.Int64s()
		if err != nil {
			return nil, false
		}
		lists[i] = v
	}
	out := make([]Range, len(lists[0]))
	for i := range out {
		out[i] = Range{Axis: int(lists[2][i]), Start: int(lists[0][i]), End: int(lists[1][i]), Step: int(lists[3][i])}
	}
	return out, true
}

// Pad surrounds x with a constant: before[i] elements before and after[i] after dimension i.
func Pad(x *Value, before, after []int, value float32) *Value {
	g := graphOf(x)
	negative := func(n int) bool { return n < 0 }
	if len(before) != len(x.shape) || len(after) != len(x.shape) || slices.ContainsFunc(before, negative) || slices.ContainsFunc(after, negative) || x.dtype != Float32 {
		g.fail("Pad", "the padding %v, %v does not fit %v", before, after, x.shape)
		return g.dummy(x.dtype, x.shape)
	}
	out := slices.Clone(x.shape)
	for i := range out {
		out[i] += before[i] + after[i]
	}
	if slices.Equal(out, x.shape) {
		return x
	}
	return g.node("Pad", []*Value{x, g.Ints(append(slices.Clone(before), after...)...), g.Scalar(value)}, Attributes{{"mode", "constant"}}, nil, []spec{{x.dtype, out}}, true)[0]
}

// Expand broadcasts x to a shape.
func Expand(x *Value, shape ...int) *Value {
	g := graphOf(x)
	if s, ok := BroadcastShapes(x.shape, shape); !ok || !slices.Equal(s, shape) {
		g.fail("Expand", "%v does not broadcast to %v", x.shape, shape)
	}
	if slices.Equal(x.shape, shape) {
		return x
	}
	return g.node("Expand", []*Value{x, g.Ints(shape...)}, nil, nil, []spec{{x.dtype, shape}}, true)[0]
}

// OneHot returns float32 rows of length depth, 1 at the index and 0 elsewhere: indices [N] int64 give [N, depth].
func OneHot(indices *Value, depth int) *Value {
	g := graphOf(indices)
	if indices.dtype != Int64 || depth < 1 {
		g.fail("OneHot", "wants int64 indices and a depth of 1 or more, has %v and %d", indices.dtype, depth)
	}
	out := append(slices.Clone(indices.shape), depth)
	return g.node("OneHot", []*Value{indices, g.Int(depth), g.Floats([]float32{0, 1}, 2)}, Attributes{{"axis", -1}}, nil, []spec{{Float32, out}}, true)[0]
}

// ArgMax returns the int64 index of the first largest element along an axis, which is dropped.
func ArgMax(x *Value, axis int) *Value {
	g := graphOf(x)
	a := x.axis("ArgMax", axis)
	if len(x.shape) == 0 {
		return g.dummy(Int64, nil)
	}
	out := slices.Delete(slices.Clone(x.shape), a, a+1)
	return g.node("ArgMax", []*Value{x}, Attributes{{"axis", a}, {"keepdims", 0}}, nil, []spec{{Int64, out}}, true)[0]
}

// Gather picks slices of x along an axis by an int64 index value of any rank.
func Gather(x, index *Value, axis int) *Value {
	g := graphOf(x)
	a := x.axis("Gather", axis)
	if index.dtype != Int64 {
		g.fail("Gather", "the index is %v, not int64", index.dtype)
	}
	if len(x.shape) == 0 {
		return g.dummy(x.dtype, index.shape)
	}
	out := slices.Concat(x.shape[:a], index.shape, x.shape[a+1:])
	return g.node("Gather", []*Value{x, index}, Attributes{{"axis", a}}, nil, []spec{{x.dtype, out}}, true)[0]
}
