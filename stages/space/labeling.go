package space

import (
	"cmp"
	"slices"
	"strings"
)

// A computation is written down in an order of its terms that does not depend on the order in which they were made: colors of terms
// are refined by the colors of what they are applied to and of what is applied to them, until nothing changes; where terms of equal
// color remain, each is set apart in turn, and the order that reads first is taken (individualization and refinement: McKay,
// Practical graph isomorphism, Congressus Numerantium 30, 1981). Where two of them are equal by a symmetry of the computation,
// only one is followed.

// ordered returns the computation with its terms in the order that equal computations share.
func (c *computation) ordered() *computation {
	colors := make([]int, len(c.terms))
	for i, t := range c.terms {
		for _, in := range t.of {
			colors[i] = max(colors[i], colors[in.term]+1) // depth first: what a term is applied to stays before it
		}
	}
	return c.least(c.refine(colors))
}

// refine numbers the terms by color from 0, so that terms of equal color have equal labels, and are applied to and used by terms of
// equal colors. It keeps the order of different colors.
func (c *computation) refine(colors []int) []int {
	used := make([][]addend, len(c.terms))
	classes := 0
	for {
		for i := range used {
			used[i] = used[i][:0]
		}
		of := make([][]addend, len(c.terms))
		for i, t := range c.terms {
			for _, in := range t.of {
				of[i] = append(of[i], addend{colors[in.term], in.times})
				used[in.term] = append(used[in.term], addend{colors[i], in.times})
			}
		}
		for i := range c.terms {
			slices.SortFunc(of[i], compareAddends)
			slices.SortFunc(used[i], compareAddends)
		}
		compare := func(i, j int) int {
			return cmp.Or(cmp.Compare(colors[i], colors[j]), strings.Compare(c.terms[i].label, c.terms[j].label),
				slices.CompareFunc(of[i], of[j], compareAddends), slices.CompareFunc(used[i], used[j], compareAddends))
		}
		next, n := ranks(len(c.terms), compare)
		if colors = next; n == classes {
			return colors
		}
		classes = n
	}
}

func compareAddends(a, b addend) int {
	return cmp.Or(cmp.Compare(a.term, b.term), cmp.Compare(a.times, b.times))
}

// ranks numbers 0 to n-1 by the comparison, equal ones alike, without gaps, and returns how many numbers there are.
func ranks(n int, compare func(i, j int) int) (out []int, distinct int) {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, compare)
	out = make([]int, n)
	for k, i := range order {
		if k > 0 && compare(order[k-1], i) != 0 {
			distinct++
		}
		out[i] = distinct
	}
	return out, distinct + 1
}

// tied returns the terms of the first color that several have, nil when there is none.
func tied(colors []int) []int {
	members := make([][]int, len(colors))
	for i, color := range colors {
		members[color] = append(members[color], i)
	}
	for _, m := range members {
		if len(m) > 1 {
			return m
		}
	}
	return nil
}

// apart gives one term a color of its own, just before those that it was equal to.
func (c *computation) apart(colors []int, term int) []int {
	out := make([]int, len(colors))
	for i, color := range colors {
		out[i] = 2*color + 1
	}
	out[term]--
	return c.refine(out)
}

// least returns the computation in the order that reads first among those that refine the colors.
func (c *computation) least(colors []int) *computation {
	members := tied(colors)
	if members == nil {
		return c.in(colors)
	}
	var best *computation
	var seen []*computation
	for _, m := range members {
		next := c.apart(colors, m)
		// The first order that is met below: when it reads like that of an earlier member, the map from the one to the other is a
		// symmetry that brings everything below the one to what is below the other.
		first := next
		for more := tied(first); more != nil; more = tied(first) {
			first = c.apart(first, more[0])
		}
		reads := c.in(first)
		if slices.ContainsFunc(seen, func(other *computation) bool { return reads.compare(other) == 0 }) {
			continue
		}
		seen = append(seen, reads)
		if found := c.least(next); best == nil || found.compare(best) < 0 {
			best = found
		}
	}
	return best
}

// in returns the computation with every term at the place of its color.
func (c *computation) in(colors []int) *computation {
	out := &computation{terms: make([]term, len(c.terms))}
	for i, t := range c.terms {
		of := make(addends, len(t.of))
		for j, in := range t.of {
			of[j] = addend{colors[in.term], in.times}
		}
		slices.SortFunc(of, compareAddends)
		out.terms[colors[i]] = term{t.label, of}
	}
	return out
}

func (c *computation) compare(d *computation) int {
	return slices.CompareFunc(c.terms, d.terms, func(a, b term) int {
		return cmp.Or(strings.Compare(a.label, b.label), slices.CompareFunc(a.of, b.of, compareAddends))
	})
}
