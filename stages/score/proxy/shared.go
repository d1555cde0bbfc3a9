package proxy

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// shared computes proxies by graphs that are loaded once for all architectures of a space. Since layers begin with the same
// weights in every network, the weights lie inside the graphs, and a run is told the architecture only.
type shared struct {
	images   []float32
	shape    []int64
	jacobian *runtime.Session // nil where nothing wants it
	flow     *runtime.Session // nil where nothing wants it, or an operation is not linear
}

// share loads the graphs that all architectures share, if the space has any for the proxies of the settings.
func (e *Evaluator) share() (s *shared, err error) {
	wants := func(name string) bool { return slices.Contains(e.settings.Proxies, name) }
	sn := &supernet.Supernet{Space: e.space, Macro: e.macro}
	if e.Alone || !sn.HasPathJacobian() || !wants(JacobCov) && !wants(Synflow) {
		return nil, nil
	}
	if sn, err = supernet.New(e.space, e.macro); err != nil {
		return nil, err
	}
	s = &shared{images: e.images, shape: []int64{int64(len(e.labels)), int64(e.macro.Image[0]), int64(e.macro.Image[1]), int64(e.macro.Image[2])}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
			s = nil
		}
	}()
	weights := initial(sn.Index, e.seed)
	if wants(JacobCov) {
		if s.jacobian, err = e.load("gradients of images", func() (*onnx.ModelProto, error) { return sn.PathJacobian(len(e.labels), weights) }); err != nil {
			return s, err
		}
	}
	if wants(Synflow) && sn.HasPathFlow() {
		if s.flow, err = e.load("flow", func() (*onnx.ModelProto, error) { return sn.PathFlow(weights) }); err != nil {
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
	for _, session := range []*runtime.Session{s.jacobian, s.flow} {
		if session != nil {
			errs = append(errs, session.Close())
		}
	}
	return errors.Join(errs...)
}

// measure adds the proxies that the graphs give. Several goroutines may call it at once.
func (s *shared) measure(ctx context.Context, a space.Architecture, out map[string]float64) error {
	choices := make([]int64, len(a))
	for i, op := range a {
		choices[i] = int64(op)
	}
	chosen := runtime.Tensor{Shape: []int64{int64(len(a))}, Data: choices}
	if s.jacobian != nil {
		y, err := s.jacobian.Run(ctx, map[string]runtime.Tensor{supernet.Images: {Shape: s.shape, Data: s.images}, supernet.Choices: chosen})
		if err != nil {
			return err
		}
		if out[JacobCov], err = jacobCov(y[supernet.Jacobian].Data.([]float32), int(s.shape[0])); err != nil {
			return err
		}
	}
	if s.flow != nil {
		return s.synflow(ctx, chosen, out)
	}
	return nil
}

// synflow adds the proxy of this name. What flows is proportional to the image, so where it is beyond float32 the image
// is made smaller by a power of two, which changes no digit, and the result larger. Where that is not enough, it adds nothing.
func (s *shared) synflow(ctx context.Context, chosen runtime.Tensor, out map[string]float64) error {
	image := make([]float32, s.shape[1]*s.shape[2]*s.shape[3])
	for _, exponent := range []int{0, -60, -120} {
		small := math.Ldexp(1, exponent)
		for i := range image {
			image[i] = float32(small)
		}
		y, err := s.flow.Run(ctx, map[string]runtime.Tensor{supernet.Images: {Shape: append([]int64{1}, s.shape[1:]...), Data: image}, supernet.Choices: chosen})
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
