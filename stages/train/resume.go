package train

import (
	"errors"
	"path/filepath"
	"time"

	"github.com/plateau-nas/plateau/stages/checkpoint"
	"github.com/plateau-nas/plateau/stages/result"
)

const (
	checkpointFile = "checkpoint.safetensors"
	historyFile    = "history.csv"
)

// keepEvery is how often a long epoch leaves a checkpoint.
const keepEvery = time.Minute

// state is what a checkpoint holds beside the vectors.
type state struct {
	Epoch   int      `json:"epoch"`             // finished epochs
	History string   `json:"history"`           // fingerprint of the rows of these epochs, which lie in a file beside it
	Partial *partial `json:"partial,omitempty"` // of the epoch after these, when it was saved between two steps
}

// partial is what has been done of an epoch.
type partial struct {
	Steps  int     `json:"steps"`  // steps made
	Loss   float64 `json:"loss"`   // sum over the steps
	Hits   float64 `json:"hits"`   // images classified right
	Images int     `json:"images"` // images seen
	Random []byte  `json:"random"` // state of the generator of drop path and mixed images
}

func (r *run) vectors() map[string][]float32 {
	out := map[string][]float32{}
	for name, s := range r.states {
		v := make([]float32, s.Len())
		s.Read(v)
		out[name] = v
	}
	return out
}

// save leaves a checkpoint behind so many epochs and, unless it is nil, a part of the next.
func (r *run) save(epoch int, part *partial) error {
	if r.job.Scratch == "" {
		return nil
	}
	// The history goes first: a checkpoint never knows of more epochs than the history.
	if err := result.WriteTrainHistory(filepath.Join(r.job.Scratch, historyFile), r.history); err != nil {
		return err
	}
	return checkpoint.Save(filepath.Join(r.job.Scratch, checkpointFile), state{epoch, checkpoint.Fingerprint(r.history), part}, r.vectors())
}

// resume continues from the checkpoint, if there is one, and returns the number of finished epochs and what has been done of the next.
func (r *run) resume() (int, *partial, error) {
	if r.job.Scratch == "" {
		return 0, nil, nil
	}
	var st state
	vectors := r.vectors()
	found, err := checkpoint.Load(filepath.Join(r.job.Scratch, checkpointFile), &st, vectors)
	var rows []result.TrainEpoch
	if err == nil && found {
		rows, err = result.ReadTrainHistory(filepath.Join(r.job.Scratch, historyFile))
		if err == nil && st.Partial != nil && (st.Epoch >= r.until || st.Partial.Steps > r.loader.Batches()) {
			err = errors.New("the checkpoint is further than this training goes")
		}
		if err == nil && (len(rows) < st.Epoch || st.Epoch > r.until || checkpoint.Fingerprint(rows[:st.Epoch]) != st.History) {
			err = errors.New("the history beside the checkpoint does not fit it")
		}
	}
	if err != nil {
		r.job.Warn("%v; training starts over", err)
		return 0, nil, nil
	}
	if !found {
		return 0, nil, nil
	}
	for name, s := range r.states {
		if err := s.Write(vectors[name]); err != nil {
			return 0, nil, err
		}
	}
	r.history = rows[:st.Epoch]
	if st.Partial != nil {
		r.job.Info("continuing in epoch %d of %d, after %d of %d steps", st.Epoch+1, r.Epochs, st.Partial.Steps, r.loader.Batches())
	} else {
		r.job.Info("continuing after epoch %d of %d", st.Epoch, r.Epochs)
	}
	return st.Epoch, st.Partial, nil
}
