package supernet_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/exporter/safetensors"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/supernet"
)

func network() supernet.Network {
	return supernet.Network{
		Space: "nasbench201", Macro: small,
		Architecture: "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|",
	}
}

func indexes(t *testing.T, n supernet.Network) (parameters, running *params.Index) {
	t.Helper()
	parameters, running, err := n.Indexes()
	if err != nil {
		t.Fatal(err)
	}
	return parameters, running
}

// step runs one training step of the network with a learning rate of 0 on the images and returns the running statistics.
func (f *trained) step(t *testing.T, images []float32, running []float32) []float32 {
	t.Helper()
	out := f.run(map[string]runtime.Tensor{
		"images": vector(images, f.batch, 3, 8, 8), "labels": {Shape: []int64{f.batch}, Data: make([]int64, f.batch)},
		"params": vector(f.weights, int64(len(f.weights))), "momentum": vector(make([]float32, len(f.weights)), int64(len(f.weights))),
		"running": vector(running, int64(len(running))), "learning_rate": vector([]float32{0}, 1),
	})
	closeTo(t, "weights after a step of rate 0", out["next_params"].Data.([]float32), f.weights, 0)
	return append([]float32(nil), out["next_running"].Data.([]float32)...)
}

// trained is a network with weights and its training step.
type trained struct {
	supernet.Network
	batch               int64
	parameters, running *params.Index
	weights             []float32
	run                 func(map[string]runtime.Tensor) map[string]runtime.Tensor
}

func newTrained(t *testing.T, rng *rand.Rand) *trained {
	t.Helper()
	f := &trained{Network: network(), batch: 4}
	f.parameters, f.running = indexes(t, f.Network)
	f.weights = f.parameters.Initialize(rng)
	for i := range f.weights { // so that scales are not all one and shifts not all zero
		f.weights[i] += 0.1 * float32(rng.NormFloat64())
	}
	tr := supernet.DefaultTraining()
	tr.Batch = int(f.batch)
	f.run = session(t, runtimetest.Open(t), func() (*onnx.ModelProto, error) { return f.TrainStep(tr) })
	return f
}

// convolve is a 3x3 convolution with padding 1 of images [N, in, 8, 8] by weights [out, in, 3, 3].
func convolve(images, weights []float32, n, in, out int) []float64 {
	const side = 8
	y := make([]float64, n*out*side*side)
	for i := range y {
		column, row, o, image := i%side, i/side%side, i/side/side%out, i/side/side/out
		for c := range in {
			for dy := -1; dy <= 1; dy++ {
				for dx := -1; dx <= 1; dx++ {
					if row+dy < 0 || row+dy >= side || column+dx < 0 || column+dx >= side {
						continue
					}
					y[i] += float64(images[((image*in+c)*side+row+dy)*side+column+dx]) * float64(weights[((o*in+c)*3+dy+1)*3+dx+1])
				}
			}
		}
	}
	return y
}

// Running statistics follow PyTorch: a tenth of the batch's mean and of its unbiased variance enters at each step.
func TestRunningStatisticsFollowPyTorch(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 1))
	f := newTrained(t, rng)
	start := f.running.Initialize(rng)
	for _, p := range f.running.All() {
		want := float32(0)
		if strings.HasSuffix(p.Name, "running_var") {
			want = 1
		}
		for _, v := range p.Of(start) {
			if v != want {
				t.Fatalf("%s starts at %v", p.Name, v)
			}
		}
	}
	weight, ok := f.parameters.Lookup("stem.weight")
	if !ok {
		t.Fatal("the stem has no weight")
	}
	running, want := start, map[string][]float32{"stem.bn.running_mean": {0, 0, 0, 0}, "stem.bn.running_var": {1, 1, 1, 1}}
	for range 3 {
		images := normal(rng, 4*3*8*8)
		y := convolve(images, weight.Of(f.weights), 4, 3, 4)
		running = f.step(t, images, running)
		for c := range 4 {
			var values []float64
			for image := range 4 {
				values = append(values, y[(image*4+c)*64:][:64]...)
			}
			n, mean, squares := float64(len(values)), 0.0, 0.0
			for _, v := range values {
				mean += v / n
			}
			for _, v := range values {
				squares += (v - mean) * (v - mean)
			}
			m, v := want["stem.bn.running_mean"], want["stem.bn.running_var"]
			m[c], v[c] = 0.9*m[c]+0.1*float32(mean), 0.9*v[c]+0.1*float32(squares/(n-1))
		}
		for name, v := range want {
			p, ok := f.running.Lookup(name)
			if !ok {
				t.Fatalf("there is no %s", name)
			}
			closeTo(t, name, p.Of(running), v, 1e-5)
		}
	}
}

// With the statistics of a batch in place of the running ones, the form for use computes what the training form does.
func TestInferenceWithTheBatchsStatisticsEqualsForward(t *testing.T) {
	rt := runtimetest.Open(t)
	rng := rand.New(rand.NewPCG(22, 1))
	f := newTrained(t, rng)
	images := normal(rng, 4*3*8*8)
	// From zeros, a step leaves a tenth of the batch's statistics, with the unbiased variance.
	statistics := f.step(t, images, make([]float32, f.running.Total()))
	for _, p := range f.running.All() {
		side := 8
		switch {
		case strings.HasPrefix(p.Name, "reduction0."), strings.HasPrefix(p.Name, "stage1."):
			side = 4
		case strings.HasPrefix(p.Name, "reduction1."), strings.HasPrefix(p.Name, "stage2."), strings.HasPrefix(p.Name, "head."):
			side = 2
		}
		n := float32(4 * side * side)
		for i := range p.Of(statistics) {
			p.Of(statistics)[i] *= 10
			if strings.HasSuffix(p.Name, "running_var") {
				p.Of(statistics)[i] *= (n - 1) / n
			}
		}
	}
	x := vector(images, 4, 3, 8, 8)
	want := session(t, rt, func() (*onnx.ModelProto, error) { return f.Forward(4) })(
		map[string]runtime.Tensor{"images": x, "params": vector(f.weights, int64(len(f.weights)))})["logits"].Data.([]float32)
	inference := session(t, rt, func() (*onnx.ModelProto, error) { return f.Inference(f.weights, statistics) })
	closeTo(t, "logits", inference(map[string]runtime.Tensor{"images": x})["logits"].Data.([]float32), want, 1e-4)
	for i := range 4 { // any batch size, and no image looks at another
		one := inference(map[string]runtime.Tensor{"images": vector(images[i*192:(i+1)*192], 1, 3, 8, 8)})
		closeTo(t, fmt.Sprintf("image %d alone", i), one["logits"].Data.([]float32), want[i*10:(i+1)*10], 1e-4)
	}
}

func TestInferenceRefusesVectorsOfAnotherNetwork(t *testing.T) {
	n := network()
	parameters, running := indexes(t, n)
	for _, c := range [][2]int{{parameters.Total() - 1, running.Total()}, {parameters.Total(), running.Total() + 1}, {0, 0}} {
		if _, err := n.Inference(make([]float32, c[0]), make([]float32, c[1])); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("was given %d and %d", c[0], c[1])) {
			t.Errorf("%d parameters and %d statistics: %v", c[0], c[1], err)
		}
	}
}

func TestNetworkFileReadsAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "network.json")
	if err := supernet.WriteNetwork(path, network()); err != nil {
		t.Fatal(err)
	}
	got, err := supernet.ReadNetwork(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(network(), got); diff != "" {
		t.Errorf("what is read differs (-written +read):\n%s", diff)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "space": "nasbench201",
  "architecture": "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|",
  "channels": 4,
  "cells": 1,
  "classes": 10,
  "image": [
    3,
    8,
    8
  ]
}
`
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Errorf("the file differs (-want +got):\n%s", diff)
	}
}

func TestReadNetworkRefusesNonsense(t *testing.T) {
	path := filepath.Join(t.TempDir(), "network.json")
	if err := supernet.WriteNetwork(path, network()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	good := string(data)
	for _, c := range []struct{ name, content, want string }{
		{"nothing", "", "EOF"},
		{"text", "hello", "invalid character"},
		{"a part of it", good[:len(good)/2], "unexpected EOF"},
		{"something after it", good + "{}", "something follows"},
		{"an unknown field", strings.Replace(good, `"cells"`, `"cell"`, 1), `unknown field "cell"`},
		{"a wrong type", strings.Replace(good, `"channels": 4`, `"channels": "four"`, 1), "channels"},
		{"an unknown space", strings.Replace(good, "nasbench201", "nasbench20l", 1), `did you mean "nasbench201"?`},
		{"an unknown operation", strings.Replace(good, "avg_pool_3x3", "avg_pool_5x5", 1), "avg_pool_5x5"},
		{"a skeleton that cannot be built", strings.Replace(good, `"channels": 4`, `"channels": 0`, 1), "0 channels"},
		{"images that cannot be halved", strings.Replace(good, "    8,", "    10,", 1), "divisible by 4"},
		{"too few sizes", strings.Replace(good, "    3,\n", "", 1), "at least one channel and 8x8 pixels"},
	} {
		if err := os.WriteFile(path, []byte(c.content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := supernet.ReadNetwork(path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v does not say %q and the path", c.name, err, c.want)
		}
	}
	n := network()
	n.Architecture = "|none~0|"
	if err := supernet.WriteNetwork(path, n); err == nil {
		t.Error("nonsense is written")
	}
}

func TestWeightsReadAsTheyWereWritten(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	path := filepath.Join(t.TempDir(), "weights.safetensors")
	parameters, running := indexes(t, network())
	p, r := parameters.Initialize(rng), normal(rng, running.Total())
	err := supernet.SaveWeights(path, map[string]string{"plateau.space": "nasbench201"}, supernet.Vector{Index: parameters, Data: p}, supernet.Vector{Index: running, Data: r})
	if err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Tensors) != parameters.Len()+running.Len() || f.Metadata["plateau.space"] != "nasbench201" {
		t.Errorf("%d tensors and metadata %v", len(f.Tensors), f.Metadata)
	}
	for _, one := range append(parameters.All(), running.All()...) {
		if tensor, ok := f.Tensor(one.Name); !ok || !cmp.Equal(tensor.Shape, one.Shape) {
			t.Errorf("%s has the shape %v in the file, %v in the index", one.Name, tensor.Shape, one.Shape)
		}
	}
	for _, c := range []struct {
		index *params.Index
		want  []float32
	}{{parameters, p}, {running, r}} {
		got, err := supernet.LoadWeights(path, c.index)
		if err != nil {
			t.Fatal(err)
		}
		if !cmp.Equal(c.want, got) {
			t.Error("other numbers are read than were written")
		}
	}
	other := network()
	other.Channels = 6
	wider, _ := indexes(t, other)
	if _, err := supernet.LoadWeights(path, wider); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "stem.weight") {
		t.Errorf("weights of another network: %v", err)
	}
	if _, err := supernet.LoadWeights(path+".none", parameters); err == nil {
		t.Error("a missing file is read")
	}
}

// Whatever the bytes are, reading them gives an error or a network that is written and read again as it is.
func FuzzReadNetwork(f *testing.F) {
	f.Add([]byte(`{"space":"nasbench201","architecture":"|none~0|+|none~0|none~1|+|none~0|none~1|none~2|","channels":1,"cells":1,"classes":2,"image":[1,8,8]}`))
	f.Add([]byte(`{"space":"nasbench201","architecture":"","channels":-1,"image":[1e9,8,8]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "network.json")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		n, err := supernet.ReadNetwork(path)
		if err != nil {
			return
		}
		if err := supernet.WriteNetwork(path, n); err != nil {
			t.Fatal(err)
		}
		if again, err := supernet.ReadNetwork(path); err != nil || again != n {
			t.Fatalf("%+v is read again as %+v: %v", n, again, err)
		}
	})
}
