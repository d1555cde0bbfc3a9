// Package score gives architectures numbers.
//
// Its nouns: an Evaluator scores architectures, better ones higher; a Result is its answer to one of them, which may be
// that it failed; WeightSharing is the evaluator that runs a trained supernet on validation images; a Cache remembers
// what an evaluator has answered, so that no architecture is scored twice. The other evaluators are packages of their own: training, proxy
// and command here, the table's in package table; cost adds what an architecture costs to any of them, and evaluator opens the
// one that a document asks for. Package scoretest holds the tests that every evaluator passes.
package score

import (
	"context"
	"fmt"
	"sync"

	"github.com/plateau-nas/plateau/stages/space"
)

// Result is what is known of one architecture. All numbers in it are finite.
type Result struct {
	// Score is what a search compares; higher is better. For evaluators that measure a loss it is the negative loss.
	Score    float64 `json:"score"`
	Loss     float64 `json:"loss"`     // mean cross-entropy on the validation images, in nats; 0 where there is none
	Accuracy float64 `json:"accuracy"` // share of validation images classified correctly, 0 to 1; 0 where there is none
	// Metrics are further numbers by name, with the unit in the name where there is one: latency_ms, parameters,
	// accuracy_12ep. Every result of one evaluator that has not failed has the same names. Nil where there are none.
	Metrics map[string]float64 `json:"metrics,omitempty"`
	// Failure says in a sentence why the architecture could not be evaluated. Unless it is empty the numbers mean nothing: a
	// search marks the architecture as failed, never chooses it, and goes on.
	Failure string `json:"failure,omitempty"`
}

// Failed returns the result of an architecture that could not be evaluated, for the reason that the error gives.
func Failed(reason error) Result { return Result{Failure: reason.Error()} }

// OK reports whether the numbers of the result can be used.
func (r Result) OK() bool { return r.Failure == "" }

// Metric returns a number of the result by name: score, loss and accuracy are the fields, everything else is looked up in
// Metrics. ok is false where there is no such number or the architecture failed.
func (r Result) Metric(name string) (value float64, ok bool) {
	if !r.OK() {
		return 0, false
	}
	switch name {
	case "score":
		return r.Score, true
	case "loss":
		return r.Loss, true
	case "accuracy":
		return r.Accuracy, true
	}
	value, ok = r.Metrics[name]
	return value, ok
}

// Evaluator scores architectures. The answer to an architecture does not depend on the others asked for, nor on
// their order, nor on how often it is asked for.
type Evaluator interface {
	// Evaluate returns one result for each architecture, in order; of equal architectures, each has one. What is wrong with
	// one architecture alone (its training diverges, a command fails on it) is the Failure of its result. An error means
	// that nothing more can be expected of the evaluator: the context has ended, a file is gone, or an architecture
	// is none of the space. The architectures are not changed and not kept.
	Evaluate(ctx context.Context, architectures []space.Architecture) ([]Result, error)
}

// Cache is an evaluator that asks another one only for what it does not know yet; a failure is known as well. It may be
// used by several goroutines at once.
type Cache struct {
	evaluator Evaluator
	// Chunk is how many architectures are asked for at once; between chunks the context is looked at and Answered
	// called. 0 means 32.
	Chunk int
	// Answered, when set, is called after each chunk with the number of architectures that are done and wanted in
	// this call. An error ends the evaluation.
	Answered func(done, total int) error

	mu    sync.Mutex
	known map[string]Result
	order []space.Architecture // in the order in which they became known
}

// NewCache returns an empty cache in front of an evaluator.
func NewCache(e Evaluator) *Cache { return &Cache{evaluator: e, known: map[string]Result{}} }

// Add makes a result known.
func (c *Cache) Add(a space.Architecture, r Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.known[a.Key()]; !ok {
		c.order = append(c.order, a.Clone())
	}
	c.known[a.Key()] = r
}

// Lookup returns the result of an architecture if it is known.
func (c *Cache) Lookup(a space.Architecture) (Result, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.known[a.Key()]
	return r, ok
}

// Known returns every architecture with a known result, in the order in which they became known.
func (c *Cache) Known() []space.Architecture {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]space.Architecture(nil), c.order...)
}

// Missing returns those of the architectures whose result is not known, each once, in order.
func (c *Cache) Missing(architectures []space.Architecture) []space.Architecture {
	var out []space.Architecture
	seen := map[string]bool{}
	for _, a := range architectures {
		if _, ok := c.Lookup(a); !ok && !seen[a.Key()] {
			seen[a.Key()] = true
			out = append(out, a)
		}
	}
	return out
}

// Evaluate implements Evaluator.
func (c *Cache) Evaluate(ctx context.Context, architectures []space.Architecture) ([]Result, error) {
	missing := c.Missing(architectures)
	chunk := c.Chunk
	if chunk <= 0 {
		chunk = 32
	}
	for done := 0; done < len(missing); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		part := missing[done:min(done+chunk, len(missing))]
		results, err := c.evaluator.Evaluate(ctx, part)
		if err != nil {
			return nil, err
		}
		if len(results) != len(part) {
			return nil, fmt.Errorf("the evaluator answered %d of %d architectures", len(results), len(part))
		}
		for i, r := range results {
			c.Add(part[i], r)
		}
		done += len(part)
		if c.Answered != nil {
			if err := c.Answered(done, len(missing)); err != nil {
				return nil, err
			}
		}
	}
	out := make([]Result, len(architectures))
	for i, a := range architectures {
		out[i], _ = c.Lookup(a)
	}
	return out, nil
}
