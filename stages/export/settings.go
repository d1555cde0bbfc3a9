package export

import (
	"errors"
	"fmt"
	"slices"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/evaluate"
)

// Settings are the settings of the stage kind "export". Start from DefaultSettings.
type Settings struct {
	Input   evaluate.Input `yaml:"input" doc:"Numbers that the model takes: pixels (0 to 255), unit (0 to 1) or normalized; with the first two, the data set's normalization is part of the model."`
	Softmax bool           `yaml:"softmax" doc:"Give probabilities alone; otherwise logits, and the probabilities as a second output."`
	Batch   int            `yaml:"batch" doc:"Images a run while the test accuracy is measured, and of the larger batch that the checks and timings use."`
	// Also are further forms of the model, in files of their own beside it (PrecisionFile).
	Also              []Precision `yaml:"also" enum:"int8,float16" doc:"Precisions in which the model is written too, in files beside it, each measured beside float32: int8 (model.int8.onnx, about a quarter of the size; faster on most processors, unless layers are tiny) and float16 (model.float16.onnx, half the size; faster on graphics and mobile processors)."`
	CalibrationImages int         `yaml:"calibration_images" doc:"Training images that the ranges of int8 are from, spread evenly over the training split; all of them where there are fewer."`
}

// DefaultSettings returns what a user of a classifier least can get wrong: the model takes the pixels of a decoded picture
// as they are. It gives logits, which lose nothing, and probabilities, which are what most programs show.
func DefaultSettings() Settings {
	return Settings{Input: evaluate.InputPixels, Batch: 64, CalibrationImages: 256}
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
	for i, p := range s.Also {
		if !slices.Contains(Precisions(), p) {
			errs = append(errs, &pipeline.SettingError{Path: fmt.Sprintf("also[%d]", i), Err: fmt.Errorf("%q is not known; use int8 or float16", p)})
		}
		if slices.Index(s.Also, p) < i {
			errs = append(errs, &pipeline.SettingError{Path: fmt.Sprintf("also[%d]", i), Err: fmt.Errorf("%s is there twice", p)})
		}
	}
	if s.CalibrationImages < 1 {
		errs = append(errs, &pipeline.SettingError{Path: "calibration_images", Err: fmt.Errorf("%d images; use 1 or more", s.CalibrationImages)})
	}
	return errors.Join(errs...)
}
