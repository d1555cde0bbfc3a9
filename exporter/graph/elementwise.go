package graph

import "slices"

// graphOf returns the graph of the first value; every operation has at least one.
func graphOf(vs ...*Value) *Graph { return vs[0].graph }

func unary(op string, x *Value, attrs ...Attribute) *Value {
	return graphOf(x).node(op, []*Value{x}, attrs, nil, []spec{{x.dtype, x.shape}}, true)[0]
}

func binary(op string, a, b *Value, result DType) *Value {
	g := graphOf(a)
	if a.dtype != b.dtype {
		g.fail(op, "the types %v and %v differ", a.dtype, b.dtype)
	}
	shape, ok := BroadcastShapes(a.shape, b.shape)
	if !ok {
		g.fail(op, "the shapes %v and %v do not broadcast", a.shape, b.shape)
	}
	if result == 0 {
		result = a.dtype
	}
	return g.node(op, []*Value{a, b}, nil, nil, []spec{{result, shape}}, true)[0]
}

// BroadcastShapes returns the shape of an elementwise operation on two shapes under NumPy's rules, and whether
// there is one.
func BroadcastShapes(a, b []int) ([]int, bool) {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := slices.Clone(a)
	for i := 1; i <= len(b); i++ {
		x, y := a[len(a)-i], b[len(b)-i]
		switch {
		case x == y || y == 1:
		case x == 1:
			out[len(a)-i] = y
		default:
			return nil, false
		}
	}
	return out, true
}

// Add returns a + b, broadcast.
func Add(a, b *Value) *Value { return binary("Add", a, b, 0) }

// Sub returns a - b, broadcast.
func Sub(a, b *Value) *Value { return binary("Sub", a, b, 0) }

// Mul returns a * b, broadcast.
func Mul(a, b *Value) *Value { return binary("Mul", a, b, 0) }

// Div returns a / b, broadcast.
func Div(a, b *Value) *Value { return binary("Div", a, b, 0) }

// Pow returns a to the power b, broadcast.
func Pow(a, b *Value) *Value { return binary("Pow", a, b, 0) }

// Equal returns a == b as Bool, broadcast.
func Equal(a, b *Value) *Value { return binary("Equal", a, b, Bool) }

// Greater returns a > b as Bool, broadcast.
func Greater(a, b *Value) *Value { return binary("Greater", a, b, Bool) }

// Less returns a < b as Bool, broadcast.
func Less(a, b *Value) *Value { return binary("Less", a, b, Bool) }

// Max returns the elementwise maximum, broadcast.
func Max(a, b *Value) *Value { return binary("Max", a, b, 0) }

// Min returns the elementwise minimum, broadcast.
func Min(a, b *Value) *Value { return binary("Min", a, b, 0) }

// Sum returns the elementwise sum of values of one shape; the sum of one value is that value, that of none is nil. It
// is a chain of Add: ONNX Runtime's Sum runs on one thread and makes room for each partial sum anew, where Add runs
// on all threads and in place.
func Sum(xs ...*Value) *Value {
	if len(xs) == 0 {
		return nil
	}
	total := xs[0]
	for _, x := range xs[1:] {
		if x.dtype != total.dtype || !slices.Equal(x.shape, total.shape) {
			total.graph.fail("Sum", "the terms %v%v and %v%v differ", total.dtype, total.shape, x.dtype, x.shape)
		}
		total = Add(total, x)
	}
	return total
}

// Neg returns -x.
func Neg(x *Value) *Value { return unary("Neg", x) }

// Sqrt returns the square root.
func Sqrt(x *Value) *Value { return unary("Sqrt", x) }

// Exp returns e to the power x.
func Exp(x *Value) *Value { return unary("Exp", x) }

// Log returns the natural logarithm.
func Log(x *Value) *Value { return unary("Log", x) }

// Abs returns the absolute value.
func Abs(x *Value) *Value { return unary("Abs", x) }

// Sign returns -1, 0 or 1.
func Sign(x *Value) *Value { return unary("Sign", x) }

// Reciprocal returns 1 / x.
func Reciprocal(x *Value) *Value { return unary("Reciprocal", x) }

// Relu returns max(x, 0).
func Relu(x *Value) *Value { return unary("Relu", x) }

// Sigmoid returns 1 / (1 + e^-x).
func Sigmoid(x *Value) *Value { return unary("Sigmoid", x) }

// Tanh returns the hyperbolic tangent.
func Tanh(x *Value) *Value { return unary("Tanh", x) }

// Softmax normalizes e^x to sum 1 along an axis.
func Softmax(x *Value, axis int) *Value {
	return unary("Softmax", x, Attribute{"axis", x.axis("Softmax", axis)})
}

// LogSoftmax returns the logarithm of Softmax, computed stably.
func LogSoftmax(x *Value, axis int) *Value {
	return unary("LogSoftmax", x, Attribute{"axis", x.axis("LogSoftmax", axis)})
}

// Cast converts the elements to another type. Bool becomes 0 and 1.
func Cast(x *Value, to DType) *Value {
	if x.dtype == to {
		return x
	}
	return graphOf(x).node("Cast", []*Value{x}, Attributes{{"to", int(to.ONNX())}}, nil, []spec{{to, x.shape}}, true)[0]
}

// Where returns a where cond holds and b elsewhere, broadcast. cond is Bool.
func Where(cond, a, b *Value) *Value {
	g := graphOf(cond)
	if cond.dtype != Bool || a.dtype != b.dtype {
		g.fail("Where", "wants (bool, T, T), has (%v, %v, %v)", cond.dtype, a.dtype, b.dtype)
	}
	shape, ok := BroadcastShapes(a.shape, b.shape)
	if ok {
		shape, ok = BroadcastShapes(shape, cond.shape)
	}
	if !ok {
		g.fail("Where", "the shapes %v, %v and %v do not broadcast", cond.shape, a.shape, b.shape)
	}
	return g.node("Where", []*Value{cond, a, b}, nil, nil, []spec{{a.dtype, shape}}, true)[0]
}

// axis resolves a negative axis and checks its range; the result is not negative, and an index of the shape unless
// that is empty.
func (v *Value) axis(op string, axis int) int {
	a := axis
	if a < 0 {
		a += len(v.shape)
	}
	if a < 0 || a >= len(v.shape) {
		v.graph.fail(op, "axis %d is outside the shape %v", axis, v.shape)
		return 0
	}
	return a
}
