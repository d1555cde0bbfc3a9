package regret

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/plateau-nas/plateau/exporter/atomicfile"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/table"
)

// Kind returns the stage kind "regret".
//
// Its metrics, NAME being that of a search: at each budget truth_NAME_BUDGET, the mean truth of what it has found; at the last budget regret_NAME with the ends of its confidence interval,
// regret_NAME_low and regret_NAME_high, and at each other one regret_NAME_at_BUDGET; for a search with a neighborhood
// also gain_NAME (by how much the plain one's mean regret is larger), p_NAME (of the signed-rank test), rank_biserial_NAME and
// cliffs_delta_NAME, all at the last budget; for scores on the whole table spearman_own, kendall_own, and
// spearman_AGGREGATE_rRADIUS and so on; best_truth, what a regret of 0 has.
func Kind() pipeline.Kind {
	return pipeline.Kind{
		Name:    "regret",
		Version: 2,
		Doc:     "Compares searches on a table with and without neighborhoods, over many seeds and at equal numbers of evaluations.",
		Inputs: []pipeline.Port{
			{Name: "table", Type: "table", Doc: "The table whose score column the searches see."},
			{Name: "truth", Type: "table", Doc: "The table that says how good what they find is; it may be the same one."},
		},
		Outputs: []pipeline.Output{
			{Name: "regret", Type: "regret", File: "regret.json", Doc: "Mean truths and regrets with confidence intervals, paired tests, effect sizes and correlations."},
			{Name: "csv", Type: "regret-csv", File: "regret.csv", Doc: "The same, a row for each search and budget."},
			{Name: "chart", Type: "chart", File: "regret.svg", Doc: "Mean regret over the number of evaluations, a chart for each algorithm."},
			{Name: "page", Type: "page", File: "regret.html", Doc: "Truths and regrets by method and budget, tests and correlations, on one self-contained page."},
		},
		New: func() pipeline.Stage {
			s := DefaultSettings()
			return &s
		},
	}
}

// Run implements pipeline.Stage.
func (s *Settings) Run(ctx context.Context, job *pipeline.Job) error {
	open := func(port string) (*table.Table, error) {
		a, _ := job.Input(port)
		return table.Open(a.Path)
	}
	scores, err := open("table")
	if err != nil {
		return err
	}
	truth, err := open("truth")
	if err != nil {
		return err
	}
	p, err := newProblem(scores, truth, s.TruthColumn)
	if err != nil {
		return err
	}
	seen, err := column(scores, "")
	if err != nil {
		return err
	}
	judged, err := column(truth, s.TruthColumn)
	if err != nil {
		return err
	}
	job.Info("searches see %s", seen.Text)
	job.Info("they are judged by %s", judged.Text)
	var once sync.Mutex
	shown, began := time.Time{}, time.Now()
	all, err := s.searchAll(ctx, p, job.Seed, func(done, total int) {
		once.Lock()
		defer once.Unlock()
		if time.Since(shown) < 200*time.Millisecond && done < total {
			return
		}
		shown = time.Now()
		rate := float64(done) / time.Since(began).Seconds()
		job.Progress(event.Progress{Phase: "search", Done: done, Total: total, Unit: "search", Rate: rate, Remaining: float64(total-done) / rate, Final: done == total})
	})
	if err != nil {
		return err
	}
	r := s.analyze(p, all, job.Seed)
	r.Score, r.Truth = seen, judged
	if r.Correlations, err = s.correlate(ctx, p); err != nil {
		return err
	}
	if err := r.WriteJSON(job.Output("regret")); err != nil {
		return err
	}
	if err := r.WriteCSV(job.Output("csv")); err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(job.Output("chart"), []byte(r.chart())); err != nil {
		return err
	}
	if err := atomicfile.Write(job.Output("page"), r.render); err != nil {
		return err
	}
	r.report(job)
	return nil
}

func column(t *table.Table, name string) (Column, error) {
	c, err := t.Describe(name)
	if err != nil {
		return Column{}, err
	}
	return Column{Name: c.Name, File: c.File, Meaning: c.Meaning, Text: c.Meaning.String()}, nil
}

// report records the metrics and sets the summary.
func (r *Result) report(job *pipeline.Job) {
	metric := func(name string, v *float64) {
		if v != nil {
			job.Metric(name, *v)
		}
	}
	job.Metric("best_truth", r.BestTruth)
	for _, c := range r.Correlations {
		metric("spearman_"+c.Name, c.Spearman)
		metric("kendall_"+c.Name, c.Kendall)
	}
	var lines []string
	final := last(r.Budgets)
	for _, s := range r.Searches {
		name := s.Search.Name
		for _, g := range s.Regret {
			metric(fmt.Sprintf("truth_%s_%d", name, g.Budget), g.Truth)
			if g.Budget != final {
				metric(fmt.Sprintf("regret_%s_at_%d", name, g.Budget), g.Mean)
				continue
			}
			metric("regret_"+name, g.Mean)
			metric("regret_"+name+"_low", g.Low)
			metric("regret_"+name+"_high", g.High)
			lines = append(lines, fmt.Sprintf("%s %.2f (%.2f to %.2f)", name, result.Value(g.Mean), result.Value(g.Low), result.Value(g.High)))
		}
		if p := r.pair(name, final); p != nil {
			metric("gain_"+name, p.Gain)
			job.Metric("p_"+name, p.P)
			job.Metric("rank_biserial_"+name, p.RankBiserial)
			metric("cliffs_delta_"+name, p.CliffsDelta)
			lines[len(lines)-1] += fmt.Sprintf(", gain %+.2f over %s, p %.2g", result.Value(p.Gain), p.Plain, p.P)
		}
	}
	job.Summary(fmt.Sprintf("Searches see %s and are judged by %s.\n%s\nMean regret after %d evaluations, %d seeds, with %.0f%% %s intervals:\n%s",
		r.Score.Text, r.Truth.Text, r.truths(), final, r.Seeds, 100*r.Level, r.Interval, strings.Join(lines, "\n")))
}

// truths returns a table of the mean truth by search and budget.
func (r *Result) truths() string {
	width := 0
	for _, s := range r.Searches {
		width = max(width, len(s.Search.Name))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Mean truth of what was found after so many evaluations, %.2f being the best there is:\n%*s", r.BestTruth, width, "")
	for _, budget := range r.Budgets {
		fmt.Fprintf(&b, "%8d", budget)
	}
	for _, s := range r.Searches {
		fmt.Fprintf(&b, "\n%-*s", width, s.Search.Name)
		for _, g := range s.Regret {
			if g.Truth == nil {
				fmt.Fprintf(&b, "%8s", "–")
			} else {
				fmt.Fprintf(&b, "%8.2f", *g.Truth)
			}
		}
	}
	return b.String()
}
