package stat

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Pearson returns the linear correlation of pairs, from -1 to 1; not a number where one side does not vary, where the sides
// differ in length, or with fewer than two pairs.
func Pearson(x, y []float64) float64 {
	if len(x) < 2 || len(x) != len(y) {
		return math.NaN()
	}
	return stat.Correlation(x, y, nil)
}

// Spearman returns the rank correlation of pairs, the linear correlation of their Ranks; not a number where Pearson is none.
func Spearman(x, y []float64) float64 { return Pearson(Ranks(x), Ranks(y)) }

// KendallTau returns Kendall's tau-b of pairs, from -1 to 1: how many more pairs of pairs are in the same order than in
// opposite orders, corrected for ties. It takes n log n steps (Knight, JASA 1966). Not a number where Pearson is none.
func KendallTau(x, y []float64) float64 {
	if len(x) != len(y) {
		return math.NaN()
	}
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(x[a], x[b]), cmp.Compare(y[a], y[b]))
	})
	pairs := func(n int) float64 { return float64(n) * float64(n-1) / 2 }
	all := pairs(len(x))
	// Pairs that tie in x, and in both.
	tiedX, tiedBoth := 0.0, 0.0
	runX, runBoth := 0, 0
	for i := range order {
		sameX := i > 0 && x[order[i]] == x[order[i-1]]
		sameBoth := sameX && y[order[i]] == y[order[i-1]]
		if !sameX {
			tiedX += pairs(runX)
			runX = 0
		}
		if !sameBoth {
			tiedBoth += pairs(runBoth)
			runBoth = 0
		}
		runX++
		runBoth++
	}
	tiedX += pairs(runX)
	tiedBoth += pairs(runBoth)
	values := make([]float64, len(y))
	for i, at := range order {
		values[i] = y[at]
	}
	discordant := inversions(values, make([]float64, len(values))) // sorts values
	tiedY, run := 0.0, 0
	for i := range values {
		if i > 0 && values[i] != values[i-1] {
			tiedY += pairs(run)
			run = 0
		}
		run++
	}
	tiedY += pairs(run)
	// Discordant pairs are those that a stable sort by y exchanges; concordant are all others that tie in neither.
	difference := all - tiedX - tiedY + tiedBoth - 2*discordant
	if all == tiedX || all == tiedY {
		return math.NaN()
	}
	return difference / math.Sqrt(all-tiedX) / math.Sqrt(all-tiedY)
}

// inversions sorts v by merging and returns how many pairs stood in descending order.
func inversions(v, scratch []float64) float64 {
	if len(v) < 2 {
		return 0
	}
	half := len(v) / 2
	count := inversions(v[:half], scratch[:half]) + inversions(v[half:], scratch[half:])
	left, right := 0, half
	for i := range scratch {
		if right == len(v) || left < half && v[left] <= v[right] {
			scratch[i] = v[left]
			left++
		} else {
			scratch[i] = v[right]
			right++
			count += float64(half - left)
		}
	}
	copy(v, scratch)
	return count
}
