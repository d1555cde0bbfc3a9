package result

import (
	"errors"
	"fmt"

	"github.com/plateau-nas/plateau/stages/space"
)

// Funnel is funnel.json: how a selection came from many candidates to few, rung by rung.
type Funnel struct {
	Space string `json:"space"`
	By    string `json:"by"`    // what candidates are compared by, in words
	Rungs []Rung `json:"rungs"` // in their order
}

// Rung is one comparison of candidates.
type Rung struct {
	Name       string      `json:"name"`       // of the training budget or the evaluator: "6 epochs"
	Cost       float64     `json:"cost"`       // of all its evaluations, in evaluations at the last rung
	Candidates int         `json:"candidates"` // that were evaluated
	Failed     int         `json:"failed"`     // of these
	Kept       int         `json:"kept"`       // that went on to the next rung, or are handed on
	Ranked     []Contender `json:"ranked"`     // those that did not fail, best first
}

// Contender is a candidate on a rung.
type Contender struct {
	Architecture string  `json:"architecture"`
	Place        int     `json:"place"` // among the candidates that the stage was given, from 1
	Value        float64 `json:"value"` // its own; higher is better
	// Smoothed is the value by which it is compared, made of its own and those known nearby; left out without smoothing.
	Smoothed *float64 `json:"smoothed,omitempty"`
	// Uncertainty is the standard deviation of Smoothed where the smoothing tells it.
	Uncertainty *float64           `json:"uncertainty,omitempty"`
	Near        int                `json:"near,omitempty"` // values nearby that Smoothed is made of, the own one not counted
	Metrics     map[string]float64 `json:"metrics,omitempty"`
	Kept        bool               `json:"kept"`
}

func (f *Funnel) check() error {
	sp, err := space.ByName(f.Space)
	if err != nil {
		return err
	}
	if len(f.Rungs) == 0 {
		return errors.New("it has no rungs")
	}
	for i, r := range f.Rungs {
		for j, c := range r.Ranked {
			if err := architecture(sp, fmt.Sprintf("rung %d, candidate %d", i, j), c.Architecture); err != nil {
				return err
			}
		}
	}
	return nil
}

// ReadFunnel reads a funnel.json.
func ReadFunnel(path string) (*Funnel, error) {
	var f Funnel
	if err := readJSON(path, "a funnel", &f); err != nil {
		return nil, err
	}
	return &f, nil
}

// WriteFunnel writes a funnel.json.
func WriteFunnel(path string, f *Funnel) error { return writeJSON(path, "a funnel", f) }
