package supernet_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/torchtest"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// partial is a supernet that gives its operations one in two channels.
func partial(t *testing.T, s *space.Space, channels, cells, size int) *supernet.Supernet {
	t.Helper()
	sn, err := supernet.New(s, supernet.Macro{Channels: channels, Cells: cells, Classes: 10, Image: [3]int{3, size, size}, Partial: 2})
	if err != nil {
		t.Fatal(err)
	}
	return sn
}

// softmaxOver returns the softmax of each of the groups that follow each other in v.
func softmaxOver(v []float32, groups ...int) []float64 {
	var out []float64
	for _, n := range groups {
		sum := 0.0
		for _, x := range v[:n] {
			sum += math.Exp(float64(x))
		}
		for _, x := range v[:n] {
			out = append(out, math.Exp(float64(x))/sum)
		}
		v = v[n:]
	}
	return out
}

// Loss and gradients of weights, with the weight of an edge multiplied into its probabilities, are PyTorch's.
func TestPartialChannelsAgreeWithPyTorch(t *testing.T) {
	want := fixture(t, "partial")
	for _, c := range []struct {
		name  string
		sn    *supernet.Supernet
		size  int
		nodes []int // edges of each node
	}{
		{"nasbench201", partial(t, space.NASBench201(), 4, 1, 8), 8, []int{1, 2, 3}},
		{"darts", partial(t, space.DARTS(), 4, 3, 16), 16, []int{2, 3, 4, 5, 2, 3, 4, 5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			edges, ops := len(c.sn.Space.Edges), len(c.sn.Space.Operations)
			rows := make([]int, edges)
			for e := range rows {
				rows[e] = ops
			}
			p, b := softmaxOver(torchtest.Noise(1, edges*ops), rows...), softmaxOver(torchtest.Noise(3, edges), c.nodes...)
			w := make([]float32, len(p))
			for i := range w {
				w[i] = float32(p[i] * b[i/ops])
			}
			n := int64(c.sn.Index.Total())
			step := session(t, runtimetest.Open(t), func() (*onnx.ModelProto, error) { return c.sn.GradientStep(4, 0) })
			out := step(map[string]runtime.Tensor{
				"images": vector(torchtest.Noise(2, 4*3*c.size*c.size), 4, 3, int64(c.size), int64(c.size)), "labels": {Shape: []int64{4}, Data: []int64{1, 5, 2, 9}},
				"probabilities": vector(w, int64(edges), int64(ops)), "params": vector(torchtest.Fill(c.sn.Index), n),
			})
			closeTo(t, "loss", out["loss"].Data.([]float32), want(c.name+"/loss"), 1e-4)
			gradientsClose(t, c.sn.Index, out["grad_params"].Data.([]float32), want(c.name+"/gradients"))
			// The derivative by beta is what is common to an edge's operations, through the softmax over the edges of a node.
			byWeight, byEdge := out["grad_probabilities"].Data.([]float32), make([]float64, edges)
			for i, g := range byWeight {
				byEdge[i/ops] += p[i] * float64(g)
			}
			var byBeta []float32
			first := 0
			for _, k := range c.nodes {
				mean := 0.0
				for e := first; e < first+k; e++ {
					mean += b[e] * byEdge[e]
				}
				for e := first; e < first+k; e++ {
					byBeta = append(byBeta, float32(b[e]*(byEdge[e]-mean)))
				}
				first += k
			}
			closeTo(t, "gradient of beta", byBeta, want(c.name+"/grad_beta"), 1e-3)
		})
	}
}

// At one-hot probabilities the relaxed form is the path form, and that the one with constant weights.
func TestFormsOfPartialSupernetsAgree(t *testing.T) {
	for _, sn := range []*supernet.Supernet{partial(t, space.NASBench201(), 4, 1, 8), partial(t, everyOperation(t), 4, 1, 8), partial(t, space.DARTS(), 2, 3, 8)} {
		t.Run(sn.Space.Name, func(t *testing.T) {
			rng, size := rand.New(rand.NewPCG(3, 8)), int64(8)
			weights, edges := sn.Index.Initialize(rng), int64(len(sn.Space.Edges))
			images := vector(normal(rng, 4*3*int(size*size)), 4, 3, size, size)
			params := vector(weights, int64(len(weights)))
			relaxed := session(t, runtimetest.Open(t), func() (*onnx.ModelProto, error) { return sn.Forward(4) })
			path := session(t, runtimetest.Open(t), func() (*onnx.ModelProto, error) { return sn.Path(4) })
			for range 2 {
				a := sn.Space.Random(rng)
				var hot []float32
				for _, row := range sn.Space.OneHot(a) {
					for _, v := range row {
						hot = append(hot, float32(v))
					}
				}
				choices := make([]int64, edges)
				for e, op := range a {
					choices[e] = int64(op)
				}
				want := relaxed(map[string]runtime.Tensor{"images": images, "params": params, "probabilities": vector(hot, edges, int64(len(sn.Space.Operations)))})["logits"].Data.([]float32)
				got := path(map[string]runtime.Tensor{"images": images, "params": params, "choices": {Shape: []int64{edges}, Data: choices}})["logits"].Data.([]float32)
				closeTo(t, "path form", got, want, 1e-4)
				m, err := sn.Discrete(4, a, weights)
				closeTo(t, "constant weights", outputOf(t, m, err, map[string]runtime.Tensor{"images": images}), want, 1e-4)
			}
		})
	}
}

func TestPartialChannelsThatCannotBe(t *testing.T) {
	for _, m := range []supernet.Macro{
		{Channels: 6, Cells: 1, Classes: 10, Image: [3]int{3, 8, 8}, Partial: 4},
		{Channels: 6, Cells: 1, Classes: 10, Image: [3]int{3, 8, 8}, Partial: -1},
	} {
		for _, s := range []*space.Space{space.NASBench201(), space.DARTS()} {
			var se *pipeline.SettingError
			if _, err := supernet.New(s, m); !errors.As(err, &se) || se.Path != "partial_channels" {
				t.Errorf("%+v in %s: %v", m, s.Name, err)
			}
		}
	}
	n := network()
	n.Partial = 2
	if _, _, err := n.Indexes(); err == nil {
		t.Error("a network with partial channels was built")
	}
}

func TestATrainingStepTellsHowItTrains(t *testing.T) {
	training := supernet.DefaultTraining()
	training.Batch, training.WeightDecay, training.LabelSmoothing = 4, 1e-3, 0.1
	for _, build := range []func(supernet.Training) (*onnx.ModelProto, error){tinySupernet(t).TrainStep, tinySupernet(t).PathStep} {
		m, err := build(training)
		if err != nil {
			t.Fatal(err)
		}
		data, err := onnx.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := supernet.TrainingOf(data); err != nil || got != training {
			t.Errorf("%+v, %v", got, err)
		}
	}
	m, err := tinySupernet(t).Forward(4)
	if err != nil {
		t.Fatal(err)
	}
	data, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := supernet.TrainingOf(data); err == nil {
		t.Error("a supernet without training tells how it trains")
	}
}
