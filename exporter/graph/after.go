package graph

// After returns the float32 value v, equal in every bit, as a value that cannot be there before those of deps are. It copies
// v, which should be small.
//
// ONNX says nothing of when a node runs. ONNX Runtime goes depth first from the outputs, so that what depends only on values that
// exist early often runs long before it is needed, and its results take memory meanwhile. After joins v with an empty slice
// of each dependency, which changes nothing but the order.
func After(v *Value, deps ...*Value) *Value {
	g := graphOf(v)
	parts := []*Value{Reshape(v, v.Size())}
	for _, d := range deps {
		if d.dtype != Float32 || v.dtype != Float32 {
			g.fail("After", "orders float32 values, has %v and %v", v.dtype, d.dtype)
			return v
		}
		zero := g.Ints(0)
		parts = append(parts, g.node("Slice", []*Value{Reshape(d, d.Size()), zero, zero, zero}, nil, nil, []spec{{Float32, []int{0}}}, true)[0])
	}
	if len(deps) == 0 {
		return v
	}
	joined := g.node("Concat", parts, Attributes{{"axis", 0}}, nil, []spec{{Float32, []int{v.Size()}}}, true)[0]
	return Reshape(joined, v.shape...)
}
