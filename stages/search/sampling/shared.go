package sampling

import (
	"cmp"
	"slices"

	"github.com/plateau-nas/plateau/stages/neighborhood"
)

// This file is the policy shared: every score that is known within the radius counts, and every architecture that is known
// may be chosen. A value changes whenever something comes to be known nearby.

// share joins a new entry with everything known within the radius.
func (p *pool) share(e *entry) {
	st := p.search.Neighborhood
	if st.IncludeCenter {
		e.near, e.distances = append(e.near, e), append(e.distances, 0)
	}
	class := p.classOf(e)
	e.counted = neighborhood.NewCounted(st, class)
	for _, other := range p.around(e) {
		d := p.search.space.Distance(e.arch, other.arch)
		e.join(other, p.classOf(other), d)
		other.join(e, class, d)
	}
	e.stale = true
	if e.failure != "" {
		return
	}
	if p.sums == nil {
		p.sums = make([]float64, len(e.parts.Shared))
	}
	for k, v := range e.parts.Shared {
		p.sums[k] += v
	}
}

// classOf returns the class of an entry, where the neighborhood asks for it.
func (p *pool) classOf(e *entry) string {
	if p.search.Neighborhood.CountsAll() {
		return ""
	}
	return p.search.classes.Of(e.arch)
}

// join takes another entry into the neighborhood of this one, if it counts there; of several that compute the same, the one that became
// known first does.
func (e *entry) join(other *entry, class string, distance int) {
	if !e.counted.Next(class) {
		return
	}
	e.near, e.distances = append(e.near, other), append(e.distances, float64(distance))
	e.neighbors++
	e.stale = true
}

// around returns what is known within the radius of an entry, itself excepted, in the order in which it became known. Where much is
// known it is faster to look every neighbor up.
func (p *pool) around(e *entry) []*entry {
	s, radius := p.search.space, p.search.Neighborhood.Radius
	counts := func(other *entry) bool { return other != e && (other.failure == "" || p.ranking != nil) }
	var out []*entry
	size := 0
	for d := 1; d <= min(radius, s.Diameter()) && size < len(p.known); d++ {
		size += s.ShellSizeOf(e.arch, d)
	}
	if size >= len(p.known) {
		for _, other := range p.known {
			if counts(other) && s.Distance(e.arch, other.arch) <= radius {
				out = append(out, other)
			}
		}
	} else {
		for _, a := range s.Neighbors(e.arch, radius) {
			if other := p.known[a.Key()]; other != nil && counts(other) {
				out = append(out, other)
			}
		}
	}
	slices.SortFunc(out, func(a, b *entry) int { return cmp.Compare(a.serial, b.serial) })
	return out
}

// refresh brings the value of an entry up to date. Without a score nearby there is nothing to aggregate, and the value
// remains its own.
func (p *pool) refresh(e *entry) {
	if p.search.policy == Modeled {
		p.fill(e)
		return
	}
	if p.ranking != nil {
		p.rerank(e)
		return
	}
	if p.search.policy != Shared || len(e.near) == 0 || !e.stale && p.search.Prior == 0 {
		return
	}
	if e.stale {
		e.base, e.stale, e.aggregated = p.shared(e.near, e.distances), false, true
	}
	weight, prior := float64(len(e.near)), p.search.Prior
	mixed := make([]float64, len(e.base))
	for k, v := range e.base {
		mixed[k] = (weight*v + prior*p.sums[k]/float64(len(p.usable))) / (weight + prior)
	}
	e.value = e.parts.Aggregated(mixed)
}
