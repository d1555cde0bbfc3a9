package sample

import (
	"errors"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/dataset"
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
	switch settings.Kind {
	case evaluator.Proxy, evaluator.Training, evaluator.Exec:
		errs = append(errs, dataset.CheckReduced("evaluator.network.image_size", settings.Network.ImageSize, dataset.SizeOf(from["dataset"])))
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

var _ space.Chooser = (*stage)(nil)

// SearchSpace implements space.Chooser: the space that architectures are drawn from, which a table or a supernet decides on where one is
// the evaluator.
func (s *stage) SearchSpace() (*space.Space, error) {
	if s.Evaluator.Kind == evaluator.Table || s.Evaluator.Kind == evaluator.Sharing {
		return nil, errors.New("the space is that of an input")
	}
	return space.ByName(s.Space)
}
