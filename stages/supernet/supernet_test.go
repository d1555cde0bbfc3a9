package supernet_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/pipeline/publicdata"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

func TestMain(m *testing.M) { runtimetest.Main(m) }

var small = supernet.Macro{Channels: 4, Cells: 1, Classes: 10, Image: [3]int{3, 8, 8}}

func TestParameterCountsEqualThePublishedOnes(t *testing.T) {
	rows := publicdata.Rows(t, "nasbench201", "cost.csv")
	for _, c := range []struct {
		column  string
		classes int
		size    int
	}{{"cifar10_params", 10, 32}, {"cifar100_params", 100, 32}, {"imagenet16_params", 120, 16}} {
		for i := 0; i < len(rows); i += 617 {
			row := rows[i]
			n := supernet.Network{Space: "nasbench201", Architecture: row["arch"], Macro: supernet.Macro{Channels: 16, Cells: 5, Classes: c.classes, Image: [3]int{3, c.size, c.size}}}
			ix, _, err := n.Indexes()
			if err != nil {
				t.Fatal(err)
			}
			if want := row[c.column]; strconv.Itoa(ix.Total()) != want {
				t.Errorf("%s: %s is %d, published %s", n.Architecture, c.column, ix.Total(), want)
			}
		}
	}
}

// session loads a model and returns what runs it.
func session(t *testing.T, rt *runtime.Runtime, build func() (*onnx.ModelProto, error)) func(in map[string]runtime.Tensor) map[string]runtime.Tensor {
	t.Helper()
	m, err := build()
	if err != nil {
		t.Fatal(err)
	}
	data, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := rt.NewSession(data, runtime.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return func(in map[string]runtime.Tensor) map[string]runtime.Tensor {
		t.Helper()
		out, err := s.Run(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

func vector(v []float32, shape ...int64) runtime.Tensor { return runtime.Tensor{Shape: shape, Data: v} }

func normal(rng *rand.Rand, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(rng.NormFloat64())
	}
	return out
}

func closeTo(t *testing.T, what string, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values instead of %d", what, len(got), len(want))
	}
	scale := 1e-3
	for _, v := range want {
		scale = max(scale, math.Abs(float64(v)))
	}
	for i := range want {
		if d := math.Abs(float64(got[i] - want[i])); !(d <= tolerance*scale) {
			t.Fatalf("%s: value %d is %v instead of %v", what, i, got[i], want[i])
		}
	}
}

// A supernet at a one-hot alpha, its path form and the stand-alone network with the same weights are one function.
func TestSupernetAtOneHotEqualsStandAloneNetwork(t *testing.T) {
	rt := runtimetest.Open(t)
	sp := space.NASBench201()
	sn, err := supernet.New(sp, small)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	const batch = 4
	weights := sn.Index.Initialize(rng)
	images := vector(normal(rng, batch*3*8*8), batch, 3, 8, 8)
	archs := []space.Architecture{{0, 0, 0, 0, 0, 0}, {1, 1, 1, 1, 1, 1}, {0, 3, 2, 0, 3, 0}, {3, 0, 0, 0, 0, 2}}
	for range 6 {
		archs = append(archs, sp.Random(rng))
	}
	relaxedForm := session(t, rt, func() (*onnx.ModelProto, error) { return sn.Forward(batch) })
	pathForm := session(t, rt, func() (*onnx.ModelProto, error) { return sn.Path(batch) })
	for _, a := range archs {
		p := make([]float32, 30)
		choices := make([]int64, 6)
		for e, op := range a {
			p[e*5+op], choices[e] = 1, int64(op)
		}
		flat := vector(weights, int64(len(weights)))
		relaxed := relaxedForm(map[string]runtime.Tensor{"images": images, "params": flat, "probabilities": vector(p, 6, 5)})
		path := pathForm(map[string]runtime.Tensor{"images": images, "params": flat, "choices": {Shape: []int64{6}, Data: choices}})

		n := supernet.Network{Space: sp.Name, Architecture: sp.Format(a), Macro: small}
		ix, _, err := n.Indexes()
		if err != nil {
			t.Fatal(err)
		}
		own := ix.Initialize(rng) // ones and zeros where the supernet has no parameters
		copied, err := params.Copy(own, ix, weights, sn.Index, func(name string) (string, bool) {
			_, ok := sn.Index.Lookup(name)
			return name, ok
		})
		if err != nil || copied == 0 {
			t.Fatalf("copied %d parameters: %v", copied, err)
		}
		alone := session(t, rt, func() (*onnx.ModelProto, error) { return n.Forward(batch) })(
			map[string]runtime.Tensor{"images": images, "params": vector(own, int64(len(own)))})
		want := alone["logits"].Data.([]float32)
		closeTo(t, n.Architecture+" relaxed", relaxed["logits"].Data.([]float32), want, 1e-4)
		closeTo(t, n.Architecture+" path", path["logits"].Data.([]float32), want, 1e-4)
	}
}

// A step along a path equals a step of the relaxed supernet at the one-hot probabilities.
func TestPathStepEqualsTrainStepAtOneHot(t *testing.T) {
	rt := runtimetest.Open(t)
	sp := space.NASBench201()
	sn, err := supernet.New(sp, small)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	tr := supernet.DefaultTraining()
	tr.Batch = 4
	n := int64(sn.Index.Total())
	trainStep := session(t, rt, func() (*onnx.ModelProto, error) { return sn.TrainStep(tr) })
	pathStep := session(t, rt, func() (*onnx.ModelProto, error) { return sn.PathStep(tr) })
	for range 5 {
		a := sp.Random(rng)
		p, choices := make([]float32, 30), make([]int64, 6)
		for e, op := range a {
			p[e*5+op], choices[e] = 1, int64(op)
		}
		in := map[string]runtime.Tensor{
			"images": vector(normal(rng, 4*3*8*8), 4, 3, 8, 8), "labels": {Shape: []int64{4}, Data: []int64{1, 5, 2, 9}},
			"params": vector(sn.Index.Initialize(rng), n), "momentum": vector(normal(rng, int(n)), n), "learning_rate": vector([]float32{0.1}, 1),
		}
		in["probabilities"] = vector(p, 6, 5)
		want := trainStep(in)
		delete(in, "probabilities")
		in["choices"] = runtime.Tensor{Shape: []int64{6}, Data: choices}
		got := pathStep(in)
		for _, name := range []string{"loss", "correct", "next_params", "next_momentum"} {
			closeTo(t, sp.Format(a)+" "+name, got[name].Data.([]float32), want[name].Data.([]float32), 1e-4)
		}
	}
}

// Formulations change the graphs, not what they compute.
func TestFormulationsComputeTheSame(t *testing.T) {
	rt := runtimetest.Open(t)
	sp := space.NASBench201()
	sn, err := supernet.New(sp, small)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	tr := supernet.DefaultTraining()
	tr.Batch = 4
	n := int64(sn.Index.Total())
	in := map[string]runtime.Tensor{
		"images": vector(normal(rng, 4*3*8*8), 4, 3, 8, 8), "labels": {Shape: []int64{4}, Data: []int64{1, 5, 2, 9}},
		"params": vector(sn.Index.Initialize(rng), n), "momentum": vector(normal(rng, int(n)), n), "learning_rate": vector([]float32{0.1}, 1),
		"alpha": vector(normal(rng, 30), 6, 5),
	}
	step := func(without ...string) map[string]runtime.Tensor {
		plain := *sn
		plain.Without = without
		return session(t, rt, func() (*onnx.ModelProto, error) { return plain.JointStep(tr) })(in)
	}
	want := step(supernet.Formulations()...)
	cases := [][]string{nil}
	for _, name := range supernet.Formulations() {
		cases = append(cases, []string{name})
	}
	for _, without := range cases {
		got := step(without...)
		for _, name := range []string{"loss", "correct", "grad_alpha", "next_params", "next_momentum"} {
			closeTo(t, fmt.Sprintf("%s without %v", name, without), got[name].Data.([]float32), want[name].Data.([]float32), 1e-4)
		}
	}
}
