package search

import (
	"context"
	"math"
	"math/rand/v2"

	"github.com/plateau-nas/plateau/stages/dataset"
)

// hessianStep is how far apart the gradients are whose difference gives a product of the Hessian with a unit vector. Zela et
// al. (Understanding and Robustifying Differentiable Architecture Search, ICLR 2020) do likewise.
const hessianStep = 1e-2

// curvature returns the largest eigenvalue of the Hessian of the validation loss by alpha, on one batch, at the edge
// probabilities (of a Dirichlet distribution its mean) and without neighbors: whether alpha stands on a plateau or on a peak.
func (a *alpha) curvature(ctx context.Context, b *dataset.Batch, rng *rand.Rand) (float64, error) {
	copy(a.images, b.X)
	copy(a.labels, b.Y)
	theta := a.theta()
	alone := len(a.run.space.Edges) * len(a.run.space.Operations) // beta stays where it is
	gradient := func(at []float64) (*evaluated, error) {
		p := a.at(append(at[:alone:alone], theta[alone:]...))
		_, _, g, err := a.evaluate(ctx, p.weights())
		if err != nil {
			return nil, err
		}
		return &evaluated{gradient: p.back(g)[:alone]}, nil
	}
	return largestEigenvalue(alone, a.run.Alpha.Hessian, rng, func(v []float64) ([]float64, error) {
		return alongHessian(theta[:alone], v, hessianStep, gradient)
	})
}

// largestEigenvalue returns that of a symmetric matrix, which is known by its products with unit vectors, after so many
// iterations of the power method from a random vector. The method finds the eigenvalue that is largest in magnitude. When that is
// a negative one, all are moved up by it, and the method is used once more. No direction has more curvature than the largest
// eigenvalue, so of all that were met on the way the largest is returned: with few iterations it is the nearest.
func largestEigenvalue(n, iterations int, rng *rand.Rand, product func([]float64) ([]float64, error)) (float64, error) {
	best := math.Inf(-1)
	power := func(shift float64) (float64, error) {
		v := make([]float64, n)
		for i := range v {
			v[i] = rng.NormFloat64()
		}
		eigenvalue := 0.0
		for range iterations {
			v = moved(make([]float64, n), 1/length(v), v)
			w, err := product(v)
			if err != nil {
				return 0, err
			}
			w = moved(w, shift, v)
			eigenvalue = dot(v, w)
			best = max(best, eigenvalue-shift)
			if v = w; length(v) == 0 {
				break
			}
		}
		return eigenvalue - shift, nil
	}
	eigenvalue, err := power(0)
	if err == nil && eigenvalue < 0 {
		_, err = power(-eigenvalue)
	}
	return best, err
}
