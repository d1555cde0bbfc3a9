package dataset

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// limit returns n of the images, or all when there are no more than n, in their old order: drawn at random with
// classes as equal in number as they can be.
func (im *Images) limit(n, classes int, rng *rand.Rand) *Images {
	if n >= im.Count {
		return im
	}
	chosen, _ := im.draw(equalQuotas(im.ClassCounts(classes), n), rng, nil)
	return im.pick(chosen)
}

// divide draws the given fraction of the images at random, of each class as far as its number allows, and returns
// the others and the drawn ones, both in their old order. Copies stay together; see draw. What is large is kept where keep says.
func (im *Images) divide(fraction float64, classes int, rng *rand.Rand, copies []int64, keep *storage) (rest, drawn *Images, err error) {
	if fraction == 0 {
		return im, newImages(0, im.Channels, im.Height, im.Width), nil // there may be too many to copy them
	}
	var groups []int
	for _, g := range copies {
		groups = append(groups, int(g))
	}
	chosen, others := im.draw(fractionQuotas(im.ClassCounts(classes), fraction), rng, groups)
	if rest, err = keep.pick(im, others, "rest"); err != nil {
		return nil, nil, err
	}
	drawn, err = keep.pick(im, chosen, "drawn")
	return rest, drawn, err
}

// draw chooses quotas[c] of the images of each class c at random and returns the chosen indices and the other
// ones, both ascending. copies has for each image the number of the group of equal ones that it belongs to, 0 for none; nil when
// there are none. Those of a group are all chosen or all left, so that a class may get less than its quota.
func (im *Images) draw(quotas []int, rng *rand.Rand, copies []int) (chosen, others []int) {
	byClass := make([][]int, len(quotas))
	for i, l := range im.Labels {
		byClass[l] = append(byClass[l], i)
	}
	together := map[int]bool{} // by group, whether it is chosen
	for c, members := range byClass {
		rng.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		if copies == nil {
			chosen = append(chosen, members[:quotas[c]]...)
			others = append(others, members[quotas[c]:]...)
			continue
		}
		in, out := drawTogether(members, quotas[c], copies, together)
		chosen, others = append(chosen, in...), append(others, out...)
	}
	slices.Sort(chosen)
	slices.Sort(others)
	return chosen, others
}

// drawTogether chooses up to quota of the members, the first ones, and keeps those of a group together, also with those of other
// classes.
func drawTogether(members []int, quota int, copies []int, together map[int]bool) (chosen, others []int) {
	sizes := map[int]int{}
	for _, m := range members {
		sizes[copies[m]]++
	}
	left := quota
	for group, n := range sizes {
		if group != 0 && together[group] {
			left -= n
		}
	}
	for _, m := range members {
		group := copies[m]
		if group == 0 {
			if left > 0 {
				chosen = append(chosen, m)
				left--
			} else {
				others = append(others, m)
			}
			continue
		}
		in, decided := together[group]
		if !decided {
			// A group that is larger than what is left is taken only where there would be nothing otherwise.
			in = sizes[group] <= left || left == quota && left > 0 && sizes[group] < len(members) && sizes[group] == smallest(sizes)
			together[group] = in
			if in {
				left -= sizes[group]
			}
		}
		if in {
			chosen = append(chosen, m)
		} else {
			others = append(others, m)
		}
	}
	return chosen, others
}

// smallest returns the size of the smallest group, of one for images without copies.
func smallest(sizes map[int]int) int {
	least := 0
	for group, n := range sizes {
		if group == 0 {
			return 1
		}
		if least == 0 || n < least {
			least = n
		}
	}
	return least
}

// equalQuotas divides n among the classes as equally as their counts allow. What cannot be divided goes to the
// first classes.
func equalQuotas(counts []int, n int) []int {
	quotas := make([]int, len(counts))
	for n > 0 {
		var open []int // classes that have more to give
		for c := range counts {
			if quotas[c] < counts[c] {
				open = append(open, c)
			}
		}
		if len(open) == 0 {
			return quotas
		}
		share := max(n/len(open), 1)
		for _, c := range open {
			more := min(share, counts[c]-quotas[c], n)
			quotas[c] += more
			n -= more
		}
	}
	return quotas
}

// fractionQuotas returns the fraction of each count, rounded so that the sum is the rounded fraction of the whole:
// the largest remainders are rounded up (Hamilton's method).
func fractionQuotas(counts []int, fraction float64) []int {
	quotas, order := make([]int, len(counts)), make([]int, len(counts))
	remainders := make([]float64, len(counts))
	total, given := 0, 0
	for c, n := range counts {
		whole, part := math.Modf(float64(n) * fraction)
		quotas[c], remainders[c], order[c] = int(whole), part, c
		total += n
		given += quotas[c]
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(remainders[b], remainders[a]) })
	missing := int(math.Round(float64(total)*fraction)) - given
	for _, c := range order[:min(max(missing, 0), len(order))] {
		if quotas[c] < counts[c] {
			quotas[c]++
		}
	}
	return quotas
}
