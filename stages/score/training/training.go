// Package training evaluates architectures the honest way: each is trained as a stand-alone network for some epochs and
// measured on the validation images, which it was not trained on.
//
// Its nouns: the recipe is that of the stage kind "train"; a budget is a number of epochs. Searches that spend more on what looks
// better evaluate at several budgets.
package training

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/train"
)

// Options are what a training evaluator needs beside its settings.
type Options struct {
	Runtime *runtime.Runtime
	Space   *space.Space
	Data    *dataset.Dataset
	Seed    uint64 // of first weights and batches; every architecture has the same
	// Folder is where trainings keep their checkpoints, so that one that was killed is continued. With
	// Continue they stay there for the next budget.
	Folder string
	Log    func(format string, args ...any) // told when a training begins; may be nil
}

// Evaluator trains every architecture it is asked for. Evaluations do not run side by side: a training uses all threads.
type Evaluator struct {
	settings Settings
	options  Options
	epochs   int
	valid    *dataset.Images // of the size of the network's images; nil where there are none
}

var _ score.Evaluator = (*Evaluator)(nil)

// New returns the evaluator at a budget, which is settings.Epochs or one of settings.Budgets.
func New(o Options, st Settings, epochs int) (*Evaluator, error) {
	if err := st.Validate(""); err != nil {
		return nil, err
	}
	e := &Evaluator{settings: st, options: o, epochs: epochs, valid: o.Data.Valid}
	if e.valid == nil || e.valid.Count == 0 {
		e.valid = nil
		return e, nil
	}
	if size := o.Data.Test; size != nil && (e.valid.Height != size.Height || e.valid.Width != size.Width) {
		// Images to train on may be larger, for parts to be cut out; the network takes those of the size of the test images.
		reduced, err := o.Data.Reduce(size.Height, size.Width)
		if err != nil {
			return nil, fmt.Errorf("evaluating by training: %w", err)
		}
		e.valid = reduced.Valid
	}
	return e, nil
}

// Evaluate implements score.Evaluator. The score is the negative loss on the validation images. Where the data set has none, score and
// loss are those of the last epoch of the training itself, on augmented images, and there is no accuracy. An architecture whose training diverges
// fails, as does one whose smallest network is larger than the budget.
func (e *Evaluator) Evaluate(ctx context.Context, architectures []space.Architecture) ([]score.Result, error) {
	wrap := func(err error) error { return fmt.Errorf("evaluating by training: %w", err) }
	for _, a := range architectures {
		if err := e.options.Space.Check(a); err != nil {
			return nil, wrap(err)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, wrap(err)
	}
	out := make([]score.Result, len(architectures))
	known := map[string]score.Result{}
	for i, a := range architectures {
		r, ok := known[a.Key()]
		if !ok {
			var err error
			if r, err = e.one(ctx, a); err != nil {
				return nil, wrap(err)
			}
			known[a.Key()] = r
		}
		out[i] = r
	}
	return out, nil
}

// one evaluates an architecture.
func (e *Evaluator) one(ctx context.Context, a space.Architecture) (score.Result, error) {
	trained, err := e.Train(ctx, a)
	if diverged := new(train.DivergedError); errors.As(err, &diverged) {
		return score.Failed(diverged), nil
	}
	if tight := new(pipeline.SettingError); errors.As(err, &tight) && strings.HasPrefix(tight.Path, "budget.") {
		return score.Failed(tight), nil // others may fit
	}
	if err != nil {
		return score.Result{}, err
	}
	last := trained.History[len(trained.History)-1]
	metrics := map[string]float64{"train_loss": last.TrainLoss}
	if e.valid == nil {
		return score.Result{Score: -last.TrainLoss, Loss: last.TrainLoss, Metrics: metrics}, nil
	}
	weights, statistics, err := trained.Weights()
	if err != nil {
		return score.Result{}, err
	}
	m, err := trained.Network.Inference(weights, statistics)
	if err != nil {
		return score.Result{}, err
	}
	loss, accuracy, err := e.measure(ctx, m)
	if err != nil {
		return score.Result{}, err
	}
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return score.Failed(fmt.Errorf("the loss on the validation images is %v; the training has diverged, so lower its learning rate", loss)), nil
	}
	return score.Result{Score: -loss, Loss: loss, Accuracy: accuracy, Metrics: metrics}, nil
}

// Train trains an architecture to the evaluator's budget. The error is a *train.DivergedError when that fails for the
// architecture.
func (e *Evaluator) Train(ctx context.Context, a space.Architecture) (_ *train.Trained, err error) {
	text := e.options.Space.Format(a)
	recipe := e.settings.Settings
	name := fmt.Sprintf("%x", sha256.Sum256([]byte(text)))[:16]
	if !e.settings.Continue {
		name += fmt.Sprintf("-%d", e.epochs)
		recipe.Warmup *= float64(e.epochs) / float64(recipe.Epochs)
		recipe.Epochs = e.epochs
	}
	quiet := pipeline.NewJob(pipeline.JobConfig{ID: "training", Seed: e.options.Seed})
	recipe, _, err = recipe.Fitted(ctx, e.options.Runtime, quiet, e.options.Space, text, e.options.Data)
	if err != nil {
		return nil, err
	}
	net, err := recipe.Network(e.options.Space, text, e.options.Data)
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(e.options.Folder, name)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, err
	}
	if e.options.Log != nil {
		e.options.Log("training %s for %d epochs", text, e.epochs)
	}
	job := pipeline.NewJob(pipeline.JobConfig{ID: "training", Seed: e.options.Seed, Scratch: folder})
	trained, err := recipe.Fit(ctx, e.options.Runtime, job, net, e.options.Data, e.epochs)
	if ctx.Err() == nil && (!e.settings.Continue || err != nil) {
		err = errors.Join(err, os.RemoveAll(folder))
	}
	return trained, err
}

// measure returns the mean cross-entropy and the top-1 accuracy of a model on the validation images.
func (e *Evaluator) measure(ctx context.Context, m *onnx.ModelProto) (loss, accuracy float64, err error) {
	data, err := onnx.Encode(m)
	if err != nil {
		return 0, 0, err
	}
	session, err := e.options.Runtime.NewSession(data, runtime.SessionOptions{Name: "the trained network"})
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	d := e.options.Data
	loader, err := dataset.NewLoader(e.valid, d.Mean, d.Std, dataset.LoaderOptions{Batch: min(256, e.valid.Count)})
	if err != nil {
		return 0, 0, err
	}
	hits, count := 0, 0
	for b, err := range loader.Epoch(ctx, 0) {
		if err != nil {
			return 0, 0, err
		}
		x := runtime.Tensor{Shape: []int64{int64(b.Count), int64(e.valid.Channels), int64(e.valid.Height), int64(e.valid.Width)}, Data: b.X[:b.Count*e.valid.Values()]}
		y, err := session.Run(ctx, map[string]runtime.Tensor{session.Inputs()[0].Name: x})
		if err != nil {
			return 0, 0, err
		}
		l, h := score.CrossEntropy(y[session.Outputs()[0].Name].Data.([]float32), b.Y[:b.Count])
		loss, hits, count = loss+l, hits+h, count+b.Count
	}
	return loss / float64(count), float64(hits) / float64(count), nil
}
