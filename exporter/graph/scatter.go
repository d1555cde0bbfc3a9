package graph

import "slices"

// GatherElements picks single elements of x along an axis: the result has the shape of the int64 indices, and at each
// place the element of x at the same place but for the axis, where it is the index's. Except along the axis
// the indices fit into x's shape. It is torch.gather.
func GatherElements(x, indices *Value, axis int) *Value {
	g := graphOf(x)
	a := x.axis("GatherElements", axis)
	if indices.dtype != Int64 || !fitsBeside(x.shape, indices.shape, a) {
		g.fail("GatherElements", "the indices %v%v do not fit %v%v", indices.dtype, indices.shape, x.dtype, x.shape)
	}
	return g.node("GatherElements", []*Value{x, indices}, Attributes{{"axis", a}}, nil, []spec{{x.dtype, indices.shape}}, true)[0]
}

// ScatterElements returns x with the elements along an axis that the int64 indices name replaced by the updates; which
// update wins where several name one place is not defined. indices and updates have one shape, which except
// along the axis fits into x's. It is torch.scatter.
func ScatterElements(x, indices, updates *Value, axis int) *Value {
	return scatter("ScatterElements", x, indices, updates, axis, "none")
}

// ScatterAdd returns x with the updates added along an axis at the places that the int64 indices name; places named
// several times add up. indices and updates have one shape, which except along the axis fits into x's. It is
// torch.scatter_add.
func ScatterAdd(x, indices, updates *Value, axis int) *Value {
	return scatter("ScatterAdd", x, indices, updates, axis, "add")
}

func scatter(op string, x, indices, updates *Value, axis int, reduction string) *Value {
	g := graphOf(x)
	a := x.axis(op, axis)
	fits := slices.Equal(indices.shape, updates.shape) && fitsBeside(x.shape, indices.shape, a)
	if !fits || indices.dtype != Int64 || updates.dtype != x.dtype {
		g.fail(op, "the indices %v%v and updates %v%v do not fit %v%v", indices.dtype, indices.shape, updates.dtype, updates.shape, x.dtype, x.shape)
	}
	return g.node("ScatterElements", []*Value{x, indices, updates}, Attributes{{"axis", a}, {"reduction", reduction}}, nil, []spec{{x.dtype, x.shape}}, true)[0]
}

// fitsBeside reports whether indices have x's rank and, but for the axis, no dimension larger than x's.
func fitsBeside(x, indices []int, axis int) bool {
	if len(indices) != len(x) {
		return false
	}
	for i, d := range indices {
		if i != axis && d > x[i] {
			return false
		}
	}
	return true
}
