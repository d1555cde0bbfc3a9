package export

import (
	"errors"
	"fmt"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/evaluate"
)

// Settings are the settings of the stage kind "export". Start from DefaultSettings.
type Settings struct {
	Input   evaluate.Input `yaml:"input" doc:"Numbers that the model takes: pixels (0 to 255), unit (0 to 1) or normalized; with the first two, the data set's normalization is part of the model."`
	Softmax bool           `yaml:"softmax" doc:"Give probabilities alone; otherwise logits, and the probabilities as a second output."`
	Batch   int            `yaml:"batch" doc:"Images a run while the test accuracy is measured, and of the larger batch that the checks use."`
}

// DefaultSettings returns what a user of a classifier least can get wrong: the model takes the pixels of a decoded picture
// as they are. It gives logits, which lose nothing, and probabilities, which are what most programs show.
func DefaultSettings() Settings {
	return Settings{Input: evaluate.InputPixels, Batch: 64}
}

// Validate implements pipeline.Validator. It reports every mistake.
func (s *Settings) Validate() error {
	var errs []error
	switch s.Input {
	case evaluate.InputPixels, evaluate.InputUnit, evaluate.InputNormalized:
	default:
		errs = append(errs, &pipeline.SettingError{Path: "input", Err: fmt.Errorf("%q is not known; use pixels, unit or normalized", s.Input)})
	}
	if s.Batch < 2 {
		errs = append(errs, &pipeline.SettingError{Path: "batch", Err: fmt.Errorf("%d images; use 2 or more", s.Batch)})
	}
	return errors.Join(errs...)
}
