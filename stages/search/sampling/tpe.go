package sampling

import (
	"context"

	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/stages/space"
)

// tpe is the tree-structured Parzen estimator (Bergstra, Bardenet, Bengio and Kégl, NeurIPS 2011): the candidates are divided
// into the best tenth and the rest, each makes a density over architectures, and of some draws from the first density the one
// is assessed next whose ratio of both is largest, which is where improvement is expected most. What is a candidate already
// tells nothing more, so such draws are left out.
func (x *search) tpe(ctx context.Context) error {
	draw, p := x.stream(), x.pools[len(x.pools)-1]
	if err := x.open(ctx, draw); err != nil {
		return err
	}
	rng := seed.New(x.options.Seed, "tpe")
	var l, g *parzen
	at, dry := -1, false // what was known when the densities were made, and whether they have nothing new
	for len(p.candidates) < x.space.Size() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if at < len(p.known) {
			at, dry, l = len(p.known), false, nil
			if good, bad := p.divide(); len(good) > 0 {
				l, g = newParzen(x.choices, good), newParzen(x.choices, bad)
			}
		}
		var a space.Architecture
		if l != nil && !dry {
			a = improve(rng, l, g, func(a space.Architecture) bool { return !p.assessed(a) })
			dry = a == nil
		}
		if a == nil { // there is nothing good yet, or nothing new where it is
			a = draw()
		}
		if _, err := p.assess(ctx, a); err != nil {
			return err
		}
	}
	return errSpent
}

// assessed tells whether an architecture is a candidate.
func (p *pool) assessed(a space.Architecture) bool {
	e := p.known[a.Key()]
	return e != nil && e.candidate
}

// open assesses uniform draws until Startup different ones are candidates.
func (x *search) open(ctx context.Context, draw func() space.Architecture) error {
	p := x.pools[len(x.pools)-1]
	many := min(x.Startup, x.space.Size())
	first := make([]space.Architecture, min(many, x.Budget))
	for i := range first {
		first[i] = draw()
	}
	if err := p.prefetch(ctx, first); err != nil {
		return err
	}
	for _, a := range first {
		if _, err := p.assess(ctx, a); err != nil {
			return err
		}
	}
	for len(p.candidates) < many {
		if _, err := p.assess(ctx, draw()); err != nil {
			return err
		}
	}
	return nil
}

// divide returns the best of the candidates and the rest, each in the order in which they were assessed. What failed is neither.
func (p *pool) divide() (good, bad []*entry) {
	sorted := p.sorted(p.choosable())
	n := goodOf(len(sorted))
	best := map[*entry]bool{}
	for _, e := range sorted[:n] {
		best[e] = true
	}
	for _, e := range p.choosable() {
		switch {
		case best[e]:
			good = append(good, e)
		case e.ok():
			bad = append(bad, e)
		}
	}
	return good, bad
}
