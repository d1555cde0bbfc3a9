// Package crossvalidate measures a network where pictures are few: it is trained k times, each time on all pictures but one of k parts, and
// measured on that part, so that every picture is tested once.
package crossvalidate

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
	"github.com/plateau-nas/plateau/stages/internal/retrain"
	"github.com/plateau-nas/plateau/stages/internal/words"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/supernet"
	"github.com/plateau-nas/plateau/stages/train"
)

// Settings are the settings of the stage kind "crossvalidate".
type Settings struct {
	Folds int `yaml:"folds" doc:"Into how many parts the images are divided; the network is trained as often. 0 does nothing."`
	Below int `yaml:"below" doc:"Cross-validate only where there are fewer test images than this; 0 for always. With 100 test images an accuracy of 90% may be 83% or 94% (its 95% interval), with fewer anything further apart."`
}

// DefaultSettings returns five folds below 100 test images.
func DefaultSettings() Settings { return Settings{Folds: 5, Below: 100} }

// Validate implements pipeline.Validator.
func (s *Settings) Validate() error {
	var errs []error
	if s.Folds < 0 || s.Folds == 1 || s.Folds > 100 {
		errs = append(errs, &pipeline.SettingError{Path: "folds", Err: fmt.Errorf("%d parts; use 2 to 100, or 0 for no cross-validation", s.Folds)})
	}
	if s.Below < 0 {
		errs = append(errs, &pipeline.SettingError{Path: "below", Err: fmt.Errorf("%d images; use a number of at least 0", s.Below)})
	}
	return errors.Join(errs...)
}

// Kind returns the stage kind "crossvalidate", which runs on the runtime that open gives.
func Kind(open runtime.Opener) pipeline.Kind {
	return pipeline.Kind{
		Name:    "crossvalidate",
		Version: 1,
		Doc:     "Where test images are few, trains the network several times, each time without a part of all images that it is measured on: an accuracy over all of them. The exported model stays as it is.",
		Inputs: []pipeline.Port{
			{Name: "dataset", Type: "dataset", Doc: "The images; those of all splits are used."},
			{Name: "network", Type: "network", Doc: "The network to train."},
			{Name: "recipe", Type: "recipe", Doc: "How it was trained."},
		},
		Outputs: []pipeline.Output{{Name: "folds", Type: "folds", File: "folds.json", Doc: "Accuracy, confusion and mistakes over all images."}},
		New:     func() pipeline.Stage { return &stage{Settings: DefaultSettings(), open: open} },
	}
}

type stage struct {
	Settings `yaml:",inline"`
	open     runtime.Opener
}

var (
	_ pipeline.Stage     = (*stage)(nil)
	_ pipeline.Validator = (*stage)(nil)
)

// Run implements pipeline.Stage.
func (s *stage) Run(ctx context.Context, job *pipeline.Job) error {
	in, _ := job.Input("dataset")
	data, err := dataset.Load(in.Path)
	if err != nil {
		return err
	}
	if why := s.skip(data); why != "" {
		job.Info("no cross-validation: %s", why)
		job.Summary("not done: " + why)
		return result.WriteFolds(job.Output("folds"), &result.Folds{Skipped: why})
	}
	in, _ = job.Input("network")
	net, err := supernet.ReadNetwork(in.Path)
	if err != nil {
		return err
	}
	in, _ = job.Input("recipe")
	recipe, err := train.ReadRecipe(in.Path)
	if err != nil {
		return err
	}
	all, err := data.TrainValid().Join(data.Test)
	if err != nil {
		return err
	}
	s.announce(job, in, all.Count, len(data.Classes), data)
	rt, err := s.open(ctx)
	if err != nil {
		return err
	}
	fold := all.Folds(s.Folds, len(data.Classes), seed.New(job.Seed, "folds"))
	out := &result.Folds{K: s.Folds}
	var parts []*result.Metrics
	tested := make([][]int, s.Folds)
	for k := range s.Folds {
		var rest []int
		for i, f := range fold {
			if f == k {
				tested[k] = append(tested[k], i)
			} else {
				rest = append(rest, i)
			}
		}
		split, err := data.Resplit(all, rest, tested[k])
		if err != nil {
			return err
		}
		m, err := retrain.Run(ctx, rt, job, retrain.Training{
			Name: "fold" + strconv.Itoa(k+1), Phase: fmt.Sprintf("fold %d of %d", k+1, s.Folds), Recipe: recipe, Network: net, Data: split, Split: result.SplitFolds,
			Seed: seed.Derive(job.Seed, "fold", strconv.Itoa(k)),
		})
		if err != nil {
			return err
		}
		job.Info("fold %d of %d: %d of %d images right (%.1f%%)", k+1, s.Folds, int(m.Top1*float64(m.Count)+0.5), m.Count, 100*m.Top1)
		parts = append(parts, m)
		out.Parts = append(out.Parts, result.Fold{Train: len(rest), Test: len(tested[k]), Top1: m.Top1, Loss: m.Loss})
	}
	out.Metrics = retrain.Pool(parts, tested)
	if err := result.WriteFolds(job.Output("folds"), out); err != nil {
		return err
	}
	m, interval := out.Metrics, evaluate.Interval(out.Metrics)
	job.Metric("folds_top1", m.Top1)
	job.Metric("folds_top1_low", interval.Low)
	job.Metric("folds_top1_high", interval.High)
	line := fmt.Sprintf("%.1f%% of all %d images right (95%% interval %.1f to %.1f), each by one of %d networks that were not trained on it", 100*m.Top1, m.Count, 100*interval.Low, 100*interval.High, s.Folds)
	if b := m.Balanced; b.Unequal() {
		job.Metric("folds_balanced_top1", b.Top1)
		job.Metric("folds_balanced_top1_low", b.Low)
		job.Metric("folds_balanced_top1_high", b.High)
		line += fmt.Sprintf("; balanced accuracy %.1f%% (%.1f to %.1f)", 100*b.Top1, 100*b.Low, 100*b.High)
	}
	job.Info("%s", line)
	job.Summary(line)
	return nil
}

// skip says why there is nothing to do, or "".
func (s *stage) skip(data *dataset.Dataset) string {
	switch {
	case s.Folds == 0:
		return "folds is 0"
	case s.Below > 0 && data.Test.Count >= s.Below:
		return fmt.Sprintf("%s are enough (below is %d)", words.Count(data.Test.Count, "test image"), s.Below)
	case data.Train.Encoded != nil || data.Test.Encoded != nil:
		return "there are so many pictures that they are kept as files"
	case data.Train.Height != data.Test.Height || data.View != nil && data.View.Center != 1:
		return "test images show another part of pictures than training images (train_size, test_center), so that they cannot be trained on"
	}
	return ""
}

// announce says what is done and about what it costs.
func (s *stage) announce(job *pipeline.Job, recipe pipeline.Artifact, images, classes int, data *dataset.Dataset) {
	before := data.Train.Count + data.Valid.Count
	each := images - images/s.Folds
	times := float64(s.Folds*each) / float64(max(before, 1))
	text := fmt.Sprintf("%d trainings on about %d images each, since %s say little: about %.1f times the work of the training", s.Folds, each, words.Count(data.Test.Count, "test image"), times)
	for _, w := range job.Lineage(recipe) {
		if w.Stage == recipe.Stage && w.Seconds > 0 {
			text += fmt.Sprintf(", which took %.0f s; so about %.0f s", w.Seconds, times*w.Seconds)
		}
	}
	job.Info("%s; --set %s.folds=0 leaves it out", text, job.ID)
	if least := (images + classes - 1) / classes; least < s.Folds {
		job.Warn("classes have %d images on average, fewer than the %d parts: some parts have none of a class", least, s.Folds)
	}
}
