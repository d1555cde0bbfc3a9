package graph

import "math"

// Erf returns the error function, 2/sqrt(pi) times the integral of e^(-t^2) from 0 to x.
func Erf(x *Value) *Value { return unary("Erf", x) }

// Gelu returns x times the probability that a standard normal variable is below x, as x/2 * (1 + erf(x/sqrt(2))): the
// exact form, PyTorch's default (Hendrycks and Gimpel, 2016). The operator set has no Gelu; ONNX Runtime fuses
// these five nodes, in this order, into one kernel where nothing else reads what lies between.
func Gelu(x *Value) *Value {
	g := graphOf(x)
	inner := Add(Erf(Div(x, g.Scalar(math.Sqrt2))), g.Scalar(1))
	return Mul(Mul(x, inner), g.Scalar(0.5))
}

// GeluTanh returns the approximation x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))) of Gelu, which is
// approximate="tanh" in PyTorch. It differs from Gelu by less than 5e-4.
func GeluTanh(x *Value) *Value {
	g := graphOf(x)
	cubic := Mul(Mul(Mul(x, x), x), g.Scalar(0.044715))
	inner := Tanh(Mul(Add(x, cubic), g.Scalar(float32(math.Sqrt(2/math.Pi)))))
	return Mul(Mul(x, Add(inner, g.Scalar(1))), g.Scalar(0.5))
}

// Swish returns x * sigmoid(x), which is also called SiLU.
func Swish(x *Value) *Value { return Mul(x, Sigmoid(x)) }

// HardSigmoid returns x/6 + 1/2, limited to 0 and 1: the piecewise linear sigmoid of MobileNetV3 and of PyTorch. (The
// slope that ONNX takes by default is another one.)
func HardSigmoid(x *Value) *Value {
	return unary("HardSigmoid", x, Attribute{"alpha", float32(1) / 6}, Attribute{"beta", float32(0.5)})
}

// HardSwish returns x * HardSigmoid(x).
func HardSwish(x *Value) *Value { return unary("HardSwish", x) }

// Clip limits the elements to low and high, of which low is not the larger one. An infinite bound does not limit.
func Clip(x *Value, low, high float32) *Value {
	g := graphOf(x)
	if x.dtype != Float32 || !(low <= high) {
		g.fail("Clip", "wants float32 elements and a low bound that is not above the high one, has %v, %v and %v", x.dtype, low, high)
	}
	bound := func(v float32) *Value {
		if math.IsInf(float64(v), 0) {
			return nil
		}
		return g.Scalar(v)
	}
	in := []*Value{x, bound(low), bound(high)}
	for in[len(in)-1] == nil {
		in = in[:len(in)-1]
	}
	if len(in) == 1 {
		return x
	}
	return g.node("Clip", in, nil, nil, []spec{{Float32, x.shape}}, true)[0]
}
