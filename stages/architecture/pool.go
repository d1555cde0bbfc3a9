package architecture

import (
	"cmp"
	"fmt"
	"math"
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
	allowed cost.Size
	// measure gives the latency of an architecture in milliseconds; nil where it is not bounded. times keeps what it said.
	measure func(space.Architecture) (float64, error)
	times   map[string]float64
	fastest float64 // most milliseconds that are allowed
	path    string  // the setting that bounds them
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

// bind makes the bounds on sizes hold. The error says that nothing keeps one of them.
func (p *pool) bind(b Bounds) error {
	p.allowed = cost.Size{MultiplyAdds: limit(b.MultiplyAdds, p.top.MultiplyAdds), Parameters: limit(b.Parameters, p.top.Parameters)}
	if p.least.MultiplyAdds > p.allowed.MultiplyAdds || p.least.Parameters > p.allowed.Parameters {
		return p.empty()
	}
	return nil
}

// mostTimed is how many architectures are timed at most.
const mostTimed = 64

// bindLatency makes the bound on latencies hold; measure must be there.
func (p *pool) bindLatency(b Bounds) error {
	p.times, p.path, p.fastest = map[string]float64{}, "at_most."+cost.Latency, b.LatencyMS
	if b.Latency == 0 {
		return nil
	}
	all := *p
	all.allowed, all.measure = cost.Size{MultiplyAdds: math.MaxInt64, Parameters: math.MaxInt64}, nil
	top, err := all.largest(1)
	if err != nil {
		return err
	}
	ms, err := p.measure(top[0])
	p.path, p.fastest = "at_most.latency", b.Latency*ms
	return err
}

// fast returns the first k of the architectures, in their order, that keep the bound on latencies; all k where there is none.
func (p *pool) fast(k int, architectures []space.Architecture) ([]space.Architecture, error) {
	if p.measure == nil {
		return architectures[:min(k, len(architectures))], nil
	}
	var out []space.Architecture
	least := math.Inf(1)
	for _, a := range architectures {
		ms, err := p.measure(a)
		if err != nil {
			return nil, err
		}
		least = min(least, ms)
		if ms > p.fastest {
			continue
		}
		p.times[a.Key()] = ms
		if out = append(out, a); len(out) == k {
			break
		}
	}
	if len(out) == 0 {
		return nil, &pipeline.SettingError{Path: p.path, Err: fmt.Errorf("of the %d architectures of the space %s that were timed none takes %.3g ms or less; the fastest takes %.3g ms, so allow more", len(architectures), p.space.Name, p.fastest, least)}
	}
	return out, nil
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
			p.space.Name, asked, inWords(name), least, most, float64(least)/float64(most)+5e-5, least)}
	}
	if p.least.MultiplyAdds > p.allowed.MultiplyAdds {
		return fail(cost.MultiplyAdds, float64(p.allowed.MultiplyAdds), p.allowed.MultiplyAdds, p.least.MultiplyAdds, p.top.MultiplyAdds)
	}
	if p.least.Parameters > p.allowed.Parameters {
		return fail(cost.Parameters, float64(p.allowed.Parameters), p.allowed.Parameters, p.least.Parameters, p.top.Parameters)
	}
	return &pipeline.SettingError{Path: "at_most", Err: fmt.Errorf("no architecture of the space %s keeps both bounds, %d multiply-adds and %d parameters; raise one of them", p.space.Name, p.allowed.MultiplyAdds, p.allowed.Parameters)}
}

func inWords(metric string) string {
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
// every operation as taking part, and of architectures of the same size the first stands for all. So it does where latencies are
// bounded, and then at most mostTimed sizes are timed, evenly spaced from the largest down to the smallest.
func (p *pool) largest(k int) ([]space.Architecture, error) {
	kept := p.kept()
	if len(kept) == 0 {
		return nil, p.empty()
	}
	if p.measure != nil {
		kept = slices.CompactFunc(kept, func(a, b rated) bool { return a.useful == b.useful && a.size.Parameters == b.size.Parameters })
		if n := len(kept); n > mostTimed {
			some := make([]rated, mostTimed)
			for i := range some {
				some[i] = kept[i*(n-1)/(mostTimed-1)]
			}
			kept = some
		}
	} else {
		kept = kept[:min(k, len(kept))]
	}
	out := make([]space.Architecture, len(kept))
	for i, r := range kept {
		out[i] = r.a
	}
	return p.fast(k, out)
}

// kept returns the architectures that keep the bounds on sizes, the largest first; of a large space one of each size.
func (p *pool) kept() []rated {
	var out []rated
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
			out = append(out, r)
		}
	} else {
		for _, st := range p.sizes() {
			if size := plus(p.count.Base(), st.size); p.keeps(size) {
				out = append(out, rated{a: st.a, useful: size.MultiplyAdds, size: size, none: st.none})
			}
		}
	}
	slices.SortFunc(out, rated.compare)
	return out
}

// tries is how many architectures are looked at for k of them: those that are too slow are not known before.
func (p *pool) tries(k int) int {
	if p.measure == nil {
		return k
	}
	return max(k, mostTimed)
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
		return p.fast(k, all[:min(p.tries(k), len(all))])
	}
	var out []space.Architecture
	known := map[string]bool{}
	for range draws * k {
		a := p.space.Random(rng)
		if key := a.Key(); !known[key] && p.keeps(p.count.All(a)) {
			known[key] = true
			if out = append(out, a); len(out) == p.tries(k) {
				break
			}
		}
	}
	if len(out) > 0 {
		return p.fast(k, out)
	}
	return nil, &pipeline.SettingError{Path: "at_most", Err: fmt.Errorf("of %d architectures drawn from the space %s none keeps the bounds; raise them, or use choose: %s, which finds what there is", draws*k, p.space.Name, Largest)}
}
