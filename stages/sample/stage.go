// Package sample is the stage kind that searches by sampling on an evaluator that needs no shared weights: the columns of a
// table. It takes neither a data set nor a supernet.
//
// Its nouns are those of package sampling, which does the searching; what is found is an architecture like that of any
// other search, so later stages rank, train and export it.
package sample

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/score/objective"
	"github.com/plateau-nas/plateau/stages/search/sampling"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/table"
)

// Settings are the settings of the stage kind "sample".
type Settings struct {
	sampling.Settings `yaml:",inline"`
	Objective         objective.Settings `yaml:"objective" doc:"What is optimized; the score if nothing is said."`
	Metrics           []string           `yaml:"metrics" doc:"Further columns of the table that the objective refers to."`
	Fidelities        []Fidelity         `yaml:"fidelities" doc:"For halving: the columns of lower training budgets, ascending; the score column comes last."`
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
	return Settings{Settings: sampling.DefaultSettings(), Objective: objective.DefaultSettings(), Finalists: 5}
}

// Kind returns the stage kind "sample". Its metrics are own_score and, with a neighborhood, neighborhood_score of the
// architecture found, evaluations, and evaluations_failed.
func Kind() pipeline.Kind {
	return pipeline.Kind{
		Name:    "sample",
		Version: 1,
		Doc:     "Searches a table by random search, evolution, local search or successive halving, on scores or on those of neighborhoods.",
		Inputs: []pipeline.Port{
			{Name: "table", Type: "table", Doc: "The table whose score column the search sees."},
		},
		Outputs: []pipeline.Output{
			{Name: "architecture", Type: "architecture", File: "architecture.json", Doc: "The architecture found, and the finalists; for a Pareto objective these begin with the front."},
			{Name: "trajectory", Type: "trajectory", File: "trajectory.csv", Doc: "The incumbent after every evaluation at which it changed."},
			{Name: "scores", Type: "scores", File: "scores.json", Doc: "Every architecture that was evaluated, with its numbers or why it failed."},
		},
		New: func() pipeline.Stage {
			s := DefaultSettings()
			return &s
		},
	}
}

var (
	_ pipeline.Stage     = (*Settings)(nil)
	_ pipeline.Validator = (*Settings)(nil)
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
	check(s.Algorithm != sampling.Halving || len(s.Fidelities) > 0, "fidelities", "%s needs the column of a lower training budget", sampling.Halving)
	check(s.Algorithm == sampling.Halving || len(s.Fidelities) == 0, "fidelities", "%s evaluates at one training budget; use %s", s.Algorithm, sampling.Halving)
	for i, f := range s.Fidelities {
		at := fmt.Sprintf("fidelities[%d]", i)
		check(f.Column != "", at+".column", "the name of a column is missing")
		check(f.Epochs >= 0, at+".epochs", "%d epochs, want 1 or more, or 0 where the table tells", f.Epochs)
		check(f.Cost >= 0 && !math.IsInf(f.Cost, 0), at+".cost", "%v is not a share of an evaluation", f.Cost)
	}
	return errors.Join(errs...)
}

// Run implements pipeline.Stage.
func (s *Settings) Run(ctx context.Context, job *pipeline.Job) error {
	in, _ := job.Input("table")
	t, err := table.Open(in.Path)
	if err != nil {
		return err
	}
	if err := s.Neighborhood.CheckSpace(t.Space()); err != nil {
		return &pipeline.SettingError{Path: "neighborhood", Err: err}
	}
	fidelities, main, about, err := s.evaluators(t)
	if err != nil {
		return err
	}
	goal, err := objective.New(s.Objective)
	if err != nil {
		return err
	}
	job.Info("%s with %d evaluations; it sees %s", s.Name(), s.Budget, about)
	began, shown := time.Now(), time.Time{}
	out, err := sampling.Search(ctx, t.Space(), s.Settings, fidelities, sampling.Options{
		Seed: job.Seed, Objective: goal,
		Progress: func(spent float64, best *sampling.Candidate) error {
			if time.Since(shown) < 200*time.Millisecond {
				return nil
			}
			shown = time.Now()
			rate := spent / time.Since(began).Seconds()
			p := event.Progress{Phase: "search", Done: int(spent), Total: s.Budget, Unit: "evaluation", Rate: rate, Remaining: (float64(s.Budget) - spent) / rate}
			if best != nil {
				p.Note = t.Space().Format(best.Architecture)
			}
			job.Progress(p)
			return nil
		},
	})
	if err != nil {
		return err
	}
	return s.write(job, t.Space(), out, main, about)
}

// evaluators returns the table's columns as evaluators, ascending in their training budget, with what the last one knows
// in the end and what its score is in words.
func (s *Settings) evaluators(t *table.Table) (out []sampling.Fidelity, main *score.Cache, about string, err error) {
	last, err := table.NewEvaluator(t, "", s.Metrics...)
	if err != nil {
		return nil, nil, "", blame("metrics", err)
	}
	for i, f := range s.Fidelities {
		at := fmt.Sprintf("fidelities[%d]", i)
		e, err := s.lower(t, f, last.Column().Meaning)
		if err != nil {
			return nil, nil, "", blame(at+".column", err)
		}
		if f.Cost == 0 {
			if f.Cost = float64(e.Column().Meaning.Epochs) / float64(last.Column().Meaning.Epochs); !(f.Cost > 0) || math.IsInf(f.Cost, 0) {
				return nil, nil, "", &pipeline.SettingError{Path: at + ".cost", Err: errors.New("the columns are not of trained networks, so no epochs tell what one costs; set the cost")}
			}
		}
		out = append(out, sampling.Fidelity{Name: e.Column().Name, Cost: f.Cost, Evaluator: e})
	}
	c := last.Column()
	main = score.NewCache(last)
	about = c.Meaning.String()
	return append(out, sampling.Fidelity{Name: c.Name, Cost: 1, Evaluator: main}), main, about, nil
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

func (s *Settings) write(job *pipeline.Job, sp *space.Space, out *sampling.Outcome, main *score.Cache, about string) error {
	found, err := s.found(job, sp, out)
	if err != nil {
		return err
	}
	if err := result.WriteArchitecture(job.Output("architecture"), found); err != nil {
		return err
	}
	if err := writeTrajectory(job.Output("trajectory"), sp, out.Trajectory); err != nil {
		return err
	}
	if err := result.WriteScores(job.Output("scores"), main.Record(sp, score.Sample{Evaluator: "table: " + about})); err != nil {
		return err
	}
	if out.Failed > 0 {
		job.Warn("%d of %d evaluations failed; those architectures were never chosen", out.Failed, out.Evaluations)
	}
	job.Metric("own_score", out.Best.Own.Score)
	lines := []string{fmt.Sprintf("%s: %s, own score %.4g", s.Name(), found.Architecture, out.Best.Own.Score)}
	if found.NeighborhoodScore != nil {
		job.Metric("neighborhood_score", *found.NeighborhoodScore)
		lines[0] += fmt.Sprintf(", %s over %d neighbors %.4g", s.Neighborhood.Aggregate, out.Best.Neighbors, *found.NeighborhoodScore)
	}
	job.Metric("evaluations", float64(out.Evaluations))
	job.Metric("evaluations_failed", float64(out.Failed))
	if len(out.Front) > 0 {
		job.Metric("front", float64(len(out.Front)))
		lines = append(lines, fmt.Sprintf("%d architectures on the Pareto front", len(out.Front)))
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
	a.OwnScore, a.NeighborhoodScore = &out.Best.Own.Score, aggregate(out.Best)
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
	for _, c := range finalists {
		a.Candidates = append(a.Candidates, result.Candidate{Architecture: sp.Format(c.Architecture), Score: c.Own.Score, NeighborhoodScore: aggregate(c)})
	}
	return a, nil
}

// aggregate returns the score of the neighborhood, nil where there is none or the value is made of several numbers.
func aggregate(c sampling.Candidate) *float64 {
	if !c.Aggregated || len(c.Value.Numbers) != 1 {
		return nil
	}
	return &c.Value.Numbers[0]
}
