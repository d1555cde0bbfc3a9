package proxy

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// shared computes proxies by graphs that are loaded once for all architectures of a space. Since layers begin with the same
// weights in every network, the graphs hold the weights of all, and a run is told the architecture only. Graphs that nothing wants, or
// that the space does not allow, are nil.
type shared struct {
	evaluator *Evaluator
	index     *params.Index
	weights   []float32

	pass      *runtime.Session // everything that one pass over the images gives, but for the gradient of weights
	of        supernet.Sensitivity
	activated []supernet.Activated

	gradient *runtime.Session // of the loss by the weights
	flow     *runtime.Session

	zen        *runtime.Session // with weights of its own
	normalized []int            // see supernet.Watched
}

// share loads the graphs that all architectures share, if the space has any for the proxies of the settings.
func (e *Evaluator) share() (s *shared, err error) {
	all := needs(e.settings.Proxies, e.settings.Images)
	wantsFlow, wantsZen := slices.Contains(e.settings.Proxies, Synflow), slices.Contains(e.settings.Proxies, Zen)
	sn := &supernet.Supernet{Space: e.space, Macro: e.macro}
	if e.Alone || !sn.HasPathSensitivity(supernet.Sensitivity{}) || !wantsFlow && !wantsZen && all == (supernet.Sensitivity{Batch: all.Batch}) {
		return nil, nil
	}
	if sn, err = supernet.New(e.space, e.macro); err != nil {
		return nil, err
	}
	s = &shared{evaluator: e, index: sn.Index, weights: initial(sn.Index, e.seed)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
			s = nil
		}
	}()
	load := func(name string, of supernet.Sensitivity, weights []float32) (*runtime.Session, error) {
		return e.load(name, func() (*onnx.ModelProto, error) {
			m, watched, err := sn.PathSensitivity(of, weights)
			if of.Patterns {
				s.activated = watched.Activated
			}
			if of.Response {
				s.normalized = watched.Normalized
			}
			return m, err
		})
	}
	s.of = supernet.Sensitivity{Batch: all.Batch, Jacobian: all.Jacobian, Patterns: all.Patterns, Spread: all.Spread, Transfer: all.Transfer}
	s.of.Patterns = s.of.Patterns && sn.HasPathSensitivity(s.of)
	if s.of != (supernet.Sensitivity{Batch: all.Batch}) {
		if s.pass, err = load("one pass", s.of, s.weights); err != nil {
			return s, err
		}
	}
	if wanting(e.settings.Proxies)(GradNorm, Snip, Plain, ZiCo) { // grasp has to be computed alone anyway
		if s.gradient, err = load("gradients of weights", supernet.Sensitivity{Batch: all.Batch, Gradient: true}, s.weights); err != nil {
			return s, err
		}
	}
	if response := (supernet.Sensitivity{Batch: all.Batch, Response: true}); wantsZen && sn.HasPathSensitivity(response) {
		if s.zen, err = load("zen", response, zenWeights(sn.Index, e.seed)); err != nil {
			return s, err
		}
	}
	if wantsFlow && sn.HasPathFlow() {
		if s.flow, err = e.load("flow", func() (*onnx.ModelProto, error) { return sn.PathFlow(s.weights) }); err != nil {
			return s, err
		}
	}
	return s, nil
}

// load loads a graph that runs for every architecture, with one thread. The blocked layout of convolutions does not pay here, where
// values are moved in and out of branches, and changes the rounding.
func (e *Evaluator) load(name string, build func() (*onnx.ModelProto, error)) (*runtime.Session, error) {
	m, err := build()
	if err != nil {
		return nil, err
	}
	data, err := onnx.Encode(m)
	if err != nil {
		return nil, err
	}
	return e.runtime.NewSession(data, runtime.SessionOptions{Name: name, Threads: 1, Optimization: "basic", NoMemoryPattern: true})
}

func (s *shared) close() error {
	var errs []error
	for _, session := range []*runtime.Session{s.pass, s.gradient, s.flow, s.zen} {
		if session != nil {
			errs = append(errs, session.Close())
		}
	}
	return errors.Join(errs...)
}

// measure adds the proxies that the graphs give. Several goroutines may call it at once.
func (s *shared) measure(ctx context.Context, a space.Architecture, out map[string]float64) error {
	e := s.evaluator
	choices := make([]int64, len(a))
	for i, op := range a {
		choices[i] = int64(op)
	}
	chosen := runtime.Tensor{Shape: []int64{int64(len(a))}, Data: choices}
	wants := wanting(e.settings.Proxies)
	if s.pass != nil {
		in := e.input(s.of, e.batches[0])
		in[supernet.Choices] = chosen
		y, err := s.pass.Run(ctx, in)
		if err != nil {
			return err
		}
		counts := func(v supernet.Activated) int { return times(v, e.space, a) }
		if err := e.ofPass(s.of, y, s.activated, counts, wants, out); err != nil {
			return err
		}
	}
	if s.gradient != nil {
		if err := s.ofGradients(ctx, chosen, wants, out); err != nil {
			return err
		}
	}
	if s.zen != nil {
		var err error
		if out[Zen], err = s.zenShared(ctx, a, chosen); err != nil {
			return err
		}
	}
	if s.flow != nil {
		return s.synflow(ctx, chosen, out)
	}
	return nil
}

// ofGradients adds the proxies that are made of the gradient of the loss by the weights. That of weights that the architecture does
// not have is zero.
func (s *shared) ofGradients(ctx context.Context, chosen runtime.Tensor, wants func(...string) bool, out map[string]float64) error {
	e := s.evaluator
	batches := e.batches[:1]
	if wants(ZiCo) {
		batches = e.batches[:2]
	}
	var gradients [][]float32
	for _, b := range batches {
		in := e.input(supernet.Sensitivity{Batch: s.of.Batch, Gradient: true}, b)
		in[supernet.Choices] = chosen
		in[supernet.Params] = runtime.Tensor{Shape: []int64{int64(len(s.weights))}, Data: s.weights}
		y, err := s.gradient.Run(ctx, in)
		if err != nil {
			return err
		}
		gradients = append(gradients, y[supernet.ParamsGradient].Data.([]float32))
	}
	if wants(GradNorm, Snip, Plain) {
		ofGradient(s.index, s.weights, gradients[0], out)
	}
	if wants(ZiCo) {
		out[ZiCo] = zico(s.index, gradients)
	}
	return nil
}

// synflow adds the proxy of this name. What flows is proportional to the image, so where it is beyond float32 the image
// is made smaller by a power of two, which changes no digit, and the result larger. Where that is not enough, it adds nothing.
func (s *shared) synflow(ctx context.Context, chosen runtime.Tensor, out map[string]float64) error {
	size := s.evaluator.macro.Image
	image := make([]float32, size[0]*size[1]*size[2])
	for _, exponent := range []int{0, -60, -120} {
		small := math.Ldexp(1, exponent)
		for i := range image {
			image[i] = float32(small)
		}
		y, err := s.flow.Run(ctx, map[string]runtime.Tensor{
			supernet.Images: {Shape: []int64{1, int64(size[0]), int64(size[1]), int64(size[2])}, Data: image}, supernet.Choices: chosen,
		})
		if err != nil {
			return err
		}
		var sum float64
		for _, v := range y[supernet.Flowing].Data.([]float32) {
			sum += float64(v)
		}
		if !math.IsNaN(sum) && !math.IsInf(sum, 0) {
			out[Synflow] = sum / small
			return nil
		}
	}
	return nil
}
