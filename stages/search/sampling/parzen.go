package sampling

import (
	"math"
	"math/rand/v2"

	"github.com/plateau-nas/plateau/stages/space"
)

// The parameters of tpe, which are the defaults of Optuna's sampler of that name (version 5, its default estimator of all
// choices at once).
const (
	parzenDraws  = 24  // of which the one with the largest expected improvement is taken
	parzenShare  = 0.1 // of what is known that counts as good
	parzenGood   = 25  // the most that count as good; and how many of the last others have full weight
	parzenPrior  = 1.0 // weight of the uniform density beside those of what is known
	parzenOpened = 10  // uniform draws before the first density
)

// goodOf returns how many of n count as good.
func goodOf(n int) int { return min(int(math.Ceil(parzenShare*float64(n))), parzenGood) }

// parzen is a density over architectures: a kernel around each of some, and a uniform one. A kernel is a product over the choices; at
// each it favors what its architecture has chosen, the more the more kernels there are.
type parzen struct {
	choices *choices
	centers [][]int
	weights []float64 // of the kernels, the uniform one last; their sum is 1
}

// newParzen returns the density of entries, which are in the order in which they were assessed. Of many the older ones count for less,
// from 1/n upwards.
func newParzen(c *choices, entries []*entry) *parzen {
	p := &parzen{choices: c}
	n, total := len(entries), parzenPrior
	for i, e := range entries {
		weight := 1.0
		if old := n - parzenGood; i < old {
			weight = 1 / float64(n)
			if old > 1 {
				weight += (1 - weight) * float64(i) / float64(old-1)
			}
		}
		p.centers, p.weights = append(p.centers, c.of(e.arch)), append(p.weights, weight)
		total += weight
	}
	p.weights = append(p.weights, parzenPrior)
	for i := range p.weights {
		p.weights[i] /= total
	}
	return p
}

// chances returns the probabilities that a kernel gives to what its architecture has chosen and to each other possibility of a choice.
func (p *parzen) chances(size int) (own, other float64) {
	share := parzenPrior / float64(len(p.weights))
	all := 1 + float64(size)*share
	return (1 + share) / all, share / all
}

// logDensity returns the logarithm of the probability of an architecture.
func (p *parzen) logDensity(chosen []int) float64 {
	sum := 0.0
	for i, weight := range p.weights {
		for c, size := range p.choices.sizes {
			own, other := p.chances(size)
			switch {
			case i == len(p.centers):
				weight /= float64(size)
			case p.centers[i][c] == chosen[c]:
				weight *= own
			default:
				weight *= other
			}
		}
		sum += weight
	}
	return math.Log(sum)
}

// draw draws an architecture's choices.
func (p *parzen) draw(rng *rand.Rand) []int {
	kernel, u := 0, rng.Float64()
	for u -= p.weights[0]; u >= 0 && kernel+1 < len(p.weights); u -= p.weights[kernel] {
		kernel++
	}
	out := make([]int, len(p.choices.sizes))
	for c, size := range p.choices.sizes {
		own, other := p.chances(size)
		// The chance of what the center has chosen beyond that of any other possibility, and else any of them.
		if kernel < len(p.centers) && rng.Float64() < own-other {
			out[c] = p.centers[kernel][c]
			continue
		}
		out[c] = rng.IntN(size)
	}
	return out
}

// improve draws from l the architecture that l favors most over g, of those of some draws that are allowed; nil when none is.
func improve(rng *rand.Rand, l, g *parzen, allowed func(space.Architecture) bool) space.Architecture {
	var out space.Architecture
	best := math.Inf(-1)
	for range parzenDraws {
		chosen := l.draw(rng)
		a := l.choices.architecture(chosen)
		if !allowed(a) {
			continue
		}
		if ratio := l.logDensity(chosen) - g.logDensity(chosen); ratio > best {
			out, best = a, ratio
		}
	}
	return out
}
