package search

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mathext"
)

// A Dirichlet distribution in place of a softmax (DrNAS; Chen, Wang, Cheng, Tang and Hsieh, ICLR 2021; xiangning-chen/DrNAS): the
// concentrations are elu(alpha) + 1, a sample is a row of edge probabilities, and the loss at the sample is differentiated
// through it.

// least keeps shares and concentrations away from zero, where logarithms end.
const least = 1e-10

// concentration returns elu(alpha) + 1, and its derivative.
func concentration(alpha float64) (value, slope float64) {
	if alpha > 0 {
		return alpha + 1, 1
	}
	v := max(math.Exp(alpha), least)
	return v, v
}

// sampleDirichlet draws shares that sum to one: gamma variables, divided by their sum. It works with logarithms, since
// gamma variables of small concentrations underflow.
func sampleDirichlet(c []float64, rng *rand.Rand) []float64 {
	logs, top := make([]float64, len(c)), math.Inf(-1)
	for i, v := range c {
		logs[i] = logGamma(v, rng)
		top = max(top, logs[i])
	}
	sum := 0.0
	for i := range logs {
		logs[i] = max(math.Exp(logs[i]-top), least)
		sum += logs[i]
	}
	for i := range logs {
		logs[i] /= sum
	}
	return logs
}

// logGamma draws the logarithm of a gamma variable of the given shape and scale 1: the method of Marsaglia and Tsang (2000),
// below a shape of 1 with their boost.
func logGamma(shape float64, rng *rand.Rand) float64 {
	boost := 0.0
	if shape < 1 {
		boost = math.Log(1-rng.Float64()) / shape
		shape++
	}
	d := shape - 1.0/3
	k := 1 / math.Sqrt(9*d)
	for {
		x := rng.NormFloat64()
		v := 1 + k*x
		if v <= 0 {
			continue
		}
		v *= v * v
		if math.Log(1-rng.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return math.Log(d*v) + boost
		}
	}
}

// dirichletGradient turns the gradient g of a function at a sample x into the pathwise one by the concentrations c.
//
// A sample is made of gamma variables, z_i of shape c_i, divided by their sum. No closed form leads from c_i to z_i, but its
// distribution function F(z; c) stays what it is on the way, so dz/dc = -(dF/dc) / (dF/dz): implicit reparameterization
// (Figurnov, Mohamed and Mnih, NeurIPS 2018). A change of z_i alone moves the sample along e_i - x, so
//
//	dx_j/dc_i = s_i (delta_ij - x_j)
//
// with s_i = (dz_i/dc_i) / sum z. What s_i is on average, given the sample, is the same rule for the distribution of x_i alone,
// a beta one with c_i and the sum of the others: s_i = -(dI/dc_i) / pdf / (1 - x_i), with I the regularized incomplete beta
// function (Jankowiak and Obermeyer, ICML 2018). That varies less than with the drawn sum, is unbiased as well, needs nothing but the
// sample, and is what PyTorch does.
func dirichletGradient(x, c, g []float64) []float64 {
	total, mean := 0.0, 0.0
	for i := range x {
		total += c[i]
		mean += x[i] * g[i]
	}
	out := make([]float64, len(x))
	for i := range x {
		rest := 0.0 // 1 - x[i], without cancellation
		for j, v := range x {
			if j != i {
				rest += v
			}
		}
		out[i] = betaVelocity(x[i], rest, c[i], total-c[i]) / rest * (g[i] - mean)
	}
	return out
}

// betaVelocity returns dx/da of a beta variable x = 1 - y with the parameters a and b, at the same quantile: -(dI_x/da) /
// pdf(x). The derivative by a is a central difference of the logarithm of I_x or 1 - I_x, whichever is smaller, so that its
// relative error is small in the tails as well.
func betaVelocity(x, y, a, b float64) float64 {
	logDensity := (a-1)*math.Log(x) + (b-1)*math.Log(y) - mathext.Lbeta(a, b)
	h := 1e-4 * a
	lower := mathext.RegIncBeta(a, b, x)
	if lower <= 0.5 {
		up, down := mathext.RegIncBeta(a+h, b, x), mathext.RegIncBeta(a-h, b, x)
		if up > 0 && down > 0 {
			return -math.Exp(math.Log(lower)-logDensity) * (math.Log(up) - math.Log(down)) / (2 * h)
		}
		// So near to 0 that I_x underflows it is x^a / (a B(a, b)).
		return -x / a * (math.Log(x) - 1/a + mathext.Digamma(a+b) - mathext.Digamma(a))
	}
	upper := mathext.RegIncBeta(b, a, y)
	up, down := mathext.RegIncBeta(b, a+h, y), mathext.RegIncBeta(b, a-h, y)
	if up > 0 && down > 0 {
		return math.Exp(math.Log(upper)-logDensity) * (math.Log(up) - math.Log(down)) / (2 * h)
	}
	return y / b * (mathext.Digamma(a+b) - mathext.Digamma(a))
}

// anchorGradient returns the Kullback-Leibler divergence of the distribution with concentrations c from the one whose
// concentrations are all 1, DrNAS's anchor, and its gradient by c.
func anchorGradient(c []float64) (divergence float64, gradient []float64) {
	k, total := float64(len(c)), 0.0
	for _, v := range c {
		total += v
	}
	lgamma := func(v float64) float64 { l, _ := math.Lgamma(v); return l }
	divergence = lgamma(total) - lgamma(k)
	gradient = make([]float64, len(c))
	for i, v := range c {
		divergence += (v-1)*(mathext.Digamma(v)-mathext.Digamma(total)) - lgamma(v)
		// The trigamma function is the Hurwitz zeta function of 2.
		gradient[i] = (v-1)*mathext.Zeta(2, v) - (total-k)*mathext.Zeta(2, total)
	}
	return divergence, gradient
}
