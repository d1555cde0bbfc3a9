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
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/plateau-nas/plateau/exporter/onnx"
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
	settings Settings
	runtime  *runtime.Runtime
	space    *space.Space
	macro    supernet.Macro
	seed     uint64
	images   []float32
	labels   []int64
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
	e := &Evaluator{settings: st, runtime: rt, space: s, macro: m, seed: seedOf}
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
	results := make([]score.Result, len(architectures))
	first := map[string]int{}
	var mu sync.Mutex
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(max(e.runtime.Threads(), 1)) // each with one thread
	for i, a := range architectures {
		if _, known := first[a.Key()]; known {
			continue
		}
		first[a.Key()] = i
		group.Go(func() error {
			net := supernet.Network{Space: e.space.Reference(), Architecture: e.space.Format(a), Macro: e.macro}
			values, err := e.measure(inner, net)
			if none := new(noValueError); errors.As(err, &none) {
				mu.Lock()
				defer mu.Unlock()
				results[i] = score.Failed(none)
				return nil
			}
			if err != nil {
				return fmt.Errorf("architecture %s: %w", net.Architecture, err)
			}
			mu.Lock()
			defer mu.Unlock()
			results[i] = e.settings.result(values)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, wrap(err)
	}
	for i, a := range architectures {
		if at := first[a.Key()]; at != i {
			results[i] = results[at]
		}
	}
	return results, nil
}

// noValueError says that a proxy has no value for an architecture.
type noValueError struct {
	proxy, why string
}

// Error implements error.
func (e *noValueError) Error() string { return e.proxy + " has no value: " + e.why }

// measure computes the proxies of a network at its first weights.
func (e *Evaluator) measure(ctx context.Context, net supernet.Network) (map[string]float64, error) {
	index, _, err := net.Indexes()
	if err != nil {
		return nil, err
	}
	return e.at(ctx, net, index, initial(index, e.seed))
}

// initial returns the first weights of a network.
func initial(index *params.Index, from uint64) []float32 {
	return index.InitializeApart(func(name string) *rand.Rand { return seed.New(from, "weights", name) })
}

// at computes the proxies at given weights.
func (e *Evaluator) at(ctx context.Context, net supernet.Network, index *params.Index, weights []float32) (map[string]float64, error) {
	out := map[string]float64{}
	if err := e.sensitivity(ctx, net, index, weights, out); err != nil {
		return nil, err
	}
	if e.wants(Synflow) {
		v, err := e.synflow(ctx, net, index, weights)
		if err != nil {
			return nil, err
		}
		out[Synflow] = v
	}
	for _, name := range e.settings.Proxies {
		if v := out[name]; math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, &noValueError{name, fmt.Sprintf("it is %v", v)}
		}
	}
	return out, nil
}

func (e *Evaluator) wants(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(e.settings.Proxies, n) })
}

// session loads a graph that runs once or twice: rewriting it takes longer than it saves.
func (e *Evaluator) session(name string, build func() (*onnx.ModelProto, error)) (*runtime.Session, error) {
	m, err := build()
	if err != nil {
		return nil, err
	}
	data, err := onnx.Encode(m)
	if err != nil {
		return nil, err
	}
	return e.runtime.NewSession(data, runtime.SessionOptions{Name: name, Threads: 1, Optimization: "off"})
}

// sensitivity computes every proxy but synflow.
func (e *Evaluator) sensitivity(ctx context.Context, net supernet.Network, index *params.Index, weights []float32, out map[string]float64) (err error) {
	s := supernet.Sensitivity{
		Batch: len(e.labels), Gradient: e.wants(GradNorm, Snip, Plain, Grasp), Jacobian: e.wants(JacobCov), Fisher: e.wants(Fisher),
	}
	if !s.Gradient && !s.Jacobian && !s.Fisher {
		return nil
	}
	in := map[string]runtime.Tensor{
		supernet.Images: {Shape: []int64{int64(s.Batch), int64(net.Image[0]), int64(net.Image[1]), int64(net.Image[2])}, Data: e.images},
		supernet.Params: {Shape: []int64{int64(len(weights))}, Data: weights},
	}
	if s.Gradient || s.Fisher {
		in[supernet.Labels] = runtime.Tensor{Shape: []int64{int64(s.Batch)}, Data: e.labels}
	}
	run := func(s supernet.Sensitivity) (_ map[string]runtime.Tensor, err error) {
		session, err := e.session("gradients", func() (*onnx.ModelProto, error) { return net.Sensitivity(s) })
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, session.Close()) }()
		return session.Run(ctx, in)
	}
	y, err := run(s)
	if err != nil {
		return err
	}
	if s.Gradient {
		g := y[supernet.ParamsGradient].Data.([]float32)
		ofGradient(index, weights, g, out)
		if e.wants(Grasp) {
			in[supernet.Direction] = runtime.Tensor{Shape: []int64{int64(len(g))}, Data: g}
			second, err := run(supernet.Sensitivity{Batch: s.Batch, Curvature: true})
			if err != nil {
				return err
			}
			out[Grasp] = -dot(index, weights, second[supernet.Curvature].Data.([]float32))
		}
	}
	if s.Fisher {
		for _, v := range y[supernet.Fisher].Data.([]float32) {
			out[Fisher] += float64(v)
		}
	}
	if s.Jacobian {
		if out[JacobCov], err = jacobCov(y[supernet.Jacobian].Data.([]float32), s.Batch); err != nil {
			return err
		}
	}
	return nil
}
