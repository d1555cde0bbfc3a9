package sampling

import (
	"context"
	"iter"
	"math"
	"slices"

	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/stages/space"
)

// ahead is how many draws of random search are evaluated at once, for evaluators that work on several.
const ahead = 32

// whole is how many architectures of a whole space are evaluated at once.
const whole = 256

// random assesses uniform draws. What was drawn before costs nothing, so it does not count.
func (x *search) random(ctx context.Context) error {
	draw, p := x.stream(), x.pools[len(x.pools)-1]
	for {
		drawn := make([]space.Architecture, ahead)
		for i := range drawn {
			drawn[i] = draw()
		}
		if err := p.prefetch(ctx, drawn); err != nil {
			return err
		}
		for _, a := range drawn {
			if _, err := p.assess(ctx, a); err != nil {
				return err
			}
		}
	}
}

// exhaustive assesses every architecture of the space, in its order, if the budget covers them all; else as many uniform draws. Where only
// a part of the space can be evaluated, that part takes its place, in the order in which it is given.
func (x *search) exhaustive(ctx context.Context) error {
	all := x.space.All()
	switch pool := x.options.Pool; {
	case len(pool) > 0 && len(pool) < x.space.Size():
		if len(pool) > x.Budget {
			rng := seed.New(x.options.Seed, "candidates")
			pool = slices.Clone(pool)
			rng.Shuffle(len(pool), func(i, j int) { pool[i], pool[j] = pool[j], pool[i] })
		}
		all = slices.Values(pool)
	case x.evaluations() > x.Budget:
		return x.random(ctx)
	}
	p := x.pools[len(x.pools)-1]
	for part := range chunked(all, whole) {
		if err := p.prefetch(ctx, part); err != nil {
			return err
		}
		for _, a := range part {
			if _, err := p.assess(ctx, a); err != nil {
				return err
			}
		}
	}
	return errSpent
}

// chunked gathers a sequence into slices of n, the last one shorter. Slices are not used again.
func chunked(all iter.Seq[space.Architecture], n int) iter.Seq[[]space.Architecture] {
	return func(yield func([]space.Architecture) bool) {
		var part []space.Architecture
		for a := range all {
			if part = append(part, a.Clone()); len(part) == n {
				if !yield(part) {
					return
				}
				part = nil
			}
		}
		if len(part) > 0 {
			yield(part)
		}
	}
}

// evolution is regularized evolution: of a drawn sample of the population the best is mutated on one edge, the child joins,
// and the oldest dies.
func (x *search) evolution(ctx context.Context) error {
	draw, p := x.stream(), x.pools[len(x.pools)-1]
	rng := seed.New(x.options.Seed, "evolution")
	first := make([]space.Architecture, x.Population)
	for i := range first {
		first[i] = draw()
	}
	if err := p.prefetch(ctx, first); err != nil {
		return err
	}
	var alive []*entry
	for _, a := range first {
		e, err := p.assess(ctx, a)
		if err != nil {
			return err
		}
		alive = append(alive, e)
	}
	for {
		sample := make([]*entry, x.Tournament)
		for i := range sample {
			sample[i] = alive[rng.IntN(len(alive))]
		}
		child := draw // where all that were drawn have failed, there is nothing to inherit
		if parent := p.first(sample); parent != nil {
			child = func() space.Architecture {
				near := x.space.Shell(parent.arch, 1)
				return near[rng.IntN(len(near))]
			}
		}
		e, err := p.assess(ctx, child())
		if err != nil {
			return err
		}
		alive = append(alive[1:], e)
	}
}

// local climbs from a random architecture to the best of its neighbors at distance 1 as long as that is better, and
// then starts again elsewhere.
func (x *search) local(ctx context.Context) error {
	draw, p := x.stream(), x.pools[len(x.pools)-1]
	for {
		current, err := p.assess(ctx, draw())
		if err != nil {
			return err
		}
		for {
			near := x.space.Shell(current.arch, 1)
			if err := p.prefetch(ctx, near); err != nil {
				return err
			}
			around := []*entry{current}
			for _, a := range near {
				e, err := p.assess(ctx, a)
				if err != nil {
					return err
				}
				around = append(around, e)
			}
			next := p.first(around) // of equals the current one
			if next == nil || next == current {
				break
			}
			current = next
		}
	}
}

// halving runs brackets until the budget is spent: candidates are assessed at the lowest training budget, the top share
// of them at the next one, and so on.
func (x *search) halving(ctx context.Context) error {
	draw := x.stream()
	for {
		var rung []space.Architecture
		for range x.Candidates {
			rung = append(rung, draw())
		}
		for level, p := range x.pools {
			if err := p.prefetch(ctx, rung); err != nil {
				return err
			}
			var assessed []*entry
			seen := map[*entry]bool{}
			for _, a := range rung {
				e, err := p.assess(ctx, a)
				if err != nil {
					return err
				}
				if !seen[e] {
					seen[e] = true
					assessed = append(assessed, e)
				}
			}
			if level+1 == len(x.pools) {
				break
			}
			assessed = p.sorted(assessed)
			rung = nil
			for _, e := range assessed[:min(len(assessed), int(math.Ceil(x.Keep*float64(x.Candidates)*math.Pow(x.Keep, float64(level)))))] {
				rung = append(rung, e.arch)
			}
		}
	}
}
