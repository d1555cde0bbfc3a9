package search

import "math"

// sharp differentiates on the way to flat minima (A2M; Gambella, Pittorino and Roveri, arXiv 2503.10404;
// AI-Tech-Research-Lab/AsquaredM, optimizers/darts/architect.py): with g the gradient at theta and g~ the one at the sharper point
// theta + rho g, it returns
//
//	g~ + rho (dL(theta + rho g + eps g~) - dL(theta + rho g - eps g~)) / (2 eps)
//
// L is the aggregated loss, with the neighbors that were drawn at theta. The losses are those at theta.
func sharp(theta []float64, rho, epsilon float64, gradient func(theta []float64) (*evaluated, error)) (*evaluated, error) {
	first, err := gradient(theta)
	if err != nil {
		return nil, err
	}
	up := moved(theta, rho, first.gradient)
	second, err := gradient(up)
	if err != nil {
		return nil, err
	}
	curved, err := alongHessian(up, second.gradient, epsilon, gradient)
	if err != nil {
		return nil, err
	}
	first.gradient = moved(second.gradient, rho, curved)
	return first, nil
}

// alongHessian returns the product of the Hessian at theta with a direction, as the central difference of gradients a step
// of epsilon times the direction away.
func alongHessian(theta, direction []float64, epsilon float64, gradient func(theta []float64) (*evaluated, error)) ([]float64, error) {
	up, err := gradient(moved(theta, epsilon, direction))
	if err != nil {
		return nil, err
	}
	down, err := gradient(moved(theta, -epsilon, direction))
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(up.gradient))
	for i := range out {
		out[i] = (up.gradient[i] - down.gradient[i]) / (2 * epsilon)
	}
	return out, nil
}

// moved returns at + by * direction.
func moved(at []float64, by float64, direction []float64) []float64 {
	out := make([]float64, len(at))
	for i := range out {
		out[i] = at[i] + by*direction[i]
	}
	return out
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

func length(v []float64) float64 { return math.Sqrt(dot(v, v)) }
