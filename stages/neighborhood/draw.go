package neighborhood

import (
	"math/rand/v2"
	"slices"

	"github.com/plateau-nas/plateau/stages/space"
)

// Draw returns the architectures whose scores make up the neighborhood of center: center first when it is
// included, then its neighbors in the order of space.Neighbors. With settings.Samples below the number of
// neighbors at distance 1 to radius, that many of them are drawn uniformly without replacement; each distance is
// then met in proportion to how many neighbors lie there. Otherwise all are returned and rng is not used (it may
// be nil). At radius 0 the result is the center alone.
//
// Where settings.Equivalents does not count all, neighbors that do not count are left out, and samples are drawn from those that do
// (see drawCounted). A center of whose neighbors none counts stands alone: the result is the center then, included or not.
//
// A radius beyond the diameter of the space reaches the whole space; Settings.CheckSpace refuses it beforehand.
func Draw(s *space.Space, center space.Architecture, st Settings, rng *rand.Rand) []space.Architecture {
	return DrawOf(space.NewClasses(s), center, st, rng)
}

// DrawOf is Draw for many centers: classes are remembered.
func DrawOf(classes *space.Classes, center space.Architecture, st Settings, rng *rand.Rand) []space.Architecture {
	if st.Radius <= 0 {
		return []space.Architecture{center.Clone()}
	}
	var drawn []space.Architecture
	if st.CountsAll() {
		drawn = drawNeighbors(classes.Space(), center, st, rng)
	} else {
		drawn = drawCounted(classes, center, st, rng)
	}
	if st.IncludeCenter || len(drawn) == 0 {
		return append([]space.Architecture{center.Clone()}, drawn...)
	}
	return drawn
}

// neighbors counts the architectures at distance 1 to radius; size gives those at one distance.
func neighbors(s *space.Space, radius int, size func(distance int) int) int {
	n := 0
	for d := 1; d <= min(radius, s.Diameter()); d++ {
		n += size(d)
	}
	return n
}

func drawNeighbors(s *space.Space, center space.Architecture, st Settings, rng *rand.Rand) []space.Architecture {
	total := neighbors(s, st.Radius, func(distance int) int { return s.ShellSizeOf(center, distance) })
	if st.Samples <= 0 || st.Samples >= total {
		return s.Neighbors(center, st.Radius)
	}
	out := make([]space.Architecture, 0, st.Samples)
	for _, index := range subset(total, st.Samples, rng) {
		out = append(out, neighborAt(s, center, index))
	}
	return out
}

// subset draws k of the numbers 0 to n-1, every subset being as likely, and returns them ascending. It is Floyd's
// algorithm (Bentley and Floyd 1987): k random numbers, whatever n is.
func subset(n, k int, rng *rand.Rand) []int {
	chosen := make(map[int]bool, k)
	out := make([]int, 0, k)
	for top := n - k; top < n; top++ {
		i := rng.IntN(top + 1)
		if chosen[i] {
			i = top
		}
		chosen[i] = true
		out = append(out, i)
	}
	slices.Sort(out)
	return out
}
