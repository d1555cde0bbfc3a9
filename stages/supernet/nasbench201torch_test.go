package supernet_test

import (
	"slices"
	"testing"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/optimizer"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/exporter/torchtest"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// jointly is the training step of generate_nasbench201.py: its inputs and what runs it. The momentum buffer is zero and stays so
// unless the caller hands it on, so that next_momentum is the gradient of the weights.
func jointly(t *testing.T, training supernet.Training) (ix *params.Index, in map[string]runtime.Tensor, step func(map[string]runtime.Tensor) map[string]runtime.Tensor) {
	t.Helper()
	sn, err := supernet.New(space.NASBench201(), small)
	if err != nil {
		t.Fatal(err)
	}
	training.Batch = 4
	n := int64(sn.Index.Total())
	in = map[string]runtime.Tensor{
		"images": vector(torchtest.Noise(2, 4*3*8*8), 4, 3, 8, 8), "labels": {Shape: []int64{4}, Data: []int64{1, 5, 2, 9}},
		"alpha": vector(torchtest.Noise(1, 6*5), 6, 5), "params": vector(torchtest.Fill(sn.Index), n),
		"momentum": vector(make([]float32, n), n), "learning_rate": vector([]float32{0.01}, 1),
	}
	return sn.Index, in, session(t, runtimetest.Open(t), func() (*onnx.ModelProto, error) { return sn.JointStep(training) })
}

// byName returns a vector of the parameters' elements with the parameters in the order of their names.
func byName(ix *params.Index, flat []float32) []float32 {
	var out []float32
	for _, p := range torchtest.Sorted(ix) {
		out = append(out, p.Of(flat)...)
	}
	return out
}

// A training step has PyTorch's loss and gradients of alpha and of every weight.
func TestNASBench201SupernetAgreesWithPyTorch(t *testing.T) {
	want := fixture(t, "nasbench201")
	ix, in, step := jointly(t, supernet.Training{Momentum: 0.9})
	out := step(in)
	closeTo(t, "loss", out["loss"].Data.([]float32), want("step/loss"), 1e-4)
	closeTo(t, "gradient of alpha", out["grad_alpha"].Data.([]float32), want("step/grad_alpha"), 1e-4)
	got, all := byName(ix, out["next_momentum"].Data.([]float32)), want("step/gradients")
	for _, p := range torchtest.Sorted(ix) {
		closeTo(t, "gradient of "+p.Name, got[:p.Size()], all[:p.Size()], 1e-4)
		got, all = got[p.Size():], all[p.Size():]
	}
}

func TestTwentyStepsOfSGDStayWithPyTorch(t *testing.T) {
	want := fixture(t, "nasbench201")
	ix, in, step := jointly(t, supernet.Training{Momentum: 0.9, Nesterov: true, WeightDecay: 5e-4})
	var losses []float32
	for range 20 {
		out := step(in)
		losses = append(losses, out["loss"].Data.([]float32)...)
		in["params"], in["momentum"] = out["next_params"], out["next_momentum"]
	}
	closeTo(t, "losses", losses, want("sgd/losses"), 1e-3)
	closeTo(t, "weights", byName(ix, in["params"].Data.([]float32)), want("sgd/last_params"), 1e-3)
}

// adam returns a step of Adam on a vector of n numbers with memory of its own.
func adam(t *testing.T, o optimizer.Adam, n int, rate float32) func(values, gradient []float32) []float32 {
	t.Helper()
	g := graph.New("adam")
	input := func(name string, n int) *graph.Value { return g.Input(name, graph.Float32, []int{n}, "") }
	values, m, v := o.Step(input("values", n), input("gradient", n), input("m", n), input("v", n), input("step", 1), g.Floats([]float32{rate}, 1))
	g.Output("next_values", values, "")
	g.Output("next_m", m, "")
	g.Output("next_v", v, "")
	run := session(t, runtimetest.Open(t), func() (*onnx.ModelProto, error) { return g.Model(graph.ModelOptions{}) })
	in := map[string]runtime.Tensor{"m": vector(make([]float32, n), int64(n)), "v": vector(make([]float32, n), int64(n))}
	count := float32(0)
	return func(values, gradient []float32) []float32 {
		count++
		in["values"], in["gradient"], in["step"] = vector(values, int64(n)), vector(gradient, int64(n)), vector([]float32{count}, 1)
		out := run(in)
		in["m"], in["v"] = out["next_m"], out["next_v"]
		return slices.Clone(out["next_values"].Data.([]float32))
	}
}

// Weights and alpha move at once, alpha with the settings of DARTS.
func TestTwentyStepsOfAdamStayWithPyTorch(t *testing.T) {
	want := fixture(t, "nasbench201")
	ix, in, step := jointly(t, supernet.Training{Momentum: 0.9})
	ofWeights := adam(t, optimizer.DefaultAdam(), ix.Total(), 1e-3)
	ofAlpha := adam(t, optimizer.Adam{Beta1: 0.5, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 1e-3}, 6*5, 3e-4)
	var losses []float32
	for range 20 {
		out := step(in)
		losses = append(losses, out["loss"].Data.([]float32)...)
		in["params"] = vector(ofWeights(in["params"].Data.([]float32), out["next_momentum"].Data.([]float32)), int64(ix.Total()))
		in["alpha"] = vector(ofAlpha(in["alpha"].Data.([]float32), out["grad_alpha"].Data.([]float32)), 6, 5)
	}
	closeTo(t, "losses", losses, want("adam/losses"), 1e-3)
	// The way that they have moved, which is small beside where they are.
	moved := func(last, first []float32) []float32 {
		out := slices.Clone(last)
		for i := range out {
			out[i] -= first[i]
		}
		return out
	}
	first := byName(ix, torchtest.Fill(ix))
	closeTo(t, "way of the weights", moved(byName(ix, in["params"].Data.([]float32)), first), moved(want("adam/last_params"), first), 1e-3)
	closeTo(t, "way of alpha", moved(in["alpha"].Data.([]float32), torchtest.Noise(1, 6*5)), moved(want("adam/last_alpha"), torchtest.Noise(1, 6*5)), 1e-3)
}
