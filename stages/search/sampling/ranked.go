package sampling

import (
	"slices"

	"github.com/plateau-nas/plateau/stages/score/objective"
)

// This file is for objectives that combine ranks: every value changes whenever something comes to be known.

// rerank gives an entry its value among everything that is known by now: its own ranks, or the aggregate of those of its
// neighborhood's members, of which those that failed are the worst.
func (p *pool) rerank(e *entry) {
	now := p.ranking.Generation()
	if e.failure != "" || e.valueIn == now {
		return
	}
	own := p.ranking.Own(e.parts)
	e.own = objective.Value{Numbers: []float64{p.shareOf(e) + own}, Violation: e.parts.Violation}
	e.value, e.valueIn = e.own, now
	if p.search.policy == Shared {
		e.aggregated = len(e.near) > 0
	}
	if !e.aggregated {
		return
	}
	ranks := make([]float64, len(e.near))
	for i, m := range e.near {
		ranks[i] = p.shareOf(m)
	}
	v := p.aggregator.Aggregate(ranks, e.distances)
	if prior := p.search.Prior; p.search.policy == Shared && prior > 0 {
		weight := float64(len(ranks))
		v = (weight*v + prior*p.ranking.Mean()) / (weight + prior)
	}
	e.value = objective.Value{Numbers: []float64{v + own}, Violation: e.parts.Violation}
}

// shareOf returns the rank of what an entry shares with the neighborhoods that it is in; 0, the worst, when it failed.
func (p *pool) shareOf(e *entry) float64 {
	if e.failure != "" {
		return 0
	}
	if now := p.ranking.Generation(); e.rankedIn != now {
		e.rank, e.rankedIn = p.ranking.Shared(e.parts), now
	}
	return e.rank
}

// orderByOwn puts the candidates of the policy staged in the order of what their own ranks have become.
func (p *pool) orderByOwn() {
	if p.ranking == nil {
		return
	}
	for _, e := range p.byOwn {
		p.rerank(e)
	}
	slices.SortStableFunc(p.byOwn, func(a, b *entry) int { return objective.Compare(b.own, a.own) })
}
