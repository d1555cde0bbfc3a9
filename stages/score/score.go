// Package score gives architectures numbers.
//
// Its nouns: an Evaluator scores architectures, better ones higher; WeightSharing is the evaluator that runs a
// trained supernet on validation images; a Cache remembers what an evaluator has answered, so that no architecture is
// scored twice.
package score

import (
	"context"
	"fmt"
	"sync"

	"github.com/plateau-nas/plateau/stages/space"
)

// Result is what is known of one architecture.
type Result struct {
	Score    float64 `json:"score"`    // what a search compares; higher is better. The negative loss.
	Loss     float64 `json:"loss"`     // mean cross-entropy on the validation images, in nats
	Accuracy float64 `json:"accuracy"` // share of validation images classified correctly, 0 to 1
}

// Evaluator scores architectures. The answer to an architecture does not depend on the others asked for, nor on
// their order.
type Evaluator interface {
	// Evaluate returns one result for each architecture, in order.
	Evaluate(ctx context.Context, architectures []space.Architecture) ([]Result, error)
}

// Cache is an evaluator that asks another one only for what it does not know yet. It may be used by several
// goroutines at once.
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
