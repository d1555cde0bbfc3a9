package train

import (
	"errors"
	"fmt"
	"math"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// Settings are the settings of the stage kind "train".
type Settings struct {
	Channels        int               `yaml:"channels" doc:"Channels of the first of the three stages."`
	Cells           int               `yaml:"cells" doc:"Cells a stage."`
	Epochs          int               `yaml:"epochs" doc:"Epochs of training."`
	LearningRate    float64           `yaml:"learning_rate" doc:"Learning rate at the start; it falls along a cosine."`
	LearningRateMin float64           `yaml:"learning_rate_min" doc:"Learning rate at the end."`
	Warmup          float64           `yaml:"warmup" doc:"Epochs over which the learning rate first rises from 0; may be a fraction."`
	Training        supernet.Training `yaml:"training" doc:"The training step."`
	Augment         dataset.Augment   `yaml:"augment" doc:"Augmentation of the training images."`
	UseValid        bool              `yaml:"use_valid" doc:"Whether the validation images are trained on too, since the search no longer needs them."`
}

// DefaultSettings returns the NAS-Bench-201 recipe (Dong and Yang, ICLR 2020) at a size for two cores.
func DefaultSettings() Settings {
	t := supernet.DefaultTraining()
	return Settings{Channels: 16, Cells: 1, Epochs: 30, LearningRate: 0.1, Training: t, Augment: dataset.Augment{Flip: true, Crop: 4}, UseValid: true}
}

var _ pipeline.Validator = (*Settings)(nil)

// Validate implements pipeline.Validator. It reports every mistake.
func (s *Settings) Validate() error {
	var errs []error
	check := func(ok bool, path, format string, args ...any) {
		if !ok {
			errs = append(errs, &pipeline.SettingError{Path: path, Err: fmt.Errorf(format, args...)})
		}
	}
	check(s.Epochs >= 1, "epochs", "%d epochs; at least 1 is needed", s.Epochs)
	check(s.LearningRate > 0 && !math.IsInf(s.LearningRate, 0), "learning_rate", "%v is not a number above 0", s.LearningRate)
	check(s.LearningRateMin >= 0 && s.LearningRateMin <= s.LearningRate, "learning_rate_min", "%v is not between 0 and the learning rate %v", s.LearningRateMin, s.LearningRate)
	check(s.Warmup >= 0 && s.Warmup < float64(s.Epochs), "warmup", "%v is not between 0 and less than the %d epochs", s.Warmup, s.Epochs)
	check(s.Augment.Crop >= 0, "augment.crop", "%d pixels; give a number of at least 0", s.Augment.Crop)
	check(s.Augment.Cutout >= 0, "augment.cutout", "%d pixels; give a number of at least 0", s.Augment.Cutout)
	errs = append(errs, (supernet.Macro{Channels: s.Channels, Cells: s.Cells, Classes: 2, Image: [3]int{3, 32, 32}}).Check(), s.Training.Validate("training"))
	return errors.Join(errs...)
}
