package pipeline

import (
	"slices"
	"strings"
)

// maxListed is how many known names an error lists when none is near.
const maxListed = 16

// Nearest returns the known name that somebody who typed name most likely meant, or "" when none is near: the
// smallest edit distance (insertions, deletions, substitutions, swaps of neighbors), at most a third of the length.
func Nearest(name string, known []string) string {
	lower := strings.ToLower(name)
	best, bestDistance := "", max(1, len(lower)/3)+1
	for _, k := range slices.Sorted(slices.Values(known)) {
		if d := editDistance(lower, strings.ToLower(k)); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	if best != "" || len(lower) < 3 {
		return best
	}
	// A part of exactly one known name: "lr" is too short to tell, "decay" means "weight_decay".
	for _, k := range known {
		if strings.Contains(strings.ToLower(k), lower) {
			if best != "" {
				return ""
			}
			best = k
		}
	}
	return best
}

// Suggest returns a hint for an unknown name: the nearest known one, or the list of them. what names them
// in the plural, such as "settings".
func Suggest(name, what string, known []string) string {
	if near := Nearest(name, known); near != "" {
		return "did you mean " + near + "?"
	}
	sorted := slices.Sorted(slices.Values(known))
	switch {
	case len(sorted) == 0:
		return "there are no " + what + " here"
	case len(sorted) > maxListed:
		return "known " + what + ": " + strings.Join(sorted[:maxListed], ", ") + ", ..."
	}
	return "known " + what + ": " + strings.Join(sorted, ", ")
}

// editDistance is the optimal string alignment distance, over runes.
func editDistance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, prev, cur := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(x); i++ {
		cur[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(y)]
}
