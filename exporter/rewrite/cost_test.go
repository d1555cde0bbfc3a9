package rewrite

import (
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/pipeline/publicdata"
)

func TestCostOfLayers(t *testing.T) {
	for name, c := range map[string]struct {
		build func(g *graph.Graph, x *graph.Value) *graph.Value
		want  Cost
	}{
		"convolution with bias": {func(g *graph.Graph, x *graph.Value) *graph.Value {
			return graph.Conv(x, g.Parameter("w", make([]float32, 8*4*9), 8, 4, 3, 3), g.Parameter("b", make([]float32, 8), 8), graph.Same(3, 2, 1, 1))
		}, Cost{8*4*9 + 8, 8 * 4 * 9 * 3 * 3}},
		"depthwise convolution": {func(g *graph.Graph, x *graph.Value) *graph.Value {
			c := graph.Same(3, 1, 1, 1)
			c.Groups = 4
			return graph.Conv(x, g.Parameter("w", make([]float32, 4*9), 4, 1, 3, 3), nil, c)
		}, Cost{4 * 9, 4 * 9 * 36}},
		"transposed convolution": {func(g *graph.Graph, x *graph.Value) *graph.Value {
			return graph.ConvTranspose(x, g.Parameter("w", make([]float32, 4*2*4), 4, 2, 2, 2), graph.ConvConfig{Stride: [2]int{2, 2}})
		}, Cost{4 * 2 * 4, 36 * 4 * 2 * 4}},
		"normalization, of which the statistics do not count": {func(g *graph.Graph, x *graph.Value) *graph.Value {
			p := func(name string) *graph.Value { return g.Parameter(name, make([]float32, 4), 4) }
			return graph.BatchNorm(x, p("scale"), p("bias"), p("mean"), p("variance"), 1e-5)
		}, Cost{8, 0}},
		"linear layer": {func(g *graph.Graph, x *graph.Value) *graph.Value {
			return graph.Gemm(graph.Flatten(x, 1), g.Parameter("w", make([]float32, 144*10), 10, 144), g.Parameter("b", make([]float32, 10), 10), graph.GemmConfig{TransB: true})
		}, Cost{1450, 1440}},
		"arithmetic with constants": {func(g *graph.Graph, x *graph.Value) *graph.Value {
			return graph.Div(graph.Sub(x, g.Fill(1, 1, 4, 1, 1)), g.Fill(2, 1, 4, 1, 1))
		}, Cost{}},
		"a weight used twice counts once": {func(g *graph.Graph, x *graph.Value) *graph.Value {
			w := g.Parameter("w", make([]float32, 16), 4, 4, 1, 1)
			return graph.Conv(graph.Relu(graph.Conv(x, w, nil, graph.Same(1, 1, 1, 1))), w, nil, graph.Same(1, 1, 1, 1))
		}, Cost{16, 2 * 16 * 36}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, batch := range []int{1, 3} { // a fixed batch in the file does not change the cost of an image
				g := graph.New("g")
				g.Output("y", c.build(g, g.Input("x", graph.Float32, []int{batch, 4, 6, 6}, "")), "")
				m, err := g.Model(graph.ModelOptions{})
				if err != nil {
					t.Fatal(err)
				}
				got, err := CostOf(m, nil)
				if err != nil {
					t.Fatal(err)
				}
				if got != c.want {
					t.Errorf("batch %d: %+v instead of %+v", batch, got, c.want)
				}
			}
		})
	}
}

// mnist-8 of the ONNX model zoo: two convolutions and a linear layer, whose weight is reshaped and whose biases are
// additions of their own.
func TestCostOfAForeignModel(t *testing.T) {
	m, err := onnx.Load(publicdata.Path(t, "onnx", "mnist-8", "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := CostOf(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Cost{
		Parameters:   8*25 + 8 + 16*8*25 + 16 + 256*10 + 10,
		MultiplyAdds: 8*25*28*28 + 16*8*25*14*14 + 256*10,
	}
	if got != want {
		t.Errorf("%+v instead of %+v", got, want)
	}
}

func TestCostNamesWhatItDoesNotKnow(t *testing.T) {
	model := func(n *onnx.NodeProto, shape []int64) *onnx.ModelProto {
		return &onnx.ModelProto{OpsetImport: []*onnx.OperatorSetIdProto{{Version: 17}}, Graph: &onnx.GraphProto{
			Node:   []*onnx.NodeProto{n},
			Input:  []*onnx.ValueInfoProto{onnx.NewValueInfo("x", onnx.TensorProto_FLOAT, shape, "")},
			Output: []*onnx.ValueInfoProto{onnx.NewValueInfo("y", onnx.TensorProto_FLOAT, shape, "")},
		}}
	}
	for name, c := range map[string]struct {
		model *onnx.ModelProto
		want  string
	}{
		"operator":      {model(&onnx.NodeProto{OpType: "LSTM", Name: "encoder", Input: []string{"x"}, Output: []string{"y"}}, []int64{1, 3}), `LSTM node "encoder" on [[1 3]]: the operator LSTM`},
		"domain":        {model(&onnx.NodeProto{OpType: "FusedConv", Domain: "com.example", Input: []string{"x"}, Output: []string{"y"}}, []int64{1, 3}), `domain "com.example"`},
		"open size":     {model(&onnx.NodeProto{OpType: "Relu", Input: []string{"x"}, Output: []string{"y"}}, []int64{-1, 3, -1}), `input "x" declares no size for dimension 2`},
		"missing value": {model(&onnx.NodeProto{OpType: "Relu", Input: []string{"z"}, Output: []string{"y"}}, []int64{1}), `the value "z" that it reads does not exist`},
		"wrong shape":   {model(&onnx.NodeProto{OpType: "Transpose", Input: []string{"x"}, Output: []string{"y"}, Attribute: []*onnx.AttributeProto{onnx.IntsAttribute("perm", []int64{0, 1, 2})}}, []int64{1, 3}), `[0 1 2] does not permute the dimensions`},
		"too few":       {model(&onnx.NodeProto{OpType: "Conv", Input: []string{"x"}, Output: []string{"y"}}, []int64{1, 3, 4, 4}), `fewer than the 2 inputs`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := CostOf(c.model, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v does not say %q", err, c.want)
			}
		})
	}
}

// Models come from outside: whatever a file says, measuring and rewriting it ends with a result or an error.
func FuzzRewrite(f *testing.F) {
	g := graph.New("g")
	x := g.Input("x", graph.Float32, []int{1, 4, 6, 6}, "")
	p := func(name string) *graph.Value { return g.Parameter(name, []float32{1, 2, 3, 4}, 4) }
	y := graph.BatchNorm(graph.Conv(x, g.Parameter("w", make([]float32, 16), 4, 4, 1, 1), nil, graph.Same(1, 1, 1, 1)), p("s"), p("b"), p("m"), p("v"), 1e-5)
	y = graph.Reshape(graph.Slice(graph.Pad(y, []int{0, 0, 1, 1}, []int{0, 0, 1, 1}, 0), graph.Range{Axis: 2, Start: 1, Step: 2}), 1, -1)
	g.Output("y", graph.MatMul(y, g.Fill(1, y.Dim(1), 2)), "")
	seed, err := g.Encode(graph.ModelOptions{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := onnx.Decode(data)
		if err != nil {
			return
		}
		_, _ = CostOf(m, nil)
		_ = Simplify(m)
		_, _ = ScaleByConv(m)
		_ = NormalizeInput(m, "x", []float32{1, 1, 1, 1}, []float32{1, 1, 1, 1})
		_ = ReplaceBySoftmax(m, "y", "p", "")
	})
}
