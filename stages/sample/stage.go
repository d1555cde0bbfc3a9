// Package sample is the stage kind that searches by sampling on any evaluator: the columns of a table, a supernet's shared weights,
// training, zero-cost proxies, or a command of the user's.
//
// Its nouns are those of package sampling, which does the searching; what is found is an architecture like that of any
// other search, so later stages rank, train and export it.
package sample

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/score/evaluator"
	"github.com/plateau-nas/plateau/stages/score/objective"
	"github.com/plateau-nas/plateau/stages/search/sampling"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/table"
)

// Settings are the settings of the stage kind "sample".
type Settings struct {
	sampling.Settings `yaml:",inline"`
	Evaluator         evaluator.Settings `yaml:"evaluator" doc:"What gives architectures their scores; a table if nothing is said."`
	Space             string             `yaml:"space" enum:"nasbench201,darts" doc:"Search space: nasbench201 or darts. A table has its own, and a supernet that is connected too."`
	Objective         objective.Settings `yaml:"objective" doc:"What is optimized; the score if nothing is said."`
	Metrics           []string           `yaml:"metrics" doc:"For table: further columns that the objective refers to."`
	Fidelities        []Fidelity         `yaml:"fidelities" doc:"For halving on a table: the columns of lower training budgets, ascending; the score column comes last."`
	Finalists         int                `yaml:"finalists" doc:"Architectures handed on, best first."`
}

// Fidelity is a column of architectures trained for less long.
type Fidelity struct {
	Column string  `yaml:"column" doc:"Column of the table."`
	Epochs int     `yaml:"epochs" doc:"Epochs of training behind it, where the table does not tell; all else is taken to be as for the score column."`
	Cost   float64 `yaml:"cost" doc:"What one evaluation costs, as a share of one of the score column; left out, the ratio of the epochs that the table says."`
}

// DefaultSettings returns random search for the best score.
func DefaultSettings() Settings {
	return Settings{
		Settings: sampling.DefaultSettings(), Evaluator: evaluator.DefaultSettings(), Space: space.NASBench201().Name,
		Objective: objective.DefaultSettings(), Finalists: 5,
	}
}

// Kind returns the stage kind "sample", which runs on the runtime that open gives; a table needs none. Its metrics are own_score
// and, with a neighborhood, neighborhood_score of the architecture found, and all that the evaluator gives for it (valid_top1
// for its accuracy); evaluations, evaluations_failed, for a Pareto objective front, its number of members, and with the input truth spearman_truth,
// kendall_truth (tau-b) and architectures_truth, over how many, and truth of the architecture found.
func Kind(open runtime.Opener) pipeline.Kind {
	return pipeline.Kind{
		Name:    "sample",
		Version: 6,
		Doc:     "Searches by random search, evolution, local search, successive halving, Parzen estimators or a Gaussian process, on scores or on those of neighborhoods, with any evaluator.",
		Inputs: append(evaluator.Ports(), pipeline.Port{
			Name: "truth", Type: "table", Optional: true, Explicit: true, Doc: "A table that the order of everything assessed is held against when the search is over; the search does not see it.",
		}),
		Outputs: []pipeline.Output{
			{Name: "architecture", Type: "architecture", File: "architecture.json", Doc: "The architecture found, and the finalists with their metrics; for a Pareto objective these begin with the front."},
			{Name: "trajectory", Type: "trajectory", File: "trajectory.csv", Doc: "The incumbent after every evaluation at which it changed."},
			{Name: "scores", Type: "scores", File: "scores.json", Doc: "Every architecture that was evaluated, with its numbers or why it failed."},
			{Name: "attempts", Type: "attempts", File: "attempts.jsonl", Doc: "For exec: every run of the command with what it wrote, a JSON object a line; empty for others."},
		},
		New: func() pipeline.Stage {
			return &stage{Settings: DefaultSettings(), open: open}
		},
	}
}

// stage is the settings with the runtime to run them on.
type stage struct {
	Settings `yaml:",inline"`
	open     runtime.Opener
}

var (
	_ pipeline.Stage           = (*stage)(nil)
	_ pipeline.Validator       = (*stage)(nil)
	_ pipeline.InputsValidator = (*stage)(nil)
)

// Validate implements pipeline.Validator. It reports every mistake.
func (s *Settings) Validate() error {
	errs := []error{s.Settings.Validate(), s.Objective.Validate("objective")}
	check := func(ok bool, path, format string, args ...any) {
		if !ok {
			errs = append(errs, &pipeline.SettingError{Path: path, Err: fmt.Errorf(format, args...)})
		}
	}
	check(s.Finalists >= 1, "finalists", "%d finalists; at least 1 is needed", s.Finalists)
	errs = append(errs, s.Evaluator.Validate("evaluator"), s.validateBudgets())
	onTable := s.Evaluator.Kind == evaluator.Table
	check(onTable || len(s.Metrics) == 0, "metrics", "the evaluator %s has no columns; remove them, its metrics are there without being named", s.Evaluator.Kind)
	if _, err := space.ByName(s.Space); err != nil {
		errs = append(errs, pipeline.UnknownValue("space", s.Space, space.Names()))
	}
	if s.Evaluator.KnowsMetrics() {
		errs = append(errs, s.Evaluator.CheckObjective("objective", s.Objective))
	}
	for i, f := range s.Fidelities {
		at := fmt.Sprintf("fidelities[%d]", i)
		check(f.Column != "", at+".column", "the name of a column is missing")
		check(f.Epochs >= 0, at+".epochs", "%d epochs, want 1 or more, or 0 where the table tells", f.Epochs)
		check(f.Cost >= 0 && !math.IsInf(f.Cost, 0), at+".cost", "%v is not a share of an evaluation", f.Cost)
	}
	return errors.Join(errs...)
}

// validateBudgets reports where the algorithm and the training budgets do not go together.
func (s *Settings) validateBudgets() error {
	var errs []error
	check := func(ok bool, path, format string, args ...any) {
		if !ok {
			errs = append(errs, &pipeline.SettingError{Path: path, Err: fmt.Errorf(format, args...)})
		}
	}
	halving := s.Algorithm == sampling.Halving
	switch s.Evaluator.Kind {
	case evaluator.Table:
		check(!halving || len(s.Fidelities) > 0, "fidelities", "%s needs the column of a lower training budget", sampling.Halving)
		check(halving || len(s.Fidelities) == 0, "fidelities", "%s evaluates at one training budget; use %s", s.Algorithm, sampling.Halving)
		return errors.Join(errs...)
	case evaluator.Training:
		check(!halving || len(s.Evaluator.Training.Budgets) > 0, "evaluator.training.budgets", "%s needs at least one lower number of epochs", sampling.Halving)
		check(halving || len(s.Evaluator.Training.Budgets) == 0, "evaluator.training.budgets", "%s evaluates at one training budget; use %s", s.Algorithm, sampling.Halving)
	default:
		check(!halving, "algorithm", "%s needs training budgets, which the evaluator %s does not have; use training or a table", sampling.Halving, s.Evaluator.Kind)
	}
	check(len(s.Fidelities) == 0, "fidelities", "the evaluator %s has no columns; lower budgets of training are evaluator.training.budgets", s.Evaluator.Kind)
	return errors.Join(errs...)
}

// columns returns the table's columns as evaluators, ascending in their training budget, and what the score of the last one is in
// words.
func (s *Settings) columns(t *table.Table) (out []evaluator.Level, about string, err error) {
	last, err := table.NewEvaluator(t, "", s.Metrics...)
	if err != nil {
		return nil, "", blame("metrics", err)
	}
	for i, f := range s.Fidelities {
		at := fmt.Sprintf("fidelities[%d]", i)
		e, err := s.lower(t, f, last.Column().Meaning)
		if err != nil {
			return nil, "", blame(at+".column", err)
		}
		if f.Cost == 0 {
			if f.Cost = float64(e.Column().Meaning.Epochs) / float64(last.Column().Meaning.Epochs); !(f.Cost > 0) || math.IsInf(f.Cost, 0) {
				return nil, "", &pipeline.SettingError{Path: at + ".cost", Err: errors.New("the columns are not of trained networks, so no epochs tell what one costs; set the cost")}
			}
		}
		out = append(out, evaluator.Level{Name: e.Column().Name, Cost: f.Cost, Evaluator: e})
	}
	c := last.Column()
	return append(out, evaluator.Level{Name: c.Name, Cost: 1, Evaluator: last}), c.Meaning.String(), nil
}

// lower returns the evaluator of a lower training budget.
func (s *Settings) lower(t *table.Table, f Fidelity, main table.Meaning) (*table.Evaluator, error) {
	c, err := t.Describe(f.Column)
	if err != nil {
		return nil, err
	}
	if given := (table.Meaning{Epochs: f.Epochs}); f.Epochs > 0 {
		if c.Meaning.From == "" {
			given.Quantity, given.Unit, given.Dataset, given.Split = main.Quantity, main.Unit, main.Dataset, main.Split
		}
		if t, err = t.WithMeaning(f.Column, given); err != nil {
			return nil, err
		}
	}
	return table.NewEvaluator(t, f.Column, s.Metrics...)
}

// blame names the setting when a column is not there.
func blame(path string, err error) error {
	var column *table.ColumnError
	if errors.As(err, &column) && column.Name != "" {
		return &pipeline.SettingError{Path: path, Err: err, Known: column.Known}
	}
	return err
}

func (s *stage) write(ctx context.Context, job *pipeline.Job, o *opened, out *sampling.Outcome) error {
	sp, about := o.space, o.about
	found, err := s.found(job, sp, out)
	if err != nil {
		return err
	}
	if err := result.WriteArchitecture(job.Output("architecture"), found); err != nil {
		return err
	}
	if err := s.writeTrajectory(job.Output("trajectory"), sp, out.Trajectory); err != nil {
		return err
	}
	if err := result.WriteScores(job.Output("scores"), o.main().Record(sp, o.sample)); err != nil {
		return err
	}
	if out.Failed > 0 {
		job.Warn("%d of %d evaluations failed; those architectures were never chosen", out.Failed, out.Evaluations)
	}
	if out.Best.Value.Violation > 0 {
		job.Warn("no architecture that was evaluated keeps the constraints; this one breaks them least: %s", s.Objective.Broken(out.Best.Own))
	}
	job.Metric("own_score", *found.OwnScore)
	lines := []string{fmt.Sprintf("%s: %s, own score %.4g", s.Name(), found.Architecture, *found.OwnScore)}
	if found.NeighborhoodScore != nil {
		job.Metric("neighborhood_score", *found.NeighborhoodScore)
		lines[0] += fmt.Sprintf(", %s over %d neighbors %.4g", s.Neighborhood.Aggregate, out.Best.Neighbors, *found.NeighborhoodScore)
	}
	for _, name := range slices.Sorted(maps.Keys(out.Best.Own.Metrics)) {
		job.Metric(name, out.Best.Own.Metrics[name])
		lines[0] += fmt.Sprintf(", %s %.6g", name, out.Best.Own.Metrics[name])
	}
	if out.Best.Own.Accuracy > 0 {
		job.Metric("valid_top1", out.Best.Own.Accuracy)
	}
	job.Metric("evaluations", float64(out.Evaluations))
	job.Metric("evaluations_failed", float64(out.Failed))
	if len(out.Front) > 0 {
		job.Metric("front", float64(len(out.Front)))
		lines = append(lines, fmt.Sprintf("%d architectures on the Pareto front", len(out.Front)))
	}
	judged, err := s.judge(ctx, job, o, out)
	if err != nil {
		return err
	}
	if judged != "" {
		lines = append(lines, judged)
	}
	if s.Objective.Combine == objective.Ranks {
		about = "the weighted mean of the ranks of " + enumerate(s.Objective.Goals) + " among all that was scored, 1 being the best of all in each"
	}
	job.Summary(strings.Join(append(lines, "The score is "+about+"."), "\n"))
	return nil
}

// found describes what the search has found.
func (s *Settings) found(job *pipeline.Job, sp *space.Space, out *sampling.Outcome) (*result.Architecture, error) {
	settings, err := result.SettingsOf(*s)
	if err != nil {
		return nil, err
	}
	a := result.NewArchitecture(sp, out.Best.Architecture)
	a.Algorithm, a.Seed, a.Settings = s.Name(), job.Seed, settings
	own := s.ownScore(out.Best)
	a.OwnScore, a.NeighborhoodScore = &own, aggregate(out.Best)
	finalists := out.Front
	for _, c := range out.Ranked {
		if len(finalists) >= max(s.Finalists, len(out.Front)) {
			break
		}
		known := false
		for _, f := range finalists {
			known = known || f.Architecture.Equal(c.Architecture)
		}
		if !known {
			finalists = append(finalists, c)
		}
	}
	for i, c := range finalists {
		a.Candidates = append(a.Candidates, result.Candidate{
			Architecture: sp.Format(c.Architecture), Score: s.ownScore(c), NeighborhoodScore: aggregate(c), Metrics: c.Own.Metrics, Front: i < len(out.Front),
		})
	}
	return a, nil
}

// ownScore returns the score of an architecture by itself, in the units of its neighborhood's: that of the evaluator or, where the
// objective combines ranks, the weighted mean of its ranks among all that was scored, from 0 to 1.
func (s *Settings) ownScore(c sampling.Candidate) float64 {
	if s.Objective.Combine == objective.Ranks && len(c.Alone.Numbers) == 1 {
		return c.Alone.Numbers[0]
	}
	return c.Own.Score
}

// aggregate returns the score of the neighborhood, nil where there is none or the value is made of several numbers.
func aggregate(c sampling.Candidate) *float64 {
	if !c.Aggregated || len(c.Value.Numbers) != 1 {
		return nil
	}
	return &c.Value.Numbers[0]
}

// enumerate names goals: "a, b and c".
func enumerate(goals []objective.Goal) string {
	var names []string
	for _, g := range goals {
		name := g.Metric
		if g.Weight < 0 {
			name = "small " + name
		}
		names = append(names, name)
	}
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
