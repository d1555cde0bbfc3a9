package sample

import (
	"errors"
	"fmt"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/score/evaluator"
	"github.com/plateau-nas/plateau/stages/space"
)

// This file decides whether the settings fit the stages that the inputs come from.

// ValidateInputs implements pipeline.InputsValidator.
func (s *stage) ValidateInputs(from map[string][]pipeline.Stage) error {
	var errs []error
	settings := s.Evaluator.WithCosts(s.Objective, s.Metrics...)
	var sp *space.Space
	if settings.Kind == evaluator.Table {
		sp = space.Chosen(from["table"])
		if len(from["table"]) == 0 {
			errs = append(errs, errNoTable())
		}
		if len(settings.Costs.Metrics) > 0 && len(from["dataset"]) == 0 {
			errs = append(errs, errNoImages(settings))
		}
	} else {
		errs = append(errs, settings.CheckInputs("evaluator", func(port string) bool {
			return len(from[port]) > 0 || port == "weights" && len(from["trained"]) > 0
		}))
		if sp = space.Chosen(from["path"]); len(from["path"]) == 0 {
			var err error
			if sp, err = space.ByName(s.Space); err != nil {
				errs = append(errs, err)
			}
		}
	}
	if sp != nil {
		errs = append(errs, s.checkSpace(sp))
	}
	return errors.Join(errs...)
}

// checkSpace reports a neighborhood that does not fit the space.
func (s *Settings) checkSpace(sp *space.Space) error {
	if err := s.Neighborhood.CheckSpace(sp); err != nil {
		return &pipeline.SettingError{Path: "neighborhood", Err: err}
	}
	return nil
}

func errNoTable() error {
	return &pipeline.SettingError{Path: "evaluator.kind", Err: errors.New("the evaluator is a table, and the input table is not connected; add a stage of the kind table, or choose another evaluator")}
}

func errNoImages(settings evaluator.Settings) error {
	return &pipeline.SettingError{Path: "evaluator.costs", Err: fmt.Errorf("%s depends on the images, and the input dataset is not connected; add a stage of the kind dataset, or name a column of the table under metrics", settings.Costs.Metrics[0])}
}
