package scoretest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"

	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/space"
)

// Synthetic is an evaluator for tests whose answers are computed from the architecture: a landscape that falls smoothly
// with the distance from one architecture, and noise on top of it. It may be used by several goroutines at once.
type Synthetic struct {
	Space *space.Space
	// Peak is the architecture in the middle; nil means the one that takes the last operation everywhere.
	Peak space.Architecture
	// Noise is the largest amount by which a score is off. The landscape falls by 1 from the peak to the farthest.
	Noise float64
	// Fails, when set, tells architectures whose evaluation fails.
	Fails func(space.Architecture) bool

	mu    sync.Mutex
	asked map[string]int
}

var _ score.Evaluator = (*Synthetic)(nil)

// Of returns the answer to an architecture of the space. The score is between -1-Noise and Noise; the metrics are cost, the
// sum of the operations' indices, and smooth, the score without its noise.
func (e *Synthetic) Of(a space.Architecture) score.Result {
	if e.Fails != nil && e.Fails(a) {
		return score.Failed(errors.New("it was meant to fail"))
	}
	distance, cost := 0.0, 0.0
	for i, op := range a {
		peak := len(e.Space.Operations) - 1
		if e.Peak != nil {
			peak = e.Peak[i]
		}
		if op != peak {
			distance++
		}
		cost += float64(op)
	}
	smooth := -distance / float64(len(a))
	h := fnv.New64a()
	_, _ = h.Write([]byte(a.Key())) // a hash takes everything
	noise := e.Noise * (float64(h.Sum64()>>11)/(1<<52) - 1)
	loss := -(smooth + noise)
	return score.Result{Score: -loss, Loss: loss, Accuracy: 1 / (2 + loss), Metrics: map[string]float64{"cost": cost, "smooth": smooth}}
}

// Evaluate implements score.Evaluator.
func (e *Synthetic) Evaluate(ctx context.Context, architectures []space.Architecture) ([]score.Result, error) {
	out := make([]score.Result, len(architectures))
	for i, a := range architectures {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := e.Space.Check(a); err != nil {
			return nil, fmt.Errorf("scoring: %w", err)
		}
		out[i] = e.Of(a)
		e.mu.Lock()
		if e.asked == nil {
			e.asked = map[string]int{}
		}
		e.asked[a.Key()]++
		e.mu.Unlock()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return out, nil
}

// Asked returns how many different architectures were asked for, and how many times one was at most.
func (e *Synthetic) Asked() (different, most int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, n := range e.asked {
		most = max(most, n)
	}
	return len(e.asked), most
}
