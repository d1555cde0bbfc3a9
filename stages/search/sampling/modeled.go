package sampling

import (
	"slices"

	"github.com/plateau-nas/plateau/stages/score/objective"
	"github.com/plateau-nas/plateau/stages/space"
)

// This file is the policy model: a neighborhood consists of what is known of it and of what a Gaussian process, fitted to all
// scores, says of the rest. No neighbor is evaluated for its own sake, and every value changes whenever something comes to be known.

// posterior is a pool's model with what it makes of the scores that are known.
type posterior struct {
	model   *model
	learned int // of the pool's usable entries
	known   int // architectures of the pool, failed ones included, when the beliefs were made
	points  map[string]*point
	floor   float64 // the least that a score counts as
	shared  *belief // of what neighborhoods share
	whole   *belief // of values, the costs of the architecture itself and its constraints included
}

// posterior returns the pool's model, brought up to everything known; nil while nothing can be used.
func (p *pool) posterior() *posterior {
	if len(p.usable) == 0 {
		return nil
	}
	if p.process == nil {
		p.process = &posterior{model: newModel(p.search.space, p.search.Model), points: map[string]*point{}}
	}
	m := p.process
	if m.known == len(p.known) {
		return m
	}
	for _, e := range p.usable[m.learned:] {
		m.model.learn(e.arch)
	}
	m.learned, m.known = len(p.usable), len(p.known)
	shared, values, same := make([]float64, m.learned), make([]float64, m.learned), true
	for i, e := range p.usable {
		shared[i] = p.sharedNumber(e)
		values[i] = shared[i] + p.ownNumber(e)
		same = same && values[i] == shared[i] && e.parts.Violation == 0
	}
	shared = floored(shared)
	m.floor = slices.Min(shared)
	m.shared = m.model.solve(shared)
	if m.whole = m.shared; !same {
		m.whole = m.model.solve(p.feasible(values))
	}
	return m
}

// feasible gives what breaks a constraint the least value of all, so that the search keeps away from it.
func (p *pool) feasible(values []float64) []float64 {
	out := slices.Clone(floored(values))
	least := slices.Min(out)
	for i, e := range p.usable {
		if e.parts.Violation > 0 {
			out[i] = least
		}
	}
	return out
}

// sharedNumber returns what an entry gives to the neighborhoods that it is in.
func (p *pool) sharedNumber(e *entry) float64 {
	if p.ranking != nil {
		return p.shareOf(e)
	}
	return e.parts.Shared[0]
}

// ownNumber returns what is added to the aggregate of an entry's neighborhood.
func (p *pool) ownNumber(e *entry) float64 {
	if p.ranking != nil {
		return p.ranking.Own(e.parts)
	}
	return e.parts.Own[0]
}

// around is one of an entry's neighbors.
type around struct {
	arch     space.Architecture
	key      string
	distance float64
	entry    *entry // once it is known
	point    *point // until then, once it was asked for
}

// point returns the signal of an architecture as a point of the model.
func (m *posterior) point(a space.Architecture) *point {
	key := a.Key()
	p := m.points[key]
	if p == nil {
		p = m.model.at(a)
		m.points[key] = p
	}
	return p
}

// fill gives an entry the value of its neighborhood, what is not known of it filled in by the model. Neighbors that failed do
// not count, or as the worst where ranks are combined.
func (p *pool) fill(e *entry) {
	if e.failure != "" || e.filledAt == len(p.known) {
		return
	}
	e.filledAt = len(p.known)
	m := p.posterior()
	own := p.ownNumber(e)
	if p.ranking != nil {
		e.own = objective.Value{Numbers: []float64{p.sharedNumber(e) + own}, Violation: e.parts.Violation}
	}
	if e.around == nil {
		for _, a := range p.neighbors(e.arch) {
			e.around = append(e.around, around{arch: a, key: a.Key(), distance: float64(p.search.space.Distance(e.arch, a))})
		}
	}
	var numbers, distances []float64
	if p.search.Neighborhood.IncludeCenter || len(e.around) == 0 {
		numbers, distances = append(numbers, max(m.floor, p.sharedNumber(e))), append(distances, 0)
	}
	e.neighbors = 0
	for i := range e.around {
		a := &e.around[i]
		if a.entry == nil {
			a.entry = p.known[a.key]
		}
		var v float64
		switch n := a.entry; {
		case n == nil:
			if a.point == nil {
				a.point = m.point(a.arch)
			}
			v, _ = m.shared.of(a.point)
		case n.failure == "" || p.ranking != nil:
			v = max(m.floor, p.sharedNumber(n))
			e.neighbors++
		default:
			continue
		}
		numbers, distances = append(numbers, v), append(distances, a.distance)
	}
	if e.alone = len(numbers) == 0; e.alone { // no neighbor can be evaluated, and the center does not count
		e.aggregated = false
		return
	}
	e.aggregated = true
	e.value = objective.Value{Numbers: []float64{p.aggregator.Aggregate(numbers, distances) + own}, Violation: e.parts.Violation}
}
