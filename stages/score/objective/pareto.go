package objective

import (
	"cmp"
	"math"
	"slices"
)

// Dominates reports whether a is better than b without being worse anywhere. What keeps all constraints dominates what
// breaks one; of two that break some, the one with the smaller violation dominates (Deb et al. 2002, section VI).
func Dominates(a, b Value) bool {
	if a.Violation > 0 || b.Violation > 0 {
		return a.Violation < b.Violation
	}
	better := false
	for i, v := range a.Numbers {
		if v < b.Numbers[i] {
			return false
		}
		better = better || v > b.Numbers[i]
	}
	return better
}

// Fronts sorts values into non-dominated fronts: the first holds the indices of all that no other dominates, the second
// of those that only the first one's dominate, and so on. Each front is ascending, so the result does not depend on
// anything but the order of the values.
func Fronts(values []Value) [][]int {
	var fronts [][]int
	dominated := make([][]int, len(values)) // by each
	count := make([]int, len(values))       // of those that dominate each
	var front []int
	for i, a := range values {
		for j, b := range values {
			switch {
			case Dominates(a, b):
				dominated[i] = append(dominated[i], j)
			case Dominates(b, a):
				count[i]++
			}
		}
		if count[i] == 0 {
			front = append(front, i)
		}
	}
	for len(front) > 0 {
		fronts = append(fronts, front)
		var next []int
		for _, i := range front {
			for _, j := range dominated[i] {
				if count[j]--; count[j] == 0 {
					next = append(next, j)
				}
			}
		}
		slices.Sort(next)
		front = next
	}
	return fronts
}

// Crowding returns the crowding distance of each member of a front: the sum over the numbers of the distance between its
// two neighbors in the order of that number, relative to the range on the front. The ends have an infinite distance. The
// order among members that are equal in a number is that of their values, and then that of the front.
func Crowding(values []Value, front []int) []float64 {
	out := make([]float64, len(front))
	if len(front) == 0 {
		return out
	}
	order := make([]int, len(front))
	for k := range values[front[0]].Numbers {
		for i := range order {
			order[i] = i
		}
		at := func(i int) float64 { return values[front[i]].Numbers[k] }
		slices.SortStableFunc(order, func(i, j int) int {
			if c := cmp.Compare(at(i), at(j)); c != 0 {
				return c
			}
			return slices.Compare(values[front[i]].Numbers, values[front[j]].Numbers)
		})
		first, last := order[0], order[len(order)-1]
		out[first], out[last] = math.Inf(1), math.Inf(1)
		width := at(last) - at(first)
		if width == 0 {
			continue
		}
		for n := 1; n+1 < len(order); n++ {
			out[order[n]] += (at(order[n+1]) - at(order[n-1])) / width
		}
	}
	return out
}
