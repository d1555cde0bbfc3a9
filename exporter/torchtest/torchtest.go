// Package torchtest gives tests the numbers that the committed PyTorch scripts compute with, so that only results have to be
// stored beside them.
package torchtest

import (
	"math"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/exporter/params"
)

// Noise returns numbers between -1 and 1. It is the function noise of the scripts.
func Noise(seed, count int) []float32 {
	out := make([]float32, count)
	for i := range out {
		h := uint32(i)*2654435761 + uint32(seed)*40503
		h = (h ^ h>>15) * 2246822519
		h = (h ^ h>>13) * 3266489917
		h ^= h >> 16
		out[i] = float32(float64(h)/2147483648 - 1)
	}
	return out
}

// Sorted returns the parameters in the order of their names, in which the scripts number them.
func Sorted(ix *params.Index) []params.Parameter {
	return slices.SortedFunc(slices.Values(ix.All()), func(a, b params.Parameter) int { return strings.Compare(a.Name, b.Name) })
}

// Fill returns all parameters, with noise of the size that training begins with. It is the function fill of the scripts.
func Fill(ix *params.Index) []float32 {
	flat := make([]float32, ix.Total())
	for i, p := range Sorted(ix) {
		v := Noise(1000+i, p.Size())
		for j := range v {
			switch {
			case strings.HasSuffix(p.Name, "bn.weight"):
				v[j] = 1 + v[j]/4
			case len(p.Shape) == 1:
				v[j] /= 4
			default:
				v[j] = float32(float64(v[j]) / math.Sqrt(float64(p.Size()/p.Shape[0])))
			}
		}
		copy(p.Of(flat), v)
	}
	return flat
}
