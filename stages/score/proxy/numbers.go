package proxy

import (
	"context"
	"errors"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// ofGradient computes the proxies that are sums over weights and their gradients.
func ofGradient(index *params.Index, weights, gradient []float32, out map[string]float64) {
	for _, p := range index.All() {
		if !supernet.IsLayerWeight(p) {
			continue
		}
		w, g := p.Of(weights), p.Of(gradient)
		var squares float64
		for i := range w {
			product := float64(w[i]) * float64(g[i])
			squares += float64(g[i]) * float64(g[i])
			out[Snip] += math.Abs(product)
			out[Plain] += product
		}
		out[GradNorm] += math.Sqrt(squares)
	}
}

// zico is the sum over layers of the logarithm of the sum over their weights of the mean of |g| divided by the standard deviation of g,
// over batches. Weights whose gradient does not vary are left out, and layers that have no others.
func zico(index *params.Index, gradients [][]float32) float64 {
	var sum float64
	n := float64(len(gradients))
	for _, p := range index.All() {
		if !supernet.IsLayerWeight(p) {
			continue
		}
		var layer float64
		for i := p.Offset; i < p.Offset+p.Size(); i++ {
			var mean, absolute, squares float64
			for _, g := range gradients {
				mean += float64(g[i]) / n
				absolute += math.Abs(float64(g[i])) / n
			}
			for _, g := range gradients {
				d := float64(g[i]) - mean
				squares += d * d / n
			}
			if squares > 0 {
				layer += absolute / math.Sqrt(squares)
			}
		}
		if layer != 0 {
			sum += math.Log(layer)
		}
	}
	return sum
}

// dot is the sum of the products over the weights of layers.
func dot(index *params.Index, a, b []float32) (sum float64) {
	for _, p := range index.All() {
		if supernet.IsLayerWeight(p) {
			for i := p.Offset; i < p.Offset+p.Size(); i++ {
				sum += float64(a[i]) * float64(b[i])
			}
		}
	}
	return sum
}

// smoothness is the negative logarithm of the norm of a Jacobian.
func smoothness(jacobian []float32) (float64, error) {
	var squares float64
	for _, v := range jacobian {
		squares += float64(v) * float64(v)
	}
	if !(squares > 0) || math.IsInf(squares, 0) {
		return 0, &noValueError{Smoothness, "the logits do not depend on the images, or are not finite"}
	}
	return -math.Log(squares) / 2, nil
}

// jacobCov is the score of a Jacobian of one row an image (Mellor, Turner, Storkey and Crowley, 2020, first version). An image
// whose gradient does not vary has no correlation with others.
func jacobCov(jacobian []float32, rows int) (float64, error) {
	const k = 1e-5
	n := len(jacobian) / rows
	data := make([]float64, len(jacobian))
	for r := range rows {
		row := data[r*n : (r+1)*n]
		var mean, squares float64
		for i, v := range jacobian[r*n : (r+1)*n] {
			row[i] = float64(v)
			mean += row[i] / float64(n)
		}
		for i := range row {
			row[i] -= mean
			squares += row[i] * row[i]
		}
		if !(squares > 0) || math.IsInf(squares, 0) {
			return 0, &noValueError{JacobCov, "the logits of an image do not depend on its pixels, or are not finite"}
		}
		for i := range row {
			row[i] /= math.Sqrt(squares)
		}
	}
	m := mat.NewDense(rows, n, data)
	var correlation mat.SymDense
	correlation.SymOuterK(1, m)
	var eigen mat.EigenSym
	if !eigen.Factorize(&correlation, false) {
		return 0, &noValueError{JacobCov, "the eigenvalues of the correlation matrix cannot be computed"}
	}
	var sum float64
	for _, v := range eigen.Values(nil) {
		v = max(v, 0) + k // rounding makes eigenvalues of 0 slightly negative
		sum -= math.Log(v) + 1/v
	}
	return sum, nil
}

// synflow computes the proxy of this name. What flows through a deep network can exceed float32. All values on the way are
// proportional to the input and to the gradient that is begun with, so both are then made smaller by a power of two,
// which changes no digit, and the result larger.
func (e *Evaluator) synflow(ctx context.Context, net supernet.Network, index *params.Index, weights []float32) (_ float64, err error) {
	session, err := e.session("synflow", net.Flow)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	absolute := make([]float32, len(weights))
	for i, w := range weights {
		absolute[i] = float32(math.Abs(float64(w)))
	}
	image := make([]float32, net.Image[0]*net.Image[1]*net.Image[2])
	var sum float64
	for _, exponent := range []int{0, -60, -120} {
		small := math.Ldexp(1, exponent)
		for i := range image {
			image[i] = float32(small)
		}
		y, err := session.Run(ctx, map[string]runtime.Tensor{
			supernet.Images: {Shape: []int64{1, int64(net.Image[0]), int64(net.Image[1]), int64(net.Image[2])}, Data: image},
			supernet.Params: {Shape: []int64{int64(len(absolute))}, Data: absolute},
			supernet.Seed:   {Shape: []int64{1}, Data: []float32{float32(small)}},
		})
		if err != nil {
			return 0, err
		}
		g := y[supernet.ParamsGradient].Data.([]float32)
		sum = dot(index, absolute, g) / small / small
		finite := !slices.ContainsFunc(index.All(), func(p params.Parameter) bool {
			return supernet.IsLayerWeight(p) && slices.ContainsFunc(p.Of(g), func(v float32) bool { return math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) })
		})
		if finite {
			return sum, nil
		}
	}
	return 0, &noValueError{Synflow, "what flows through the network is beyond float32; take fewer cells or channels"}
}
