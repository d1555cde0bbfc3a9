package evaluator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/score/command"
	"github.com/plateau-nas/plateau/stages/score/cost"
	"github.com/plateau-nas/plateau/stages/score/known"
	"github.com/plateau-nas/plateau/stages/score/proxy"
	"github.com/plateau-nas/plateau/stages/score/training"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// Inputs are what a stage has for its evaluator. Paths are empty for what is not connected.
type Inputs struct {
	Open    runtime.Opener
	Dataset string // dataset.safetensors
	Path    string // the supernet that computes one architecture
	// Parameters and Weights are the index and the values of the shared weights.
	Parameters, Weights string
	Scores              []known.Source // what earlier stages have scored
	// Space is searched where no supernet is connected.
	Space     *space.Space
	Seed      uint64
	Scratch   string // folder for checkpoints and models
	Info      func(format string, args ...any)
	Attempted func(command.Attempt) error // told of every run of a command; may be nil
}

// Level is an evaluator at one training budget.
type Level struct {
	Name      string
	Cost      float64 // of an evaluation, as a share of one at the last level
	Evaluator score.Evaluator
	Chunk     int // how many architectures should be asked for at once, so that little is lost when the run is killed
}

// Opened is an evaluator with what it stands on.
type Opened struct {
	Space  *space.Space
	Levels []Level // ascending in the training budget
	Sample score.Sample
	About  string // what the score is, in words
	// Pool is what there are answers for, where it may be a part of the space only: what earlier stages have scored. Nil otherwise.
	Pool []space.Architecture

	settings Settings
	in       Inputs
	full     *dataset.Dataset // as it is
	data     *dataset.Dataset // all images of the size of the test images
	runtime  *runtime.Runtime
	path     []byte
	sharing  supernet.Macro // of the supernet
	weights  *runtime.State
	index    *params.Index
	closers  []func() error
}

// Close frees what the evaluator holds. It must not be called during an evaluation.
func (o *Opened) Close() error {
	var errs []error
	for i := len(o.closers) - 1; i >= 0; i-- {
		errs = append(errs, o.closers[i]())
	}
	o.closers = nil
	return errors.Join(errs...)
}

// Open opens the evaluator of the settings, which is not Table and has the inputs that CheckInputs asks for. Errors that a setting is to
// blame for are a *pipeline.SettingError whose path begins with path.
func Open(ctx context.Context, path string, st Settings, in Inputs) (_ *Opened, err error) {
	o := &Opened{settings: st, in: in}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.Close())
		}
	}()
	at := func(setting string, err error) error {
		if err == nil || errors.As(err, new(*pipeline.SettingError)) {
			return err
		}
		return &pipeline.SettingError{Path: strings.TrimPrefix(path+"."+setting, "."), Err: err}
	}
	if err := o.prepare(ctx); err != nil {
		return nil, at("kind", err)
	}
	switch st.Kind {
	case Sharing:
		err = o.openSharing(ctx)
	case Training:
		err = o.openTraining()
	case Proxy:
		err = at("proxy", o.openProxy(ctx))
	case Exec:
		err = at("exec.command", o.openExec())
	case Scores:
		err = at("kind", o.openScores())
	default:
		err = at("kind", fmt.Errorf("%s is not opened here", st.Kind))
	}
	if err != nil {
		return nil, err
	}
	if len(st.Costs.Metrics) > 0 {
		for i := range o.Levels {
			if o.Levels[i].Evaluator, err = cost.New(o.Levels[i].Evaluator, o.runtime, o.Space, o.macro(), st.Costs); err != nil {
				return nil, err
			}
		}
	}
	return o, nil
}

// prepare loads what all evaluators need.
func (o *Opened) prepare(ctx context.Context) (err error) {
	if o.settings.Kind == Scores && o.in.Dataset == "" {
		return nil // nothing of it depends on images
	}
	if o.full, err = dataset.Load(o.in.Dataset); err != nil {
		return err
	}
	if size := o.settings.Network.ImageSize; size > 0 {
		if o.full, err = o.full.Reduce(size, size); err != nil {
			return &pipeline.SettingError{Path: "evaluator.network.image_size", Err: err}
		}
	}
	if o.data, err = o.full.Reduce(o.full.Test.Height, o.full.Test.Width); err != nil {
		return err
	}
	if o.runtime, err = o.in.Open(ctx); err != nil {
		return err
	}
	o.Space = o.in.Space
	if o.in.Path != "" {
		if o.path, err = os.ReadFile(o.in.Path); err != nil {
			return fmt.Errorf("loading the supernet: %w", err)
		}
		if o.Space, o.sharing, err = supernet.Of(o.path); err != nil {
			return err
		}
	}
	return nil
}

// macro is the skeleton of the stand-alone network of a candidate: the one that is trained, or inherits weights, if there is such
// a one.
func (o *Opened) macro() supernet.Macro {
	n := o.settings.Network
	exec, t := o.settings.Kind == Exec, o.settings.Training
	switch {
	case o.settings.Kind == Training || exec && o.settings.Exec.Weights == command.Trained:
		n = NetworkSettings{Channels: t.Channels, Cells: t.Cells, Stages: t.Stages, Stem: t.Stem, Reduction: t.Reduction, ImageSize: n.ImageSize}
	case exec && o.settings.Exec.Weights == command.Inherited:
		m := o.sharing
		m.Partial = 0
		return m
	}
	return n.Macro(o.Space, o.data)
}

// loadWeights loads the shared weights.
func (o *Opened) loadWeights() ([]float32, error) {
	var err error
	if o.index, err = params.Load(o.in.Parameters); err != nil {
		return nil, err
	}
	return supernet.LoadWeights(o.in.Weights, o.index)
}

func (o *Opened) openSharing(ctx context.Context) error {
	flat, err := o.loadWeights()
	if err != nil {
		return err
	}
	if o.weights, err = o.runtime.NewState(len(flat)); err != nil {
		return err
	}
	o.closers = append(o.closers, o.weights.Close)
	if err := o.weights.Write(flat); err != nil {
		return err
	}
	data, err := o.data.Reduce(o.sharing.Image[1], o.sharing.Image[2])
	if err != nil {
		return err
	}
	w, err := score.NewWeightSharing(ctx, o.runtime, o.path, o.Space, o.weights, data.Valid, data.Mean, data.Std, score.SharingOptions{Images: o.settings.Sharing.Images})
	if err != nil {
		return err
	}
	o.closers = append(o.closers, w.Close)
	o.Sample = w.Sample()
	o.About = fmt.Sprintf("the negative loss on %d validation images of %s with shared weights", w.Images(), o.data.Name)
	o.Levels = []Level{{Name: Sharing, Cost: 1, Evaluator: w}}
	return nil
}

func (o *Opened) training(epochs int) (*training.Evaluator, error) {
	return training.New(training.Options{
		Runtime: o.runtime, Space: o.Space, Data: o.full, Seed: o.in.Seed, Folder: filepath.Join(o.in.Scratch, "training"), Log: o.in.Info,
	}, o.settings.Training, epochs)
}

func (o *Opened) openTraining() error {
	t := o.settings.Training
	for _, epochs := range append(append([]int{}, t.Budgets...), t.Epochs) {
		e, err := o.training(epochs)
		if err != nil {
			return err
		}
		o.Levels = append(o.Levels, Level{Name: fmt.Sprintf("%d epochs", epochs), Cost: float64(epochs) / float64(t.Epochs), Evaluator: e, Chunk: 1})
	}
	o.Sample = score.Sample{Images: o.data.Valid.Count, Evaluator: fmt.Sprintf("training for %d epochs", t.Epochs)}
	what := fmt.Sprintf("the negative loss on the %d validation images of %s", o.data.Valid.Count, o.data.Name)
	if o.data.Valid.Count == 0 {
		what = fmt.Sprintf("the negative loss on the training images of %s, which has no validation images,", o.data.Name)
	}
	o.About = fmt.Sprintf("%s after training for %d epochs, %d channels, %d cells", what, t.Epochs, t.Channels, t.Cells)
	return nil
}

func (o *Opened) openProxy(ctx context.Context) error {
	p, err := o.settings.Proxy.Fitting(o.data.Train)
	if err != nil {
		return err
	}
	if asked := o.settings.Proxy.Images; p.Images < asked && o.in.Info != nil {
		o.in.Info("scores are of %d images in place of %d: the data set %s has no more that are different", p.Images, asked, o.data.Name)
	}
	e, err := proxy.New(ctx, o.runtime, o.Space, o.macro(), o.data.Train, o.data.Mean, o.data.Std, o.in.Seed, p)
	if err != nil {
		return err
	}
	o.closers = append(o.closers, e.Close)
	o.Sample = score.Sample{Images: p.Images, Batch: p.Images, Evaluator: "proxy " + p.Proxies[0]}
	o.About = fmt.Sprintf("the zero-cost proxy %s on %d training images of %s", p.Proxies[0], p.Images, o.data.Name)
	if p.Log {
		o.About = strings.Replace(o.About, "the zero-cost", "the logarithm of the zero-cost", 1)
	}
	o.Levels = []Level{{Name: p.Proxies[0], Cost: 1, Evaluator: e, Chunk: 32}}
	return nil
}

func (o *Opened) openScores() error {
	e, err := known.New(o.in.Scores)
	if err != nil {
		return err
	}
	o.Space, o.Pool = e.Space(), e.Pool()
	o.Sample = score.Sample{Evaluator: "scores: " + e.About()}
	o.About = e.About()
	o.Levels = []Level{{Name: Scores, Cost: 1, Evaluator: e, Chunk: 4096}}
	return nil
}
