package optimizer

import (
	"fmt"

	"github.com/plateau-nas/plateau/exporter/graph"
)

// Adam is the method of Kingma and Ba, 2015 (arXiv 1412.6980), in PyTorch's form.
type Adam struct {
	Beta1, Beta2 float32 // decay of the two moments, 0 up to but not including 1; usually 0.9 and 0.999
	Epsilon      float32 // added to the root of the second moment, more than 0; usually 1e-8
	WeightDecay  float32 // 0 and more
}

// DefaultAdam returns PyTorch's defaults.
func DefaultAdam() Adam { return Adam{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8} }

// Step returns the parameters and both moments after step number t = 1, 2, ... of
//
//	g = grad + WeightDecay * params
//	m' = Beta1 * m + (1 - Beta1) * g
//	v' = Beta2 * v + (1 - Beta2) * g^2
//	params' = params - lr / (1 - Beta1^t) * m' / (sqrt(v' / (1 - Beta2^t)) + Epsilon)
//
// params, grad, m and v are [N]; step, the number t as float32, and lr have one element.
func (o Adam) Step(params, grad, m, v, step, lr *graph.Value) (nextParams, nextM, nextV *graph.Value) {
	g := params.Graph()
	defer g.Scope("adam")()
	if o.Beta1 < 0 || o.Beta1 >= 1 || o.Beta2 < 0 || o.Beta2 >= 1 || o.Epsilon <= 0 || o.WeightDecay < 0 {
		g.Fail("Adam", fmt.Errorf("settings %+v: betas lie within [0, 1), epsilon is positive, weight decay is not negative", o))
	}
	if !checkVectors("Adam", lr, params, grad, m, v) || !checkVectors("Adam", step) {
		return params, m, v
	}
	grad = decayed(grad, params, o.WeightDecay)
	nextM = average(m, grad, o.Beta1)
	nextV = average(v, graph.Mul(grad, grad), o.Beta2)
	correction := func(beta float32) *graph.Value {
		return graph.Sub(g.Scalar(1), graph.Pow(g.Scalar(beta), step))
	}
	root := graph.Mul(graph.Sqrt(nextV), graph.Reciprocal(graph.Sqrt(correction(o.Beta2))))
	rate := graph.Div(lr, correction(o.Beta1))
	update := graph.Div(graph.Mul(nextM, rate), graph.Add(root, g.Scalar(o.Epsilon)))
	return graph.Sub(params, update), nextM, nextV
}

// average returns beta * old + (1 - beta) * x.
func average(old, x *graph.Value, beta float32) *graph.Value {
	g := old.Graph()
	return graph.Add(graph.Mul(old, g.Scalar(beta)), graph.Mul(x, g.Scalar(1-beta)))
}
