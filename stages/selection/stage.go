// Package selection is the stage kind that chooses among the candidates of earlier stages by a better and costlier score than they
// were found with: the narrow end of a funnel.
//
// Its nouns: candidates are the architectures that earlier stages hand on; a rung evaluates those that are left and keeps the best of
// them, and there is one for each training budget of the evaluator (successive halving, Jamieson and Talwalkar, AISTATS 2016);
// smoothing makes a candidate's value one of its own and those of candidates nearby, which costs no evaluation.
package selection

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/score/evaluator"
	"github.com/plateau-nas/plateau/stages/score/objective"
	"github.com/plateau-nas/plateau/stages/space"
)

// place is the metric that tells a candidate's place among those that the stage was given.
const place = "place"

// Settings are the settings of the stage kind "selection".
type Settings struct {
	Evaluator  evaluator.Settings `yaml:"evaluator" doc:"What candidates are evaluated by. With training, its budgets are the rungs: at each, the best of those that are left go on to the next."`
	Metrics    []string           `yaml:"metrics" doc:"For table: further columns that the objective refers to."`
	Objective  objective.Settings `yaml:"objective" doc:"What is compared; the score if nothing is said. The metric place is a candidate's place in what the stage was given, from 1: with combine: ranks and a negative weight it has the earlier stages' order count too."`
	Smooth     SmoothSettings     `yaml:"smooth" doc:"How values are smoothed over those of candidates nearby."`
	Candidates int                `yaml:"candidates" doc:"Candidates that are taken from the earlier stages, from the best; 0 takes all."`
	Keep       float64            `yaml:"keep" doc:"Share of the candidates of a rung that goes on to the next, at least one."`
	Finalists  int                `yaml:"finalists" doc:"Architectures handed on, best first."`
}

// DefaultSettings returns short trainings of all candidates by their loss on validation images.
func DefaultSettings() Settings {
	e := evaluator.DefaultSettings()
	e.Kind = evaluator.Training
	return Settings{Evaluator: e, Objective: objective.DefaultSettings(), Smooth: DefaultSmoothSettings(), Keep: 1.0 / 3, Finalists: 5}
}

// Kind returns the stage kind "selection", which runs on the runtime that open gives; a table needs none. Its metrics are own_score,
// with smoothing neighborhood_score and, where it is known, neighborhood_std, all that the evaluator gives for the winner (valid_top1 for its
// accuracy), candidates, evaluations, evaluations_failed and evaluation_cost, which counts evaluations at the last rung.
func Kind(open runtime.Opener) pipeline.Kind {
	return pipeline.Kind{
		Name:    "selection",
		Version: 2,
		Doc:     "Chooses among the candidates of earlier stages by a better score: short trainings with successive halving, shared weights or any other evaluator, smoothed over candidates nearby.",
		Inputs: append([]pipeline.Port{
			{Name: "architecture", Type: "architecture", Many: true, Doc: "What earlier stages have found, with their candidates. Of several, each gives its best, then each its second, and so on."},
		}, evaluator.Ports()...),
		Outputs: []pipeline.Output{
			{Name: "architecture", Type: "architecture", File: "architecture.json", Doc: "The architecture chosen, and the finalists with their metrics."},
			{Name: "funnel", Type: "funnel", File: "funnel.json", Doc: "Every rung: which candidates there were, their values, and which were kept."},
			{Name: "scores", Type: "scores", File: "scores.json", Doc: "Every architecture that was evaluated at the last rung, with its numbers or why it failed."},
		},
		New: func() pipeline.Stage {
			return &stage{Settings: DefaultSettings(), open: open}
		},
	}
}

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
	errs := []error{s.Objective.Validate("objective"), s.Evaluator.Validate("evaluator"), s.Smooth.validate("smooth")}
	check := func(ok bool, path, format string, args ...any) {
		if !ok {
			errs = append(errs, &pipeline.SettingError{Path: path, Err: fmt.Errorf(format, args...)})
		}
	}
	check(s.Objective.Combine != objective.Pareto, "objective.combine", "one is chosen, and a front is many; add the goals up (%s) or combine their ranks (%s)", objective.Sum, objective.Ranks)
	check(s.Candidates >= 0, "candidates", "%d candidates; give a number, or 0 for all", s.Candidates)
	check(s.Keep > 0 && s.Keep <= 1, "keep", "%v is not above 0 and at most 1", s.Keep)
	check(s.Finalists >= 1, "finalists", "%d finalists; at least 1 is needed", s.Finalists)
	onTable := s.Evaluator.Kind == evaluator.Table
	check(onTable || len(s.Metrics) == 0, "metrics", "the evaluator %s has no columns; remove them, its metrics are there without being named", s.Evaluator.Kind)
	if s.Evaluator.KnowsMetrics() {
		errs = append(errs, s.Evaluator.CheckObjective("objective", s.Objective, place))
	}
	return errors.Join(errs...)
}

// ValidateInputs implements pipeline.InputsValidator.
func (s *stage) ValidateInputs(from map[string][]pipeline.Stage) error {
	_, err := s.evaluatorOn(func(port string) bool { return len(from[port]) > 0 })
	errs := []error{err}
	if sp := space.Chosen(from["path"]); sp != nil {
		errs = append(errs, s.Smooth.checkSpace("smooth", sp))
	}
	return errors.Join(errs...)
}

// evaluatorOn returns the settings of the evaluator, costs of the objective included. The error says which inputs it lacks.
func (s *stage) evaluatorOn(connected func(port string) bool) (evaluator.Settings, error) {
	settings := s.Evaluator.WithCosts(s.Objective, append(slices.Clone(s.Metrics), place)...)
	return settings, settings.CheckInputs("evaluator", connected)
}

// by says in words what candidates are compared by.
func (s *Settings) by() string {
	text := "the score"
	if goals := s.Objective.Goals; len(goals) > 0 {
		var parts []string
		for _, g := range goals {
			name := g.Metric
			if w := cmp.Or(g.Weight, 1); w != 1 {
				name = fmt.Sprintf("%g %s", w, name)
			}
			parts = append(parts, name)
		}
		text = strings.Join(parts, " + ")
		if s.Objective.Combine == objective.Ranks {
			text = "the ranks of " + text
		}
	}
	if smooth := s.Smooth.String(); smooth != "" {
		text += ", smoothed by " + smooth
	}
	return text
}
