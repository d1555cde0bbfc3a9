// Package spacetest draws architectures and probabilities for property tests.
package spacetest

import (
	"math/rand/v2"

	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/space"
)

// Architectures draws any operation on every edge, which is an architecture where all combinations are.
func Architectures(s *space.Space) *rapid.Generator[space.Architecture] {
	return rapid.Custom(func(t *rapid.T) space.Architecture {
		return rapid.SliceOfN(rapid.IntRange(0, len(s.Operations)-1), len(s.Edges), len(s.Edges)).Draw(t, "operations")
	})
}

// Genotypes draws architectures of a space whose nodes keep two edges, often with equal operations, on which sizes of shells
// depend.
func Genotypes(s *space.Space) *rapid.Generator[space.Architecture] {
	return rapid.Custom(func(t *rapid.T) space.Architecture {
		seed := rapid.Uint64().Draw(t, "seed")
		a := s.Random(rand.New(rand.NewPCG(seed, 1)))
		if rapid.Bool().Draw(t, "few operations") {
			for e := range a {
				a[e] = min(a[e], 2)
			}
		}
		return a
	})
}

// Probabilities draws the softmax of numbers up to reach.
func Probabilities(s *space.Space, reach float64) *rapid.Generator[space.Probabilities] {
	return rapid.Custom(func(t *rapid.T) space.Probabilities {
		row := rapid.SliceOfN(rapid.Float64Range(-reach, reach), len(s.Operations), len(s.Operations))
		return space.Softmax(rapid.SliceOfN(row, len(s.Edges), len(s.Edges)).Draw(t, "alpha"))
	})
}
