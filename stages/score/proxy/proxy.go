// Package proxy scores untrained architectures by zero-cost proxies: numbers that a few gradients at the first weights give.
//
// The proxies are those of Abdelfattah, Mehrotra, Dudziak and Lane, Zero-Cost Proxies for Lightweight NAS, ICLR 2021, as their
// code defines them (SamsungLabs/zero-cost-nas, foresight/pruners/measures). Sums run over the weights of convolutions and of the
// linear layer; w is a weight, g the gradient of the loss by it, both at the first weights and on one batch of training
// images, normalization using the statistics of the batch:
//
//	grad_norm  sum over layers of the Euclidean norm of g
//	snip       sum of |w g|
//	grasp      sum of -w (H g), H being the Hessian of the loss
//	plain      sum of w g
//	fisher     per channel of each layer, half the mean over images of (sum over positions of activation times its
//	           gradient) squared, times the number of weights of the channel
//	jacob_cov  -sum of log(v + k) + 1/(v + k), k = 1e-5, v being the eigenvalues of the correlation matrix of the images'
//	           gradients of the sum of the logits
//	synflow    sum of w g with |w| for w, without normalization, g being the gradient of the sum of the logits for an image
//	           of ones
//
// For all of them more is taken to be better. Layers that two networks share begin with the same weights, so what
// differs between neighbors is the architecture.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// The proxies.
const (
	GradNorm = "grad_norm"
	Snip     = "snip"
	Grasp    = "grasp"
	Plain    = "plain"
	Fisher   = "fisher"
	JacobCov = "jacob_cov"
	Synflow  = "synflow"
)

// Names returns the names of all proxies.
func Names() []string { return []string{GradNorm, Snip, Grasp, Synflow, JacobCov, Fisher, Plain} }

// Evaluator scores by proxies. It may be used by several goroutines at once.
type Evaluator struct {
	// Alone computes each architecture by graphs of its own, with all that has no bearing: for comparisons. It is set before
	// the first evaluation.
	Alone bool

	settings Settings
	runtime  *runtime.Runtime
	space    *space.Space
	macro    supernet.Macro
	seed     uint64
	images   []float32
	labels   []int64

	loading sync.Once
	shared  *shared // nil where every architecture has graphs of its own
	loadErr error

	mu    sync.Mutex
	known map[string]score.Result // by the architecture without what has no bearing
}

var _ score.Evaluator = (*Evaluator)(nil)

// New returns the evaluator of networks of a space in a skeleton, which fits the images. The batch of images and the weights
// come from the seed.
func New(ctx context.Context, rt *runtime.Runtime, s *space.Space, m supernet.Macro, images *dataset.Images, mean, std []float32, seedOf uint64, st Settings) (*Evaluator, error) {
	wrap := func(err error) error { return fmt.Errorf("evaluating by zero-cost proxies: %w", err) }
	if err := st.Validate(""); err != nil {
		return nil, wrap(err)
	}
	if err := m.CheckFor(s); err != nil {
		return nil, wrap(err)
	}
	if images == nil || images.Count < st.Images {
		count := 0
		if images != nil {
			count = images.Count
		}
		return nil, wrap(fmt.Errorf("there are %d training images for a batch of %d; set the number of images lower", count, st.Images))
	}
	e := &Evaluator{settings: st, runtime: rt, space: s, macro: m, seed: seedOf, known: map[string]score.Result{}}
	loader, err := dataset.NewLoader(images, mean, std, dataset.LoaderOptions{Batch: st.Images, Shuffle: true, DropLast: true, Seed: seed.Derive(seedOf, "images")})
	if err != nil {
		return nil, wrap(err)
	}
	for b, err := range loader.Epoch(ctx, 0) {
		if err != nil {
			return nil, wrap(err)
		}
		e.images, e.labels = slices.Clone(b.X), slices.Clone(b.Y)
		break
	}
	return e, nil
}

// Close frees what the evaluator holds. It must not be called during an evaluation.
func (e *Evaluator) Close() error {
	if e.shared == nil {
		return nil
	}
	return e.shared.close()
}

// Evaluate implements score.Evaluator. An architecture for which a proxy has no value, such as one whose logits do not depend on the
// images, fails.
func (e *Evaluator) Evaluate(ctx context.Context, architectures []space.Architecture) ([]score.Result, error) {
	wrap := func(err error) error { return fmt.Errorf("evaluating by zero-cost proxies: %w", err) }
	for _, a := range architectures {
		if err := e.space.Check(a); err != nil {
			return nil, wrap(err)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, wrap(err)
	}
	if e.loading.Do(func() { e.shared, e.loadErr = e.share() }); e.loadErr != nil {
		return nil, wrap(e.loadErr)
	}
	var missing []space.Architecture
	keys := make([]string, len(architectures))
	asked := map[string]bool{}
	for i, a := range architectures {
		live := e.live(a)
		keys[i] = live.Key()
		if _, known := e.lookup(keys[i]); !known && !asked[keys[i]] {
			asked[keys[i]] = true
			missing = append(missing, live)
		}
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(max(e.runtime.Threads(), 1)) // each with one thread
	for _, a := range missing {
		group.Go(func() error {
			values, err := e.measure(inner, a)
			none := new(noValueError)
			switch {
			case errors.As(err, &none):
				e.remember(a.Key(), score.Failed(none))
			case err != nil:
				return fmt.Errorf("architecture %s: %w", e.space.Format(a), err)
			default:
				e.remember(a.Key(), e.settings.result(values))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, wrap(err)
	}
	results := make([]score.Result, len(architectures))
	for i, key := range keys {
		r, _ := e.lookup(key)
		r.Metrics = maps.Clone(r.Metrics)
		results[i] = r
	}
	return results, nil
}

// live returns an architecture that has the same values, of which fewer have to be computed: what does not lead to the output has
// the gradient zero, and what leaves a node that is zero gives zero, since normalizations begin with the bias 0.
func (e *Evaluator) live(a space.Architecture) space.Architecture {
	if e.Alone {
		return a
	}
	return (&supernet.Supernet{Space: e.space, Macro: e.macro}).Live(a)
}

// Known returns how many architectures have been computed so far. Those that differ only where it has no bearing count once.
func (e *Evaluator) Known() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.known)
}

func (e *Evaluator) lookup(key string) (score.Result, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, ok := e.known[key]
	return r, ok
}

func (e *Evaluator) remember(key string, r score.Result) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.known[key] = r
}

// noValueError says that a proxy has no value for an architecture.
type noValueError struct {
	proxy, why string
}

// Error implements error.
func (e *noValueError) Error() string { return e.proxy + " has no value: " + e.why }

// measure computes the proxies of an architecture at the first weights: all that it can by what all architectures share, and the
// others by graphs of the architecture's own.
func (e *Evaluator) measure(ctx context.Context, a space.Architecture) (map[string]float64, error) {
	values := map[string]float64{}
	if e.shared != nil {
		if err := e.shared.measure(ctx, a, values); err != nil {
			return nil, err
		}
	}
	own := slices.DeleteFunc(slices.Clone(e.settings.Proxies), func(name string) bool { _, ok := values[name]; return ok })
	if len(own) > 0 {
		net := supernet.Network{Space: e.space.Reference(), Architecture: e.space.Format(a), Macro: e.macro}
		index, _, err := net.Indexes()
		if err != nil {
			return nil, err
		}
		if err := e.alone(ctx, net, index, initial(index, e.seed), own, values); err != nil {
			return nil, err
		}
	}
	for _, name := range e.settings.Proxies {
		if v := values[name]; math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, &noValueError{name, fmt.Sprintf("it is %v", v)}
		}
	}
	return values, nil
}

// initial returns the first weights of a network.
func initial(index *params.Index, from uint64) []float32 {
	return index.InitializeApart(func(name string) *rand.Rand { return seed.New(from, "weights", name) })
}
