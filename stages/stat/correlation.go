package stat

import (
	"cmp"
	"math"
	"slices"
)

// Pearson returns the linear correlation of pairs, from -1 to 1; not a number where one side does not vary.
func Pearson(x, y []float64) float64 {
	mx, my := Mean(x), Mean(y)
	var xy, xx, yy float64
	for i := range x {
		dx, dy := x[i]-mx, y[i]-my
		xy, xx, yy = xy+dx*dy, xx+dx*dx, yy+dy*dy
	}
	return xy / math.Sqrt(xx*yy)
}

// Spearman returns the rank correlation of pairs, from -1 to 1, equal numbers sharing their mean rank; not a number where
// one side does not vary.
func Spearman(x, y []float64) float64 { return Pearson(Ranks(x), Ranks(y)) }

// KendallTau returns Kendall's tau-b of pairs, from -1 to 1: how many more pairs of pairs are in the same order than in
// opposite orders, corrected for ties. It takes n log n steps (Knight, JASA 1966). Not a number where one side does not vary.
func KendallTau(x, y []float64) float64 {
	n := len(x)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		if c := cmp.Compare(x[i], x[j]); c != 0 {
			return c
		}
		return cmp.Compare(y[i], y[j])
	})
	pairs := func(same func(i, j int) bool, order []int) (tied float64) {
		for from := 0; from < n; {
			to := from + 1
			for to < n && same(order[from], order[to]) {
				to++
			}
			tied += float64(to-from) * float64(to-from-1) / 2
			from = to
		}
		return tied
	}
	tiedX := pairs(func(i, j int) bool { return x[i] == x[j] }, order)
	tiedBoth := pairs(func(i, j int) bool { return x[i] == x[j] && y[i] == y[j] }, order)
	values := make([]float64, n)
	for k, i := range order {
		values[k] = y[i]
	}
	swaps := exchanges(values, make([]float64, n))
	byY := slices.Clone(order)
	slices.SortFunc(byY, func(i, j int) int { return cmp.Compare(y[i], y[j]) })
	tiedY := pairs(func(i, j int) bool { return y[i] == y[j] }, byY)
	total := float64(n) * float64(n-1) / 2
	return (total - tiedX - tiedY + tiedBoth - 2*swaps) / math.Sqrt((total-tiedX)*(total-tiedY))
}

// exchanges sorts values by merging and returns how many exchanges of neighbors that would take.
func exchanges(values, buffer []float64) float64 {
	n := len(values)
	if n < 2 {
		return 0
	}
	left, right := values[:n/2], values[n/2:]
	count := exchanges(left, buffer) + exchanges(right, buffer)
	merged := buffer[:0]
	i, j := 0, 0
	for i < len(left) && j < len(right) {
		if right[j] < left[i] {
			count += float64(len(left) - i)
			merged = append(merged, right[j])
			j++
		} else {
			merged = append(merged, left[i])
			i++
		}
	}
	merged = append(append(merged, left[i:]...), right[j:]...)
	copy(values, merged)
	return count
}
