package supernet_test

import (
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/exporter/torchtest"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// Ten steps of a recipe for short trainings: stems that pool, label smoothing, weight decay that spares normalizations and biases,
// and the moving averages of weights and running statistics, all as PyTorch has them.
func TestShortRecipeStaysWithPyTorch(t *testing.T) {
	want := fixture(t, "recipe")
	for _, stem := range []supernet.Stem{supernet.StemPooled, supernet.StemDeep, supernet.StemWhitened} {
		t.Run(string(stem), func(t *testing.T) {
			net := network()
			net.Architecture = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
			net.Stem, net.Image = stem, [3]int{3, 16, 16}
			if stem == supernet.StemWhitened {
				net.Reduction = supernet.ReductionPooled
			}
			ix, stats := indexes(t, net)
			training := supernet.Training{Batch: 4, Momentum: 0.9, Nesterov: true, WeightDecay: 0.05, SpareNormalization: true, LabelSmoothing: 0.1, Average: true}
			step := session(t, runtimetest.Open(t), func() (*onnx.ModelProto, error) { return net.TrainStep(training) })
			n, s := int64(ix.Total()), int64(stats.Total())
			running := make([]float32, s)
			for _, p := range stats.All() {
				for i := range p.Of(running) {
					if strings.HasSuffix(p.Name, "running_var") {
						p.Of(running)[i] = 1
					}
				}
			}
			in := map[string]runtime.Tensor{
				"images": vector(torchtest.Noise(2, 4*3*16*16), 4, 3, 16, 16), "labels": {Shape: []int64{4}, Data: []int64{1, 5, 2, 9}},
				"params": vector(torchtest.Fill(ix), n), "momentum": vector(make([]float32, n), n), "running": vector(running, s),
				"averaged_params": vector(make([]float32, n), n), "averaged_running": vector(make([]float32, s), s),
				"learning_rate": vector([]float32{0.02}, 1),
			}
			var losses []float32
			for i := range 10 {
				keep := float32(0.75)
				if i == 0 { // PyTorch begins with the first weights
					keep = 0
				}
				in["average_keep"] = vector([]float32{keep}, 1)
				out := step(in)
				losses = append(losses, out["loss"].Data.([]float32)...)
				for name, v := range out {
					if name, ok := strings.CutPrefix(name, "next_"); ok {
						in[name] = v
					}
				}
			}
			of := func(ix *params.Index, name string) []float32 { return byName(ix, in[name].Data.([]float32)) }
			closeTo(t, "losses", losses, want(string(stem)+"/losses"), 1e-3)
			closeTo(t, "weights", of(ix, "params"), want(string(stem)+"/params"), 1e-3)
			closeTo(t, "averaged weights", of(ix, "averaged_params"), want(string(stem)+"/averaged"), 1e-3)
			closeTo(t, "running statistics", of(stats, "running"), want(string(stem)+"/running"), 1e-3)
			closeTo(t, "averaged running statistics", of(stats, "averaged_running"), want(string(stem)+"/averaged_running"), 1e-3)
		})
	}
}

// The target of mixed images is a mixture of two labels.
func TestMixedTargetsStayWithPyTorch(t *testing.T) {
	want := fixture(t, "recipe")
	net := network()
	net.Architecture = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
	net.Stem, net.Image = supernet.StemPooled, [3]int{3, 16, 16}
	ix, stats := indexes(t, net)
	step := session(t, runtimetest.Open(t), func() (*onnx.ModelProto, error) {
		return net.TrainStep(supernet.Training{Batch: 4, LabelSmoothing: 0.1, Mixed: true})
	})
	n, s := int64(ix.Total()), int64(stats.Total())
	in := map[string]runtime.Tensor{
		"images": vector(torchtest.Noise(2, 4*3*16*16), 4, 3, 16, 16), "label_share": vector([]float32{0.7}, 1),
		"labels": {Shape: []int64{4}, Data: []int64{1, 5, 2, 9}}, "mixed_labels": {Shape: []int64{4}, Data: []int64{9, 2, 5, 1}},
		"params": vector(torchtest.Fill(ix), n), "momentum": vector(make([]float32, n), n), "running": vector(make([]float32, s), s),
		"learning_rate": vector([]float32{0.02}, 1),
	}
	var losses []float32
	for range 3 {
		out := step(in)
		losses = append(losses, out["loss"].Data.([]float32)...)
		in["params"] = out["next_params"]
	}
	closeTo(t, "losses", losses, want("mixed/losses"), 1e-3)
	closeTo(t, "weights", byName(ix, in["params"].Data.([]float32)), want("mixed/params"), 1e-3)
}
