package search

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/stages/checkpoint"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/result"
)

const (
	checkpointFile = "checkpoint.safetensors"
	historyFile    = "history.csv"
	scoresFile     = "scores.safetensors"
)

// keepEvery is how often a long epoch leaves a checkpoint.
const keepEvery = time.Minute

// state is what a checkpoint holds beside the vectors.
type state struct {
	Epoch   int    `json:"epoch"`   // finished epochs
	Steps   int    `json:"steps"`   // steps of alpha
	Passes  int    `json:"passes"`  // batches differentiated by the architecture
	History string `json:"history"` // fingerprint of the rows of these epochs, which lie in a file beside it
	// Partial is of the epoch after these, when the checkpoint was saved between two of its steps.
	Partial *partial `json:"partial,omitempty"`
}

// partial is what has been done of an epoch.
type partial struct {
	Steps    int    `json:"steps"`    // batches of the leading loader that are done
	Followed int    `json:"followed"` // validation batches that were taken beside them
	Train    mean   `json:"train"`
	Valid    mean   `json:"valid"`
	Random   []byte `json:"random"` // state of the epoch's generator
}

// mean gathers losses and hits.
type mean struct {
	Loss    float64 `json:"loss"` // summed over batches
	Hits    float64 `json:"hits"`
	Batches int     `json:"batches"`
	Images  int     `json:"images"`
}

func (m *mean) add(loss, hits float64, images int) {
	m.Loss, m.Hits, m.Batches, m.Images = m.Loss+loss, m.Hits+hits, m.Batches+1, m.Images+images
}

// values returns the mean loss and accuracy; not a number when there is nothing.
func (m *mean) values() (loss, accuracy float64) {
	if m.Batches == 0 {
		return math.NaN(), math.NaN()
	}
	return m.Loss / float64(m.Batches), m.Hits / float64(m.Images)
}

// within is a run in the middle of an epoch.
type within struct {
	partial
	run    *run
	epoch  int
	source *rand.PCG
	rng    *rand.Rand // draws from source
}

// enter begins an epoch, or continues it after part, unless that is nil.
func (r *run) enter(epoch int, part *partial, leader *dataset.Loader) (*within, error) {
	w := &within{run: r, epoch: epoch, source: seed.Source(r.job.Seed, "epoch", strconv.Itoa(epoch))}
	w.rng = rand.New(w.source)
	if part == nil {
		return w, nil
	}
	w.partial = *part
	if err := w.source.UnmarshalBinary(part.Random); err != nil {
		return nil, fmt.Errorf("continuing within epoch %d: %w", epoch+1, err)
	}
	r.job.Info("continuing in epoch %d of %d, after %d of %d steps", epoch+1, r.Epochs, w.Steps, leader.Batches())
	return w, nil
}

// save leaves a checkpoint behind the step.
func (w *within) save(t *trainer, a *alpha) (err error) {
	if w.Random, err = w.source.MarshalBinary(); err != nil {
		return fmt.Errorf("saving the generator: %w", err)
	}
	return w.run.save(w.epoch, &w.partial, t, a)
}

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

// save leaves a checkpoint behind so many epochs and, unless it is nil, a part of the next.
func (r *run) save(epoch int, part *partial, t *trainer, a *alpha) error {
	// The history goes first: a checkpoint never knows of more epochs than the history.
	if err := result.WriteSearchHistory(r.scratch(historyFile), r.history); err != nil {
		return err
	}
	st := state{Epoch: epoch, History: checkpoint.Fingerprint(r.history), Partial: part}
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

// resume continues from the checkpoint, if there is one, and returns the number of finished epochs and what has been done of the next.
func (r *run) resume(t *trainer, a *alpha) (int, *partial, error) {
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
		return 0, nil, nil
	}
	if !found {
		return 0, nil, nil
	}
	for name, s := range r.vectors(t, a) {
		if err := s.Write(vectors[name]); err != nil {
			return 0, nil, err
		}
	}
	if a != nil {
		a.steps, a.passes = st.Steps, st.Passes
	}
	r.history = rows[:st.Epoch]
	if st.Partial == nil {
		r.job.Info("continuing after epoch %d of %d", st.Epoch, r.Epochs)
	}
	return st.Epoch, st.Partial, nil
}
