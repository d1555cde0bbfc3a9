package supernet_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/exporter/safetensors"
	"github.com/plateau-nas/plateau/exporter/torchtest"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// fixture reads what a script of testdata has written.
func fixture(t *testing.T, name string) func(name string) []float32 {
	t.Helper()
	file, err := safetensors.Read("testdata/" + name + ".safetensors")
	if err != nil {
		t.Fatal(err)
	}
	return func(name string) []float32 {
		t.Helper()
		v, ok := file.Tensor(name)
		if !ok {
			t.Fatalf("the fixture has no %s", name)
		}
		data, err := v.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
}

// gradientsClose compares each parameter's gradient, which got holds for all, to the elements that PyTorch's are kept of.
func gradientsClose(t *testing.T, ix *params.Index, got, want []float32) {
	t.Helper()
	for _, p := range torchtest.Sorted(ix) {
		var g []float32
		for j := 0; j < p.Size(); j += p.Size()/512 + 1 {
			g = append(g, p.Of(got)[j])
		}
		closeTo(t, "gradient of "+p.Name, g, want[:len(g)], 1e-4)
		want = want[len(g):]
	}
	if len(want) != 0 {
		t.Errorf("PyTorch has gradients of %d more elements", len(want))
	}
}

// A training step of the supernet has PyTorch's loss, gradient of alpha and of every weight, and 20 steps stay together.
func TestDARTSSupernetAgreesWithPyTorch(t *testing.T) {
	rt, want := runtimetest.Open(t), fixture(t, "darts")
	sn, err := supernet.NewDARTS(supernet.DARTSMacro{Channels: 2, Layers: 3, Classes: 10, Image: [3]int{3, 16, 16}})
	if err != nil {
		t.Fatal(err)
	}
	n := int64(sn.Index.Total())
	in := map[string]runtime.Tensor{
		"images": vector(torchtest.Noise(2, 4*3*16*16), 4, 3, 16, 16), "labels": {Shape: []int64{4}, Data: []int64{1, 5, 2, 9}},
		"alpha": vector(torchtest.Noise(1, 2*14*8), 28, 8), "params": vector(torchtest.Fill(sn.Index), n),
		"momentum": vector(make([]float32, n), n), "learning_rate": vector([]float32{0.001}, 1),
	}
	step := session(t, rt, func() (*onnx.ModelProto, error) {
		return sn.JointStep(supernet.Training{Batch: 4, Momentum: 0.9, WeightDecay: 3e-4})
	})
	out := step(in)
	closeTo(t, "loss", out["loss"].Data.([]float32), want("supernet/loss"), 1e-4)
	closeTo(t, "gradient of alpha", out["grad_alpha"].Data.([]float32), want("supernet/grad_alpha"), 1e-4)
	gradient := slices.Clone(out["next_momentum"].Data.([]float32))
	for i, w := range in["params"].Data.([]float32) {
		gradient[i] -= 3e-4 * w
	}
	gradientsClose(t, sn.Index, gradient, want("supernet/gradients"))

	losses := slices.Clone(out["loss"].Data.([]float32))
	for range 19 {
		in["params"], in["momentum"] = out["next_params"], out["next_momentum"]
		out = step(in)
		losses = append(losses, out["loss"].Data.([]float32)...)
	}
	closeTo(t, "losses of 20 steps", losses, want("supernet/losses"), 1e-3)
	var last []float32
	for _, p := range torchtest.Sorted(sn.Index) {
		last = append(last, p.Of(out["next_params"].Data.([]float32))...)
	}
	var kept []float32
	for i := 0; i < len(last); i += 97 {
		kept = append(kept, last[i])
	}
	closeTo(t, "weights after 20 steps", kept, want("supernet/last_params"), 1e-3)

	forward := session(t, rt, func() (*onnx.ModelProto, error) { return sn.Forward(4) })
	logits := forward(map[string]runtime.Tensor{"images": in["images"], "probabilities": softmax(in["alpha"]), "params": in["params"]})["logits"].Data.([]float32)
	closeTo(t, "loss of the forward graph", []float32{crossEntropy(logits, in["labels"].Data.([]int64))}, losses[19:], 1e-4)
}

// softmax of each row of 8.
func softmax(alpha runtime.Tensor) runtime.Tensor {
	var out []float32
	for row := range slices.Chunk(alpha.Data.([]float32), 8) {
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(float64(v))
		}
		for _, v := range row {
			out = append(out, float32(math.Exp(float64(v))/sum))
		}
	}
	return runtime.Tensor{Shape: alpha.Shape, Data: out}
}

func crossEntropy(logits []float32, labels []int64) float32 {
	var total float64
	classes := len(logits) / len(labels)
	for i, y := range labels {
		var sum float64
		for _, v := range logits[i*classes : (i+1)*classes] {
			sum += math.Exp(float64(v))
		}
		total += math.Log(sum) - float64(logits[i*classes+int(y)])
	}
	return float32(total / float64(len(labels)))
}

// A training step of a stand-alone network with auxiliary head and drop path has PyTorch's losses, gradients and running
// statistics.
func TestGenotypeNetworkAgreesWithPyTorch(t *testing.T) {
	rt, want := runtimetest.Open(t), fixture(t, "darts")
	net := supernet.GenotypeNetwork{
		Genotype: genotype(t, "DARTS_V2"),
		Macro:    supernet.DARTSMacro{Channels: 2, Layers: 3, Classes: 10, Image: [3]int{3, 32, 32}},
	}
	if drops := want("network/drops"); int(drops[0]) != net.Drops() {
		t.Fatalf("drop path applies to %d edges, in PyTorch to %v", net.Drops(), drops)
	}
	ix, stats, err := net.Indexes(true)
	if err != nil {
		t.Fatal(err)
	}
	var factors []float32
	for i := range net.Drops() {
		for _, v := range torchtest.Noise(5000+i, 3) {
			if v > -0.5 {
				factors = append(factors, 1/0.75)
			} else {
				factors = append(factors, 0)
			}
		}
	}
	n, s := int64(ix.Total()), int64(stats.Total())
	running := make([]float32, s)
	for _, p := range stats.All() {
		if strings.HasSuffix(p.Name, "running_var") {
			for i := range p.Of(running) {
				p.Of(running)[i] = 1
			}
		}
	}
	out := session(t, rt, func() (*onnx.ModelProto, error) {
		return net.TrainStep(supernet.GenotypeTraining{Training: supernet.Training{Batch: 3, Momentum: 0.9}, Auxiliary: 0.4, DropPath: true})
	})(map[string]runtime.Tensor{
		"images": vector(torchtest.Noise(2, 3*3*32*32), 3, 3, 32, 32), "labels": {Shape: []int64{3}, Data: []int64{1, 5, 2}},
		"params": vector(torchtest.Fill(ix), n), "momentum": vector(make([]float32, n), n), "learning_rate": vector([]float32{0.025}, 1),
		"running": vector(running, s), "drop_path": vector(factors, int64(net.Drops()), 3),
	})
	closeTo(t, "loss", out["loss"].Data.([]float32), want("network/loss"), 1e-4)
	closeTo(t, "loss of the auxiliary head", out["auxiliary_loss"].Data.([]float32), want("network/auxiliary_loss"), 1e-4)
	gradientsClose(t, ix, out["next_momentum"].Data.([]float32), want("network/gradients"))
	var moved []float32
	for _, p := range torchtest.Sorted(stats) {
		moved = append(moved, p.Of(out["next_running"].Data.([]float32))...)
	}
	closeTo(t, "running statistics", moved, want("network/running"), 1e-4)
}
