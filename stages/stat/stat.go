// Package stat compares numbers: rank correlations, confidence intervals, paired tests and effect sizes. Every function is
// pure; those that draw take a generator.
//
// Pairs are two slices of the same length, element i of one belonging to element i of the other: the same seed, the same
// architecture.
package stat

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Mean returns the arithmetic mean, not a number of nothing.
func Mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// StdDev returns the standard deviation of a sample, dividing by n-1; not a number of fewer than two.
func StdDev(x []float64) float64 {
	mean, sum := Mean(x), 0.0
	for _, v := range x {
		sum += (v - mean) * (v - mean)
	}
	if len(x) < 2 {
		return math.NaN()
	}
	return math.Sqrt(sum / float64(len(x)-1))
}

// Median returns the median, not a number of nothing.
func Median(x []float64) float64 { return Quantile(slices.Sorted(slices.Values(x)), 0.5) }

// Quantile returns the quantile q, from 0 to 1, of sorted numbers, interpolating linearly between the two around q(n-1).
// It is not a number of nothing.
func Quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

// Ranks returns the rank of each number, 1 for the smallest; equal ones share the mean of their ranks.
func Ranks(x []float64) []float64 {
	ranks, _ := rank(x)
	return ranks
}

// rank returns the ranks, and the sum of t^3-t over groups of t equal numbers, by which ties correct variances.
func rank(x []float64) (ranks []float64, ties float64) {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(x[i], x[j]) })
	ranks = make([]float64, len(x))
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && x[order[to]] == x[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			ranks[i] = float64(from+to+1) / 2
		}
		t := float64(to - from)
		ties += t*t*t - t
		from = to
	}
	return ranks, ties
}

// Interval is a confidence interval.
type Interval struct {
	Low, High float64
}

// MeanCI returns the normal confidence interval of the mean at the given level, such as 0.95: mean +- z s / sqrt(n). It
// is meant for samples of thirty and more.
func MeanCI(x []float64, level float64) Interval {
	half := NormalQuantile(0.5+level/2) * StdDev(x) / math.Sqrt(float64(len(x)))
	mean := Mean(x)
	return Interval{mean - half, mean + half}
}

// StudentCI returns the confidence interval of the mean of normally distributed numbers at the given level, by Student's t
// with n-1 degrees of freedom, so that it is as wide as few numbers call for; not a number of fewer than two.
func StudentCI(x []float64, level float64) Interval {
	if len(x) < 2 {
		return Interval{math.NaN(), math.NaN()}
	}
	t := distuv.StudentsT{Sigma: 1, Nu: float64(len(x) - 1)}.Quantile(0.5 + level/2)
	half, mean := t*StdDev(x)/math.Sqrt(float64(len(x))), Mean(x)
	return Interval{mean - half, mean + half}
}

// BootstrapCI returns the percentile bootstrap confidence interval of the mean (Efron 1979) at the given level: resamples
// draws of len(x) numbers with replacement, and the quantiles of their means.
func BootstrapCI(x []float64, level float64, resamples int, rng *rand.Rand) Interval {
	if len(x) == 0 || resamples < 1 {
		return Interval{math.NaN(), math.NaN()}
	}
	means := make([]float64, resamples)
	for i := range means {
		sum := 0.0
		for range x {
			sum += x[rng.IntN(len(x))]
		}
		means[i] = sum / float64(len(x))
	}
	slices.Sort(means)
	return Interval{Quantile(means, 0.5-level/2), Quantile(means, 0.5+level/2)}
}

// NormalCDF returns the probability that a standard normal number is at most z.
func NormalCDF(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }

// NormalQuantile returns the z that a standard normal number is at most with probability p, 0 < p < 1.
func NormalQuantile(p float64) float64 { return -math.Sqrt2 * math.Erfcinv(2*p) }
