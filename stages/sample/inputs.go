package sample

import (
	"errors"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/score/evaluator"
	"github.com/plateau-nas/plateau/stages/space"
)

// This file decides whether the settings fit the stages that the inputs come from.

// ValidateInputs implements pipeline.InputsValidator.
func (s *stage) ValidateInputs(from map[string][]pipeline.Stage) error {
	settings, err := s.evaluatorOn(func(port string) bool { return len(from[port]) > 0 })
	errs := []error{err}
	var sp *space.Space
	switch {
	case settings.Kind == evaluator.Table:
		sp = space.Chosen(from["table"])
	case len(from["path"]) > 0:
		sp = space.Chosen(from["path"])
	default:
		sp, err = space.ByName(s.Space)
		errs = append(errs, err)
	}
	if sp != nil {
		errs = append(errs, s.Neighborhood.CheckSpaceUnder("neighborhood", sp))
	}
	return errors.Join(errs...)
}

// evaluatorOn returns the settings of the evaluator, costs of the objective included. The error says which inputs it lacks.
func (s *stage) evaluatorOn(connected func(port string) bool) (evaluator.Settings, error) {
	settings := s.Evaluator.WithCosts(s.Objective, s.Metrics...)
	return settings, settings.CheckInputs("evaluator", connected)
}
