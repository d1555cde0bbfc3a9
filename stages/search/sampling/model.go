package sampling

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/space"
)

// model is a Gaussian process over architectures as neighborhood.Process is, with the same posterior, for a search that asks it
// after every evaluation: the Cholesky factor of what is known gets a row for each new architecture (Rasmussen and Williams
// 2006, chapter 2 and algorithm A.4), and what has been computed for a point is kept and extended. That costs as many
// multiplications as there are known architectures, where a new fit would cost their cube.
type model struct {
	space  *space.Space
	kernel []float64 // prior correlation by distance
	noise  float64
	known  []space.Architecture
	factor [][]float64 // row i has i+1 elements
}

// point is a quantity that the model tells of: the signal of an architecture, or the mean signal of its neighborhood.
type point struct {
	arch   space.Architecture
	shells []float64 // prior covariance with the signal of another architecture, by its distance from arch
	column []float64 // factor^-1 k of what is known, as far as it was needed
	rest   float64   // posterior variance as far as column goes, in units of the signal's
}

func newModel(s *space.Space, st neighborhood.ProcessSettings) *model {
	m := &model{space: s, noise: st.Noise}
	for d := range s.Diameter() + 1 {
		m.kernel = append(m.kernel, math.Exp(-float64(d)/st.Length))
	}
	return m
}

// at returns the signal of an architecture as a point.
func (m *model) at(a space.Architecture) *point { return &point{arch: a, shells: m.kernel, rest: 1} }

// overNeighborhood returns the weighted mean of the signals within the radius of an architecture as a point. It is for spaces in
// which every architecture has the same neighborhood but for its names, so that covariances depend on distances alone.
func (m *model) overNeighborhood(center space.Architecture, radius int, include bool, weight func(distance int) float64) *point {
	var members []space.Architecture
	var weights []float64
	total := 0.0
	for d := range radius + 1 {
		if d == 0 && !include {
			continue
		}
		for _, a := range m.space.Shell(center, d) {
			members, weights = append(members, a), append(weights, weight(d))
			total += weight(d)
		}
	}
	covariance := func(a space.Architecture) (k float64) {
		for i, b := range members {
			k += weights[i] / total * m.kernel[m.space.Distance(a, b)]
		}
		return k
	}
	p := &point{arch: center}
	for d := range m.kernel {
		p.shells = append(p.shells, covariance(m.space.ShellAt(center, d, 0)))
	}
	for d := range radius + 1 {
		if d > 0 || include {
			p.rest += weight(d) / total * float64(m.space.ShellSizeOf(center, d)) * p.shells[d]
		}
	}
	return p
}

// around returns what a point about which nothing was asked yet is at another architecture.
func (p *point) around(a space.Architecture) *point {
	return &point{arch: a, shells: p.shells, rest: p.rest}
}

// learn takes an architecture in; its score is told to solve.
func (m *model) learn(a space.Architecture) {
	p := m.at(a)
	m.extend(p)
	// Rounding, or a distance that no kernel has, must not make a variance that is none.
	pivot := math.Sqrt(max(p.rest+m.noise, 1e-9))
	m.known = append(m.known, a)
	m.factor = append(m.factor, append(p.column, pivot))
}

// extend brings a point up to what is known.
func (m *model) extend(p *point) {
	for i := len(p.column); i < len(m.known); i++ {
		row := m.factor[i]
		if p.column == nil {
			p.column = make([]float64, 0, max(16, len(m.known)))
		}
		v := (p.shells[m.space.Distance(p.arch, m.known[i])] - dot(row[:i], p.column)) / row[i]
		p.column = append(p.column, v)
		p.rest -= v * v
	}
}

// belief is what the model makes of the scores.
type belief struct {
	model   *model
	mean    float64
	scale   float64
	weights []float64 // factor^-1 z of the standardized scores z
	signal  float64   // standard deviation of the signal in units of the score
}

// solve takes the scores of what is known, in the order in which it was learned.
func (m *model) solve(scores []float64) *belief {
	b := &belief{model: m}
	for i, v := range scores { // as moments does in package neighborhood
		b.mean += (v - b.mean) / float64(i+1)
	}
	for _, v := range scores {
		b.scale += (v - b.mean) * (v - b.mean) / float64(len(scores))
	}
	b.scale = math.Sqrt(b.scale)
	b.signal = b.scale / math.Sqrt(1+m.noise)
	if b.scale == 0 { // scores without spread; what is unknown shall still differ from what is not
		b.signal = 1
		b.weights = make([]float64, len(scores))
		return b
	}
	for i, v := range scores {
		row := m.factor[i]
		b.weights = append(b.weights, ((v-b.mean)/b.scale-dot(row[:i], b.weights))/row[i])
	}
	return b
}

// of returns the posterior mean of a point and its standard deviation, both in units of the score.
func (b *belief) of(p *point) (mean, std float64) {
	b.model.extend(p)
	return b.mean + b.scale*dot(p.column, b.weights), b.signal * math.Sqrt(max(0, p.rest))
}

// gain returns by how much a score of the architecture of one point makes another point's variance smaller, in units of the
// signal's.
func (m *model) gain(of, by *point) float64 {
	m.extend(of)
	m.extend(by)
	covariance := of.shells[m.space.Distance(of.arch, by.arch)] - dot(of.column, by.column)
	return covariance * covariance / max(by.rest+m.noise, 1e-9)
}

// floored lifts scores that lie further below the median than the best lies above it. How bad the bad ones are tells nothing of
// where the best are, and a few that learn nothing at all would set the scale for all others.
func floored(scores []float64) []float64 {
	if len(scores) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(scores))
	median, best := sorted[len(sorted)/2], sorted[len(sorted)-1]
	if median == best {
		return scores
	}
	out := make([]float64, len(scores))
	for i, v := range scores {
		out[i] = max(v, 2*median-best)
	}
	return out
}

func dot(a, b []float64) float64 {
	n := min(len(a), len(b))
	return blas64.Dot(blas64.Vector{N: n, Inc: 1, Data: a}, blas64.Vector{N: n, Inc: 1, Data: b})
}
