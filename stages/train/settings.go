package train

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/plateau-nas/plateau/exporter/optimizer"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// Settings are the settings of the stage kind "train".
type Settings struct {
	Channels          int               `yaml:"channels" doc:"Channels of the first cells."`
	Cells             int               `yaml:"cells" doc:"Cells a stage; in the darts space cells in all, its layers."`
	Stages            int               `yaml:"stages" doc:"Stages, of which each has twice the channels and half the resolution of the one before; the darts space has 3."`
	Stem              string            `yaml:"stem" enum:"cifar,imagenet,pooled,deep,whitened" doc:"How a network begins: cifar (a 3x3 convolution); in the darts space also imagenet (to an eighth of the resolution), in other spaces, for short trainings, what lets cells run at half the resolution: pooled (a 3x3 convolution and a 2x2 max pool), deep (two convolutions and the pool) or whitened (2x2 patches whitened by the training images, then a 3x3 convolution and the pool)."`
	Reduction         string            `yaml:"reduction" enum:"residual,pooled" doc:"What lies between stages: residual (the block of NAS-Bench-201) or pooled (a 3x3 convolution and a 2x2 max pool: shallower, for short trainings). The darts space has reduction cells of its own."`
	Auxiliary         float64           `yaml:"auxiliary" doc:"Weight of the loss of an auxiliary head, in the darts space, 0.4 in its recipes; the images must be 32x32, with the stem imagenet 224x224. 0 leaves the head out."`
	DropPath          float64           `yaml:"drop_path" doc:"Probability of drop path, in the darts space, toward which it rises from epoch to epoch; 0.2 in its recipe for CIFAR-10."`
	Epochs            int               `yaml:"epochs" doc:"Epochs of training."`
	LearningRate      float64           `yaml:"learning_rate" doc:"Learning rate at the start, or at the peak of a one-cycle schedule."`
	LearningRateMin   float64           `yaml:"learning_rate_min" doc:"Learning rate at the end of a cosine or one-cycle schedule, and the least of an exponential one."`
	Schedule          string            `yaml:"schedule" enum:"cosine,exponential,one_cycle" doc:"How the learning rate falls: cosine (along half a cosine, to learning_rate_min), exponential (by the factor learning_rate_decay an epoch) or one_cycle (rises from a 25th of learning_rate to all of it over the share rise of the training, then falls to learning_rate_min; for short trainings)."`
	Rise              float64           `yaml:"rise" doc:"Share of the training over which the learning rate of a one-cycle schedule rises, 0 to 1."`
	Anneal            string            `yaml:"anneal" enum:"cosine,linear" doc:"Along what the learning rate of a one-cycle schedule rises and falls: half a cosine, or a line."`
	LearningRateDecay float64           `yaml:"learning_rate_decay" doc:"Factor of the learning rate from epoch to epoch in an exponential schedule; 0.97 in the recipe of DARTS for ImageNet."`
	LearningRateEach  string            `yaml:"learning_rate_each" enum:"iteration,epoch" doc:"How often the learning rate changes: iteration, as in NAS-Bench-201, or epoch, as in DARTS."`
	Warmup            float64           `yaml:"warmup" doc:"Epochs over which the learning rate first rises from 0; may be a fraction."`
	Average           float64           `yaml:"average" doc:"Decay of an exponential moving average of the weights and running statistics, such as 0.99 a step, which then is what the training gives; 0 gives the weights of the last step."`
	CutMix            float64           `yaml:"cutmix" doc:"Probability that the images of a step get a box of another image each, of random size and place, and its label by the box's share of the area: for few images that are seen often. 0.5 in its authors' recipe for CIFAR-10, 0 for none. The training accuracy in the history is by the first labels alone."`
	Training          supernet.Training `yaml:"training" doc:"The training step."`
	Augment           dataset.Augment   `yaml:"augment" doc:"Augmentation of the training images."`
	Budget            Budget            `yaml:"budget" doc:"What the network may cost. With any bound the network is stacked and widened to it; channels and cells are then the least, and epochs the most."`
	UseValid          bool              `yaml:"use_valid" doc:"Whether the validation images are trained on too, since the search no longer needs them."`
}

// DefaultSettings returns the NAS-Bench-201 recipe (Dong and Yang, ICLR 2020) at a size for two cores.
func DefaultSettings() Settings {
	t := supernet.DefaultTraining()
	return Settings{Channels: 16, Cells: 1, Stages: supernet.DefaultStages, Stem: string(supernet.StemCIFAR), Reduction: string(supernet.ReductionResidual), Epochs: 30, LearningRate: 0.1, Schedule: ScheduleCosine, LearningRateDecay: 0.97, LearningRateEach: EachIteration, Rise: 0.3, Anneal: AnnealCosine, Budget: DefaultBudget(), Training: t, Augment: dataset.Augment{Flip: true, Crop: 4}, UseValid: true}
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
	check(s.Auxiliary >= 0 && !math.IsInf(s.Auxiliary, 0), "auxiliary", "%v is not a number of at least 0", s.Auxiliary)
	check(s.DropPath >= 0 && s.DropPath < 1, "drop_path", "%v is not in [0, 1)", s.DropPath)
	check(s.LearningRateDecay > 0 && s.LearningRateDecay <= 1, "learning_rate_decay", "%v is not above 0 and at most 1", s.LearningRateDecay)
	check(s.CutMix >= 0 && s.CutMix <= 1, "cutmix", "%v is not a probability, from 0 to 1", s.CutMix)
	check(s.Rise >= 0 && s.Rise <= 1, "rise", "%v is not a share of the training, from 0 to 1", s.Rise)
	check(!(s.Schedule == ScheduleOneCycle && s.Warmup > 0), "warmup", "a one-cycle schedule rises by itself; leave warmup out, and set rise instead")
	if err := optimizer.CheckAverage(s.Average); err != nil {
		errs = append(errs, &pipeline.SettingError{Path: "average", Err: err})
	}
	name := func(path, value string, known ...string) {
		if !slices.Contains(known, value) {
			errs = append(errs, pipeline.UnknownValue(path, value, known))
		}
	}
	name("schedule", s.Schedule, ScheduleCosine, ScheduleExponential, ScheduleOneCycle)
	name("anneal", s.Anneal, AnnealCosine, AnnealLinear)
	name("learning_rate_each", s.LearningRateEach, EachIteration, EachEpoch)
	name("stem", s.Stem, supernet.Stems()...)
	name("reduction", s.Reduction, supernet.Reductions()...)
	check(s.Channels >= 1, "channels", "%d channels; at least 1 is needed", s.Channels)
	check(s.Cells >= 1, "cells", "%d cells; at least 1 is needed", s.Cells)
	errs = append(errs, s.Budget.Validate("budget", s))
	errs = append(errs, s.Augment.Validate("augment"))
	errs = append(errs, s.Training.Validate("training"))
	return errors.Join(errs...)
}
