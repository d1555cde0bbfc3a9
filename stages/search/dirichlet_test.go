package search

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mathext"

	"github.com/plateau-nas/plateau/exporter/torchtest"
)

// PyTorch approximates the derivative of the incomplete beta function by series; the exact one is some tenths of a percent off.
func TestDirichletGradientAgreesWithPyTorch(t *testing.T) {
	want := fixture(t)
	c, x, gradient := rows(want("dirichlet/concentrations"), 5), rows(want("dirichlet/samples"), 5), rows(want("dirichlet/gradient"), 5)
	g := rows(float64s(torchtest.Noise(11, 5*len(c))), 5)
	for i := range c {
		near(t, "gradient by the concentrations", dirichletGradient(x[i], c[i], g[i]), gradient[i], 0.01)
	}
}

func TestAnchorAgreesWithPyTorch(t *testing.T) {
	want := fixture(t)
	total, i := 0.0, 0
	for _, c := range rows(want("dirichlet/concentrations"), 5) {
		divergence, gradient := anchorGradient(c)
		total += divergence
		near(t, "gradient of the divergence", gradient, want("anchor/gradient")[i:i+5], 1e-5)
		i += 5
	}
	if d := want("anchor/divergence")[0]; math.Abs(total-d) > 1e-5*d {
		t.Errorf("the divergence is %v, want %v", total, d)
	}
	if d, _ := anchorGradient([]float64{1, 1, 1}); math.Abs(d) > 1e-12 {
		t.Errorf("from itself the divergence is %v", d)
	}
}

// A beta variable moves with its parameter so that its quantile stays what it is.
func TestBetaVelocityFollowsTheQuantile(t *testing.T) {
	for _, ab := range [][2]float64{{0.3, 2}, {1, 4}, {2.5, 0.7}, {20, 5}, {0.8, 30}} {
		for _, q := range []float64{0.001, 0.1, 0.5, 0.9, 0.999} {
			a, b := ab[0], ab[1]
			x, h := mathext.InvRegIncBeta(a, b, q), 1e-4*a
			want := (mathext.InvRegIncBeta(a+h, b, q) - mathext.InvRegIncBeta(a-h, b, q)) / (2 * h)
			if 1-x < 1e-6 || x < 1e-9 {
				continue // the inverse is not exact enough
			}
			if got := betaVelocity(x, 1-x, a, b); math.Abs(got-want) > 1e-3*math.Abs(want)+1e-9 {
				t.Errorf("a %v, b %v, quantile %v at %v: velocity %v, want %v", a, b, q, x, got, want)
			}
		}
	}
	for _, x := range []float64{1e-10, 1e-6, 0.5, 1 - 1e-10} {
		for _, a := range []float64{1e-6, 0.1, 1, 50, 400} {
			for _, b := range []float64{1e-6, 0.1, 1, 50, 400} {
				if v := betaVelocity(x, 1-x, a, b); !(v >= 0) || math.IsInf(v, 0) {
					t.Errorf("at %v with %v and %v the velocity is %v", x, a, b, v)
				}
			}
		}
	}
}

// Samples have the distribution's means and second moments, and the mean of pathwise gradients is the gradient of the mean.
func TestDirichletSamplesAndTheirGradientsAreUnbiased(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 3))
	for _, c := range [][]float64{{1, 1, 1, 1, 1}, {0.3, 2, 0.7, 1.2, 4}} {
		const n = 4000
		weight := []float64{1, -2, 0.5, 3, 0}
		// The function is the sum of weight x^2, of which the mean is known: E[x^2] = c (c+1) / (s (s+1)).
		expected := func(c []float64) float64 {
			s, sum := 0.0, 0.0
			for _, v := range c {
				s += v
			}
			for i, v := range c {
				sum += weight[i] * v * (v + 1) / (s * (s + 1))
			}
			return sum
		}
		value, square := 0.0, 0.0
		mean, squares := make([]float64, len(c)), make([]float64, len(c))
		for range n {
			x, sum, f := sampleDirichlet(c, rng), 0.0, 0.0
			g := make([]float64, len(x))
			for i, v := range x {
				sum += v
				f += weight[i] * v * v
				g[i] = 2 * weight[i] * v
			}
			if math.Abs(sum-1) > 1e-12 {
				t.Fatalf("the shares %v sum to %v", x, sum)
			}
			value, square = value+f/n, square+f*f/n
			for i, v := range dirichletGradient(x, c, g) {
				mean[i], squares[i] = mean[i]+v/n, squares[i]+v*v/n
			}
		}
		within := func(what string, got, square, want float64) {
			if error := math.Sqrt((square - got*got) / n); math.Abs(got-want) > 5*error {
				t.Errorf("%v: %s is %v, want %v within %v", c, what, got, want, 5*error)
			}
		}
		within("the mean", value, square, expected(c))
		for i := range c {
			const h = 1e-6
			up, down := append([]float64(nil), c...), append([]float64(nil), c...)
			up[i], down[i] = c[i]+h, c[i]-h
			within("a derivative of the mean", mean[i], squares[i], (expected(up)-expected(down))/(2*h))
		}
	}
	for _, v := range sampleDirichlet([]float64{1e-6, 1e-3, 1e-4, 400, 1e-10}, rng) {
		if !(v > 0 && v <= 1) {
			t.Errorf("a share is %v", v)
		}
	}
}
