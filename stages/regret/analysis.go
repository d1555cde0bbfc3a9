package regret

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/stat"
)

// analyze makes the result of the outcomes of all searches.
func (s *Settings) analyze(p *problem, all []outcomes, root uint64) *Result {
	r := &Result{Space: p.table.Space().Name, Seeds: s.Seeds, Budgets: s.Budgets, BestTruth: p.best, Interval: s.Interval, Level: s.Level}
	for i, search := range s.Searches {
		out := SearchResult{Search: search}
		for b, budget := range s.Budgets {
			found := usable(all[i][b])
			truth, worst := math.NaN(), math.NaN()
			if len(found) > 0 {
				truth, worst = p.best-stat.Mean(found), p.best-slices.Max(found)
			}
			out.Regret = append(out.Regret, Regret{
				Budget: budget, Found: len(found), Truth: result.Number(truth), Worst: result.Number(worst), Mean: result.Number(stat.Mean(found)), Interval: s.interval(found, root, search.Name, budget),
				Median: result.Number(stat.Median(found)), StdDev: result.Number(stat.StdDev(found)),
			})
		}
		r.Searches = append(r.Searches, out)
	}
	for i, search := range s.Searches {
		k := s.opponent(search)
		if k < 0 {
			continue
		}
		for b, budget := range s.Budgets {
			r.Pairs = append(r.Pairs, s.pair(search.Name, s.Searches[k].Name, budget, all[i][b], all[k][b], root))
		}
	}
	adjust(r.Pairs)
	return r
}

// opponent returns the search that one is compared with, -1 where there is none: the plain one of the same algorithm; a search that merges
// what is equal has that which merges too, where there is one, and the plain search that merges has that which does not.
func (s *Settings) opponent(search Search) int {
	plain := func(merges bool) int {
		return slices.IndexFunc(s.Searches, func(o Search) bool {
			return o.plain() && o.Algorithm == search.Algorithm && o.MergeEqual == merges
		})
	}
	k := -1
	if !search.plain() {
		k = plain(search.MergeEqual)
	}
	if k < 0 && search.MergeEqual {
		k = plain(false)
	}
	return k
}

// interval returns the confidence interval of a mean.
func (s *Settings) interval(x []float64, root uint64, labels ...any) Interval {
	i := stat.Interval{Low: math.NaN(), High: math.NaN()}
	switch {
	case len(x) < 2:
	case s.Interval == Normal:
		i = stat.MeanCI(x, s.Level)
	default:
		i = stat.BootstrapCI(x, s.Level, s.Resamples, seed.New(root, "bootstrap", fmt.Sprint(labels...)))
	}
	return Interval{result.Number(i.Low), result.Number(i.High)}
}

// usable leaves out the seeds with which a search had not found anything yet.
func usable(x []float64) []float64 {
	var out []float64
	for _, v := range x {
		if !math.IsNaN(v) {
			out = append(out, v)
		}
	}
	return out
}

// pair compares a search with the plain one at a budget, seed by seed. What counts is by how much the plain one's regret
// is larger, so that above 0 the neighborhood helps.
func (s *Settings) pair(name, plain string, budget int, with, without []float64, root uint64) Pair {
	var a, b, gain []float64
	out := Pair{Search: name, Plain: plain, Budget: budget}
	for n, v := range with {
		if math.IsNaN(v) || math.IsNaN(without[n]) {
			continue
		}
		a, b, gain = append(a, v), append(b, without[n]), append(gain, without[n]-v)
		switch {
		case v < without[n]:
			out.Wins++
		case v > without[n]:
			out.Losses++
		}
	}
	w := stat.Wilcoxon(b, a)
	out.Seeds = len(gain)
	out.Gain, out.GainInterval = result.Number(stat.Mean(gain)), s.interval(gain, root, "gain", name, budget)
	out.P, out.Exact, out.RankBiserial, out.CliffsDelta = w.P, w.Exact, w.RankBiserial, result.Number(stat.CliffsDelta(b, a))
	return out
}

// adjust corrects the p-values for how many searches are compared at each budget.
func adjust(pairs []Pair) {
	budgets := map[int][]int{}
	for i, p := range pairs {
		budgets[p.Budget] = append(budgets[p.Budget], i)
	}
	for _, at := range budgets {
		var p []float64
		for _, i := range at {
			p = append(p, pairs[i].P)
		}
		for k, v := range stat.Holm(p) {
			pairs[at[k]].PHolm = v
		}
	}
}

// aggregates returns the different neighborhoods that the searches aggregate over, by name: the aggregator and the radius.
func (s *Settings) aggregates() (names []string, settings []neighborhood.Settings) {
	for _, search := range s.Searches {
		if search.plain() {
			continue
		}
		st := search.settings(1).Neighborhood
		st.Samples = 0
		name := fmt.Sprintf("%s_r%d", st.Aggregate, st.Radius)
		if !st.CountsAll() {
			name += "_" + st.Equivalents
		}
		for k, other := range settings { // equal but for a parameter
			if other.Aggregate == st.Aggregate && other.Radius == st.Radius && other.Equivalents == st.Equivalents && other != st && names[k] == name {
				name += "_" + search.Name
			}
		}
		if !slices.Contains(settings, st) {
			names, settings = append(names, name), append(settings, st)
		}
	}
	return names, settings
}

// correlate says how well the scores of the whole table tell the truth: their own, and the aggregates over whole
// neighborhoods.
func (s *Settings) correlate(ctx context.Context, p *problem) ([]Correlation, error) {
	scores := make([]float64, len(p.scores))
	for i, r := range p.answers {
		if scores[i] = r.Score; !r.OK() {
			scores[i] = math.NaN()
		}
	}
	out := []Correlation{p.correlation("own", scores)}
	names, settings := s.aggregates()
	for i, st := range settings {
		aggregated, err := p.table.Aggregate(ctx, scores, st)
		if err != nil {
			return nil, err
		}
		c := p.correlation(names[i], aggregated)
		c.Radius, c.Aggregate = st.Radius, st.Aggregate
		out = append(out, c)
	}
	return out, nil
}

func (p *problem) correlation(name string, scores []float64) Correlation {
	var x, y []float64
	for i, v := range scores {
		if !math.IsNaN(v) {
			x, y = append(x, v), append(y, p.truth[i])
		}
	}
	c := Correlation{Name: name, Spearman: result.Number(stat.Spearman(x, y)), Kendall: result.Number(stat.KendallTau(x, y))}
	best := p.table.Best(scores)
	c.Best = p.table.Space().Format(p.table.Architecture(best))
	if index, ok := p.table.Index(best); ok {
		c.BestIndex = &index
	}
	c.BestTruth = p.truth[best]
	c.BestRank = 1
	for i, v := range p.truth {
		if p.answers[i].OK() && v > c.BestTruth {
			c.BestRank++
		}
	}
	return c
}
