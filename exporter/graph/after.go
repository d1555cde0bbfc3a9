package graph

import "slices"

// After returns the float32 value v, equal in every bit, as a value that cannot be there before those of deps are. It copies
// v, which should be small.
//
// ONNX says nothing of when a node runs. ONNX Runtime goes depth first from the outputs, so that what depends only on values that
// exist early often runs long before it is needed, and its results take memory meanwhile. After joins v with an empty slice
// of each dependency, which changes nothing but the order.
func After(v *Value, deps ...*Value) *Value {
	g := graphOf(v)
	for _, d := range deps {
		if d.dtype != Float32 || v.dtype != Float32 {
			g.fail("After", "orders float32 values, has %v and %v", v.dtype, d.dtype)
			return v
		}
	}
	if len(deps) == 0 {
		return v
	}
	zero := g.Ints(0)
	rows := func(x *Value) []int { return x.shape[min(1, len(x.shape)):] }
	flat := len(v.shape) == 0 || slices.ContainsFunc(deps, func(d *Value) bool { return len(d.shape) == 0 || !slices.Equal(rows(d), rows(v)) })
	shape := v.shape
	if flat {
		v = Reshape(v, v.Size())
	}
	parts := []*Value{v}
	for _, d := range deps {
		if flat {
			d = Reshape(d, d.Size())
		}
		parts = append(parts, g.node("Slice", []*Value{d, zero, zero, zero}, nil, nil, []spec{{Float32, append([]int{0}, rows(v)...)}}, true)[0])
	}
	joined := g.node("Concat", parts, Attributes{{"axis", 0}}, nil, []spec{{Float32, v.shape}}, true)[0]
	return Reshape(joined, shape...)
}
