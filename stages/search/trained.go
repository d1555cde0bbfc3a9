package search

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// TrainedWeights is the type of shared weights that searches begin with. It is another type than that of the weights which
// a search leaves, so that a document with two searches does not connect one with the other.
const TrainedWeights = "trained-weights"

// TrainingSettings are the settings of the stage kind "weights".
type TrainingSettings struct {
	Epochs          int             `yaml:"epochs" doc:"Epochs of training."`
	WarmUp          int             `yaml:"warm_up" doc:"Epochs at the start in which every operation takes part with equal weight."`
	LearningRate    float64         `yaml:"learning_rate" doc:"Learning rate at the start; it falls along a cosine."`
	LearningRateMin float64         `yaml:"learning_rate_min" doc:"Learning rate at the end."`
	Augment         dataset.Augment `yaml:"augment" doc:"Augmentation of the images that the weights are trained on."`
}

// WeightsKind returns the stage kind "weights", which trains shared weights for several searches along one uniformly drawn
// architecture a step. It runs on the runtime that open gives.
func WeightsKind(open runtime.Opener) pipeline.Kind {
	return pipeline.Kind{
		Name:    "weights",
		Version: 1,
		Doc:     "Trains the shared weights of a supernet along random single paths, for searches that take them as given.",
		Inputs: []pipeline.Port{
			{Name: "dataset", Type: "dataset", Doc: "Weights are trained on its training split."},
			{Name: "parameters", Type: "parameters", Doc: "The supernet's parameter index."},
			{Name: "train_step", Type: "train-step", Doc: "Training step of the relaxed supernet, for the warm-up."},
			{Name: "path", Type: "path-supernet", Doc: "The supernet that computes one architecture."},
			{Name: "path_step", Type: "path-step", Doc: "Training step of one architecture."},
		},
		Outputs: []pipeline.Output{
			{Name: "weights", Type: TrainedWeights, File: "weights.safetensors", Doc: "The shared weights."},
			{Name: "history", Type: "search-history", File: "history.csv", Doc: "Losses and accuracies of each epoch."},
		},
		New: func() pipeline.Stage {
			d := DefaultSettings()
			return &training{TrainingSettings: TrainingSettings{
				Epochs: d.Epochs, LearningRate: d.Weights.LearningRate, LearningRateMin: d.Weights.LearningRateMin, Augment: d.Augment,
			}, open: open}
		},
	}
}

// training is the settings with the runtime to run them on.
type training struct {
	TrainingSettings `yaml:",inline"`
	open             runtime.Opener
}

var _ pipeline.Validator = (*training)(nil)

// settings are those of a search that trains its weights so.
func (s *TrainingSettings) settings() Settings {
	st := DefaultSettings()
	st.Epochs, st.Augment = s.Epochs, s.Augment
	st.Weights.WarmUp, st.Weights.LearningRate, st.Weights.LearningRateMin = s.WarmUp, s.LearningRate, s.LearningRateMin
	return st
}

// Validate implements pipeline.Validator.
func (s *training) Validate() error {
	st := s.settings()
	return renamed(st.Validate(), map[string]string{
		"weights.warm_up": "warm_up", "weights.learning_rate": "learning_rate", "weights.learning_rate_min": "learning_rate_min",
	})
}

// Run implements pipeline.Stage.
func (s *training) Run(ctx context.Context, job *pipeline.Job) (err error) {
	rt, err := s.open(ctx)
	if err != nil {
		return err
	}
	st := s.settings()
	r := &run{Settings: &st, job: job, rt: rt}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.prepare(ctx); err != nil {
		return err
	}
	if err := r.train(ctx, nil); err != nil {
		return err
	}
	if err := result.WriteSearchHistory(job.Output("history"), r.history); err != nil {
		return err
	}
	if err := r.saveWeights(job.Output("weights")); err != nil {
		return err
	}
	job.Metric("weight_steps", float64(r.weightSteps))
	last := r.history[len(r.history)-1]
	if !math.IsNaN(last.ValidLoss) {
		job.Metric("valid_loss", last.ValidLoss) // of a few architectures drawn for it
	}
	job.Summary(fmt.Sprintf("%d steps on single paths; a few random architectures have validation loss %.4f", r.weightSteps, last.ValidLoss))
	return nil
}

// saveWeights writes the shared weights.
func (r *run) saveWeights(path string) error {
	flat := make([]float32, r.index.Total())
	r.weights.Read(flat)
	about := map[string]string{"plateau.space": r.space.Reference(), "plateau.content": "shared weights"}
	return supernet.SaveWeights(path, about, supernet.Vector{Index: r.index, Data: flat})
}
