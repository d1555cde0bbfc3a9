package sampling

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/stages/space"
)

// The parameters of gp.
const (
	openedShare   = 0.2     // of the budget goes to uniform draws first, by default
	openedLeast   = 10      // of them there are, budget permitting
	wholeSpace    = 1 << 15 // architectures of a space that is looked at as a whole
	wholeColumns  = 1 << 24 // numbers that may be kept for that, 8 bytes each
	shortlist     = 1024    // of them that are looked at between two looks at all
	keptPlaces    = 1 << 12 // of them that remain in the end: at every look at all the worst quarter of more than that is given up
	mutatedFrom   = 3       // best candidates whose neighbors are looked at in a larger space, after every evaluation
	mutatedRandom = 64      // uniform draws that are looked at beside them
)

// gp is Bayesian optimization with a Gaussian process over architectures: assessed next is what has the largest upper
// confidence bound, mean plus Explore standard deviations (Srinivas, Krause, Kakade and Seeger, ICML 2010). With the policy
// model the bound is that of the mean over the whole neighborhood, and once After of the budget is spent, centers that are known
// take part: for the best of them its neighbor is assessed that makes its neighborhood's mean surest.
//
// It begins with a fifth of the budget in uniform draws: a process that has seen one good region is sure that there is no other.
func (x *search) gp(ctx context.Context) error {
	draw := x.stream()
	if err := x.open(ctx, draw); err != nil {
		return err
	}
	g := x.newGuide()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		a, ok := g.next()
		switch {
		case !ok && g.whole && len(g.pool.usable) > 0:
			return errSpent // everything is known
		case !ok:
			a = draw() // nothing that can be used is known yet
		}
		if _, err := g.pool.assess(ctx, a); err != nil {
			return err
		}
	}
}

// guide chooses what gp assesses.
type guide struct {
	search     *search
	pool       *pool
	whole      bool // every architecture is a place
	places     []*place
	met        map[string]bool // of a space that is not looked at as a whole
	draw       func() space.Architecture
	mutated    map[*entry]bool
	aggregate  *point   // the mean over a neighborhood, where that leads; nil where the architecture alone does
	look       int      // evaluations after which all places are looked at again
	candidates []*place // the best ones then, and what has come since
}

// place is an architecture that may be assessed.
type place struct {
	arch    space.Architecture
	key     string
	quality *point // what the bound is of
	bound   float64
}

func (x *search) newGuide() *guide {
	g := &guide{search: x, pool: x.pools[len(x.pools)-1]}
	size := x.space.Size()
	g.whole = size <= wholeSpace && size <= wholeColumns/x.Budget
	if g.whole {
		for a := range x.space.All() {
			g.places = append(g.places, &place{arch: a.Clone(), key: a.Key()})
		}
		return g
	}
	rng := seed.New(x.options.Seed, "places")
	g.met, g.mutated = map[string]bool{}, map[*entry]bool{}
	g.draw = func() space.Architecture { return x.space.Random(rng) }
	return g
}

// point returns what the bound of an architecture is of: its signal or, with the policy model, the mean over its neighborhood.
// Where neighborhoods differ in size or in what counts, the signal leads as well, and the neighborhoods decide what is best.
func (g *guide) point(m *posterior, a space.Architecture) *point {
	x := g.search
	st := x.Neighborhood
	if x.policy != Modeled || x.space.Pairs || !st.CountsAll() {
		return m.model.at(a)
	}
	if g.aggregate == nil {
		g.aggregate = m.model.overNeighborhood(a, st.Radius, st.IncludeCenter, x.weight)
	}
	return g.aggregate.around(a)
}

// weight is that of a neighbor at a distance in the mean that leads the search.
func (x *search) weight(distance int) float64 {
	if x.Neighborhood.Aggregate == "weighted_mean" {
		return math.Pow(x.Neighborhood.Decay, float64(distance))
	}
	return 1
}

// next returns what to assess next; ok is false where there is nothing to choose from.
func (g *guide) next() (a space.Architecture, ok bool) {
	m := g.pool.posterior()
	if m == nil {
		return nil, false
	}
	g.extend()
	unmet := func(p *place) bool {
		e := g.pool.known[p.key]
		return e == nil || !e.candidate && g.search.policy != Shared
	}
	best := g.best(m, func(p *place) bool { return unmet(p) || g.refining() && g.pool.known[p.key].ok() })
	if best == nil {
		return nil, false
	}
	if unmet(best) {
		return best.arch, true
	}
	if a := g.surest(m, best); a != nil {
		return a, true
	}
	// All of its neighborhood is known, and there is nothing left to be sure of.
	if best = g.best(m, unmet); best == nil {
		return nil, false
	}
	return best.arch, true
}

// refining tells whether known centers take part.
func (g *guide) refining() bool {
	x := g.search
	return x.policy == Modeled && x.spent >= x.After*float64(x.Budget)
}

// extend adds places in a space that is too large to be looked at as a whole: neighbors of the best candidates, and uniform draws.
func (g *guide) extend() {
	if g.whole {
		return
	}
	add := func(a space.Architecture) {
		if key := a.Key(); !g.met[key] {
			g.met[key] = true
			p := &place{arch: a.Clone(), key: key}
			g.places, g.candidates = append(g.places, p), append(g.candidates, p)
		}
	}
	for range mutatedRandom {
		add(g.draw())
	}
	top := g.pool.sorted(g.pool.choosable())
	for _, e := range top[:min(len(top), mutatedFrom)] {
		if !g.mutated[e] {
			g.mutated[e] = true
			for _, a := range g.search.space.Shell(e.arch, 1) {
				add(a)
			}
		}
	}
}

// best returns the place with the largest bound of those that are allowed, the first of equals; nil when there is none. All
// places are looked at when a sixteenth more is known than at the last time, and in between those that were best then and what has come since.
func (g *guide) best(m *posterior, allowed func(*place) bool) *place {
	var best *place
	scan := func(places []*place) {
		for _, p := range places {
			if !allowed(p) {
				p.bound = math.Inf(-1)
				continue
			}
			if p.quality == nil {
				p.quality = g.point(m, p.arch)
			}
			mean, std := m.whole.of(p.quality)
			if p.bound = mean + g.search.Explore*std; best == nil || p.bound > best.bound {
				best = p
			}
		}
	}
	if n := len(g.pool.known); n < g.look {
		scan(g.candidates)
		if best != nil {
			return best
		}
	}
	scan(g.places)
	n := len(g.pool.known)
	g.look = n + 1 + n/16
	sorted := slices.Clone(g.places)
	slices.SortStableFunc(sorted, func(a, b *place) int { return cmp.Compare(b.bound, a.bound) })
	g.candidates = slices.Clone(sorted[:min(len(sorted), shortlist)])
	if kept := max(keptPlaces, 3*len(sorted)/4); kept < len(sorted) {
		g.giveUp(sorted[kept:])
	}
	return best
}

// giveUp takes places out that are not known, in whose stead better ones are looked at.
func (g *guide) giveUp(places []*place) {
	hopeless := map[*place]bool{}
	for _, p := range places {
		if g.pool.known[p.key] == nil {
			hopeless[p] = true
		}
	}
	g.places = slices.DeleteFunc(g.places, func(p *place) bool { return hopeless[p] })
}

// surest returns the unknown neighbor of a known center whose score would make the center's quality surest; nil when every
// neighbor is known.
func (g *guide) surest(m *posterior, center *place) space.Architecture {
	var out space.Architecture
	most := math.Inf(-1)
	for _, a := range g.search.space.Neighbors(center.arch, g.search.Neighborhood.Radius) {
		if g.pool.known[a.Key()] != nil {
			continue
		}
		if gain := m.model.gain(center.quality, m.point(a)); gain > most {
			out, most = a, gain
		}
	}
	return out
}
