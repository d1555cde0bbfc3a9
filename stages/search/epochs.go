package search

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strconv"
	"time"

	"github.com/plateau-nas/plateau/exporter/optimizer"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/stages/checkpoint"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// probes is the number of uniformly drawn architectures whose validation loss shows how far the shared weights are
// while there is no current architecture.
const probes = 8

// state is what a checkpoint holds beside the vectors.
type state struct {
	Epoch   int    `json:"epoch"`   // finished epochs
	Steps   int    `json:"steps"`   // steps of alpha
	Passes  int    `json:"passes"`  // batches differentiated by the architecture
	History string `json:"history"` // fingerprint of the rows of these epochs, which lie in a file beside it
}

// mean gathers losses and hits.
type mean struct {
	loss, hits      float64
	batches, images int
}

func (m *mean) add(loss, hits float64, images int) {
	m.loss, m.hits, m.batches, m.images = m.loss+loss, m.hits+hits, m.batches+1, m.images+images
}

// values returns the mean loss and accuracy; not a number when there is nothing.
func (m *mean) values() (loss, accuracy float64) {
	if m.batches == 0 {
		return math.NaN(), math.NaN()
	}
	return m.loss / float64(m.batches), m.hits / float64(m.images)
}

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
	done, err := r.resume(t, a)
	if err != nil {
		return err
	}
	began := time.Now()
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
		if err := r.epoch(ctx, epoch, t, a, training, validation, began, done); err != nil {
			return err
		}
		if err := r.save(epoch+1, t, a); err != nil {
			return err
		}
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
		return &pipeline.SettingError{Path: "weights.at", Err: fmt.Errorf("the weights are to be %s, but nothing is connected to input trained; add a stage of kind weights", Given)}
	}
	flat, err := supernet.LoadWeights(in.Path, r.index)
	if err != nil {
		return err
	}
	return r.weights.Write(flat)
}

func (r *run) epoch(ctx context.Context, epoch int, t *trainer, a *alpha, training, validation *dataset.Loader, began time.Time, first int) error {
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
	follow, stop := endless(ctx, validation, epoch)
	defer stop()
	rng := seed.New(r.job.Seed, "epoch", strconv.Itoa(epoch))
	var train, valid mean
	i, shown, started := 0, time.Time{}, time.Now()
	for b, err := range leader.Epoch(ctx, epoch) {
		if err != nil {
			return err
		}
		if moveAlpha {
			vb := b
			if leader != validation {
				if vb, err = follow(); err != nil {
					return err
				}
			}
			step := batches{valid: vb}
			if moveWeights {
				step.train, step.rate = b, t.schedule(epoch*training.Batches()+i)
			}
			_, loss, hits, err := a.move(ctx, step, rng)
			if err != nil {
				return err
			}
			valid.add(loss, hits, vb.Count)
		}
		if moveWeights {
			var center space.Probabilities
			if a != nil {
				center = a.center(rng)
			}
			loss, hits, err := t.train(ctx, b, epoch, epoch*training.Batches()+i, center, rng)
			if err != nil {
				return err
			}
			train.add(loss, hits, b.Count)
		}
		i++
		if time.Since(shown) > 200*time.Millisecond {
			shown = time.Now()
			r.progress(epoch, row.Phase, float64(i)/time.Since(started).Seconds(), remaining(began, float64(epoch-first)+float64(i)/float64(leader.Batches()), r.Epochs-first), &train, &valid, nil, nil)
		}
	}
	rate := float64(i) / time.Since(started).Seconds()
	row.TrainLoss, row.TrainAccuracy = train.values()
	row.ValidLoss, row.ValidAccuracy = valid.values()
	if a != nil {
		if err := r.trace(ctx, a, &row, moveAlpha); err != nil {
			return err
		}
	}
	if valid.batches == 0 {
		if err := r.probe(ctx, &row); err != nil {
			return err
		}
		valid = mean{loss: row.ValidLoss, hits: row.ValidAccuracy, batches: 1, images: 1}
	}
	r.history = append(r.history, row)
	r.progress(epoch+1, row.Phase, rate, remaining(began, float64(epoch+1-first), r.Epochs-first), &train, &valid, a, &row)
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
// different for each epoch of the search.
func endless(ctx context.Context, l *dataset.Loader, epoch int) (next func() (*dataset.Batch, error), stop func()) {
	pull, stopPull := iter.Pull2(func(yield func(*dataset.Batch, error) bool) {
		// An epoch of the search may use several of the loader; they are numbered apart.
		for k := 0; ; k++ {
			for b, err := range l.Epoch(ctx, epoch+k*1_000_003) {
				if !yield(b, err) || err != nil {
					return
				}
			}
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

func remaining(began time.Time, done float64, total int) float64 {
	if done <= 0 {
		return -1
	}
	return time.Since(began).Seconds() / done * (float64(total) - done)
}

// progress tells how far the search is. After an epoch, row says what it came to, and a, unless it is nil, what alpha stands at.
func (r *run) progress(done int, phase string, rate, left float64, train, valid *mean, a *alpha, row *result.SearchEpoch) {
	p := event.Progress{Phase: phase, Done: done, Total: r.Epochs, Unit: "epoch", Rate: rate, Final: row != nil, Remaining: left}
	for _, part := range []struct {
		name string
		m    *mean
	}{{"train", train}, {"valid", valid}} {
		if part.m.batches == 0 {
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

const (
	checkpointFile = "checkpoint.safetensors"
	historyFile    = "history.csv"
	scoresFile     = "scores.safetensors"
)

// vectors are the states that a checkpoint holds.
func (r *run) vectors(t *trainer, a *alpha) map[string]stateVector {
	out := map[string]stateVector{"params": r.weights, "momentum": t.momentum}
	if a != nil {
		out[alphaName], out[firstName], out[secondName] = a.values, a.moments[0], a.moments[1]
	}
	return out
}

type stateVector interface {
	Len() int
	Read([]float32)
	Write([]float32) error
}

// save leaves a checkpoint behind the epoch.
func (r *run) save(epoch int, t *trainer, a *alpha) error {
	// The history goes first: a checkpoint never knows of more epochs than the history.
	if err := result.WriteSearchHistory(r.scratch(historyFile), r.history); err != nil {
		return err
	}
	st := state{Epoch: epoch, History: checkpoint.Fingerprint(r.history)}
	if a != nil {
		st.Steps, st.Passes = a.steps, a.passes
	}
	vectors := map[string][]float32{}
	for name, s := range r.vectors(t, a) {
		v := make([]float32, s.Len())
		s.Read(v)
		vectors[name] = v
	}
	return checkpoint.Save(r.scratch(checkpointFile), st, vectors)
}

// resume continues from the checkpoint, if there is one, and returns the number of finished epochs.
func (r *run) resume(t *trainer, a *alpha) (int, error) {
	var st state
	vectors := map[string][]float32{}
	for name, s := range r.vectors(t, a) {
		vectors[name] = make([]float32, s.Len())
	}
	found, err := checkpoint.Load(r.scratch(checkpointFile), &st, vectors)
	var rows []result.SearchEpoch
	if err == nil && found {
		rows, err = result.ReadSearchHistory(r.scratch(historyFile))
		if err == nil && (len(rows) < st.Epoch || st.Epoch > r.Epochs || checkpoint.Fingerprint(rows[:st.Epoch]) != st.History) {
			err = errors.New("the history beside the checkpoint does not fit it")
		}
	}
	if err != nil {
		r.job.Warn("%v; the search starts over", err)
		return 0, nil
	}
	if !found {
		return 0, nil
	}
	for name, s := range r.vectors(t, a) {
		if err := s.Write(vectors[name]); err != nil {
			return 0, err
		}
	}
	if a != nil {
		a.steps, a.passes = st.Steps, st.Passes
	}
	r.history = rows[:st.Epoch]
	r.job.Info("continuing after epoch %d of %d", st.Epoch, r.Epochs)
	return st.Epoch, nil
}
