package search

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/plateau-nas/plateau/exporter/optimizer"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// probes is the number of uniformly drawn architectures whose validation loss shows how far the shared weights are
// while there is no current architecture.
const probes = 8

// train runs the epochs of a search. a is nil when there is no alpha.
func (r *run) train(ctx context.Context, a *alpha) error {
	if a == nil && r.given() {
		return r.begin()
	}
	t, err := r.newTrainer()
	if err != nil {
		return err
	}
	if a != nil && len(a.labels) != t.batch() {
		return fmt.Errorf("architecture_step takes batches of %d images and the training step batches of %d; take both from one supernet", len(a.labels), t.batch())
	}
	load := func(split string, images *dataset.Images) (*dataset.Loader, error) {
		return dataset.NewLoader(images, r.data.Mean, r.data.Std, dataset.LoaderOptions{
			Batch: t.batch(), Shuffle: true, DropLast: true, Augment: r.Augment, Workers: r.rt.Threads(), Seed: seed.Derive(r.job.Seed, "batches", split),
		})
	}
	training, err := load("train", r.data.Train)
	if err != nil {
		return err
	}
	validation, err := load("valid", r.data.Valid)
	if err != nil {
		return err
	}
	t.schedule = optimizer.Cosine(r.Weights.LearningRate, r.Weights.LearningRateMin, r.weightEpochs()*training.Batches())
	if err := r.begin(); err != nil {
		return err
	}
	done, part, err := r.resume(t, a)
	if err != nil {
		return err
	}
	var pace event.Pace
	if a != nil && a.second != nil {
		a.second.momentum = t.momentum
	}
	if a != nil && r.Alpha.Hessian > 0 {
		if a.fixed, err = r.fixedBatch(ctx, t.batch()); err != nil {
			return err
		}
	}
	for epoch := done; epoch < r.Epochs; epoch++ {
		if r.collapsed(epoch) {
			break
		}
		if err := r.epoch(ctx, epoch, part, t, a, training, validation, &pace); err != nil {
			return err
		}
		if err := r.save(epoch+1, nil, t, a); err != nil {
			return err
		}
		part = nil
	}
	r.weightSteps = min(len(r.history), r.weightEpochs()) * training.Batches()
	return nil
}

// begin sets the weights to what they are before the first step: drawn, or given.
func (r *run) begin() error {
	if !r.given() {
		return r.weights.Write(r.index.Initialize(seed.New(r.job.Seed, "weights")))
	}
	in, ok := r.job.Input("trained")
	if !ok {
		return errNothingGiven()
	}
	flat, err := supernet.LoadWeights(in.Path, r.index)
	if err != nil {
		return err
	}
	return r.weights.Write(flat)
}

// epoch makes the steps of an epoch, or those that are left of it after part. When ctx ends it finishes the step and leaves a
// checkpoint behind it.
func (r *run) epoch(ctx context.Context, epoch int, part *partial, t *trainer, a *alpha, training, validation *dataset.Loader, pace *event.Pace) error {
	moveWeights := epoch < r.weightEpochs()
	moveAlpha := a != nil && epoch >= r.Alpha.Start
	row := result.SearchEpoch{Epoch: epoch + 1, Phase: "search", AlphaEntropy: math.NaN(), Eigenvalue: math.NaN()}
	if a != nil {
		a.begin(epoch)
	}
	switch {
	case epoch < r.Weights.WarmUp:
		row.Phase = "warm-up"
	case !moveAlpha:
		row.Phase = "weights"
	case !moveWeights:
		row.Phase = "alpha"
	}
	// One loader leads, the other follows and starts over as often as it must.
	leader := training
	if !moveWeights {
		leader = validation
	}
	w, err := r.enter(epoch, part, leader)
	if err != nil {
		return err
	}
	step := context.WithoutCancel(ctx)
	follow, stop := endless(step, validation, epoch, w.Followed)
	defer stop()
	at := func() float64 { return float64(epoch) + float64(w.Steps)/float64(leader.Batches()) }
	pace.Begin(at())
	before, shown, started, saved := w.Steps, time.Time{}, time.Now(), time.Now()
	for b, err := range leader.EpochFrom(step, epoch, w.Steps) {
		if err != nil {
			return err
		}
		number := epoch*training.Batches() + w.Steps
		if moveAlpha {
			vb := b
			if leader != validation {
				if vb, err = follow(); err != nil {
					return err
				}
				w.Followed++
			}
			look := batches{valid: vb}
			if moveWeights {
				look.train, look.rate = b, t.schedule(number)
			}
			_, loss, hits, err := a.move(step, look, w.rng)
			if err != nil {
				return err
			}
			w.Valid.add(loss, hits, vb.Count)
		}
		if moveWeights {
			var center space.Probabilities
			if a != nil {
				center = a.center(w.rng)
			}
			loss, hits, err := t.train(step, b, epoch, number, center, w.rng)
			if err != nil {
				return err
			}
			w.Train.add(loss, hits, b.Count)
		}
		w.Steps++
		if time.Since(shown) > 200*time.Millisecond {
			shown = time.Now()
			r.progress(epoch, row.Phase, float64(w.Steps-before)/time.Since(started).Seconds(), pace.Remaining(at(), float64(r.Epochs)), &w.Train, &w.Valid, nil, nil)
		}
		if ctx.Err() != nil || time.Since(saved) > keepEvery {
			saved = time.Now()
			if err := w.save(t, a); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	rate := float64(w.Steps-before) / time.Since(started).Seconds()
	if err := r.measure(ctx, w, &row, a, moveAlpha); err != nil {
		if ctx.Err() != nil {
			err = errors.Join(err, w.save(t, a))
		}
		return err
	}
	r.history = append(r.history, row)
	r.progress(epoch+1, row.Phase, rate, pace.Remaining(float64(epoch+1), float64(r.Epochs)), &w.Train, &w.Valid, a, &row)
	return nil
}

// measure fills in what an epoch came to.
func (r *run) measure(ctx context.Context, w *within, row *result.SearchEpoch, a *alpha, moved bool) (err error) {
	row.TrainLoss, row.TrainAccuracy = w.Train.values()
	row.ValidLoss, row.ValidAccuracy = w.Valid.values()
	if a != nil {
		passes := a.passes
		defer func() {
			if err != nil {
				a.passes = passes // it will be done again
			}
		}()
		if err := r.trace(ctx, a, row, moved); err != nil {
			return err
		}
	}
	if w.Valid.Batches > 0 {
		return nil
	}
	if err := r.probe(ctx, row); err != nil {
		return err
	}
	w.Valid = mean{Loss: row.ValidLoss, Hits: row.ValidAccuracy, Batches: 1, Images: 1}
	return nil
}

// probe measures the shared weights at a few architectures that are the same in every epoch. Nothing is cached: the
// weights are still moving.
func (r *run) probe(ctx context.Context, row *result.SearchEpoch) error {
	rng := seed.New(r.job.Seed, "probes")
	var drawn []space.Architecture
	for range probes {
		drawn = append(drawn, r.space.Random(rng))
	}
	results, err := r.sharing.Evaluate(ctx, drawn)
	if err != nil {
		return err
	}
	row.ValidLoss, row.ValidAccuracy = 0, 0
	for _, v := range results {
		row.ValidLoss += v.Loss / probes
		row.ValidAccuracy += v.Accuracy / probes
	}
	return nil
}

// endless returns a function that gives the loader's batches epoch after epoch, starting with a number that is
// different for each epoch of the search, and after so many batches.
func endless(ctx context.Context, l *dataset.Loader, epoch, after int) (next func() (*dataset.Batch, error), stop func()) {
	pull, stopPull := iter.Pull2(func(yield func(*dataset.Batch, error) bool) {
		// An epoch of the search may use several of the loader; they are numbered apart.
		from := after % l.Batches()
		for k := after / l.Batches(); ; k++ {
			for b, err := range l.EpochFrom(ctx, epoch+k*1_000_003, from) {
				if !yield(b, err) || err != nil {
					return
				}
			}
			from = 0
		}
	})
	return func() (*dataset.Batch, error) {
		b, err, ok := pull()
		if !ok {
			return nil, errors.New("the validation batches have ended")
		}
		return b, err
	}, stopPull
}

// progress tells how far the search is. After an epoch, row says what it came to, and a, unless it is nil, what alpha stands at.
func (r *run) progress(done int, phase string, rate, left float64, train, valid *mean, a *alpha, row *result.SearchEpoch) {
	p := event.Progress{Phase: phase, Done: done, Total: r.Epochs, Unit: "epoch", Rate: rate, Final: row != nil, Remaining: left}
	for _, part := range []struct {
		name string
		m    *mean
	}{{"train", train}, {"valid", valid}} {
		if part.m.Batches == 0 {
			continue
		}
		loss, accuracy := part.m.values()
		p.Values = append(p.Values, event.Value{Name: part.name + "_loss", Value: loss}, event.Value{Name: part.name + "_accuracy", Value: accuracy})
	}
	if row != nil {
		p.Note = row.Architecture
		for _, v := range []event.Value{{Name: "alpha_entropy", Value: row.AlphaEntropy}, {Name: "eigenvalue", Value: row.Eigenvalue}} {
			if !math.IsNaN(v.Value) {
				p.Values = append(p.Values, v)
			}
		}
	}
	if a != nil {
		p.Tables = r.probabilityTable(a)
	}
	r.job.Progress(p)
}
