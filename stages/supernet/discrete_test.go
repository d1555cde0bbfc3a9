package supernet_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

func parsed(t testing.TB, text string) space.Architecture {
	t.Helper()
	a, err := space.NASBench201().Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func tinySupernet(t testing.TB) *supernet.Supernet {
	t.Helper()
	sn, err := supernet.New(space.NASBench201(), supernet.Macro{Channels: 2, Cells: 1, Classes: 10, Image: [3]int{3, 8, 8}})
	if err != nil {
		t.Fatal(err)
	}
	return sn
}

func TestLive(t *testing.T) {
	for _, c := range []struct{ name, architecture, want string }{
		{"everything counts",
			"|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|nor_conv_3x3~1|skip_connect~2|",
			"|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|nor_conv_3x3~1|skip_connect~2|"},
		{"node 1 leads nowhere",
			"|nor_conv_3x3~0|+|skip_connect~0|none~1|+|avg_pool_3x3~0|none~1|skip_connect~2|",
			"|none~0|+|skip_connect~0|none~1|+|avg_pool_3x3~0|none~1|skip_connect~2|"},
		{"node 1 leads to node 2, which leads nowhere",
			"|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|none~1|none~2|",
			"|none~0|+|none~0|none~1|+|avg_pool_3x3~0|none~1|none~2|"},
		{"node 1 is zero",
			"|none~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|nor_conv_3x3~1|skip_connect~2|",
			"|none~0|+|skip_connect~0|none~1|+|avg_pool_3x3~0|none~1|skip_connect~2|"},
		{"node 1 is zero, and so is node 2",
			"|none~0|+|none~0|nor_conv_1x1~1|+|avg_pool_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
			"|none~0|+|none~0|none~1|+|avg_pool_3x3~0|none~1|none~2|"},
		{"the cell is zero",
			"|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|none~2|",
			"|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"},
	} {
		if diff := cmp.Diff(c.want, space.NASBench201().Format(tinySupernet(t).Live(parsed(t, c.architecture)))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestLiveOnlyTakesAway(t *testing.T) {
	sn := tinySupernet(t)
	none := 0
	if sn.Space.Operations[none] != "none" {
		t.Fatal("the first operation is not none")
	}
	rapid.Check(t, func(t *rapid.T) {
		a := sn.Space.Random(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)))
		before := a.Clone()
		live := sn.Live(a)
		if diff := cmp.Diff(before, a); diff != "" {
			t.Fatalf("the argument has changed:\n%s", diff)
		}
		for e := range a {
			if live[e] != a[e] && live[e] != none {
				t.Fatalf("edge %d of %v has another operation in %v", e, a, live)
			}
		}
		if diff := cmp.Diff(live, sn.Live(live)); diff != "" {
			t.Fatalf("a second time takes more away:\n%s", diff)
		}
		if was, is := sn.Space.Class(a), sn.Space.Class(live); was != is {
			t.Fatalf("what is live of %v computes %s instead of %s", a, is, was)
		}
	})
}

// run loads a model and returns its only output.
func outputOf(t *testing.T, m *onnx.ModelProto, err error, inputs map[string]runtime.Tensor) []float32 {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	data, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := runtimetest.Open(t).NewSession(data, runtime.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := s.Run(context.Background(), inputs)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range out {
		return v.Data.([]float32)
	}
	return nil
}

// Constant weights, dead operations left out, a stem of its own: none of it changes what is computed.
func TestDiscreteEqualsThePathForm(t *testing.T) {
	sn, rng := tinySupernet(t), rand.New(rand.NewPCG(4, 2))
	weights, x := sn.Index.Initialize(rng), make([]float32, 4*3*8*8)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	images := runtime.Tensor{Shape: []int64{4, 3, 8, 8}, Data: x}
	stem, err := sn.Stem(4, weights)
	features := runtime.Tensor{Shape: []int64{4, 2, 8, 8}, Data: outputOf(t, stem, err, map[string]runtime.Tensor{supernet.Images: images})}
	architectures := []space.Architecture{
		{0, 0, 0, 0, 0, 0}, {3, 1, 2, 4, 3, 1},
		parsed(t, "|none~0|+|none~0|nor_conv_1x1~1|+|avg_pool_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"),
		parsed(t, "|nor_conv_3x3~0|+|nor_conv_1x1~0|nor_conv_1x1~1|+|none~0|none~1|none~2|"),
	}
	for range 6 {
		architectures = append(architectures, sn.Space.Random(rng))
	}
	for _, a := range architectures {
		choices := make([]int64, len(a))
		for e, op := range a {
			choices[e] = int64(op)
		}
		path, err := sn.Path(4)
		want := outputOf(t, path, err, map[string]runtime.Tensor{
			supernet.Images: images, supernet.Choices: {Shape: []int64{6}, Data: choices}, supernet.Params: {Shape: []int64{int64(len(weights))}, Data: weights},
		})
		whole, err := sn.Discrete(4, a, weights)
		body, err2 := sn.Body(4, a, weights)
		for what, got := range map[string][]float32{
			"whole":           outputOf(t, whole, err, map[string]runtime.Tensor{supernet.Images: images}),
			"behind the stem": outputOf(t, body, err2, map[string]runtime.Tensor{supernet.Features: features}),
		} {
			for i := range want {
				if d := got[i] - want[i]; !(d < 1e-5 && d > -1e-5) {
					t.Errorf("%s, %s: logit %d is %v, and %v in the path form", sn.Space.Format(a), what, i, got[i], want[i])
					break
				}
			}
		}
	}
}

// A discrete architecture costs what its operations cost: the graph holds those and no others.
func TestDiscreteHoldsOnlyWhatCounts(t *testing.T) {
	sn := tinySupernet(t)
	weights := make([]float32, sn.Index.Total())
	for _, c := range []struct {
		architecture string
		convolutions int // in a cell
		pools        int
	}{
		{"|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", 0, 0},
		{"|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|", 6, 0},
		{"|nor_conv_3x3~0|+|avg_pool_3x3~0|none~1|+|skip_connect~0|none~1|nor_conv_1x1~2|", 1, 1},
		{"|none~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|skip_connect~2|", 0, 0},
	} {
		m, err := sn.Discrete(2, parsed(t, c.architecture), weights)
		if err != nil {
			t.Fatal(err)
		}
		count := map[string]int{}
		for _, n := range m.GetGraph().GetNode() {
			count[n.GetOpType()]++
		}
		// Around the three cells stand the stem, two residual blocks of three convolutions and a pool each.
		if got := count["Conv"]; got != 7+3*c.convolutions {
			t.Errorf("%s has %d convolutions, want %d", c.architecture, got, 7+3*c.convolutions)
		}
		if got := count["AveragePool"]; got != 2+3*c.pools {
			t.Errorf("%s has %d pools, want %d", c.architecture, got, 2+3*c.pools)
		}
	}
}

// In the DARTS space the shared weights of an edge are a part of a parameter.
func TestDiscreteDARTSEqualsThePathForm(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 3))
	sn, err := supernet.NewDARTS(supernet.DARTSMacro{Channels: 2, Layers: 3, Classes: 10, Image: [3]int{3, 8, 8}})
	if err != nil {
		t.Fatal(err)
	}
	weights, x := sn.Index.Initialize(rng), make([]float32, 3*3*8*8)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	images := runtime.Tensor{Shape: []int64{3, 3, 8, 8}, Data: x}
	architectures := []space.Architecture{sn.Space.Random(rng), sn.Space.Random(rng), sn.Space.Random(rng)}
	for _, a := range architectures {
		choices := make([]int64, len(a))
		for e, op := range a {
			choices[e] = int64(op)
		}
		path, err := sn.Path(3)
		want := outputOf(t, path, err, map[string]runtime.Tensor{
			supernet.Images: images, supernet.Choices: {Shape: []int64{int64(len(a))}, Data: choices}, supernet.Params: {Shape: []int64{int64(len(weights))}, Data: weights},
		})
		m, err := sn.Discrete(3, a, weights)
		got := outputOf(t, m, err, map[string]runtime.Tensor{supernet.Images: images})
		for i := range want {
			if d := got[i] - want[i]; !(d < 2e-5 && d > -2e-5) {
				t.Errorf("%v: logit %d is %v, and %v in the path form", a, i, got[i], want[i])
				break
			}
		}
	}
	if _, err := sn.Stem(3, weights); err == nil || sn.HasStem() {
		t.Error("the supernet has a stem of its own")
	}
}

func TestDiscreteRefuses(t *testing.T) {
	sn := tinySupernet(t)
	if _, err := sn.Discrete(2, space.Architecture{0, 0, 0, 0, 0, 9}, make([]float32, sn.Index.Total())); err == nil {
		t.Error("an operation that the space does not have is no error")
	}
	if _, err := sn.Body(2, space.Architecture{0, 0, 0, 0, 0, 1}, make([]float32, 3)); err == nil {
		t.Error("three weights are no error")
	}
}
