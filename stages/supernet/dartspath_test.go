package supernet_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/torchtest"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// smallDARTS has a normal and two reduction cells with three cells, a reduction cell with one.
func smallDARTS(t *testing.T, cells int) *supernet.Supernet {
	t.Helper()
	sn, err := supernet.New(space.DARTS(), supernet.Macro{Channels: 2, Cells: cells, Classes: 3, Image: [3]int{3, 8, 8}})
	if err != nil {
		t.Fatal(err)
	}
	return sn
}

// The path form computes what the relaxed one computes at one-hot probabilities: the same logits, and after a step of SGD
// the same weights.
func TestDARTSPathFormIsTheRelaxedOneAtOneHots(t *testing.T) {
	rt, s := runtimetest.Open(t), space.DARTS()
	training := supernet.Training{Batch: 4, Momentum: 0.9}
	all, one := smallDARTS(t, 3), smallDARTS(t, 1)
	rng := rand.New(rand.NewPCG(1, 1))
	everything := s.Random(rng) // not a genotype: all operations, on edges kept or not
	for e := range everything {
		everything[e] = e % 8
	}
	for name, c := range map[string]struct {
		sn            *supernet.Supernet
		path, relaxed build
		also, outputs []string
	}{
		"forward": {
			all, func() (*onnx.ModelProto, error) { return all.Path(4) }, func() (*onnx.ModelProto, error) { return all.Forward(4) },
			nil, []string{"logits"},
		},
		"step": { // of a small network: its graph has a branch for each operation on each edge, forward and back
			one, func() (*onnx.ModelProto, error) { return one.PathStep(training) }, func() (*onnx.ModelProto, error) { return one.TrainStep(training) },
			[]string{"labels", "momentum", "learning_rate"}, []string{"loss", "next_params"},
		},
	} {
		path, relaxed, n := session(t, rt, c.path), session(t, rt, c.relaxed), int64(c.sn.Index.Total())
		in := map[string]runtime.Tensor{
			"labels": {Shape: []int64{4}, Data: []int64{0, 1, 2, 1}}, "momentum": vector(make([]float32, n), n), "learning_rate": vector([]float32{0.1}, 1),
		}
		for i, a := range []space.Architecture{everything, s.Random(rng), s.Random(rng)} {
			var choices []int64
			var hot []float32
			for e, row := range s.OneHot(a) {
				choices = append(choices, int64(a[e]))
				for _, v := range row {
					hot = append(hot, float32(v))
				}
			}
			give := map[string]runtime.Tensor{"images": vector(torchtest.Noise(2, 4*3*8*8), 4, 3, 8, 8), "params": vector(torchtest.Fill(c.sn.Index), n)}
			for _, k := range c.also {
				give[k] = in[k]
			}
			give["choices"] = runtime.Tensor{Shape: []int64{28}, Data: choices}
			got := path(give)
			delete(give, "choices")
			give["probabilities"] = vector(hot, 28, 8)
			want := relaxed(give)
			for _, out := range c.outputs {
				closeTo(t, fmt.Sprintf("%s: %s of architecture %d", name, out, i), got[out].Data.([]float32), want[out].Data.([]float32), 1e-3)
			}
		}
	}
}

// The gradient by the probabilities is the slope of the loss.
func TestDARTSArchitectureStep(t *testing.T) {
	rt, sn := runtimetest.Open(t), smallDARTS(t, 3)
	step := session(t, rt, func() (*onnx.ModelProto, error) { return sn.ArchitectureStep(4) })
	n := int64(sn.Index.Total())
	p := softmax(vector(torchtest.Noise(1, 28*8), 28, 8))
	in := map[string]runtime.Tensor{
		"images": vector(torchtest.Noise(2, 4*3*8*8), 4, 3, 8, 8), "labels": {Shape: []int64{4}, Data: []int64{0, 1, 2, 1}},
		"params": vector(torchtest.Fill(sn.Index), n), "probabilities": p,
	}
	gradient := append([]float32(nil), step(in)["grad_probabilities"].Data.([]float32)...)
	if len(gradient) != 28*8 {
		t.Fatalf("the gradient has %d elements", len(gradient))
	}
	v := p.Data.([]float32)
	for _, i := range []int{0, 4, 13*8 + 1, 14*8 + 3, 20*8 + 7, 27*8 + 3} {
		const h = 1e-3
		at, losses := v[i], [2]float32{}
		for j, move := range []float32{h, -h} {
			v[i] = at + move
			losses[j] = step(in)["loss"].Data.([]float32)[0]
		}
		v[i] = at
		if slope := (losses[0] - losses[1]) / (2 * h); slope-gradient[i] > 5e-3 || gradient[i]-slope > 5e-3 {
			t.Errorf("edge %d, operation %d: gradient %v, slope %v", i/8, i%8, gradient[i], slope)
		}
	}
}

func TestWhatAGraphOfTheDARTSSpaceWasMadeFor(t *testing.T) {
	sn := smallDARTS(t, 3)
	m, err := sn.Path(2)
	if err != nil {
		t.Fatal(err)
	}
	model, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	s, macro, err := supernet.Of(model)
	if err != nil || s.Name != "darts" || macro != sn.Macro {
		t.Errorf("%v, %+v, %v", s, macro, err)
	}
	about := onnx.Metadata(m)
	if !strings.Contains(about["plateau.edges"], `"normal 5<-4","reduce 2<-0"`) {
		t.Error(about["plateau.edges"])
	}
}
