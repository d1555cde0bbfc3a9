package proxy

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// alone computes proxies of a network at given weights by graphs of its own and adds them to out: the way that knows every proxy and
// every space.
func (e *Evaluator) alone(ctx context.Context, net supernet.Network, index *params.Index, weights []float32, names []string, out map[string]float64) error {
	if err := e.sensitivity(ctx, net, index, weights, names, out); err != nil {
		return err
	}
	if slices.Contains(names, Zen) {
		v, err := e.zenAlone(ctx, net, index, zenWeights(index, e.seed))
		if err != nil {
			return err
		}
		out[Zen] = v
	}
	if slices.Contains(names, Synflow) {
		v, err := e.synflow(ctx, net, index, weights)
		if err != nil {
			return err
		}
		out[Synflow] = v
	}
	return nil
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

// wanting tells for the names of proxies whether one of them is among those that are wanted.
func wanting(names []string) func(...string) bool {
	return func(of ...string) bool {
		return slices.ContainsFunc(of, func(n string) bool { return slices.Contains(names, n) })
	}
}

// needs says which derivatives the proxies of these names are made of. Grasp's second ones are not among them.
func needs(names []string, batch int) supernet.Sensitivity {
	wants := wanting(names)
	return supernet.Sensitivity{
		Batch: batch, Gradient: wants(GradNorm, Snip, Plain, Grasp, ZiCo), Jacobian: wants(JacobCov, Smoothness), Fisher: wants(Fisher),
		Patterns: wants(NASWOT, SWAP, SWAPRegularized), Spread: wants(Expressivity, Progressivity), Transfer: wants(Trainability),
	}
}

// input returns what graphs of these derivatives are given of a batch of images.
func (e *Evaluator) input(s supernet.Sensitivity, b batch) map[string]runtime.Tensor {
	in := map[string]runtime.Tensor{
		supernet.Images: {Shape: []int64{int64(s.Batch), int64(e.macro.Image[0]), int64(e.macro.Image[1]), int64(e.macro.Image[2])}, Data: b.images},
	}
	if s.Gradient || s.Fisher || s.Curvature {
		in[supernet.Labels] = runtime.Tensor{Shape: []int64{int64(s.Batch)}, Data: b.labels}
	}
	if s.Transfer {
		maps.Copy(in, e.signs)
	}
	return in
}

// sensitivity computes the proxies that are made of derivatives.
func (e *Evaluator) sensitivity(ctx context.Context, net supernet.Network, index *params.Index, weights []float32, names []string, out map[string]float64) (err error) {
	wants := wanting(names)
	s := needs(names, len(e.batches[0].labels))
	if s == (supernet.Sensitivity{Batch: s.Batch}) {
		return nil
	}
	var activated []supernet.Activated
	run := func(s supernet.Sensitivity, in map[string]runtime.Tensor) (_ map[string]runtime.Tensor, err error) {
		in[supernet.Params] = runtime.Tensor{Shape: []int64{int64(len(weights))}, Data: weights}
		session, err := e.session("gradients", func() (*onnx.ModelProto, error) {
			m, watched, err := net.Sensitivity(s)
			if watched.Activated != nil {
				activated = watched.Activated
			}
			return m, err
		})
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, session.Close()) }()
		return session.Run(ctx, in)
	}
	y, err := run(s, e.input(s, e.batches[0]))
	if err != nil {
		return err
	}
	if s.Gradient {
		g := y[supernet.ParamsGradient].Data.([]float32)
		ofGradient(index, weights, g, out)
		if wants(Grasp) {
			only := supernet.Sensitivity{Batch: s.Batch, Curvature: true}
			in := e.input(only, e.batches[0])
			in[supernet.Direction] = runtime.Tensor{Shape: []int64{int64(len(g))}, Data: g}
			second, err := run(only, in)
			if err != nil {
				return err
			}
			out[Grasp] = -dot(index, weights, second[supernet.Curvature].Data.([]float32))
		}
		if wants(ZiCo) {
			only := supernet.Sensitivity{Batch: s.Batch, Gradient: true}
			second, err := run(only, e.input(only, e.batches[1]))
			if err != nil {
				return err
			}
			out[ZiCo] = zico(index, [][]float32{g, second[supernet.ParamsGradient].Data.([]float32)})
		}
	}
	if s.Fisher {
		for _, v := range y[supernet.Fisher].Data.([]float32) {
			out[Fisher] += float64(v)
		}
	}
	return e.ofPass(s, y, activated, func(v supernet.Activated) int { return v.Always }, wants, out)
}

// ofPass adds the proxies that come from one pass over the images and no weights' gradient.
func (e *Evaluator) ofPass(s supernet.Sensitivity, y map[string]runtime.Tensor, activated []supernet.Activated, times func(supernet.Activated) int, wants func(...string) bool, out map[string]float64) (err error) {
	if s.Jacobian {
		jacobian := y[supernet.Jacobian].Data.([]float32)
		if out[JacobCov], err = jacobCov(jacobian, s.Batch); wants(JacobCov) && err != nil {
			return err
		}
		if out[Smoothness], err = smoothness(jacobian); wants(Smoothness) && err != nil {
			return err
		}
	}
	if s.Patterns {
		counts := make([]int, len(activated))
		for i, v := range activated {
			counts[i] = times(v)
		}
		if err := ofPatterns(activated, counts, s.Batch, y, wants, out); err != nil {
			return err
		}
	}
	if s.Spread || s.Transfer {
		return ofSpectra(e.macro.BlockShapes(), y, wants, out)
	}
	return nil
}
