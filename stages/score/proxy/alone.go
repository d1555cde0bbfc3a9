package proxy

import (
	"context"
	"errors"
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

// sensitivity computes every proxy but synflow.
func (e *Evaluator) sensitivity(ctx context.Context, net supernet.Network, index *params.Index, weights []float32, names []string, out map[string]float64) (err error) {
	wants := func(of ...string) bool {
		return slices.ContainsFunc(of, func(n string) bool { return slices.Contains(names, n) })
	}
	s := supernet.Sensitivity{
		Batch: len(e.labels), Gradient: wants(GradNorm, Snip, Plain, Grasp), Jacobian: wants(JacobCov), Fisher: wants(Fisher),
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
		if wants(Grasp) {
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
