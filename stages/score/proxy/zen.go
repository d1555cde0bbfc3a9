package proxy

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// What the authors' code of ZenNAS has: how far the second images are from the first, and what a running variance keeps of its old
// value, which begins as 1.
const (
	zenStep     = 0.01
	zenMomentum = 0.1
)

// zenInputs are images of noise and the same with a little more noise.
type zenInputs [2][]float32

func newZenInputs(rng *rand.Rand, size int) zenInputs {
	var z zenInputs
	z[0], z[1] = make([]float32, size), make([]float32, size)
	for i := range z[0] {
		z[0][i] = float32(rng.NormFloat64())
	}
	for i := range z[1] {
		z[1][i] = z[0][i] + zenStep*float32(rng.NormFloat64())
	}
	return z
}

// zenWeights returns weights of layers from the standard normal distribution. Normalizations begin as always, and biases are zero.
func zenWeights(index *params.Index, from uint64) []float32 {
	flat := initial(index, from)
	for _, p := range index.All() {
		rng, v := seed.New(from, "zen", p.Name), p.Of(flat)
		for i := range v {
			switch {
			case supernet.IsLayerWeight(p):
				v[i] = float32(rng.NormFloat64())
			case p.Init != params.Ones:
				v[i] = 0
			}
		}
	}
	return flat
}

// zenScore runs a network on both images and returns the logarithm of the mean difference of its responses, plus that of the scales
// that normalizations have taken away. normalized tells which of the variances are those of the architecture.
func (e *Evaluator) zenScore(ctx context.Context, session *runtime.Session, more map[string]runtime.Tensor, normalized func(i int) bool) (float64, error) {
	var responses [2][]float32
	var running []float64
	for k, images := range e.zen {
		in := map[string]runtime.Tensor{
			supernet.Images: {Shape: []int64{int64(e.settings.Images), int64(e.macro.Image[0]), int64(e.macro.Image[1]), int64(e.macro.Image[2])}, Data: images},
		}
		for name, v := range more {
			in[name] = v
		}
		y, err := session.Run(ctx, in)
		if err != nil {
			return 0, err
		}
		responses[k] = y[supernet.Response].Data.([]float32)
		for i, v := range y[supernet.Variances].Data.([]float32) {
			if k == 0 {
				running = append(running, 1)
			}
			running[i] = (1-zenMomentum)*running[i] + zenMomentum*float64(v)
		}
	}
	var difference float64
	for i, v := range responses[0] {
		difference += math.Abs(float64(v) - float64(responses[1][i]))
	}
	score := math.Log(difference / float64(e.settings.Images))
	for i, v := range running {
		if normalized(i) {
			score += math.Log(v) / 2
		}
	}
	if math.IsInf(score, 0) || math.IsNaN(score) {
		return 0, &noValueError{Zen, "the network answers all images alike, or not with finite numbers"}
	}
	return score, nil
}

// zenAlone computes the proxy by a graph of the network's own.
func (e *Evaluator) zenAlone(ctx context.Context, net supernet.Network, index *params.Index, weights []float32) (_ float64, err error) {
	session, err := e.session("zen", func() (*onnx.ModelProto, error) {
		m, _, err := net.Sensitivity(supernet.Sensitivity{Batch: e.settings.Images, Response: true})
		return m, err
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	more := map[string]runtime.Tensor{supernet.Params: {Shape: []int64{int64(index.Total())}, Data: weights}}
	return e.zenScore(ctx, session, more, func(int) bool { return true })
}

// zenShared computes it by the graph of all architectures.
func (s *shared) zenShared(ctx context.Context, a space.Architecture, chosen runtime.Tensor) (float64, error) {
	e := s.evaluator
	return e.zenScore(ctx, s.zen, map[string]runtime.Tensor{supernet.Choices: chosen}, func(i int) bool {
		edge := s.normalized[i]
		return edge < 0 || supernet.Activates(e.space.Operations[a[edge]])
	})
}
