// Package learningcurve tells whether more pictures would help: a network is trained on shares of the training images, with equally many
// steps, and measured on the same test images.
package learningcurve

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
	"github.com/plateau-nas/plateau/stages/internal/retrain"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/supernet"
	"github.com/plateau-nas/plateau/stages/train"
)

// Settings are the settings of the stage kind "learning_curve".
type Settings struct {
	Shares []float64 `yaml:"shares" doc:"Shares of the training images that are trained on, ascending, above 0 and at most 1; two or more."`
	Effort float64   `yaml:"effort" doc:"Steps of each training, as a share of those of the network's own; the same number for all."`
}

// DefaultSettings returns a quarter, half and all of the images at half of the steps.
func DefaultSettings() Settings { return Settings{Shares: []float64{0.25, 0.5, 1}, Effort: 0.5} }

// Validate implements pipeline.Validator.
func (s *Settings) Validate() error {
	var errs []error
	wrong := func(path, format string, args ...any) {
		errs = append(errs, &pipeline.SettingError{Path: path, Err: fmt.Errorf(format, args...)})
	}
	if len(s.Shares) < 2 {
		wrong("shares", "%d shares; give two or more", len(s.Shares))
	}
	for i, v := range s.Shares {
		if !(v > 0 && v <= 1) || i > 0 && v <= s.Shares[i-1] {
			wrong("shares", "%v; give ascending shares above 0 and at most 1", s.Shares)
			break
		}
	}
	if !(s.Effort > 0 && s.Effort <= 10) {
		wrong("effort", "%v of the steps; give a number above 0, such as 0.5", s.Effort)
	}
	return errors.Join(errs...)
}

// Kind returns the stage kind "learning_curve", which runs on the runtime that open gives.
func Kind(open runtime.Opener) pipeline.Kind {
	return pipeline.Kind{
		Name:    "learning_curve",
		Version: 1,
		Doc:     "Trains the network on shares of the training images and says what more of them would bring.",
		Inputs: []pipeline.Port{
			{Name: "dataset", Type: "dataset", Doc: "The images."},
			{Name: "network", Type: "network", Doc: "The network to train."},
			{Name: "recipe", Type: "recipe", Doc: "How it was trained."},
		},
		Outputs: []pipeline.Output{{Name: "curve", Type: "learning-curve", File: "curve.json", Doc: "Accuracy by the number of training images."}},
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
	all := data.Train
	if recipe.UseValid {
		all = data.TrainValid()
	}
	batches := func(images int) int { return max(1, images/min(recipe.Training.Batch, max(images, 2))) }
	steps := max(1, int(math.Round(s.Effort*float64(recipe.Epochs*batches(all.Count)))))
	job.Info("%d trainings of about %d steps, %.2g times the work of the training in all", len(s.Shares), steps, s.Effort*float64(len(s.Shares)))
	rt, err := s.open(ctx)
	if err != nil {
		return err
	}
	order := all.Nested(len(data.Classes), seed.New(job.Seed, "order"))
	out := &result.Curve{Steps: steps, Count: data.Test.Count}
	var right [][]byte
	for i, share := range s.Shares {
		n := min(all.Count, max(2, int(math.Round(share*float64(all.Count)))))
		part := *data
		if part.Train, err = all.Pick(order[:n]); err != nil {
			return err
		}
		part.Valid = &dataset.Images{Channels: all.Channels, Height: all.Height, Width: all.Width}
		own := recipe
		own.Epochs = max(1, int(math.Round(float64(steps)/float64(batches(n)))))
		own.Warmup = recipe.Warmup * float64(own.Epochs) / float64(recipe.Epochs)
		m, err := retrain.Run(ctx, rt, job, retrain.Training{
			Name: "part" + strconv.Itoa(i+1), Phase: fmt.Sprintf("%d images", n), Recipe: own, Network: net, Data: &part, Split: "test", Seed: seed.Derive(job.Seed, "training"),
		})
		if err != nil {
			return err
		}
		interval := evaluate.Interval(m)
		out.Points = append(out.Points, result.CurvePoint{Images: n, Epochs: own.Epochs, Top1: m.Top1, Low: interval.Low, High: interval.High, Loss: m.Loss})
		right = append(right, m.Right)
		job.Info("%d training images: %.1f%% of %d test images right (95%% interval %.1f to %.1f)", n, 100*m.Top1, m.Count, 100*interval.Low, 100*interval.High)
	}
	extrapolate(out, right, seed.New(job.Seed, "bootstrap"))
	job.Metric("curve_gain", out.Gain)
	job.Metric("curve_gain_low", out.GainLow)
	job.Metric("curve_gain_high", out.GainHigh)
	job.Info("%s", out.Sentence)
	job.Summary(out.Sentence)
	return result.WriteCurve(job.Output("curve"), out)
}
