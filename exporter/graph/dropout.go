package graph

import "slices"

// ONNX's Dropout in training mode draws its mask from a random stream of the runtime's own, which differs between
// providers and cannot be replayed for a step that is taken again. The functions here take the mask as a value, so
// that whoever runs the graph draws it from a stream that is seeded, and results are the same everywhere. In
// inference neither function is part of a network.

// Dropout zeroes the elements of x whose keep is 0 and divides those whose keep is 1 by 1 - rate, so that the
// mean stays (Srivastava et al., 2014). keep, float32, broadcasts to x and is 1 with probability 1 - rate. rate, float32 of one
// element, lies in [0, 1); it may be an input, for rates that change during training.
func Dropout(x, keep, rate *Value) *Value { return drop("Dropout", x, keep, rate, keep.shape) }

// DropPath is Dropout of whole samples of x [N, ...]: keep is [N] (Huang et al., 2016; drop path in FractalNet and DARTS, where
// it applies to each edge of a cell on its own).
func DropPath(x, keep, rate *Value) *Value {
	if len(keep.shape) != 1 || len(x.shape) == 0 || keep.shape[0] != x.shape[0] {
		graphOf(x).fail("DropPath", "wants keep [N] for x [N, ...], has %v for %v", keep.shape, x.shape)
		return x
	}
	shape := []int{keep.shape[0]}
	for range x.shape[1:] {
		shape = append(shape, 1)
	}
	return drop("DropPath", x, keep, rate, shape)
}

// drop scales the mask, which is never larger than x, before it multiplies. keep is given the shape.
func drop(op string, x, keep, rate *Value, shape []int) *Value {
	g := graphOf(x)
	if s, ok := BroadcastShapes(x.shape, shape); x.dtype != Float32 || keep.dtype != Float32 || !ok || !slices.Equal(s, x.shape) {
		g.fail(op, "the mask %v%v does not broadcast to %v%v", keep.dtype, keep.shape, x.dtype, x.shape)
		return x
	}
	if rate.dtype != Float32 || rate.Size() != 1 {
		g.fail(op, "the rate is %v%v, not one float32", rate.dtype, rate.shape)
		return x
	}
	if rate.data != nil {
		if v, err := rate.data.Float32s(); err != nil || !(v[0] >= 0 && v[0] < 1) {
			g.fail(op, "the rate %v lies outside [0, 1)", v)
		}
	}
	scaled := Div(keep, Sub(g.Scalar(1), Reshape(rate)))
	return Mul(x, Reshape(scaled, shape...))
}
