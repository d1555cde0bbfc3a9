package stat

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Wilson returns the confidence interval of a share of which k of n were seen (Wilson 1927), from 0 to 1. Other than k/n plus or minus
// a multiple of its standard error it holds near 0 and 1, where good classifiers are. It is not a number for n = 0.
func Wilson(k, n int, level float64) Interval {
	z := distuv.UnitNormal.Quantile(0.5 + level/2)
	size, share := float64(n), float64(k)/float64(n)
	middle := (share + z*z/(2*size)) / (1 + z*z/size)
	half := z / (1 + z*z/size) * math.Sqrt(share*(1-share)/size+z*z/(4*size*size))
	return Interval{Low: math.Max(0, middle-half), High: math.Min(1, middle+half)}
}

// MeanShare returns the confidence interval of the mean of several shares, k[i] of n[i] each, from 0 to 1, such as the mean accuracy over
// classes: by what exact intervals of the shares leave open (the method of variance estimates recovery: Zou and Donner 2008), which does
// not take shares of 0 or 1 for certain. With Wilson's intervals in their place it would hold the truth in 90 to 94% of cases with 5 to 20 images a
// class, in place of 95%. It is not a number for no shares.
func MeanShare(k, n []int, level float64) Interval {
	var mean, below, above float64
	for i := range k {
		share, w := float64(k[i])/float64(n[i]), exact(k[i], n[i], level)
		mean += share
		below += (share - w.Low) * (share - w.Low)
		above += (w.High - share) * (w.High - share)
	}
	m := float64(len(k))
	return Interval{Low: math.Max(0, (mean-math.Sqrt(below))/m), High: math.Min(1, (mean+math.Sqrt(above))/m)}
}

// exact is the interval of Clopper and Pearson (1934) of a share of which k of n were seen.
func exact(k, n int, level float64) Interval {
	i := Interval{Low: 0, High: 1}
	if k > 0 {
		i.Low = distuv.Beta{Alpha: float64(k), Beta: float64(n - k + 1)}.Quantile(0.5 - level/2)
	}
	if k < n {
		i.High = distuv.Beta{Alpha: float64(k + 1), Beta: float64(n - k)}.Quantile(0.5 + level/2)
	}
	return i
}

// McNemar tests whether two classifiers are right equally often on the same images (McNemar 1947): first and second are the images that
// only the one, and only the other, classifies right. The two-sided P is exact, by the binomial distribution; 1 where they never
// differ.
func McNemar(first, second int) float64 {
	if first+second == 0 {
		return 1
	}
	b := distuv.Binomial{N: float64(first + second), P: 0.5}
	return math.Min(1, 2*b.CDF(float64(min(first, second))))
}

// TwoShares tests whether two shares differ, k of n and l of m, of samples that have nothing to do with each other: by the normal
// approximation with the pooled share, which is the chi-squared test without a correction for continuity. P is two-sided.
func TwoShares(k, n, l, m int) float64 {
	pooled := float64(k+l) / float64(n+m)
	spread := math.Sqrt(pooled * (1 - pooled) * (1/float64(n) + 1/float64(m)))
	if spread == 0 {
		return 1
	}
	return 2 * NormalCDF(-math.Abs(float64(k)/float64(n)-float64(l)/float64(m))/spread)
}
