package objective

import (
	"math"
	"slices"
	"sort"
)

// Ranking turns the goals of an objective that combines ranks into numbers that can be added up, whatever their units: each goal of
// an architecture becomes its rank among everything that was added to the pool. It is not safe for use by several goroutines.
//
// The rank of a number is the share of the rest of the pool that it is better than, members that tie counting half: 0 is the worst of
// a pool and 1 the best, and in a pool of one it is 1/2. What failed is in the pool as worse than everything that did not. Ranks
// change whenever something is added; Generation tells.
type Ranking struct {
	goals      []Goal
	total      float64     // sum of the absolute weights
	pool       [][]float64 // for each goal, better numbers being larger; sorted unless dirty
	dirty      bool
	failed     int
	generation int
}

// NewRanking returns an empty pool for the goals of an objective, nil where the objective does not combine ranks.
func (o *Objective) NewRanking() *Ranking {
	if o.settings.Combine != Ranks {
		return nil
	}
	r := &Ranking{goals: o.settings.Goals, pool: make([][]float64, len(o.settings.Goals))}
	for _, g := range r.goals {
		r.total += math.Abs(g.Weight)
	}
	return r
}

// Add adds an architecture to the pool: the parts that the objective takes from its result.
func (r *Ranking) Add(p Parts) {
	for k := range r.pool {
		r.pool[k] = append(r.pool[k], r.number(p, k))
	}
	r.dirty = true
	r.generation++
}

// AddFailed adds an architecture that could not be evaluated: it is worse than everything that could.
func (r *Ranking) AddFailed() {
	r.failed++
	r.generation++
}

// Generation changes with every addition. What was ranked in an earlier generation has another rank now.
func (r *Ranking) Generation() int { return r.generation }

// Shared returns the weighted mean of the ranks of the goals that are aggregated over neighborhoods, Own that of the others. Both
// are shares of the weights of all goals, so that their sum is between 0 and 1. The parts must be in the pool.
func (r *Ranking) Shared(p Parts) float64 { return r.mean(p, false) }

// Own is the part of the value that is the architecture's alone; see Shared.
func (r *Ranking) Own(p Parts) float64 { return r.mean(p, true) }

func (r *Ranking) mean(p Parts, own bool) float64 {
	if r.dirty {
		for _, numbers := range r.pool {
			slices.Sort(numbers)
		}
		r.dirty = false
	}
	sum := 0.0
	for k, g := range r.goals {
		if g.Own == own {
			sum += math.Abs(g.Weight) * r.rank(k, r.number(p, k))
		}
	}
	return sum / r.total
}

// number is what is ranked for goal k: the metric times the weight's sign, so that larger is better.
func (r *Ranking) number(p Parts, k int) float64 { return p.Shared[k] + p.Own[k] }

// rank is the share of the rest of the pool that a number of the pool is better than.
func (r *Ranking) rank(k int, v float64) float64 {
	numbers := r.pool[k]
	if len(numbers)+r.failed < 2 {
		return 0.5
	}
	less := sort.SearchFloat64s(numbers, v)
	equal := sort.Search(len(numbers)-less, func(i int) bool { return numbers[less+i] > v })
	return (float64(r.failed+less) + float64(equal-1)/2) / float64(len(numbers)+r.failed-1)
}

// Mean returns the mean over the pool of what Shared gives, failures left out.
func (r *Ranking) Mean() float64 {
	n := len(r.pool[0])
	if n == 0 {
		return 0
	}
	weight := 0.0
	for _, g := range r.goals {
		if !g.Own {
			weight += math.Abs(g.Weight)
		}
	}
	if n+r.failed < 2 {
		return 0.5 * weight / r.total
	}
	return weight / r.total * (float64(r.failed) + float64(n-1)/2) / float64(n+r.failed-1)
}
