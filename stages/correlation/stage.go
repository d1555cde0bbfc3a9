package correlation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/plateau-nas/plateau/exporter/atomicfile"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/table"
)

// Kind returns the stage kind "correlation".
//
// Its metrics, where M is a method: own for the own score, the aggregator's name (mean, median, ...) at radius 1, and with the radius
// added beyond (mean_r2):
//
//	spearman_M, kendall_M, pearson_M   correlation with the truth (Kendall: tau-b)
//	best_M_index                       public index of the architecture that M puts first
//	best_M_score, best_M_own           its score by M and its own score, in the unit of the score
//	best_M_truth, best_M_rank          its truth, in the unit of the truth, and its place by it, 1 for the best
//	regret_M                           by how much the truth of the best architecture is better
//	topK_M                             share of M's K best that is among the K best by the truth, for every K of the setting top
//	architectures                      that have both a score and a truth
//	score_epochs, truth_epochs         epochs of training behind the two columns
func Kind() pipeline.Kind {
	return pipeline.Kind{
		Name:      "correlation",
		Version:   1,
		Resources: pipeline.Resources{Cores: 1}, // it computes on one core, so others may run beside it
		Doc:       "Holds the scores of one table, own and aggregated over neighborhoods, against the truth of another.",
		Inputs: []pipeline.Port{
			{Name: "score", Type: "table", Doc: "The table whose score column is the cheap score."},
			{Name: "truth", Type: "table", Doc: "The table whose score column is the truth."},
		},
		Outputs: []pipeline.Output{
			{Name: "correlation", Type: "correlation", File: "correlation.json", Doc: "Every figure, with what score and truth mean."},
			{Name: "scores", Type: "correlation-scores", File: "scores.csv", Doc: "The truth and every score of each architecture."},
			{Name: "page", Type: "page", File: "correlation.html", Doc: "The figures with pictures, on one self-contained page."},
		},
		New: func() pipeline.Stage {
			s := DefaultSettings()
			return &s
		},
	}
}

var (
	_ pipeline.Stage           = (*Settings)(nil)
	_ pipeline.InputsValidator = (*Settings)(nil)
)

// ValidateInputs implements pipeline.InputsValidator.
func (s *Settings) ValidateInputs(from map[string][]pipeline.Stage) error {
	if sp := space.Chosen(from["score"]); sp != nil {
		return s.checkSpace(sp)
	}
	return nil
}

// checkSpace reports every radius that is too large for the space.
func (s *Settings) checkSpace(sp *space.Space) error {
	var errs []error
	for i, radius := range s.Radii {
		if err := neighborhood.CheckRadius(radius, sp); err != nil {
			errs = append(errs, &pipeline.SettingError{Path: fmt.Sprintf("radii[%d]", i), Err: err})
		}
	}
	return errors.Join(errs...)
}

// Run implements pipeline.Stage.
func (s *Settings) Run(ctx context.Context, job *pipeline.Job) error {
	o, err := s.outcome(ctx, job)
	if err != nil {
		return err
	}
	o.report(job)
	if err := o.writeJSON(job.Output("correlation")); err != nil {
		return err
	}
	if err := o.writeCSV(job.Output("scores")); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return atomicfile.Write(job.Output("page"), func(w io.Writer) error { return o.render(w) })
}

// outcome reads the tables and computes the figures.
func (s *Settings) outcome(ctx context.Context, job *pipeline.Job) (outcome, error) {
	read := func(port string) (*table.Table, *table.Evaluator, error) {
		in, ok := job.Input(port)
		if !ok {
			return nil, nil, fmt.Errorf("correlate: there is no table on input %s", port)
		}
		t, err := table.Open(in.Path)
		if err != nil {
			return nil, nil, fmt.Errorf("correlate: %s: %w", port, err)
		}
		e, err := table.NewEvaluator(t, "")
		if err != nil {
			return nil, nil, fmt.Errorf("correlate: %s: %w", port, err)
		}
		return t, e, nil
	}
	t, score, err := read("score")
	if err != nil {
		return outcome{}, err
	}
	other, truth, err := read("truth")
	if err != nil {
		return outcome{}, err
	}
	if t.Space().Name != other.Space().Name {
		return outcome{}, fmt.Errorf("correlate: the scores are of space %s, the truth of %s; give two tables of one space", t.Space().Name, other.Space().Name)
	}
	if err := s.checkSpace(t.Space()); err != nil {
		return outcome{}, err
	}
	methods := s.Methods()
	o := outcome{table: t, score: score.Column(), truth: truth.Column(), truths: truth.Scores()}
	if o.figures, err = Compare(ctx, t, score.Scores(), o.truths, methods, s.Top); err != nil {
		return outcome{}, fmt.Errorf("correlate: %w", err)
	}
	for _, v := range o.figures[0].Scores {
		if !math.IsNaN(v) {
			o.count++
		}
	}
	return o, nil
}

// report tells the run what was found.
func (o outcome) report(job *pipeline.Job) {
	job.Info("score: %s of %s, %s", o.score.Name, o.score.File, o.score.Meaning)
	job.Info("truth: %s of %s, %s", o.truth.Name, o.truth.File, o.truth.Meaning)
	if w := o.caution(); w != "" {
		job.Warn("%s", w)
	}
	job.Metric("architectures", float64(o.count))
	job.Metric("score_epochs", float64(o.score.Meaning.Epochs))
	job.Metric("truth_epochs", float64(o.truth.Meaning.Epochs))
	lines := []string{fmt.Sprintf("%d architectures; score: %s; truth: %s", o.count, o.score.Meaning, o.truth.Meaning)}
	for _, f := range o.figures {
		job.Metric("spearman_"+f.Method, f.Spearman)
		job.Metric("kendall_"+f.Method, f.Kendall)
		job.Metric("pearson_"+f.Method, f.Pearson)
		best, name := "best_"+f.Method+"_", "no index"
		if index, ok := o.table.Index(f.Best.Rank); ok {
			job.Metric(best+"index", float64(index))
			name = fmt.Sprint("index ", index)
		}
		job.Metric(best+"score", inUnit(o.score, f.Best.Score))
		job.Metric(best+"own", inUnit(o.score, f.Best.Own))
		job.Metric(best+"truth", inUnit(o.truth, f.Best.Truth))
		job.Metric(best+"rank", float64(f.Best.Place))
		job.Metric("regret_"+f.Method, f.Best.Regret)
		for _, t := range f.Top {
			job.Metric(fmt.Sprintf("top%d_%s", t.K, f.Method), t.Overlap)
		}
		lines = append(lines, fmt.Sprintf("%s: Spearman %.4f, Kendall %.4f; its best is %s with %.2f (rank %d)",
			f.Label, f.Spearman, f.Kendall, name, inUnit(o.truth, f.Best.Truth), f.Best.Place))
	}
	job.Summary(strings.Join(lines, "\n"))
}

// caution says what a reader must know before the figures are believed, "" when there is nothing.
func (o outcome) caution() string {
	a, b := o.score.Meaning, o.truth.Meaning
	switch {
	case o.score.Name == o.truth.Name && o.score.File == o.truth.File:
		return "score and truth are the same column"
	case a.Dataset != "" && b.Dataset != "" && a.Dataset != b.Dataset:
		return fmt.Sprintf("the score is of %s, the truth of %s", a.Dataset, b.Dataset)
	case a.Epochs > 0 && a.Epochs == b.Epochs:
		return fmt.Sprintf("score and truth come from trainings of the same length, %d epochs: what the own score already says is most of this truth", a.Epochs)
	}
	return ""
}
