package supernet_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/torchtest"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

func resnet9(width int, image [3]int) supernet.Network {
	return supernet.Network{Space: "plain", Architecture: space.ResNet9, Macro: supernet.Macro{Channels: width, Cells: 1, Classes: 10, Image: image}}
}

// ResNet-9 has PyTorch's logits, loss, gradients, running statistics and weights after five steps, and as many parameters.
func TestResNet9AgreesWithPyTorch(t *testing.T) {
	rt, want := runtimetest.Open(t), fixture(t, "resnet9")
	for _, width := range []int{16, 64} {
		ix, _, err := resnet9(width, [3]int{3, 32, 32}).Indexes()
		if err != nil {
			t.Fatal(err)
		}
		if n := want(map[int]string{16: "parameters/16", 64: "parameters/64"}[width])[0]; float32(ix.Total()) != n {
			t.Errorf("width %d: %d parameters, in PyTorch %v", width, ix.Total(), n)
		}
	}
	net := resnet9(4, [3]int{3, 20, 16})
	ix, stats, err := net.Indexes()
	if err != nil {
		t.Fatal(err)
	}
	n := int64(ix.Total())
	running := make([]float32, stats.Total())
	for _, p := range stats.All() {
		if strings.HasSuffix(p.Name, "running_var") {
			for i := range p.Of(running) {
				p.Of(running)[i] = 1
			}
		}
	}
	images := vector(torchtest.Noise(2, 4*3*20*16), 4, 3, 20, 16)
	forward := session(t, rt, func() (*onnx.ModelProto, error) { return net.Forward(4) })
	logits := forward(map[string]runtime.Tensor{"images": images, "params": vector(torchtest.Fill(ix), n)})["logits"].Data.([]float32)
	closeTo(t, "logits", logits, want("step/logits"), 1e-4)

	run := func(training supernet.Training, steps int, rate float32) (losses []float32, out map[string]runtime.Tensor) {
		training.Batch = 4
		step := session(t, rt, func() (*onnx.ModelProto, error) { return net.TrainStep(training) })
		in := map[string]runtime.Tensor{
			"images": images, "labels": {Shape: []int64{4}, Data: []int64{1, 5, 2, 9}}, "params": vector(torchtest.Fill(ix), n),
			"momentum": vector(make([]float32, n), n), "running": vector(slices.Clone(running), int64(len(running))), "learning_rate": vector([]float32{rate}, 1),
		}
		for range steps {
			out = step(in)
			losses = append(losses, out["loss"].Data.([]float32)...)
			in["params"], in["momentum"], in["running"] = out["next_params"], out["next_momentum"], out["next_running"]
		}
		return losses, out
	}
	losses, out := run(supernet.Training{Momentum: 0.9}, 1, 0.01)
	closeTo(t, "loss", losses, want("step/loss"), 1e-4)
	closeTo(t, "gradients", byName(ix, out["next_momentum"].Data.([]float32)), want("step/gradients"), 1e-4)
	closeTo(t, "running statistics", byName(stats, out["next_running"].Data.([]float32)), want("step/running"), 1e-4)
	losses, out = run(supernet.Training{Momentum: 0.9, Nesterov: true, WeightDecay: 5e-4}, 5, 0.01)
	closeTo(t, "losses of five steps", losses, want("sgd/losses"), 1e-3)
	closeTo(t, "weights after five steps", byName(ix, out["next_params"].Data.([]float32)), want("sgd/last_params"), 1e-3)
}

func TestPlainNetworksHaveAWidthOnly(t *testing.T) {
	for path, change := range map[string]func(*supernet.Macro){
		"channels":  func(m *supernet.Macro) { m.Channels = 0 },
		"cells":     func(m *supernet.Macro) { m.Cells = 2 },
		"stages":    func(m *supernet.Macro) { m.Stages = 4 },
		"stem":      func(m *supernet.Macro) { m.Stem = supernet.StemCIFAR },
		"reduction": func(m *supernet.Macro) { m.Reduction = supernet.ReductionPooled },
	} {
		m := resnet9(4, [3]int{1, 28, 28}).Macro
		if err := m.CheckFor(space.Plain()); err != nil {
			t.Fatal(err)
		}
		change(&m)
		var setting *pipeline.SettingError
		if err := m.CheckFor(space.Plain()); !errors.As(err, &setting) || setting.Path != path {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := resnet9(4, [3]int{3, 6, 32}).Macro.CheckFor(space.Plain()); err == nil || !strings.Contains(err.Error(), "8x8 pixels") {
		t.Error(err)
	}
	if _, err := supernet.New(space.Plain(), resnet9(4, [3]int{3, 32, 32}).Macro); err == nil || !strings.Contains(err.Error(), "share no weights") {
		t.Error(err)
	}
}
