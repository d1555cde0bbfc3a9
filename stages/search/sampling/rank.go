package sampling

import (
	"slices"

	"github.com/plateau-nas/plateau/stages/score/objective"
)

// better reports whether a is preferred to b: what has its neighborhood behind it to what has not, and then by value.
func better(a, b *entry) bool {
	if a.aggregated != b.aggregated {
		return a.aggregated
	}
	return objective.Compare(a.value, b.value) > 0
}

// first returns the best of the entries, the first of equals; nil when none can be chosen.
func (p *pool) first(entries []*entry) *entry {
	if p.search.objective.Width() > 1 {
		if sorted := p.sorted(entries); len(sorted) > 0 {
			return sorted[0]
		}
		return nil
	}
	var best *entry
	for _, e := range entries {
		if p.refresh(e); e.ok() && (best == nil || better(e, best)) {
			best = e
		}
	}
	return best
}

// sorted returns the entries that can be chosen, best first; equals keep their order.
func (p *pool) sorted(entries []*entry) []*entry {
	var groups [2][]*entry // those with their neighborhood behind them come first
	for _, e := range entries {
		if p.refresh(e); e.ok() {
			group := 1
			if e.aggregated {
				group = 0
			}
			groups[group] = append(groups[group], e)
		}
	}
	var out []*entry
	for _, group := range groups {
		values := make([]objective.Value, len(group))
		for i, e := range group {
			values[i] = e.value
		}
		for _, i := range objective.Order(values) {
			out = append(out, group[i])
		}
	}
	return out
}

// insert adds an entry to those that are best, unless one of them is better, and takes out those that it is better than:
// of one number one remains, of several the non-dominated front.
func (p *pool) insert(leaders []*entry, e *entry) []*entry {
	if !e.ok() {
		return leaders
	}
	beats := func(a, b *entry) bool {
		if p.search.objective.Width() == 1 || a.aggregated != b.aggregated {
			return better(a, b)
		}
		return objective.Dominates(a.value, b.value)
	}
	for _, l := range leaders {
		if l == e || beats(l, e) || p.search.objective.Width() == 1 && !beats(e, l) {
			return leaders
		}
	}
	leaders = slices.DeleteFunc(leaders, func(l *entry) bool { return beats(e, l) })
	return append(leaders, e)
}

// changing tells that values change when something else comes to be known.
func (p *pool) changing() bool {
	return p.search.policy == Shared || p.search.policy == Modeled || p.ranking != nil
}

// lead considers a candidate for the leaders. Where values change there are none.
func (p *pool) lead(e *entry) {
	if !p.changing() {
		p.leaders = p.insert(p.leaders, e)
	}
}

// front returns the best of what may be chosen: one, or for a Pareto objective those that none dominates.
func (p *pool) front() []*entry {
	out := p.leaders
	if p.changing() {
		for _, e := range p.choosable() {
			p.refresh(e)
			out = p.insert(out, e)
		}
	}
	out = slices.Clone(out)
	slices.SortStableFunc(out, func(a, b *entry) int { return objective.Compare(b.value, a.value) })
	return out
}

// choosable returns what may be chosen: the candidates, and with the policy shared everything that is known.
func (p *pool) choosable() []*entry {
	if p.search.policy == Shared {
		return p.usable
	}
	return p.candidates
}

// best returns the incumbent, nil when there is none yet. Of a front it is the one with the largest first number.
func (p *pool) best() *entry {
	if front := p.front(); len(front) > 0 {
		return front[0]
	}
	return nil
}

// ranked returns what is assessed as far as the best, best first.
func (p *pool) ranked() []*entry {
	out := p.sorted(p.choosable())
	best := p.best()
	out = slices.DeleteFunc(out, func(e *entry) bool { return e.aggregated != best.aggregated })
	// A Pareto front begins with one of its ends; the one that is chosen comes first all the same.
	if i := slices.Index(out, best); i > 0 {
		out = slices.Insert(slices.Delete(out, i, i+1), 0, best)
	}
	return out
}

// export returns an entry as others see it.
func (e *entry) export() Candidate {
	e.pool.refresh(e)
	clone := func(v objective.Value) objective.Value {
		return objective.Value{Numbers: slices.Clone(v.Numbers), Violation: v.Violation}
	}
	return Candidate{Architecture: e.arch.Clone(), Own: e.result, Alone: clone(e.own), Value: clone(e.value), Aggregated: e.aggregated, Neighbors: e.neighbors, Fidelity: e.pool.level}
}
