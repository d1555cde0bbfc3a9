package evaluator

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/export"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/score/command"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
	"github.com/plateau-nas/plateau/stages/train"
)

func (o *Opened) openExec() error {
	write, err := o.writer()
	if err != nil {
		return err
	}
	x := o.settings.Exec
	e, err := command.New(x, command.Options{
		Space: o.Space, Write: write, Folder: filepath.Join(o.in.Scratch, "candidates"), Attempted: o.in.Attempted,
	})
	if err != nil {
		return err
	}
	o.Sample = score.Sample{Evaluator: "exec " + x.Score}
	o.About = fmt.Sprintf("%s in the answer of %s to the model with %s weights", x.Score, x.Command[0], x.Weights)
	if x.Lower {
		o.About = "the negative of " + o.About
	}
	o.Levels = []Level{{Name: x.Score, Cost: 1, Evaluator: e, Chunk: x.Parallel}}
	return nil
}

// writer returns what writes the model of an architecture, with the weights that the settings ask for.
func (o *Opened) writer() (func(ctx context.Context, a space.Architecture, path string) error, error) {
	save := func(path string, n supernet.Network, weights, statistics []float32, data *dataset.Dataset) error {
		return export.Candidate(path, n, weights, statistics, data, export.DefaultSettings())
	}
	network := func(a space.Architecture, m supernet.Macro) supernet.Network {
		return supernet.Network{Space: o.Space.Reference(), Architecture: o.Space.Format(a), Macro: m}
	}
	switch o.settings.Exec.Weights {
	case command.Trained:
		e, err := o.training(o.settings.Training.Epochs)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, a space.Architecture, path string) error {
			t, err := e.Train(ctx, a)
			if errors.As(err, new(*train.DivergedError)) {
				return &command.ArchitectureError{Err: err}
			}
			if err != nil {
				return err
			}
			weights, statistics, err := t.Weights()
			if err != nil {
				return err
			}
			return save(path, t.Network, weights, statistics, o.data)
		}, nil
	case command.Inherited:
		shared, err := o.loadWeights()
		if err != nil {
			return nil, err
		}
		sn, err := supernet.New(o.Space, o.sharing)
		if err != nil {
			return nil, err
		}
		data, err := o.data.Reduce(o.sharing.Image[1], o.sharing.Image[2])
		if err != nil {
			return nil, err
		}
		macro := o.sharing
		if macro.Partial > 1 {
			return nil, errors.New("the supernet gives its operations a part of the channels only, so stand-alone networks cannot inherit its weights; use initial or trained")
		}
		macro.Partial = 0
		return func(ctx context.Context, a space.Architecture, path string) error {
			n := network(a, macro)
			weights, err := sn.Inherit(n, shared)
			if err != nil {
				return err
			}
			statistics, err := o.statistics(ctx, n, weights, data)
			if err != nil {
				return err
			}
			return save(path, n, weights, statistics, data)
		}, nil
	}
	macro := o.macro()
	return func(_ context.Context, a space.Architecture, path string) error {
		n := network(a, macro)
		index, running, err := n.Indexes()
		if err != nil {
			return err
		}
		return save(path, n, index.Initialize(seed.New(o.in.Seed, "weights")), running.Initialize(seed.New(o.in.Seed, "running")), o.data)
	}, nil
}

// statistics returns running statistics for weights that were not trained with any: the mean over some batches of training
// images.
func (o *Opened) statistics(ctx context.Context, n supernet.Network, weights []float32, data *dataset.Dataset) (_ []float32, err error) {
	const batches = 4
	batch := min(128, data.Train.Count)
	m, err := n.Statistics(batch)
	if err != nil {
		return nil, err
	}
	model, err := onnx.Encode(m)
	if err != nil {
		return nil, err
	}
	session, err := o.runtime.NewSession(model, runtime.SessionOptions{Name: "statistics", Optimization: "basic"})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	loader, err := dataset.NewLoader(data.Train, data.Mean, data.Std, dataset.LoaderOptions{Batch: batch, DropLast: true})
	if err != nil {
		return nil, err
	}
	var sum []float64
	count := 0
	for b, err := range loader.Epoch(ctx, 0) {
		if err != nil {
			return nil, err
		}
		y, err := session.Run(ctx, map[string]runtime.Tensor{
			supernet.Images: {Shape: []int64{int64(batch), int64(n.Image[0]), int64(n.Image[1]), int64(n.Image[2])}, Data: b.X},
			supernet.Params: {Shape: []int64{int64(len(weights))}, Data: weights},
		})
		if err != nil {
			return nil, err
		}
		values := y[supernet.BatchStatistics].Data.([]float32)
		if sum == nil {
			sum = make([]float64, len(values))
		}
		for i, v := range values {
			sum[i] += float64(v)
		}
		if count++; count == batches {
			break
		}
	}
	out := make([]float32, len(sum))
	for i, v := range sum {
		out[i] = float32(v / float64(count))
	}
	return out, nil
}
