package params

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Init is the rule for the first values of a parameter. The rules are the defaults of PyTorch's layers.
type Init string

const (
	// Conv is for convolution weights [M, C/groups, KH, KW]: uniform within ±1/sqrt(C/groups * KH * KW).
	Conv Init = "conv"
	// Linear is for the weights [out, in] of a linear layer: uniform within ±1/sqrt(in).
	Linear Init = "linear"
	// Ones is for the scale of a normalization.
	Ones Init = "ones"
	// Zeros is for the bias of a normalization.
	Zeros Init = "zeros"
)

const biasPrefix = "bias:"

// Bias is for the bias of a convolution or linear layer whose weights have the given fan-in (in, or C/groups * KH *
// KW): uniform within ±1/sqrt(fanIn).
func Bias(fanIn int) Init { return Init(biasPrefix + strconv.Itoa(fanIn)) }

// fanIn returns the number of inputs that feed one output: 0 for rules that do not depend on it.
func (i Init) fanIn(shape []int) (int, error) {
	rank := map[Init]int{Conv: 4, Linear: 2}[i]
	switch {
	case i == Ones || i == Zeros:
		return 0, nil
	case rank > 0:
		if len(shape) != rank {
			return 0, fmt.Errorf("initialization %q wants a shape of rank %d, has %v", i, rank, shape)
		}
		return max(count(shape[1:]), 1), nil
	case strings.HasPrefix(string(i), biasPrefix):
		n, err := strconv.Atoi(string(i[len(biasPrefix):]))
		if err != nil || n <= 0 {
			return 0, fmt.Errorf("initialization %q does not end in a fan-in of 1 or more", i)
		}
		return n, nil
	}
	return 0, fmt.Errorf("unknown initialization %q; known are %s, %s, %sN, %s and %s", i, Conv, Linear, biasPrefix, Ones, Zeros)
}

// fill writes the first values of one parameter.
func (p Parameter) fill(dst []float32, rng *rand.Rand) {
	bound := 0.0
	if p.FanIn > 0 {
		bound = 1 / math.Sqrt(float64(p.FanIn))
	}
	for i := range dst {
		switch p.Init {
		case Ones:
			dst[i] = 1
		case Zeros:
			dst[i] = 0
		default:
			dst[i] = float32((2*rng.Float64() - 1) * bound)
		}
	}
}

// Initialize returns a flat vector with the first values of all parameters. The same index and generator
// state give the same values.
func (ix *Index) Initialize(rng *rand.Rand) []float32 {
	flat := make([]float32, ix.Total())
	for _, p := range ix.params {
		p.fill(flat[p.Offset:p.Offset+p.Size()], rng)
	}
	return flat
}
