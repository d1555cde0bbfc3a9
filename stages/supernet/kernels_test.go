package supernet_test

import (
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/kernels"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/rewrite"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// everyGraph returns all graphs that this package makes, and the form in which stand-alone networks are shipped.
func everyGraph(t *testing.T) map[string]build {
	t.Helper()
	all := graphs(t)
	again := supernet.Training{Batch: 16, Momentum: 0.9, Recompute: true}
	macro := supernet.DARTSMacro{Channels: 2, Layers: 3, Classes: 10, Image: [3]int{3, 32, 32}} // the least that an auxiliary head fits
	training := supernet.Training{Batch: 2, Momentum: 0.9, Nesterov: true, WeightDecay: 3e-4, Clip: 5, LabelSmoothing: 0.1}
	darts, err := supernet.NewDARTS(macro)
	if err != nil {
		t.Fatal(err)
	}
	larger, err := supernet.New(space.NASBench201(), supernet.Macro{Channels: 4, Cells: 1, Classes: 10, Image: [3]int{3, 16, 16}})
	if err != nil {
		t.Fatal(err)
	}
	net, discrete := supernet.GenotypeNetwork{Genotype: genotype(t, "DARTS_V2"), Macro: macro}, network()
	maps.Copy(all, map[string]build{
		"joint_step, recomputing": func() (*onnx.ModelProto, error) { return larger.JointStep(again) },
		"darts/supernet":          func() (*onnx.ModelProto, error) { return darts.Forward(2) },
		"darts/joint_step":        func() (*onnx.ModelProto, error) { return darts.JointStep(training) },
		"genotype/step": func() (*onnx.ModelProto, error) {
			return net.TrainStep(supernet.GenotypeTraining{Training: training, Auxiliary: 0.4, DropPath: true})
		},
		"genotype/forward": func() (*onnx.ModelProto, error) { return net.Forward(2) },
		"genotype/inference": func() (*onnx.ModelProto, error) {
			ix, stats, err := net.Indexes(false)
			if err != nil {
				return nil, err
			}
			return net.Inference(make([]float32, ix.Total()), make([]float32, stats.Total()))
		},
		"network/step":    func() (*onnx.ModelProto, error) { return discrete.TrainStep(training) },
		"network/forward": func() (*onnx.ModelProto, error) { return discrete.Forward(2) },
		"network/inference": func() (*onnx.ModelProto, error) {
			ix, stats, err := discrete.Indexes()
			if err != nil {
				return nil, err
			}
			return discrete.Inference(make([]float32, ix.Total()), make([]float32, stats.Total()))
		},
	})
	for _, name := range []string{"genotype", "network"} {
		inference := all[name+"/inference"]
		all[name+"/shipped"] = func() (*onnx.ModelProto, error) {
			m, err := inference()
			if err != nil {
				return nil, err
			}
			if err := rewrite.NormalizeInput(m, "images", []float32{1, 2, 3}, []float32{1, 2, 3}); err != nil {
				return nil, err
			}
			return m, rewrite.Simplify(m)
		}
	}
	return all
}

// On CUDA every node of every graph has a kernel, but for batch normalization by the statistics of the batch: its kernel there
// does not compute them. In the form that the runtime is given for that provider all have one.
func TestEveryNodeOfEveryGraphHasAKernelOnCUDA(t *testing.T) {
	for name, b := range everyGraph(t) {
		m, err := b()
		if err != nil {
			t.Fatal(err)
		}
		data, err := onnx.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		missing, err := kernels.Check(m, kernels.CUDA)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range missing {
			if x.Operator != "BatchNormalization" || !strings.HasPrefix(x.Why, "training_mode=1") {
				t.Errorf("%s: %s", name, x)
			}
		}
		if inUse := strings.HasSuffix(name, "inference") || strings.HasSuffix(name, "shipped"); inUse != (len(missing) == 0) {
			t.Errorf("%s: %d normalizations by the statistics of the batch", name, len(missing))
		}
		if data, err = kernels.Adapt(kernels.CUDA, data); err != nil {
			t.Fatal(err)
		}
		if m, err = onnx.Decode(data); err != nil {
			t.Fatal(err)
		}
		if missing, err = kernels.Check(m, kernels.CUDA); err != nil || len(missing) > 0 {
			t.Errorf("%s, adapted: %v, %v", name, missing, err)
		}
	}
}

// The form for CUDA computes the same, which the CPU can show.
func TestGraphsAdaptedToCUDAEqualThoseForTheCPU(t *testing.T) {
	rt := runtimetest.Open(t)
	all := everyGraph(t)
	for _, name := range []string{"joint_step", "network/step"} {
		t.Run(strings.ReplaceAll(name, "/", " "), func(t *testing.T) {
			m, err := all[name]()
			if err != nil {
				t.Fatal(err)
			}
			in := anyInputs(m)
			want := session(t, rt, all[name])(in)
			got := session(t, rt, func() (*onnx.ModelProto, error) {
				n, err := rewrite.WriteOutStatistics(m)
				if n == 0 {
					t.Error("nothing was written out")
				}
				return m, err
			})(in)
			for out, v := range want {
				if w, ok := v.Data.([]float32); ok {
					closeTo(t, out, got[out].Data.([]float32), w, 1e-4)
				}
			}
		})
	}
}

// anyInputs makes inputs that a model can be run with.
func anyInputs(m *onnx.ModelProto) map[string]runtime.Tensor {
	rng := rand.New(rand.NewPCG(7, 7))
	in := map[string]runtime.Tensor{}
	for _, v := range m.GetGraph().GetInput() {
		n := 1
		for _, d := range v.Shape() {
			n *= int(d)
		}
		if v.GetType().GetTensorType().GetElemType() == int32(graph.Int64.ONNX()) {
			data := make([]int64, n)
			for i := range data {
				data[i] = int64(rng.IntN(5))
			}
			in[v.GetName()] = runtime.Tensor{Shape: v.Shape(), Data: data}
			continue
		}
		data := normal(rng, n)
		for i := range data {
			switch v.GetName() {
			case "params":
				data[i] = 0.5 + 0.2*data[i]
			case "learning_rate":
				data[i] = 0.01
			case "drop_path":
				data[i] = 1
			}
		}
		in[v.GetName()] = vector(data, v.Shape()...)
	}
	return in
}
