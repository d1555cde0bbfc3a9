package optimizer

import (
	"fmt"
	"slices"

	"github.com/plateau-nas/plateau/exporter/graph"
)

// SGD is stochastic gradient descent.
type SGD struct {
	Momentum    float32 // 0 up to but not including 1; 0 needs no state
	WeightDecay float32 // 0 and more
	Nesterov    bool    // needs momentum
	// Decayed, when not nil, is a factor of the weight decay for each of the N parameters: 1 where it acts and 0 where it does
	// not, as in a network whose normalizations and biases are spared.
	Decayed []float32
}

// Step returns the parameters and the momentum after one step of
//
//	g = grad + WeightDecay * Decayed * params
//	momentum' = Momentum * momentum + g
//	params' = params - lr * (Nesterov ? g + Momentum * momentum' : momentum')
//
// params, grad and momentum are [N]; lr has one element. Without momentum the momentum argument may be nil and the
// second result is the argument.
func (o SGD) Step(params, grad, momentum, lr *graph.Value) (nextParams, nextMomentum *graph.Value) {
	g := params.Graph()
	defer g.Scope("sgd")()
	if o.Momentum < 0 || o.Momentum >= 1 || o.WeightDecay < 0 || o.Nesterov && o.Momentum == 0 {
		g.Fail("SGD", fmt.Errorf("settings %+v: momentum lies within [0, 1), weight decay is not negative, Nesterov needs momentum", o))
	}
	if !checkVectors("SGD", lr, params, grad) {
		return params, momentum
	}
	switch {
	case o.Decayed == nil || o.WeightDecay == 0:
		grad = decayed(grad, params, o.WeightDecay)
	case len(o.Decayed) != params.Size():
		g.Fail("SGD", fmt.Errorf("%d factors of the weight decay for %d parameters", len(o.Decayed), params.Size()))
	default:
		factors := make([]float32, len(o.Decayed))
		for i, f := range o.Decayed {
			factors[i] = o.WeightDecay * f
		}
		grad = graph.Add(grad, graph.Mul(params, g.Floats(factors, len(factors))))
	}
	if o.Momentum == 0 {
		return graph.Sub(params, graph.Mul(grad, lr)), momentum
	}
	if momentum == nil || !checkVectors("SGD", lr, params, momentum) {
		g.Fail("SGD", fmt.Errorf("momentum needs its state vector"))
		return params, params
	}
	m := g.Scalar(o.Momentum)
	next := graph.Add(graph.Mul(momentum, m), grad)
	direction := next
	if o.Nesterov {
		direction = graph.Add(grad, graph.Mul(next, m))
	}
	return graph.Sub(params, graph.Mul(direction, lr)), next
}

// decayed adds the gradient of decay/2 * |params|^2.
func decayed(grad, params *graph.Value, decay float32) *graph.Value {
	if decay == 0 {
		return grad
	}
	return graph.Add(grad, graph.Mul(params, grad.Graph().Scalar(decay)))
}

func checkVectors(op string, scalar *graph.Value, vs ...*graph.Value) bool {
	g := scalar.Graph()
	if scalar.Size() != 1 || scalar.Rank() > 1 {
		g.Fail(op, fmt.Errorf("the learning rate or step has the shape %v, not [1]", scalar.Shape()))
		return false
	}
	for _, v := range vs {
		if v.Rank() != 1 || !slices.Equal(v.Shape(), vs[0].Shape()) {
			g.Fail(op, fmt.Errorf("the vectors have the shapes %v and %v, not one [N]", vs[0].Shape(), v.Shape()))
			return false
		}
	}
	return true
}
