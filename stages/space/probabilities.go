package space

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Probabilities is the relaxed form of an architecture: row e is a distribution over the operations of edge e.
// Rows are not negative and sum to one.
type Probabilities [][]float64

// Softmax turns architecture parameters alpha (edge x operation, any real numbers) into edge probabilities.
func Softmax(alpha [][]float64) Probabilities {
	p := make(Probabilities, len(alpha))
	for e, row := range alpha {
		p[e] = make([]float64, len(row))
		if len(row) == 0 {
			continue
		}
		// Shifting by the largest value leaves the result as it is and keeps exp from overflowing.
		top := slices.Max(row)
		sum := 0.0
		for k, v := range row {
			p[e][k] = math.Exp(v - top)
			sum += p[e][k]
		}
		for k := range p[e] {
			p[e][k] /= sum
		}
	}
	return p
}

// OneHot returns the probabilities that choose exactly a: one on its operations, zero elsewhere. An operation that
// the space does not have gives a row of zeros.
func (s *Space) OneHot(a Architecture) Probabilities {
	p := make(Probabilities, len(a))
	for e, op := range a {
		p[e] = make([]float64, len(s.Operations))
		if op >= 0 && op < len(s.Operations) {
			p[e][op] = 1
		}
	}
	return p
}

// Clone returns a copy that shares nothing with p.
func (p Probabilities) Clone() Probabilities {
	q := make(Probabilities, len(p))
	for e := range p {
		q[e] = slices.Clone(p[e])
	}
	return q
}

// Argmax returns the most probable operation on each edge; of equals, the first. In spaces where every edge has its own
// choice that is the architecture which the probabilities stand for; Space.Derive knows the others as well.
func (p Probabilities) Argmax() Architecture {
	a := make(Architecture, len(p))
	for e, row := range p {
		for k, v := range row {
			if v > row[a[e]] {
				a[e] = k
			}
		}
	}
	return a
}

// Sample draws an architecture, each edge on its own.
func (p Probabilities) Sample(rng *rand.Rand) Architecture {
	a := make(Architecture, len(p))
	for e, row := range p {
		u := rng.Float64()
		for k, v := range row {
			if v <= 0 {
				continue
			}
			// The last operation with any probability stays chosen when rounding leaves the sum just below u.
			a[e] = k
			if u < v {
				break
			}
			u -= v
		}
	}
	return a
}

// Entropy returns the mean over the edges of the entropy of their distributions, in nats: log of the number of
// operations when every one is as likely, 0 when the choice is made.
func (p Probabilities) Entropy() float64 {
	if len(p) == 0 {
		return 0
	}
	sum := 0.0
	for _, row := range p {
		for _, v := range row {
			if v > 0 {
				sum -= v * math.Log(v)
			}
		}
	}
	return sum / float64(len(p))
}

// TotalVariation returns the distance of p and q: the sum over the edges of 1/2 * sum_k |p_k - q_k|. It lies
// between 0 and the number of edges, and is Distance when both are one-hot. Entries that only one of them
// has count as zero in the other.
func TotalVariation(p, q Probabilities) float64 {
	sum := 0.0
	for e := range max(len(p), len(q)) {
		var a, b []float64
		if e < len(p) {
			a = p[e]
		}
		if e < len(q) {
			b = q[e]
		}
		for k := range max(len(a), len(b)) {
			var x, y float64
			if k < len(a) {
				x = a[k]
			}
			if k < len(b) {
				y = b[k]
			}
			sum += math.Abs(x - y)
		}
	}
	return sum / 2
}
