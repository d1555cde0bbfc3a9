package proxy

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// signs returns random signs for an input of the block with this place.
func signs(rng *rand.Rand, batch int, shape [3]int) runtime.Tensor {
	data := make([]float32, batch*shape[0]*shape[1]*shape[2])
	for i := range data {
		data[i] = float32(2*rng.IntN(2) - 1)
	}
	return runtime.Tensor{Shape: []int64{int64(batch), int64(shape[0]), int64(shape[1]), int64(shape[2])}, Data: data}
}

// ofSpectra adds the scores of AZ-NAS, whose code is NB201/ZeroShotProxy/compute_az_nas_score.py.
func ofSpectra(shapes [][3]int, y map[string]runtime.Tensor, wants func(...string) bool, out map[string]float64) error {
	if wants(Expressivity, Progressivity) {
		entropies, err := blockEntropies(shapes, y[supernet.Covariances].Data.([]float32))
		if err != nil {
			return err
		}
		rise := math.Inf(1)
		var sum float64
		for i, h := range entropies {
			sum += h
			if i > 0 {
				rise = min(rise, h-entropies[i-1])
			}
		}
		out[Expressivity], out[Progressivity] = sum, rise
	}
	if !wants(Trainability) {
		return nil
	}
	transfers := y[supernet.Transfers].Data.([]float32)
	var sum float64
	for i := 1; i < len(shapes); i++ {
		rows, columns := shapes[i-1][0]*(shapes[i-1][1]/shapes[i][1])*(shapes[i-1][2]/shapes[i][2]), shapes[i][0]
		data := make([]float64, rows*columns)
		for k := range data {
			data[k] = float64(transfers[k])
		}
		transfers = transfers[len(data):]
		var svd mat.SVD
		if !svd.Factorize(mat.NewDense(rows, columns, data), mat.SVDNone) {
			return &noValueError{Trainability, "the gradient of a block has no singular values"}
		}
		largest := svd.Values(nil)[0]
		if isIdentity(data, rows, columns) {
			return &noValueError{Trainability, "a cell passes on its input as it is"}
		}
		sum += 2 - largest - 1/(largest+1e-6)
	}
	out[Trainability] = sum / float64(len(shapes)-1)
	return nil
}

// isIdentity reports whether the gradient of a block's input is what it was begun with: then, and for nothing else, the mean product
// with itself has ones on its diagonal and the products of different channels are symmetric.
func isIdentity(data []float64, rows, columns int) bool {
	if rows != columns {
		return false
	}
	for i := range rows {
		if math.Abs(data[i*columns+i]-1) > 1e-6 {
			return false
		}
		for j := range i {
			if data[i*columns+j] != data[j*columns+i] {
				return false
			}
		}
	}
	return true
}

// blockEntropies returns for each block the entropy of the eigenvalues of its channels' covariance, as shares of their sum.
func blockEntropies(shapes [][3]int, covariances []float32) ([]float64, error) {
	var out []float64
	for _, shape := range shapes {
		c := shape[0]
		data := make([]float64, c*c)
		for i := range c {
			for j := range c {
				data[i*c+j] = float64(covariances[i*c+j])
			}
		}
		covariances = covariances[c*c:]
		var eigen mat.EigenSym
		if !eigen.Factorize(mat.NewSymDense(c, data), false) {
			return nil, &noValueError{Expressivity, "the eigenvalues of a block's covariance cannot be computed"}
		}
		values := eigen.Values(nil)
		var sum, entropy float64
		for _, v := range values {
			sum += v
		}
		if !(sum > 0) {
			return nil, &noValueError{Expressivity, "the result of a block does not vary"}
		}
		for _, v := range values {
			share := max(v, 0) / sum // rounding makes eigenvalues of 0 slightly negative
			entropy -= share * math.Log(share+1e-8)
		}
		out = append(out, entropy)
	}
	return out, nil
}
