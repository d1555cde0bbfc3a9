package regret

import (
	"fmt"
	"slices"

	"github.com/plateau-nas/plateau/stages/report/chart"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/search/sampling"
)

// chart draws the mean regrets with their intervals, a chart for each algorithm, all to the same scale.
func (r *Result) chart() string {
	var charts []chart.Bands
	var most float64
	for _, algorithm := range sampling.Algorithms() {
		c := chart.Bands{
			Title: algorithm, XName: "evaluations", YName: fmt.Sprintf("mean regret, %.0f%% intervals", 100*r.Level),
			Label: fmt.Sprintf("Mean regret of %s search over the number of evaluations, with and without neighborhoods", algorithm),
		}
		for _, b := range r.Budgets {
			c.X = append(c.X, float64(b))
		}
		for _, s := range r.Searches {
			if s.Search.Algorithm != algorithm {
				continue
			}
			line := chart.Band{Name: s.Search.Name, Color: color(s.Search, c.Series), Dashed: s.Search.plain()}
			for _, g := range s.Regret {
				line.Values, line.Low, line.High = append(line.Values, result.Value(g.Mean)), append(line.Low, result.Value(g.Low)), append(line.High, result.Value(g.High))
				if m := max(result.Value(g.Mean), result.Value(g.High)); m > most {
					most = m
				}
			}
			c.Series = append(c.Series, line)
		}
		if len(c.Series) > 0 {
			charts = append(charts, c)
		}
	}
	// Full neighborhoods of few centers are so much worse at first that nothing else could be told apart.
	for i := range charts {
		charts[i].Low, charts[i].High = 0, min(most, r.scale())
	}
	return chart.BandRow([]string{
		fmt.Sprintf("Mean regret of %d seeds on %s. Searches see: %s.", r.Seeds, r.Space, r.Score.Text),
		fmt.Sprintf("They are judged by: %s.", r.Truth.Text),
	}, charts)
}

// color gives a policy the same color in every chart; a second search of a policy takes one of those that no policy has.
func color(s Search, drawn []chart.Band) int {
	want := 0
	if !s.plain() {
		want = 1 + slices.Index(sampling.Policies(), s.Policy)
	}
	for next := 1 + len(sampling.Policies()); slices.ContainsFunc(drawn, func(b chart.Band) bool { return b.Color == want }); next++ {
		want = next
	}
	return want
}

// scale returns the largest regret that the charts show: a little more than the worst plain search has at the first budget.
func (r *Result) scale() float64 {
	most := 0.0
	for _, s := range r.Searches {
		if s.Search.plain() && len(s.Regret) > 0 {
			most = max(most, 1.5*result.Value(s.Regret[0].Mean))
		}
	}
	if most == 0 {
		return 1e9
	}
	return most
}
