// Package search finds architectures: search by sampling on shared weights (package sampling) and search by gradients (DARTS
// in both orders, PC-DARTS, GDAS, DrNAS, A2M), each on a plain or on a neighborhood-aggregated objective.
//
// A search has two halves. The weights half trains the shared weights of a supernet; the architecture half either moves
// architecture parameters along gradients or scores drawn candidates. Both ask package neighborhood for neighbors and
// aggregation; at radius 0 a neighborhood is its center, and the search is the plain one.
package search

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// Kind returns the stage kind "search", which runs on the runtime that open gives.
func Kind(open runtime.Opener) pipeline.Kind {
	return pipeline.Kind{
		Name:    "search",
		Version: 4,
		Doc:     "Trains the shared weights of a supernet and searches it for architectures.",
		Inputs: []pipeline.Port{
			{Name: "dataset", Type: "dataset", Doc: "Weights are trained on its training split, architectures compared on its validation split."},
			{Name: "parameters", Type: "parameters", Doc: "The supernet's parameter index."},
			{Name: "train_step", Type: "train-step", Doc: "Training step of the relaxed supernet."},
			{Name: "architecture_step", Type: "architecture-step", Doc: "Gradient of the loss by the edge probabilities."},
			{Name: "path", Type: "path-supernet", Doc: "The supernet that computes one architecture."},
			{Name: "path_step", Type: "path-step", Doc: "Training step of one architecture."},
			{Name: "trained", Type: TrainedWeights, Optional: true, Doc: "Shared weights of a stage of kind weights, for weights.at: given."},
		},
		Outputs: []pipeline.Output{
			{Name: "architecture", Type: "architecture", File: "architecture.json", Doc: "The architecture found, and the finalists."},
			{Name: "history", Type: "search-history", File: "history.csv", Doc: "Losses, accuracies, alpha entropy, skip connections, largest Hessian eigenvalue and current architecture of each epoch."},
			{Name: "weights", Type: "shared-weights", File: "weights.safetensors", Doc: "The shared weights."},
			{Name: "scores", Type: "scores", File: "scores.json", Doc: "Every architecture that was scored, with its score."},
		},
		New: func() pipeline.Stage {
			return &stage{Settings: DefaultSettings(), open: open}
		},
	}
}

// stage is the settings with the runtime to run them on.
type stage struct {
	Settings `yaml:",inline"`
	open     runtime.Opener
}

var _ pipeline.InputsValidator = (*stage)(nil)

// ValidateInputs implements pipeline.InputsValidator.
func (s *stage) ValidateInputs(from map[string][]pipeline.Stage) error {
	var errs []error
	if s.given() && len(from["trained"]) == 0 {
		errs = append(errs, errNothingGiven())
	}
	if sp := space.Chosen(from["path"]); sp != nil {
		errs = append(errs, s.Neighborhood.CheckSpaceUnder("neighborhood", sp))
	}
	for _, source := range from["path"] {
		if net, ok := source.(*supernet.Settings); ok {
			errs = append(errs, s.checkPartial(net.Partial))
		}
	}
	return errors.Join(errs...)
}

func errNothingGiven() error {
	return &pipeline.SettingError{Path: "weights.at", Err: fmt.Errorf("the weights are to be %s, but nothing is connected to input trained; add a stage of kind weights", Given)}
}

// checkPartial reports an algorithm that the supernet is not made for.
func (s *Settings) checkPartial(channels int) error {
	if s.edgeWeights() && channels <= 1 {
		return &pipeline.SettingError{Path: "algorithm", Err: fmt.Errorf("%s is for supernets that give their operations a part of the channels; set partial_channels: 4 in the supernet stage", PCDARTS)}
	}
	return nil
}

// run is one execution of the stage.
type run struct {
	*Settings
	job      *pipeline.Job
	rt       *runtime.Runtime
	data     *dataset.Dataset
	space    *space.Space
	macro    supernet.Macro
	index    *params.Index
	weights  *runtime.State
	history  []result.SearchEpoch
	cache    *score.Cache
	sharing  *score.WeightSharing
	closers  []func() error
	settings result.Settings
	// weightSteps is how many batches the weights are trained on.
	weightSteps int
}

// Run implements pipeline.Stage.
func (s *stage) Run(ctx context.Context, job *pipeline.Job) (err error) {
	rt, err := s.open(ctx)
	if err != nil {
		return err
	}
	r := &run{Settings: &s.Settings, job: job, rt: rt}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.prepare(ctx); err != nil {
		return err
	}
	job.Info("%s: weights %s, architectures compared on %d validation images of %dx%d", r.name(), r.origin(), r.sharing.Images(), r.macro.Image[1], r.macro.Image[2])
	var found *result.Architecture
	switch {
	case s.gradient():
		found, err = r.darts(ctx)
	case s.budgeted():
		found, err = r.budget(ctx)
	default:
		found, err = r.random(ctx)
	}
	if err != nil {
		return err
	}
	return r.write(found)
}

func (r *run) close() error {
	var errs []error
	for i := len(r.closers) - 1; i >= 0; i-- {
		errs = append(errs, r.closers[i]())
	}
	return errors.Join(errs...)
}

// prepare loads what every search needs.
func (r *run) prepare(ctx context.Context) (err error) {
	if r.data, err = dataset.Load(r.path("dataset")); err != nil {
		return err
	}
	if r.index, err = params.Load(r.path("parameters")); err != nil {
		return err
	}
	if r.settings, err = result.SettingsOf(r.Settings); err != nil {
		return err
	}
	if r.weights, err = r.rt.NewState(r.index.Total()); err != nil {
		return err
	}
	r.closers = append(r.closers, r.weights.Close)
	model, err := os.ReadFile(r.path("path"))
	if err != nil {
		return fmt.Errorf("loading the supernet: %w", err)
	}
	if r.space, r.macro, err = supernet.Of(model); err != nil {
		return err
	}
	macro := r.macro
	if err := r.checkPartial(macro.Partial); err != nil {
		return err
	}
	if r.data, err = r.data.Reduce(macro.Image[1], macro.Image[2]); err != nil {
		return err
	}
	if err := r.Neighborhood.CheckSpaceUnder("neighborhood", r.space); err != nil {
		return err
	}
	r.sharing, err = score.NewWeightSharing(ctx, r.rt, model, r.space, r.weights, r.data.Valid, r.data.Mean, r.data.Std, score.SharingOptions{Images: r.ScoreImages})
	if err != nil {
		return err
	}
	r.closers = append(r.closers, r.sharing.Close)
	r.cache = score.NewCache(r.sharing)
	return nil
}

// origin says where the weights come from.
func (r *run) origin() string {
	if r.given() {
		return "as they are given"
	}
	return fmt.Sprintf("trained at %s for %d epochs", r.Weights.At, r.weightEpochs())
}

func (r *run) path(port string) string {
	a, _ := r.job.Input(port)
	return a.Path
}

func (r *run) scratch(name string) string { return filepath.Join(r.job.Scratch, name) }

// step loads one of the supernet's graphs with the given states.
func (r *run) step(port string, states map[string]*runtime.State) (*runtime.Step, error) {
	model, err := os.ReadFile(r.path(port))
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", port, err)
	}
	s, err := r.rt.NewStep(model, runtime.StepOptions{SessionOptions: runtime.SessionOptions{Name: port}, States: states})
	if err != nil {
		return nil, err
	}
	r.closers = append(r.closers, s.Close)
	return s, nil
}

// guessing says that the loss of the architecture found tells nothing about it; it is empty when that is not so.
func guessing(loss float64, classes int) string {
	chance := math.Log(float64(classes))
	if loss < chance {
		return ""
	}
	return fmt.Sprintf("with the shared weights, the loss of the architecture found is %.3f on the validation images, no better than guessing among %d classes (%.3f): "+
		"that it was found says little; train the weights for longer, or give more images", loss, classes, chance)
}

// write writes every output and the metrics.
func (r *run) write(found *result.Architecture) error {
	if err := result.WriteArchitecture(r.job.Output("architecture"), found); err != nil {
		return err
	}
	if err := result.WriteSearchHistory(r.job.Output("history"), r.history); err != nil {
		return err
	}
	if err := result.WriteScores(r.job.Output("scores"), r.cache.Record(r.space, r.sharing.Sample())); err != nil {
		return err
	}
	if err := r.saveWeights(r.job.Output("weights")); err != nil {
		return err
	}
	if found.OwnScore != nil {
		r.job.Metric("own_score", *found.OwnScore)
	}
	if found.NeighborhoodScore != nil {
		r.job.Metric("neighborhood_score", *found.NeighborhoodScore)
	}
	_, chosen, err := found.Parse()
	if err != nil {
		return err
	}
	if own, ok := r.cache.Lookup(chosen); ok {
		r.job.Metric("valid_top1", own.Accuracy)
		if said := guessing(own.Loss, r.macro.Classes); said != "" {
			r.job.Warn("%s", said)
		}
	}
	r.job.Metric("weight_steps", float64(r.weightSteps))
	if !r.budgeted() { // halving counts evaluations on fewer images as less
		r.job.Metric("evaluations", float64(len(r.cache.Known())))
	}
	r.job.Info("found %s", found.Architecture)
	line := found.Algorithm + " found " + found.Architecture
	if found.OwnScore != nil {
		line += fmt.Sprintf(", own score %.4f", *found.OwnScore)
	}
	if found.NeighborhoodScore != nil {
		line += fmt.Sprintf(", neighborhood %.4f", *found.NeighborhoodScore)
	}
	r.job.Summary(line)
	return nil
}
