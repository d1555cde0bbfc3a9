package sampling

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/score/objective"
	"github.com/plateau-nas/plateau/stages/space"
)

// maxIdle is how many assessments in a row may cost nothing. A search that comes so far has nothing new to find: the
// space is exhausted, or it circles in what it knows.
const maxIdle = 10_000

// pool is what a search knows at one fidelity.
type pool struct {
	search     *search
	fidelity   Fidelity
	level      int
	aggregator neighborhood.Aggregator
	ranking    *objective.Ranking // where the objective combines ranks; nil otherwise
	known      map[string]*entry
	answers    map[string]score.Result // for MergeEqual: of everything known, by class
	usable     []*entry                // everything known that has not failed, in the order in which it was evaluated
	ready      map[string]score.Result // evaluated and not asked for yet, by what identity gives
	candidates []*entry                // in the order in which they were assessed
	leaders    []*entry                // the best candidate, or for a Pareto objective those that none dominates; not where values change
	process    *posterior              // for gp and the policy model
	byOwn      []*entry                // for staged: usable candidates by their own value, best first
	sums       []float64               // for shared: of the numbers of everything usable
}

// entry is an architecture that was evaluated.
type entry struct {
	pool       *pool
	arch       space.Architecture
	result     score.Result
	parts      objective.Parts
	failure    string // why it could not be evaluated
	alone      bool   // none of its neighbors could be evaluated, and its own score does not count
	candidate  bool
	aggregated bool            // value stands on the neighborhood
	own, value objective.Value // of the architecture alone, and by which it is compared
	neighbors  int
	serial     int // place in the order in which architectures became known
	// For the policy shared: everything known within the radius, and whether something has come since base was made. Where ranks
	// are combined, the members of the neighborhood with any policy.
	near      []*entry
	distances []float64
	counted   neighborhood.Counted[string]
	stale     bool
	base      []float64 // the aggregate, without the prior
	// Where ranks are combined: the rank of what is shared, and the generations that it and the value are of.
	rank              float64
	rankedIn, valueIn int
	// For the policy model: the neighborhood, and how much was known when the value was made.
	around   []around
	filledAt int
}

// ok reports whether the entry can be chosen.
func (e *entry) ok() bool { return e.failure == "" && !e.alone }

func newPool(x *search, f Fidelity, level int, a neighborhood.Aggregator) *pool {
	return &pool{search: x, fidelity: f, level: level, aggregator: a, ranking: x.objective.NewRanking(), known: map[string]*entry{}, answers: map[string]score.Result{}, ready: map[string]score.Result{}}
}

// members returns the architectures whose scores an assessment of the center needs, the center first.
func (p *pool) members(center space.Architecture) []space.Architecture {
	x := p.search
	if x.Neighborhood.Radius == 0 || x.policy == Staged || x.policy == Modeled || x.policy == Shared && x.Neighborhood.Samples == 0 {
		return []space.Architecture{center}
	}
	return append([]space.Architecture{center}, p.neighbors(center)...)
}

// neighbors draws the neighbors of a center. They depend on the seed and the center only, so that a center has the same
// ones whenever it comes, and the stream of candidates is that of the plain search.
func (p *pool) neighbors(center space.Architecture) []space.Architecture {
	st := p.search.Neighborhood
	var rng *rand.Rand
	if st.Samples > 0 {
		rng = seed.New(p.search.options.Seed, "neighbors", center.Key())
	}
	drawn := neighborhood.DrawOf(p.search.classes, center, st, rng)
	if drawn[0].Equal(center) { // it is included, or no neighbor counts
		drawn = drawn[1:]
	}
	return drawn
}

// prefetch evaluates at once what the assessments of the centers will ask for, as far as the budget goes. It counts when it
// is asked for.
func (p *pool) prefetch(ctx context.Context, centers []space.Architecture) error {
	var missing []space.Architecture
	wanted := map[string]bool{}
	for _, c := range centers {
		if e := p.known[c.Key()]; e != nil && e.candidate && p.search.policy != Shared {
			continue
		}
		for _, a := range p.members(c) {
			key := a.Key()
			if _, ok := p.known[key]; ok {
				continue
			}
			key = p.identity(a, key)
			if _, ok := p.answers[key]; ok || wanted[key] {
				continue
			}
			after := float64(len(wanted)+1) * p.fidelity.Cost
			// Once neighborhoods are staged, they come before the next candidates.
			if !p.search.fits(len(wanted)+1, p.fidelity.Cost) || p.search.policy == Staged && p.search.spent+after > p.search.After*float64(p.search.Budget) {
				return p.fetch(ctx, missing)
			}
			wanted[key] = true
			if _, ok := p.ready[key]; !ok {
				missing = append(missing, a)
			}
		}
	}
	return p.fetch(ctx, missing)
}

func (p *pool) fetch(ctx context.Context, missing []space.Architecture) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(missing) == 0 {
		return nil
	}
	results, err := p.fidelity.Evaluator.Evaluate(ctx, missing)
	if err != nil {
		return err
	}
	if len(results) != len(missing) {
		return fmt.Errorf("the evaluator answered %d of %d architectures", len(results), len(missing))
	}
	for i, a := range missing {
		p.ready[p.identity(a, a.Key())] = results[i]
	}
	return nil
}

// evaluate makes the architectures known and charges those that were not and that no known one is equal to. It is errSpent when they do
// not all fit the budget; then none is evaluated.
func (p *pool) evaluate(ctx context.Context, archs []space.Architecture) ([]*entry, error) {
	out := make([]*entry, len(archs))
	fresh, unknown := map[string]bool{}, false
	var missing []space.Architecture
	keys := make([]string, len(archs))
	for i, a := range archs {
		keys[i] = a.Key()
		if out[i] = p.known[keys[i]]; out[i] != nil {
			continue
		}
		unknown = true
		id := p.identity(a, keys[i])
		if _, ok := p.answers[id]; ok || fresh[id] {
			continue
		}
		fresh[id] = true
		if _, ok := p.ready[id]; !ok {
			missing = append(missing, a)
		}
	}
	if !unknown {
		return out, nil
	}
	if !p.search.fits(len(fresh), p.fidelity.Cost) {
		return nil, errSpent
	}
	if err := p.fetch(ctx, missing); err != nil {
		return nil, err
	}
	p.search.charge(len(fresh), p.fidelity.Cost)
	for i, a := range archs {
		if out[i] == nil {
			e, err := p.learn(a, keys[i])
			if err != nil {
				return nil, err
			}
			out[i] = e
		}
	}
	return out, nil
}

// learn makes the answer to an architecture known.
func (p *pool) learn(a space.Architecture, key string) (*entry, error) {
	r, equal := p.answer(a, key)
	e := &entry{pool: p, arch: a.Clone(), result: r, serial: len(p.known)}
	if e.failure = e.result.Failure; e.failure == "" {
		// An evaluator must not answer so; that a search would go astray without a word is worse than to distrust it.
		if s := e.result.Score; math.IsNaN(s) || math.IsInf(s, 0) {
			e.failure = fmt.Sprintf("the score is %v", s)
		}
	}
	p.known[key] = e
	if e.failure != "" {
		x := p.search
		if !equal {
			x.failed++
		}
		if x.reason == "" {
			x.reason = fmt.Sprintf("%s: %s", x.space.Format(a), e.failure)
		}
		if p.ranking != nil { // among ranks a failure is the worst, and counts in neighborhoods
			if !equal {
				p.ranking.AddFailed()
			}
			if p.search.policy == Shared {
				p.share(e)
			}
		}
		return e, nil
	}
	parts, err := p.search.objective.Of(e.result)
	if err != nil {
		return nil, err
	}
	e.parts = parts
	if p.ranking != nil {
		if !equal { // its numbers are in the pool already
			p.ranking.Add(parts)
		}
	} else {
		e.own = parts.Value()
		e.value = e.own
	}
	p.usable = append(p.usable, e)
	if p.search.policy == Shared {
		p.share(e)
	}
	return e, nil
}

// assess evaluates a candidate and what the policy asks for.
func (p *pool) assess(ctx context.Context, center space.Architecture) (*entry, error) {
	x := p.search
	if e := p.known[center.Key()]; e != nil && e.candidate && (x.policy != Shared || x.Neighborhood.Samples == 0) {
		if x.idle++; x.idle >= maxIdle {
			return nil, errSpent
		}
		return e, nil
	}
	members, err := p.evaluate(ctx, p.members(center))
	if err != nil {
		return nil, err
	}
	e := members[0]
	if e.candidate { // only with the policy shared, which may have evaluated more neighbors now
		x.idle++
	} else {
		e.candidate = true
		p.candidates = append(p.candidates, e)
	}
	switch {
	case x.policy == Staged && e.ok() && p.ranking != nil:
		p.byOwn = append(p.byOwn, e) // ordered when they are looked at
	case x.policy == Staged && e.ok():
		at, _ := slices.BinarySearchFunc(p.byOwn, e, func(a, b *entry) int {
			if objective.Compare(a.own, b.own) >= 0 { // of equals, the one that came first
				return -1
			}
			return 1
		})
		p.byOwn = slices.Insert(p.byOwn, at, e)
	case x.policy != Shared && x.policy != Modeled && x.Neighborhood.Radius > 0:
		p.aggregate(e, members[1:])
	}
	p.lead(e)
	if err := x.assessed(); err != nil {
		return nil, err
	}
	if x.policy == Staged {
		if err := p.promote(ctx); err != nil {
			return nil, err
		}
	}
	if x.idle >= maxIdle {
		return nil, errSpent
	}
	return e, nil
}

// promote gives the candidates in the top share their neighborhoods, best own score first, once it is time.
func (p *pool) promote(ctx context.Context) error {
	x := p.search
	for x.spent >= x.After*float64(x.Budget) {
		p.orderByOwn()
		top := p.byOwn[:int(math.Ceil(x.Share*float64(len(p.byOwn))))]
		i := slices.IndexFunc(top, func(e *entry) bool { return !e.aggregated && !e.alone })
		if i < 0 {
			return nil
		}
		e := top[i]
		neighbors, err := p.evaluate(ctx, p.neighbors(e.arch))
		if err != nil {
			return err
		}
		p.aggregate(e, neighbors)
		if e.alone {
			p.leaders = nil
			for _, c := range p.candidates {
				p.lead(c)
			}
		}
		p.lead(e)
		if err := x.assessed(); err != nil {
			return err
		}
	}
	return nil
}

// aggregate gives a candidate the value of its neighborhood. Neighbors that failed do not count, or as the worst where ranks are combined.
func (p *pool) aggregate(e *entry, neighbors []*entry) {
	if e.failure != "" {
		return
	}
	var members []*entry
	var distances []float64
	if p.search.Neighborhood.IncludeCenter || len(neighbors) == 0 {
		members, distances = append(members, e), append(distances, 0)
	}
	e.neighbors = 0
	for _, n := range neighbors {
		if n.failure == "" || p.ranking != nil {
			members = append(members, n)
			distances = append(distances, float64(p.search.space.Distance(e.arch, n.arch)))
			e.neighbors++
		}
	}
	if e.alone = len(members) == 0; e.alone {
		return
	}
	e.aggregated = true
	if p.ranking != nil {
		e.near, e.distances, e.valueIn = members, distances, 0
		return
	}
	e.value = e.parts.Aggregated(p.shared(members, distances))
}

// shared aggregates each number over the members.
func (p *pool) shared(members []*entry, distances []float64) []float64 {
	out := make([]float64, p.search.objective.Width())
	scores := make([]float64, len(members))
	for k := range out {
		for i, m := range members {
			scores[i] = m.parts.Shared[k]
		}
		out[k] = p.aggregator.Aggregate(scores, distances)
	}
	return out
}
