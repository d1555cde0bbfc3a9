package space_test

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/space"
)

// likelihood is the logarithm of an architecture's probability, summed in the order of the edges.
func likelihood(p space.Probabilities, a space.Architecture) float64 {
	sum := 0.0
	for e, op := range a {
		sum += math.Log(p[e][op])
	}
	return sum
}

func TestMostProbableArchitecturesAreThoseOfAnExhaustiveSearch(t *testing.T) {
	sp := space.NASBench201()
	var all []space.Architecture
	for a := range sp.All() {
		all = append(all, a)
	}
	rapid.Check(t, func(t *rapid.T) {
		// Few different values, so that there are ties, or any.
		value := rapid.OneOf(rapid.Map(rapid.IntRange(0, 3), func(i int) float64 { return float64(i) }), rapid.Float64Range(-30, 30))
		p := space.Softmax(rapid.SliceOfN(rapid.SliceOfN(value, 5, 5), 6, 6).Draw(t, "alpha"))
		k := rapid.IntRange(1, 60).Draw(t, "k")
		got := sp.MostProbable(p, k)
		if len(got) != k {
			t.Fatalf("%d architectures instead of %d", len(got), k)
		}
		if !got[0].Equal(p.Argmax()) {
			t.Fatalf("the first is %v, the most probable operations are %v", got[0], p.Argmax())
		}
		seen := map[string]bool{}
		for i, a := range got {
			if seen[a.Key()] {
				t.Fatalf("%v is there twice", a)
			}
			seen[a.Key()] = true
			if i > 0 && likelihood(p, a) > likelihood(p, got[i-1]) {
				t.Fatalf("number %d is more probable than the one before", i)
			}
		}
		values := make([]float64, len(all))
		for i, a := range all {
			values[i] = likelihood(p, a)
		}
		slices.SortFunc(values, func(a, b float64) int { return cmp.Compare(b, a) })
		for i, a := range got {
			if likelihood(p, a) != values[i] {
				t.Fatalf("number %d has likelihood %v, the best of all have %v there", i, likelihood(p, a), values[i])
			}
		}
	})
}

func TestMostProbableGivesTheWholeSpaceAtMost(t *testing.T) {
	sp := space.NASBench201()
	p := sp.OneHot(space.Architecture{1, 2, 3, 4, 0, 1})
	if got := sp.MostProbable(p, 1_000_000); len(got) != sp.Size() || !got[0].Equal(p.Argmax()) {
		t.Errorf("%d architectures, first %v", len(got), got[0])
	}
}

// Where a sum of logarithms rounds a difference away, the more probable operation still comes first.
func TestMostProbableSurvivesRounding(t *testing.T) {
	p := space.Softmax(make([][]float64, 6))
	for e := range p {
		p[e] = []float64{1e-300, 0, 0, 0, 0}
	}
	p[5] = []float64{0.2, math.Nextafter(0.2, 1), 0.2, 0.2, 0.2}
	if got := space.NASBench201().MostProbable(p, 1); !got[0].Equal(p.Argmax()) {
		t.Errorf("the first is %v, the most probable operations are %v", got[0], p.Argmax())
	}
}
