package stat

import (
	"math"
	"slices"
)

// WilcoxonResult is the outcome of a Wilcoxon signed-rank test.
type WilcoxonResult struct {
	N     int     // pairs that differ; those that are equal are left out
	Plus  float64 // sum of the ranks of the differences above 0
	Minus float64 // of those below 0
	P     float64 // two-sided; 1 when no pair differs
	Z     float64 // of the normal approximation; 0 where P is exact
	Exact bool    // P is the exact probability
	// RankBiserial is the matched-pairs rank-biserial correlation (Kerby 2014), (Plus-Minus)/(Plus+Minus), from -1 (y is always
	// larger) to 1 (x is); 0 when no pair differs.
	RankBiserial float64
}

// exactPairs is the largest number of pairs for which the exact distribution is computed.
const exactPairs = 50

// Wilcoxon tests whether the differences of pairs x[i]-y[i] lie symmetrically around 0 (Wilcoxon 1945). Pairs that are
// equal are left out. With at most 50 others, no two of which differ by the same amount, P is exact; otherwise it is
// the normal approximation with the variance corrected for ties and no correction for continuity.
func Wilcoxon(x, y []float64) WilcoxonResult {
	var size []float64
	var positive []bool
	for i := range x {
		if d := x[i] - y[i]; d != 0 {
			size, positive = append(size, math.Abs(d)), append(positive, d > 0)
		}
	}
	ranks, ties := rank(size)
	r := WilcoxonResult{N: len(size), P: 1}
	for i, v := range ranks {
		if positive[i] {
			r.Plus += v
		} else {
			r.Minus += v
		}
	}
	if r.N == 0 {
		r.Exact = true
		return r
	}
	r.RankBiserial = (r.Plus - r.Minus) / (r.Plus + r.Minus)
	n := float64(r.N)
	if ties == 0 && r.N <= exactPairs {
		r.Exact = true
		r.P = math.Min(1, 2*signedRankCDF(r.N, int(math.Min(r.Plus, r.Minus))))
		return r
	}
	variance := n*(n+1)*(2*n+1)/24 - ties/48
	r.Z = (r.Plus - n*(n+1)/4) / math.Sqrt(variance)
	r.P = 2 * NormalCDF(-math.Abs(r.Z))
	return r
}

// WilcoxonExact is Wilcoxon with the exact P also where differences are equal in size, for at most 50 pairs that differ: the
// probability over all 2^n choices of signs for the ranks as they are, ties sharing their mean rank (the conditional
// permutation test). With few pairs ties are frequent, and the normal approximation is poor.
func WilcoxonExact(x, y []float64) WilcoxonResult {
	r := Wilcoxon(x, y)
	if r.Exact || r.N > exactPairs {
		return r
	}
	var size []float64
	for i := range x {
		if d := x[i] - y[i]; d != 0 {
			size = append(size, math.Abs(d))
		}
	}
	ranks := Ranks(size)
	total := 0
	for _, v := range ranks {
		total += int(2 * v) // a mean rank is a multiple of one half
	}
	chance := make([]float64, total+1)
	chance[0] = 1
	for _, v := range ranks {
		step := int(2 * v)
		for s := total; s >= 0; s-- {
			chance[s] /= 2
			if s >= step {
				chance[s] += chance[s-step] / 2
			}
		}
	}
	sum := 0.0
	for _, c := range chance[:int(2*math.Min(r.Plus, r.Minus))+1] {
		sum += c
	}
	r.P, r.Z, r.Exact = math.Min(1, 2*sum), 0, true
	return r
}

// LeastP returns the smallest two-sided p that a signed-rank test of n pairs can have, when all of them differ in one
// direction: 2/2^n, 0.0625 for 5.
func LeastP(n int) float64 { return math.Min(1, math.Ldexp(2, -n)) }

// signedRankCDF returns the probability that the ranks 1 to n, each counted with probability 1/2, sum to at most w.
func signedRankCDF(n, w int) float64 {
	chance := make([]float64, n*(n+1)/2+1)
	chance[0] = 1
	for k := 1; k <= n; k++ {
		for s := len(chance) - 1; s >= 0; s-- {
			chance[s] /= 2
			if s >= k {
				chance[s] += chance[s-k] / 2
			}
		}
	}
	sum := 0.0
	for _, c := range chance[:w+1] {
		sum += c
	}
	return sum
}

// CliffsDelta returns how much more often a number of x is larger than one of y than smaller, over all their combinations
// (Cliff 1993), from -1 to 1; not a number where one is empty.
func CliffsDelta(x, y []float64) float64 {
	sorted := slices.Sorted(slices.Values(y))
	sum := 0.0
	for _, v := range x {
		below, _ := slices.BinarySearch(sorted, v)
		above := len(sorted) - below
		for _, w := range sorted[below:] {
			if w != v {
				break
			}
			above--
		}
		sum += float64(below - above)
	}
	return sum / (float64(len(x)) * float64(len(y)))
}

// Holm returns p-values adjusted for their number (Holm 1979), in the order in which they are given: each is at least as
// large as before, and the probability that any of those below a level is a false alarm is at most that level.
func Holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch {
		case p[i] < p[j]:
			return -1
		case p[i] > p[j]:
			return 1
		}
		return 0
	})
	out := make([]float64, len(p))
	last := 0.0
	for k, i := range order {
		last = math.Max(last, math.Min(1, p[i]*float64(len(p)-k)))
		out[i] = last
	}
	return out
}
