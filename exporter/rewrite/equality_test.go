package rewrite_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/rewrite"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
)

func TestMain(m *testing.M) { runtimetest.Main(m) }

// run returns the first output of a model. ONNX Runtime's own rewriting is off: it folds batch normalization too.
func run(t *testing.T, m *onnx.ModelProto, inputs map[string]runtime.Tensor) []float32 {
	t.Helper()
	data, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := runtimetest.Open(t).NewSession(data, runtime.SessionOptions{Optimization: "off"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := s.Run(context.Background(), inputs)
	if err != nil {
		t.Fatal(err)
	}
	y, ok := out[s.Outputs()[0].Name].Data.([]float32)
	if !ok {
		t.Fatalf("output is %T", out[s.Outputs()[0].Name].Data)
	}
	return y
}

// same fails the test unless the numbers agree within rounding.
func same(t *testing.T, want, got []float32) {
	t.Helper()
	if len(want) != len(got) || len(want) == 0 {
		t.Fatalf("%d numbers instead of %d", len(got), len(want))
	}
	for i := range want {
		if d := math.Abs(float64(want[i] - got[i])); !(d <= 2e-5*max(1, math.Abs(float64(want[i])))) {
			t.Fatalf("number %d is %g instead of %g", i, got[i], want[i])
		}
	}
}

func random(r *rand.Rand, n int, low, high float64) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(low + (high-low)*r.Float64())
	}
	return out
}

func clone(m *onnx.ModelProto) *onnx.ModelProto { return proto.Clone(m).(*onnx.ModelProto) }

func ops(m *onnx.ModelProto) map[string]int {
	out := map[string]int{}
	for _, n := range m.GetGraph().GetNode() {
		out[n.GetOpType()]++
	}
	return out
}

func normed(g *graph.Graph, r *rand.Rand, name string, x *graph.Value) *graph.Value {
	c := x.Dim(1)
	return graph.BatchNorm(x,
		g.Parameter(name+".weight", random(r, c, 0.5, 2), c), g.Parameter(name+".bias", random(r, c, -1, 1), c),
		g.Parameter(name+".mean", random(r, c, -1, 1), c), g.Parameter(name+".variance", random(r, c, 0.1, 3), c), 1e-3)
}

func TestFoldBatchNormIntoConvolutions(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	g := graph.New("convolutions")
	x := g.Input("x", graph.Float32, []int{2, 4, 6, 5}, "")
	w := g.Parameter("a.conv.weight", random(r, 8*4*9, -1, 1), 8, 4, 3, 3)
	y := normed(g, r, "a.norm", graph.Conv(x, w, nil, graph.Same(3, 1, 1, 1)))
	// Groups and a bias of its own.
	grouped := graph.Same(3, 1, 1, 1)
	grouped.Groups = 4
	y = graph.Relu(y)
	y = normed(g, r, "b.norm", graph.Conv(y, g.Parameter("b.conv.weight", random(r, 8*2*9, -1, 1), 8, 2, 3, 3), g.Parameter("b.conv.bias", random(r, 8, -1, 1), 8), grouped))
	// One weight in two convolutions, of which one is normalized.
	shared := g.Parameter("c.weight", random(r, 8*8, -1, 1), 8, 8, 1, 1)
	z := graph.Add(normed(g, r, "c.norm", graph.Conv(y, shared, nil, graph.Same(1, 1, 1, 1))), graph.Conv(graph.Relu(y), shared, nil, graph.Same(1, 1, 1, 1)))
	// A convolution that others read cannot be folded.
	d := graph.Conv(z, g.Parameter("d.weight", random(r, 8*8, -1, 1), 8, 8, 1, 1), nil, graph.Same(1, 1, 1, 1))
	z = graph.Add(normed(g, r, "d.norm", d), d)
	// Nor one in front of which there is no convolution.
	z = normed(g, r, "e.norm", graph.Relu(z))
	g.Output("y", z, "")
	before, err := g.Model(graph.ModelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	after := clone(before)
	folded, err := rewrite.FoldBatchNorm(after)
	if err != nil {
		t.Fatal(err)
	}
	if folded != 3 || ops(after)["BatchNormalization"] != 2 {
		t.Errorf("folded %d, left %v; the model had 5 of which 3 can be folded", folded, ops(after))
	}
	in := map[string]runtime.Tensor{"x": {Shape: []int64{2, 4, 6, 5}, Data: random(r, 2*4*6*5, -2, 2)}}
	want := run(t, before, in)
	same(t, want, run(t, after, in))
	rewrite.RemoveUnused(after)
	same(t, want, run(t, after, in))
	if first := after.GetGraph().GetNode()[0]; first.GetOutput()[0] != "Conv" {
		t.Errorf("the result of the first convolution is called %q now", first.GetOutput()[0])
	}

	names := map[string]bool{}
	for _, c := range after.GetGraph().GetInitializer() {
		names[c.GetName()] = true
	}
	for _, want := range []string{"a.conv.weight", "a.conv.bias", "b.conv.weight", "b.conv.bias", "c.weight", "c.weight_folded", "d.norm.mean"} {
		if !names[want] {
			t.Errorf("%q is missing among the initializers %v", want, names)
		}
	}
	for _, gone := range []string{"a.norm.weight", "a.norm.mean", "c.norm.bias"} {
		if names[gone] {
			t.Errorf("%q is still there", gone)
		}
	}
}

func TestLowerBatchNorm(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	g := graph.New("normalizations")
	x := g.Input("x", graph.Float32, []int{2, 4, 3, 5}, "")
	g.Output("y", normed(g, r, "b", graph.Relu(normed(g, r, "a", x))), "")
	images, err := g.Model(graph.ModelOptions{DynamicBatch: true})
	if err != nil {
		t.Fatal(err)
	}
	vectors := clone(images) // the same on rank 2
	vectors.Graph.Input[0] = onnx.NewValueInfo("x", onnx.TensorProto_FLOAT, []int64{-1, 4}, "")
	vectors.Graph.Output[0] = onnx.NewValueInfo("y", onnx.TensorProto_FLOAT, []int64{-1, 4}, "")
	for name, c := range map[string]struct {
		model *onnx.ModelProto
		shape []int64
	}{"images": {images, []int64{2, 4, 3, 5}}, "vectors": {vectors, []int64{30, 4}}} {
		t.Run(name, func(t *testing.T) {
			after := clone(c.model)
			n, err := rewrite.LowerBatchNorm(after)
			if err != nil {
				t.Fatal(err)
			}
			if got := ops(after); n != 2 || got["BatchNormalization"] != 0 || got["Mul"] != 2 || got["Add"] != 2 {
				t.Errorf("replaced %d, left %v", n, got)
			}
			in := map[string]runtime.Tensor{"x": {Shape: c.shape, Data: random(r, 120, -2, 2)}}
			same(t, run(t, c.model, in), run(t, after, in))
		})
	}
	unknown := clone(images)
	unknown.Graph.Input[0].Type.GetTensorType().Shape = nil
	if n, err := rewrite.LowerBatchNorm(unknown); n != 0 || err != nil {
		t.Errorf("replaced %d nodes of unknown rank (%v)", n, err)
	}
}

func TestFoldBatchNormIntoGemm(t *testing.T) {
	for name, layout := range map[string]struct {
		transposed bool
		bias       []int64 // shape; nil for none
		folds      bool
	}{
		"weight K x N":               {false, []int64{3}, true},
		"weight N x K":               {true, []int64{1, 3}, true},
		"no bias":                    {true, nil, true},
		"scalar bias":                {false, []int64{}, true},
		"a bias for every row":       {false, []int64{4, 3}, false},
		"a bias for every row alone": {false, []int64{4, 1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(3, 4))
			dims := []int64{5, 3}
			transB := int64(0)
			if layout.transposed {
				dims, transB = []int64{3, 5}, 1
			}
			gemm := &onnx.NodeProto{OpType: "Gemm", Input: []string{"x", "w"}, Output: []string{"h"}, Attribute: []*onnx.AttributeProto{
				onnx.FloatAttribute("alpha", 0.5), onnx.FloatAttribute("beta", 2), onnx.IntAttribute("transB", transB)}}
			init := []*onnx.TensorProto{onnx.NewFloat32("w", dims, random(r, 15, -1, 1))}
			if layout.bias != nil {
				n := 1
				for _, d := range layout.bias {
					n *= int(d)
				}
				gemm.Input = append(gemm.Input, "b")
				init = append(init, onnx.NewFloat32("b", layout.bias, random(r, n, -1, 1)))
			}
			norm := &onnx.NodeProto{OpType: "BatchNormalization", Input: []string{"h", "s", "o", "m", "v"}, Output: []string{"y"}}
			for _, name := range []string{"s", "o", "m", "v"} {
				init = append(init, onnx.NewFloat32(name, []int64{3}, random(r, 3, 0.5, 2)))
			}
			before := &onnx.ModelProto{IrVersion: 8, OpsetImport: []*onnx.OperatorSetIdProto{{Version: 17}}, Graph: &onnx.GraphProto{
				Name: "g", Node: []*onnx.NodeProto{gemm, norm}, Initializer: init,
				Input:  []*onnx.ValueInfoProto{onnx.NewValueInfo("x", onnx.TensorProto_FLOAT, []int64{4, 5}, "")},
				Output: []*onnx.ValueInfoProto{onnx.NewValueInfo("y", onnx.TensorProto_FLOAT, []int64{4, 3}, "")},
			}}
			after := clone(before)
			folded, err := rewrite.FoldBatchNorm(after)
			if err != nil {
				t.Fatal(err)
			}
			if (folded == 1) != layout.folds {
				t.Errorf("folded %d", folded)
			}
			in := map[string]runtime.Tensor{"x": {Shape: []int64{4, 5}, Data: random(r, 20, -1, 1)}}
			same(t, run(t, before, in), run(t, after, in))
		})
	}
}

func TestRemoveIdentityAndUnused(t *testing.T) {
	identity := func(from, to string) *onnx.NodeProto {
		return &onnx.NodeProto{OpType: "Identity", Input: []string{from}, Output: []string{to}}
	}
	value := func(name string) *onnx.ValueInfoProto {
		return onnx.NewValueInfo(name, onnx.TensorProto_FLOAT, []int64{3}, "")
	}
	inner := &onnx.GraphProto{Name: "then", Node: []*onnx.NodeProto{{OpType: "Neg", Input: []string{"b"}, Output: []string{"n"}}}, Output: []*onnx.ValueInfoProto{value("n")}}
	other := &onnx.GraphProto{Name: "else", Node: []*onnx.NodeProto{{OpType: "Abs", Input: []string{"b"}, Output: []string{"m"}}}, Output: []*onnx.ValueInfoProto{value("m")}}
	truth := &onnx.TensorProto{Name: "truth", DataType: int32(onnx.TensorProto_BOOL), RawData: []byte{1}}
	before := &onnx.ModelProto{IrVersion: 8, OpsetImport: []*onnx.OperatorSetIdProto{{Version: 17}}, Graph: &onnx.GraphProto{
		Name: "g",
		Node: []*onnx.NodeProto{
			{OpType: "Exp", Input: []string{"x"}, Output: []string{"a"}},
			identity("a", "b"), // read inside a branch only
			{OpType: "If", Input: []string{"truth"}, Output: []string{"c"}, Attribute: []*onnx.AttributeProto{onnx.GraphAttribute("then_branch", inner), onnx.GraphAttribute("else_branch", other)}},
			identity("c", "d"), identity("d", "e"),
			{OpType: "Add", Input: []string{"e", "k"}, Output: []string{"f"}},
			identity("f", "y"),        // gives an output its name
			identity("f", "z"),        // a second name for it: must stay
			identity("x", "straight"), // an input as an output: must stay
			{OpType: "Mul", Input: []string{"f", "dead"}, Output: []string{"unused"}},
		},
		Initializer: []*onnx.TensorProto{truth, onnx.NewFloat32("k", []int64{3}, []float32{1, 2, 3}), onnx.NewFloat32("dead", []int64{1}, []float32{1})},
		Input:       []*onnx.ValueInfoProto{value("x")},
		Output:      []*onnx.ValueInfoProto{value("y"), value("z"), value("straight")},
		ValueInfo:   []*onnx.ValueInfoProto{value("b"), value("f"), value("unused")},
	}}
	after := clone(before)
	if n := rewrite.RemoveIdentity(after); n != 4 {
		t.Errorf("removed %d identities instead of 4", n)
	}
	in := map[string]runtime.Tensor{"x": {Shape: []int64{3}, Data: []float32{-1, 0, 1}}}
	want := run(t, before, in)
	same(t, want, run(t, after, in))
	if n := rewrite.RemoveUnused(after); n != 2 {
		t.Errorf("removed %d unused nodes and initializers instead of 2", n)
	}
	same(t, want, run(t, after, in))
	if got := ops(after); got["Identity"] != 2 || got["Mul"] != 0 {
		t.Errorf("left %v", got)
	}
	if got := after.GetGraph().GetValueInfo(); len(got) != 0 {
		t.Errorf("left descriptions of values that are gone: %v", got)
	}
}

func TestNormalizeInputAndReplaceBySoftmax(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	g := graph.New("classifier")
	x := g.Input("images", graph.Float32, []int{2, 3, 4, 4}, "")
	y := graph.Conv(x, g.Parameter("w", random(r, 5*3*9, -1, 1), 5, 3, 3, 3), nil, graph.Same(3, 1, 1, 1))
	g.Output("logits", graph.Flatten(graph.GlobalAveragePool(graph.Add(y, graph.Conv(x, g.Parameter("v", random(r, 15, -1, 1), 5, 3, 1, 1), nil, graph.Same(1, 1, 1, 1)))), 1), "")
	before, err := g.Model(graph.ModelOptions{DynamicBatch: true})
	if err != nil {
		t.Fatal(err)
	}
	mean, std := []float32{120, 110, 100}, []float32{60, 62, 64}
	pixels := random(r, 2*3*16, 0, 255)
	normalized := make([]float32, len(pixels))
	for i, p := range pixels {
		c := i / 16 % 3
		normalized[i] = (p - mean[c]) / std[c]
	}
	after := clone(before)
	if err := rewrite.NormalizeInput(after, "images", mean, std); err != nil {
		t.Fatal(err)
	}
	if err := rewrite.ReplaceBySoftmax(after, "logits", "probabilities", ""); err != nil {
		t.Fatal(err)
	}
	both := clone(before)
	if err := rewrite.AddSoftmax(both, "logits", "probabilities", "shares"); err != nil {
		t.Fatal(err)
	}
	if out := both.Graph.Output; len(out) != 2 || out[0].GetName() != "logits" || out[1].GetName() != "probabilities" || out[1].GetDocString() != "shares" || out[0].GetDocString() == "shares" {
		t.Errorf("outputs %v", out)
	}
	shape := []int64{2, 3, 4, 4}
	logits := run(t, before, map[string]runtime.Tensor{"images": {Shape: shape, Data: normalized}})
	want := make([]float32, len(logits))
	for row := 0; row < len(logits); row += 5 {
		var sum float64
		for _, v := range logits[row : row+5] {
			sum += math.Exp(float64(v))
		}
		for i, v := range logits[row : row+5] {
			want[row+i] = float32(math.Exp(float64(v)) / sum)
		}
	}
	same(t, want, run(t, after, map[string]runtime.Tensor{"images": {Shape: shape, Data: pixels}}))
	same(t, logits, run(t, both, map[string]runtime.Tensor{"images": {Shape: shape, Data: normalized}}))
	both.Graph.Output = both.Graph.Output[1:]
	same(t, want, run(t, both, map[string]runtime.Tensor{"images": {Shape: shape, Data: normalized}}))

	for name, mistake := range map[string]error{
		"no such input":     rewrite.NormalizeInput(clone(before), "image", mean, std),
		"channels":          rewrite.NormalizeInput(clone(before), "images", mean[:1], std[:1]),
		"zero deviation":    rewrite.NormalizeInput(clone(before), "images", mean, []float32{1, 0, 1}),
		"no such output":    rewrite.ReplaceBySoftmax(clone(before), "scores", "probabilities", ""),
		"taken output name": rewrite.ReplaceBySoftmax(clone(before), "logits", "w", ""),
	} {
		if mistake == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestScaleByConv(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	g := graph.New("scales")
	x := g.Input("x", graph.Float32, []int{2, 4, 6, 5}, "")
	dim := func(name string, shape ...int) *graph.Value {
		return g.Parameter(name, random(r, 4, -2, 2), shape...)
	}
	both := graph.Add(graph.Mul(x, dim("scale", 4, 1, 1)), dim("shift", 1, 4, 1, 1))
	shared := graph.Mul(graph.Relu(both), dim("alone", 4, 1, 1)) // read twice
	sum := graph.Add(dim("later", 4, 1, 1), graph.MaxPool(shared, graph.SquarePool(2, 2, 0)))
	columns := graph.Mul(shared, g.Parameter("columns", random(r, 5, -2, 2), 5))                                     // not by channel
	logits := graph.Add(graph.Flatten(graph.GlobalAveragePool(sum), 1), g.Parameter("bias", random(r, 4, -1, 1), 4)) // no image
	g.Output("y", graph.Concat(1, graph.Flatten(sum, 1), graph.Flatten(columns, 1), logits), "")
	m, err := g.Model(graph.ModelOptions{DynamicBatch: true})
	if err != nil {
		t.Fatal(err)
	}
	before := clone(m)
	n, err := rewrite.ScaleByConv(m)
	if err != nil || n != 3 {
		t.Fatalf("%d convolutions, %v", n, err)
	}
	rewrite.RemoveUnused(m)
	if got := ops(m); got["Conv"] != 3 || got["Mul"] != 1 || got["Add"] != 1 {
		t.Errorf("%v", got)
	}
	in := map[string]runtime.Tensor{"x": {Shape: []int64{2, 4, 6, 5}, Data: random(r, 2*4*6*5, -3, 3)}}
	same(t, run(t, before, in), run(t, m, in))
}
