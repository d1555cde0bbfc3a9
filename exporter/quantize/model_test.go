package quantize_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/quantize"
	"github.com/plateau-nas/plateau/exporter/rewrite"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
)

func TestMain(m *testing.M) { runtimetest.Main(m) }

const batch, channels, side, classes = 6, 3, 12, 5

// network has what exported networks have: a normalization of pixels, convolutions with and without bias, with stride, dilated and
// depthwise, values with several readers, sums, all pools, a normalization that stands alone, slices, a concatenation, and a
// softmax. change, if any, is shown the weights by name.
func network(t testing.TB, change func(name string, weights []float32)) *onnx.ModelProto {
	t.Helper()
	r := rand.New(rand.NewPCG(5, 6))
	g := graph.New("network")
	parameter := func(name string, dims ...int) *graph.Value {
		n := 1
		for _, d := range dims {
			n *= d
		}
		data := make([]float32, n)
		for i := range data {
			data[i] = float32(r.NormFloat64() / math.Sqrt(float64(n/dims[0])))
		}
		if change != nil {
			change(name, data)
		}
		return g.Parameter(name, data, dims...)
	}
	conv := func(name string, x *graph.Value, out, kernel int, c graph.ConvConfig, bias bool) *graph.Value {
		w := parameter(name+".weight", out, x.Dim(1)/max(c.Groups, 1), kernel, kernel)
		if !bias {
			return graph.Conv(x, w, nil, c)
		}
		return graph.Conv(x, w, parameter(name+".bias", out), c)
	}
	x := g.Input("images", graph.Float32, []int{batch, channels, side, side}, "")
	y := graph.Div(graph.Sub(x, g.Floats([]float32{110, 120, 130}, 1, 3, 1, 1)), g.Floats([]float32{60, 62, 64}, 1, 3, 1, 1))
	y = graph.MaxPool(conv("stem", y, 8, 3, graph.Same(3, 1, 1, 1), false), graph.SquarePool(2, 2, 0))
	y = graph.Add(graph.Mul(y, parameter("norm.scale", 8, 1, 1)), parameter("norm.shift", 8, 1, 1))
	a := graph.Relu(y)                                                      // read by three
	b := graph.Relu(conv("plain", a, 8, 3, graph.Same(3, 1, 1, 1), true))   // belongs to the convolution
	c := graph.Add(conv("point", b, 8, 1, graph.ConvConfig{}, true), a)     // read by two
	d := conv("dilated", graph.Relu(c), 8, 3, graph.Same(3, 1, 2, 1), true) // of a Relu that stands alone
	e := conv("depthwise", a, 8, 3, graph.Same(3, 1, 1, 8), true)
	f := graph.Add(graph.Add(d, e), graph.AveragePool(c, graph.SquarePool(3, 1, 1)))
	f = graph.Relu(f)
	s := graph.Concat(1, conv("half", f, 4, 1, graph.ConvConfig{Stride: [2]int{2, 2}}, false), conv("other", graph.MaxPool(f, graph.SquarePool(3, 1, 1)), 4, 3, graph.Same(3, 2, 1, 1), true))
	y = graph.Flatten(graph.GlobalAveragePool(graph.Relu(s)), 1)
	logits := graph.Gemm(y, parameter("head.weight", classes, 8), parameter("head.bias", classes), graph.GemmConfig{TransB: true})
	g.Output("logits", logits, "")
	m, err := g.Model(graph.ModelOptions{DynamicBatch: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := rewrite.AddSoftmax(m, "logits", "probabilities", ""); err != nil {
		t.Fatal(err)
	}
	return m
}

func clone(m *onnx.ModelProto) *onnx.ModelProto { return proto.Clone(m).(*onnx.ModelProto) }

func pictures(seed uint64) runtime.Tensor {
	r := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, batch*channels*side*side)
	for i := range x {
		x[i] = float32(r.IntN(256))
	}
	return runtime.Tensor{Shape: []int64{batch, channels, side, side}, Data: x}
}

func run(t testing.TB, m *onnx.ModelProto, x runtime.Tensor, o runtime.SessionOptions) map[string]runtime.Tensor {
	t.Helper()
	data, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := runtimetest.Open(t).NewSession(data, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // only reads
	y, err := s.Run(t.Context(), map[string]runtime.Tensor{"images": x})
	if err != nil {
		t.Fatal(err)
	}
	return y
}

// int8Of writes a copy of a model in int8, by the ranges of a run on some pictures.
func int8Of(t testing.TB, m *onnx.ModelProto) *onnx.ModelProto {
	t.Helper()
	m = clone(m)
	if _, err := rewrite.ScaleByConv(m); err != nil {
		t.Fatal(err)
	}
	observed, names, err := quantize.Observe(m)
	if err != nil {
		t.Fatal(err)
	}
	y, ranges := run(t, observed, pictures(1), runtime.SessionOptions{}), map[string]quantize.Range{}
	for _, name := range names {
		var o quantize.Observer
		o.Ends(y[name].Data.([]float32))
		if ranges[name], err = o.Full(); err != nil {
			t.Fatal(err)
		}
	}
	if err := quantize.Int8(m, ranges); err != nil {
		t.Fatal(err)
	}
	return m
}

// off is how far the logits of two models are apart, as a share of what they are.
func off(t testing.TB, a, b *onnx.ModelProto, o runtime.SessionOptions) float64 {
	t.Helper()
	x := pictures(2) // others than those that the ranges are from
	y, z := run(t, a, x, runtime.SessionOptions{}), run(t, b, x, o)
	var lost, all float64
	for i, v := range y["logits"].Data.([]float32) {
		w := z["logits"].Data.([]float32)[i]
		lost, all = lost+float64(v-w)*float64(v-w), all+float64(v)*float64(v)
	}
	var sum float64
	for _, p := range z["probabilities"].Data.([]float32) {
		sum += float64(p)
	}
	if math.Abs(sum-batch) > 1e-3 {
		t.Errorf("the probabilities of %d pictures sum to %v", batch, sum)
	}
	return math.Sqrt(lost / all)
}

func count(m *onnx.ModelProto) map[string]int {
	out := map[string]int{}
	for _, n := range m.GetGraph().GetNode() {
		out[n.GetOpType()]++
	}
	return out
}

func TestInt8ComputesNearlyTheSame(t *testing.T) {
	float := network(t, nil)
	m := int8Of(t, float)
	for _, optimization := range []string{"off", "extended", "all"} {
		d := off(t, float, m, runtime.SessionOptions{Optimization: optimization})
		t.Logf("optimization %s: the logits are off by %.2f%%", optimization, 100*d)
		if d > 0.06 {
			t.Errorf("optimization %s: the logits are off by %.2f%%", optimization, 100*d)
		}
	}
	// What it costs is what the network costs in which convolutions have taken the place of a scale that stood alone.
	scaled := clone(float)
	if _, err := rewrite.ScaleByConv(scaled); err != nil {
		t.Fatal(err)
	}
	want, err := rewrite.CostOf(scaled, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := rewrite.CostOf(m, nil); err != nil || got != want {
		t.Errorf("it costs %+v (%v) instead of %+v", got, err, want)
	}
	for _, side := range [][2][]*onnx.ValueInfoProto{{float.Graph.Input, m.Graph.Input}, {float.Graph.Output, m.Graph.Output}} {
		for i := range side[0] {
			if !proto.Equal(side[0][i], side[1][i]) {
				t.Errorf("%v became %v", side[0][i], side[1][i])
			}
		}
	}
}

// ONNX Runtime recognizes every operator: what it runs are operators on whole numbers.
func TestInt8IsFused(t *testing.T) {
	m := int8Of(t, network(t, nil))
	path := filepath.Join(t.TempDir(), "optimized.onnx")
	run(t, m, pictures(1), runtime.SessionOptions{Optimized: path, Optimization: "all"})
	optimized, err := onnx.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	got := count(optimized)
	want := map[string]int{"QLinearConv": 8, "QGemm": 1, "QLinearAdd": 3, "QLinearConcat": 1, "QLinearAveragePool": 1, "QLinearGlobalAveragePool": 1}
	for op, n := range want {
		if got[op] != n {
			t.Errorf("%d %s instead of %d", got[op], op, n)
		}
	}
	// Besides the pixels', one pair is left, around the Relu that stands alone, and MaxPool works on whole numbers as it is.
	for op, most := range map[string]int{"Conv": 0, "FusedConv": 0, "Gemm": 0, "Add": 0, "Relu": 0, "AveragePool": 0, "Concat": 0, "DequantizeLinear": 1, "QuantizeLinear": 2} {
		if got[op] > most {
			t.Errorf("%d %s, at most %d were expected", got[op], op, most)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

func TestInt8InIllCases(t *testing.T) {
	for name, c := range map[string]struct {
		change func(name string, w []float32)
		most   float64
	}{
		"a channel of zeros": {func(name string, w []float32) {
			if name == "plain.weight" {
				clear(w[:len(w)/8])
			}
		}, 0.06},
		"a channel of zeros with a large bias": {func(name string, w []float32) {
			switch name {
			case "plain.weight":
				clear(w[:len(w)/8])
			case "plain.bias":
				w[0] = 2
			}
		}, 0.08},
		"all but zero, with a bias": {func(name string, w []float32) {
			if name == "plain.weight" {
				for i := range w[:len(w)/8] {
					w[i] = 1e-30
				}
			}
		}, 0.06},
		"a value that is constant": {func(name string, w []float32) {
			if name == "plain.weight" {
				clear(w)
			}
		}, 0.06},
		"a value of nothing but zero": {func(name string, w []float32) {
			if name == "plain.weight" || name == "plain.bias" {
				clear(w)
			}
		}, 0.06},
	} {
		t.Run(name, func(t *testing.T) {
			float := network(t, c.change)
			if d := off(t, float, int8Of(t, float), runtime.SessionOptions{}); !(d <= c.most) {
				t.Errorf("the logits are off by %.2f%%", 100*d)
			}
		})
	}
}

// What a convolution gives may leave the model, be read by others, or both; and the input of a model may be what a convolution reads.
func TestInt8AtTheEnds(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	g := graph.New("ends")
	x := g.Input("images", graph.Float32, []int{batch, channels, side, side}, "")
	weights := func(name string, dims ...int) *graph.Value {
		n := 1
		for _, d := range dims {
			n *= d
		}
		data := make([]float32, n)
		for i := range data {
			data[i] = float32(r.NormFloat64()) / 5
		}
		return g.Parameter(name, data, dims...)
	}
	y := graph.Conv(x, weights("a", 4, 3, 3, 3), weights("a.bias", 4), graph.Same(3, 1, 1, 1))
	z := graph.Conv(graph.Relu(y), weights("b", 4, 4, 1, 1), nil, graph.ConvConfig{})
	g.Output("both", y, "")
	g.Output("end", z, "")
	g.Output("logits", graph.MatMul(graph.Flatten(graph.GlobalAveragePool(y), 1), weights("head", 4, classes)), "")
	float, err := g.Model(graph.ModelOptions{DynamicBatch: true})
	if err != nil {
		t.Fatal(err)
	}
	m := int8Of(t, float)
	path := filepath.Join(t.TempDir(), "optimized.onnx")
	want, got := run(t, float, pictures(2), runtime.SessionOptions{}), run(t, m, pictures(2), runtime.SessionOptions{Optimized: path, Optimization: "all"})
	for name, w := range want {
		a, b := w.Data.([]float32), got[name].Data.([]float32)
		most := float32(0)
		for _, v := range a {
			most = max(most, v, -v)
		}
		for i := range a {
			if d := a[i] - b[i]; d > most/20 || d < -most/20 {
				t.Fatalf("%s: number %d is %v instead of %v, the greatest is %v", name, i, b[i], a[i], most)
			}
		}
	}
	optimized, err := onnx.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if c := count(optimized); c["Conv"] != 0 || c["QLinearConv"] != 2 || c["MatMul"] != 0 {
		t.Errorf("%v", c)
	}
}

func TestWeightsAreSymmetricByChannel(t *testing.T) {
	m := int8Of(t, network(t, nil))
	held := map[string]*onnx.TensorProto{}
	for _, i := range m.Graph.Initializer {
		held[i.Name] = i
	}
	seen := 0
	for _, n := range m.Graph.Node {
		w := held[append(n.Input, "")[0]]
		if n.OpType != "DequantizeLinear" || w.GetDataType() != int32(onnx.TensorProto_INT8) {
			continue
		}
		seen++
		scales, zeros := held[n.Input[1]], held[n.Input[2]]
		if !slices.Equal(scales.Dims, w.Dims[:1]) || len(bytes.Trim(zeros.RawData, "\x00")) > 0 {
			t.Errorf("%s of %v has scales of %v and zeros %v", w.Name, w.Dims, scales.Dims, zeros.RawData)
		}
		each := len(w.RawData) / int(w.Dims[0])
		for c := range int(w.Dims[0]) {
			most := 0
			for _, b := range w.RawData[c*each : (c+1)*each] {
				most = max(most, int(int8(b)), -int(int8(b)))
			}
			if most != quantize.WeightLimit {
				t.Errorf("%s: the greatest weight of channel %d is %d", w.Name, c, most)
			}
		}
	}
	if seen != 9 {
		t.Errorf("%d weights", seen)
	}
}

func TestSameBytes(t *testing.T) {
	m := network(t, nil)
	for name, write := range map[string]func() *onnx.ModelProto{
		"int8": func() *onnx.ModelProto { return int8Of(t, m) },
		"float16": func() *onnx.ModelProto {
			m := clone(m)
			if _, err := quantize.Float16(m); err != nil {
				t.Fatal(err)
			}
			return m
		},
	} {
		first, err := onnx.Encode(write())
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if again, _ := onnx.Encode(write()); !bytes.Equal(first, again) {
				t.Fatalf("%s: other bytes", name)
			}
		}
	}
}

func TestFloat16(t *testing.T) {
	float := network(t, nil)
	m := clone(float)
	h, err := quantize.Float16(m)
	if err != nil || h.Clipped != 0 || h.Numbers == 0 {
		t.Fatalf("%+v, %v", h, err)
	}
	if d := off(t, float, m, runtime.SessionOptions{}); d > 0.003 {
		t.Errorf("the logits are off by %.3f%%", 100*d)
	}
	var sizes [2]int
	for i, m := range []*onnx.ModelProto{float, m} {
		for _, w := range m.Graph.Initializer {
			sizes[i] += len(w.RawData)
		}
	}
	if sizes[1]*3 > sizes[0]*2 {
		t.Errorf("%d bytes of constants became %d", sizes[0], sizes[1])
	}
	for i, o := range float.Graph.Output {
		if !proto.Equal(o, m.Graph.Output[i]) {
			t.Errorf("%v became %v", o, m.Graph.Output[i])
		}
	}
	if got := count(m)["Cast"]; got != 2 {
		t.Errorf("%d casts instead of one where numbers come in and one where they leave", got)
	}
}

func TestFloat16ClipsAndLoses(t *testing.T) {
	m := network(t, func(name string, w []float32) {
		if name == "plain.bias" {
			w[0], w[1], w[2], w[3] = 1e6, -1e9, 1e-9, 3e-7
		}
	})
	h, err := quantize.Float16(m)
	if err != nil || h.Clipped != 2 || h.Lost != 1 {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestWhatCannotBeWritten(t *testing.T) {
	g := graph.New("nothing")
	x := g.Input("images", graph.Float32, []int{2, 3, 4, 4}, "")
	g.Output("logits", graph.Flatten(graph.GlobalAveragePool(graph.Relu(x)), 1), "")
	nothing, err := g.Model(graph.ModelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := quantize.Int8(clone(nothing), nil); !errors.Is(err, quantize.ErrNothing) {
		t.Errorf("int8: %v", err)
	}
	if _, err := quantize.Float16(clone(nothing)); !errors.Is(err, quantize.ErrNothing) {
		t.Errorf("float16: %v", err)
	}
	if _, _, err := quantize.Observe(nothing); !errors.Is(err, quantize.ErrNothing) {
		t.Errorf("observe: %v", err)
	}
	// A product that whole numbers have no operator for.
	g = graph.New("scaled")
	x = g.Input("images", graph.Float32, []int{2, 3}, "")
	g.Output("logits", graph.Gemm(x, g.Fill(1, 3, 4), g.Fill(2, 4), graph.GemmConfig{}), "")
	scaled, err := g.Model(graph.ModelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	scaled.Graph.Node[0].Attribute = append(scaled.Graph.Node[0].Attribute, onnx.FloatAttribute("alpha", 0.5))
	if _, _, err := quantize.Observe(scaled); !errors.Is(err, quantize.ErrNothing) {
		t.Errorf("observe a product that is scaled: %v", err)
	}
	m := network(t, nil)
	if err := quantize.Int8(clone(m), nil); err == nil || !strings.Contains(err.Error(), "range") {
		t.Errorf("without ranges: %v", err)
	}
	bad := network(t, func(name string, w []float32) {
		if name == "plain.weight" {
			w[5] = float32(math.NaN())
		}
	})
	if _, err := quantize.Float16(bad); err == nil || !strings.Contains(err.Error(), "NaN") {
		t.Errorf("float16 of NaN: %v", err)
	}
	old := clone(m)
	old.OpsetImport[0].Version = 11
	if err := quantize.Int8(old, nil); err == nil || !strings.Contains(err.Error(), "operator set 11") {
		t.Errorf("old operators: %v", err)
	}
}
