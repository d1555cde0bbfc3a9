package sampling

// This file is the policy shared: every score that is known within the radius counts, and every architecture that is known
// may be chosen. A value changes whenever something comes to be known nearby.

// share joins a new entry with everything known within the radius.
func (p *pool) share(e *entry) {
	st := p.search.Neighborhood
	if st.IncludeCenter {
		e.near, e.distances = append(e.near, e), append(e.distances, 0)
	}
	for _, other := range p.usable {
		if other == e {
			continue
		}
		d := p.search.space.Distance(e.arch, other.arch)
		if d > st.Radius {
			continue
		}
		e.near, e.distances = append(e.near, other), append(e.distances, float64(d))
		other.near, other.distances = append(other.near, e), append(other.distances, float64(d))
		e.neighbors++
		other.neighbors++
		other.stale = true
	}
	e.stale = true
	if p.sums == nil {
		p.sums = make([]float64, len(e.parts.Shared))
	}
	for k, v := range e.parts.Shared {
		p.sums[k] += v
	}
}

// refresh brings the value of an entry up to date. Without a score nearby there is nothing to aggregate, and the value
// remains its own.
func (p *pool) refresh(e *entry) {
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
