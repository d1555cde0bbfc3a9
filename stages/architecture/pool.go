package architecture

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/score/cost"
	"github.com/plateau-nas/plateau/stages/space"
)

// enumerable is the size up to which every architecture of a space is looked at.
const enumerable = 1 << 20

// pool is the architectures of a space that keep bounds.
type pool struct {
	space   *space.Space
	count   *cost.Counter
	top     cost.Size // of the architecture with the most multiply-adds; its parameters are the most that there are
	least   cost.Size // the fewest multiply-adds, and the fewest parameters
	bounds  Bounds
	allowed cost.Size
}

func newPool(s *space.Space, c *cost.Counter) *pool {
	p := &pool{space: s, count: c}
	p.top, p.least = extremes(s, c)
	return p
}

// extremes returns the most and the fewest multiply-adds and parameters of the space. Both add up over nodes, so each node settles its
// own.
func extremes(s *space.Space, c *cost.Counter) (most, least cost.Size) {
	most, least = c.Base(), c.Base()
	for _, choices := range statesOf(s, c) {
		one := func(of func(cost.Size) int64, better func(a, b int64) bool) int64 {
			best := of(choices[0].size)
			for _, st := range choices[1:] {
				if v := of(st.size); better(v, best) {
					best = v
				}
			}
			return best
		}
		more, less := func(a, b int64) bool { return a > b }, func(a, b int64) bool { return a < b }
		operations, parameters := func(z cost.Size) int64 { return z.MultiplyAdds }, func(z cost.Size) int64 { return z.Parameters }
		most.MultiplyAdds += one(operations, more)
		most.Parameters += one(parameters, more)
		least.MultiplyAdds += one(operations, less)
		least.Parameters += one(parameters, less)
	}
	return most, least
}

// bind makes the bounds hold.
func (p *pool) bind(b Bounds) {
	p.bounds = b
	p.allowed = cost.Size{MultiplyAdds: limit(b.MultiplyAdds, p.top.MultiplyAdds), Parameters: limit(b.Parameters, p.top.Parameters)}
}

// share returns the multiply-adds of a size as a share of those of the largest architecture.
func (p *pool) share(z cost.Size) float64 {
	return float64(z.MultiplyAdds) / float64(p.top.MultiplyAdds)
}

func (p *pool) keeps(z cost.Size) bool {
	return z.MultiplyAdds <= p.allowed.MultiplyAdds && z.Parameters <= p.allowed.Parameters
}

// empty says that no architecture keeps the bounds.
func (p *pool) empty() error {
	fail := func(name string, asked float64, allowed, least, most int64) error {
		return &pipeline.SettingError{Path: "at_most." + name, Err: fmt.Errorf(
			"no architecture of the space %s has %.6g or fewer %s: the smallest has %d, the largest %d; give at least %.4g as a share, or %d",
			p.space.Name, asked, words(name), least, most, float64(least)/float64(most)+5e-5, least)}
	}
	if p.least.MultiplyAdds > p.allowed.MultiplyAdds {
		return fail(cost.MultiplyAdds, float64(p.allowed.MultiplyAdds), p.allowed.MultiplyAdds, p.least.MultiplyAdds, p.top.MultiplyAdds)
	}
	if p.least.Parameters > p.allowed.Parameters {
		return fail(cost.Parameters, float64(p.allowed.Parameters), p.allowed.Parameters, p.least.Parameters, p.top.Parameters)
	}
	return &pipeline.SettingError{Path: "at_most", Err: fmt.Errorf("no architecture of the space %s keeps both bounds, %d multiply-adds and %d parameters; raise one of them", p.space.Name, p.allowed.MultiplyAdds, p.allowed.Parameters)}
}

func words(metric string) string {
	if metric == cost.MultiplyAdds {
		return "multiply-adds"
	}
	return metric
}

// rated is an architecture by what makes it large.
type rated struct {
	a      space.Architecture
	useful int64 // multiply-adds of what takes part
	size   cost.Size
	none   int // edges without an operation
}

// compare orders the larger first: by multiply-adds that take part in the result, by parameters, by fewer edges without an
// operation, then by the order of the space.
func (r rated) compare(o rated) int {
	return cmp.Or(cmp.Compare(o.useful, r.useful), cmp.Compare(o.size.Parameters, r.size.Parameters), cmp.Compare(r.none, o.none), slices.Compare(r.a, o.a))
}

// largest returns the k largest architectures that keep the bounds, the largest first. In spaces too large to look at all it counts
// every operation as taking part, and of architectures of the same size the first stands for all.
func (p *pool) largest(k int) ([]space.Architecture, error) {
	var best []rated
	take := func(r rated) {
		if len(best) == k && r.compare(best[k-1]) >= 0 {
			return
		}
		i, _ := slices.BinarySearchFunc(best, r, rated.compare)
		best = slices.Insert(best, i, r)
		best = best[:min(k, len(best))]
	}
	if p.space.Size() <= enumerable {
		none, some := p.space.Operation("none")
		for a := range p.space.All() {
			size := p.count.All(a)
			if !p.keeps(size) {
				continue
			}
			r := rated{a: a, useful: p.count.Useful(a), size: size}
			for _, op := range a {
				if some && op == none {
					r.none++
				}
			}
			take(r)
		}
	} else {
		for _, st := range p.sizes() {
			size := p.count.Base()
			size.MultiplyAdds, size.Parameters = size.MultiplyAdds+st.size.MultiplyAdds, size.Parameters+st.size.Parameters
			if p.keeps(size) {
				take(rated{a: st.a, useful: size.MultiplyAdds, size: size, none: st.none})
			}
		}
	}
	if len(best) == 0 {
		return nil, p.empty()
	}
	out := make([]space.Architecture, len(best))
	for i, r := range best {
		out[i] = r.a
	}
	return out, nil
}

// draws is how many architectures of a large space are drawn, for each that is asked for, before bounds are given up on.
const draws = 100_000

// random draws k different architectures that keep the bounds, each as likely as any other; all, in a random order, where there
// are no more.
func (p *pool) random(k int, rng *rand.Rand) ([]space.Architecture, error) {
	if p.space.Size() <= enumerable {
		var all []space.Architecture
		for a := range p.space.All() {
			if p.keeps(p.count.All(a)) {
				all = append(all, a)
			}
		}
		if len(all) == 0 {
			return nil, p.empty()
		}
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		return all[:min(k, len(all))], nil
	}
	var out []space.Architecture
	known := map[string]bool{}
	for range draws * k {
		a := p.space.Random(rng)
		if key := a.Key(); !known[key] && p.keeps(p.count.All(a)) {
			known[key] = true
			if out = append(out, a); len(out) == k {
				return out, nil
			}
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	if p.least.MultiplyAdds > p.allowed.MultiplyAdds || p.least.Parameters > p.allowed.Parameters {
		return nil, p.empty()
	}
	return nil, &pipeline.SettingError{Path: "at_most", Err: fmt.Errorf("of %d architectures drawn from the space %s none keeps the bounds; raise them, or use choose: %s, which finds what there is", draws*k, p.space.Name, Largest)}
}
