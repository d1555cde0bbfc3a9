package verify

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/pipeline/publicdata"
)

// classifier has what exported networks have: an open batch, convolutions, pools, an operand read twice, an omitted
// optional input, several outputs of one node, integer and scalar initializers, text attributes.
func classifier(t testing.TB) *onnx.ModelProto {
	t.Helper()
	g := graph.New("classifier")
	x := g.Input("images", graph.Float32, []int{1, 3, 8, 8}, "")
	seq := func(n int) []float32 {
		out := make([]float32, n)
		for i := range out {
			out[i] = float32(i%7) / 3
		}
		return out
	}
	y := graph.Conv(x, g.Parameter("stem.weight", seq(4*27), 4, 3, 3, 3), nil, graph.Same(3, 1, 1, 1))
	y = graph.BatchNorm(y, g.Parameter("s", seq(4), 4), g.Parameter("b", seq(4), 4), g.Parameter("m", seq(4), 4), g.Parameter("v", seq(4), 4), 1e-5)
	parts := graph.Split(graph.Mul(y, y), 1, 1, 3)
	y = graph.Concat(1, parts[1], parts[0])
	y = graph.AveragePool(graph.Pad(y, []int{0, 0, 1, 1}, []int{0, 0, 1, 1}, 0), graph.SquarePool(2, 2, 0))
	y = graph.Mul(graph.Flatten(graph.GlobalAveragePool(y), 1), g.Scalar(0.5))
	g.Output("logits", graph.Gemm(y, g.Parameter("head.weight", seq(20), 5, 4), g.Parameter("head.bias", seq(5), 5), graph.GemmConfig{TransB: true}), "")
	m, err := g.Model(graph.ModelOptions{DynamicBatch: true, Metadata: map[string]string{"k": "v"}})
	if err != nil {
		t.Fatal(err)
	}
	// Clip with its lower bound omitted, and an operator without inputs.
	last := m.Graph.Node[len(m.Graph.Node)-1]
	last.Output[0] = "head"
	m.Graph.Initializer = append(m.Graph.Initializer, onnx.NewFloat32("limit", nil, []float32{100}))
	m.Graph.Node = append(m.Graph.Node,
		&onnx.NodeProto{Name: "one", OpType: "Constant", Output: []string{"one"}, Attribute: []*onnx.AttributeProto{onnx.TensorAttribute("value", onnx.NewFloat32("", []int64{1, 5}, seq(5)))}},
		&onnx.NodeProto{Name: "clip", OpType: "Clip", Input: []string{"head", "", "limit"}, Output: []string{"clip"}},
		&onnx.NodeProto{Name: "sum", OpType: "Add", Input: []string{"clip", "one"}, Output: []string{"logits"}})
	return m
}

func encode(t testing.TB, m *onnx.ModelProto) []byte {
	t.Helper()
	data, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestBothDecodersAgreeOnOurModels(t *testing.T) {
	m := classifier(t)
	r, err := Decoded(encode(t, m))
	if err != nil {
		t.Fatal(err)
	}
	if r.Nodes != len(m.Graph.Node) || r.Initializers != len(m.Graph.Initializer) || r.Edges == 0 || r.Attributes == 0 || r.Elements < 4*27 {
		t.Errorf("compared only %v", r)
	}
}

func TestBothDecodersAgreeOnAForeignModel(t *testing.T) {
	r, err := DecodedFile(publicdata.Path(t, "onnx", "mnist-8", "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	// Counted with the reference implementation.
	want := Reading{Nodes: 12, Edges: 20, Attributes: 18, Initializers: 8, Elements: 5998}
	if r != want {
		t.Errorf("read %+v instead of %+v", r, want)
	}
}

func TestExternalDataIsComparedToo(t *testing.T) {
	m := classifier(t)
	m.Graph.Initializer = append(m.Graph.Initializer, onnx.NewFloat32("large", []int64{1000}, make([]float32, 1000)))
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := onnx.Save(path, m, onnx.SaveOptions{ExternalThreshold: 1}); err != nil {
		t.Fatal(err)
	}
	r, err := DecodedFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if r.Initializers != len(m.Graph.Initializer) {
		t.Errorf("compared %v of %d initializers", r, len(m.Graph.Initializer))
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var unsupported *UnsupportedError
	if _, err := Decoded(data); !errors.As(err, &unsupported) {
		t.Errorf("bytes that refer to another file give %v", err)
	}
}

// What the other decoder reads of the model is compared with a version in which one thing has been changed.
func TestEveryDifferenceIsFound(t *testing.T) {
	model := classifier(t)
	theirs, err := decode(encode(t, model))
	if err != nil {
		t.Fatal(err)
	}
	find := func(g *onnx.GraphProto, op string) *onnx.NodeProto {
		for _, n := range g.GetNode() {
			if n.GetOpType() == op {
				return n
			}
		}
		t.Fatalf("no %s", op)
		return nil
	}
	for name, c := range map[string]struct {
		change func(g *onnx.GraphProto)
		want   string
	}{
		"nothing":               {func(*onnx.GraphProto) {}, ""},
		"operator":              {func(g *onnx.GraphProto) { find(g, "Concat").OpType = "Sum" }, "(Sum)"},
		"order of the operands": {func(g *onnx.GraphProto) { in := find(g, "Concat").Input; in[0], in[1] = in[1], in[0] }, "(Concat), inputs"},
		"omitted operand":       {func(g *onnx.GraphProto) { find(g, "Clip").Input[1] = "limit" }, "(Clip), inputs"},
		"operand read once":     {func(g *onnx.GraphProto) { n := find(g, "Mul"); n.Input = n.Input[:1] }, "(Mul), inputs"},
		"result":                {func(g *onnx.GraphProto) { find(g, "Split").Output[1] = "elsewhere" }, "(Split), outputs"},
		"missing node":          {func(g *onnx.GraphProto) { g.Node = g.Node[:len(g.Node)-1] }, "number of nodes"},
		"float attribute": {func(g *onnx.GraphProto) {
			find(g, "BatchNormalization").Attribute[0].F = proto.Float32(1e-3)
		}, "(BatchNormalization), attribute epsilon"},
		"integer attribute": {func(g *onnx.GraphProto) { find(g, "Flatten").Attribute[0].I = proto.Int64(2) }, "(Flatten), attribute axis"},
		"list attribute": {func(g *onnx.GraphProto) {
			for _, a := range find(g, "AveragePool").Attribute {
				if a.GetName() == "strides" {
					a.Ints[1] = 7
				}
			}
		}, "(AveragePool), attribute strides"},
		"text attribute":    {func(g *onnx.GraphProto) { find(g, "Pad").Attribute[0].S = []byte("edge") }, "(Pad), attribute mode"},
		"tensor attribute":  {func(g *onnx.GraphProto) { find(g, "Constant").Attribute[0].T.RawData[3] ^= 1 }, "(Constant), attribute value, element 0"},
		"missing attribute": {func(g *onnx.GraphProto) { find(g, "Pad").Attribute = nil }, "(Pad), attribute mode"},
		"added attribute": {func(g *onnx.GraphProto) {
			n := find(g, "Mul")
			n.Attribute = append(n.Attribute, onnx.IntAttribute("axis", 1))
		}, "(Mul), attribute axis"},
		"one bit of a weight": {func(g *onnx.GraphProto) { g.Initializer[0].RawData[9] ^= 1 }, `initializer "stem.weight", element 2`},
		"shape of a weight":   {func(g *onnx.GraphProto) { g.Initializer[0].Dims = []int64{4, 27} }, `initializer "stem.weight"`},
		"missing initializer": {func(g *onnx.GraphProto) { g.Initializer = g.Initializer[1:] }, `initializer "stem.weight"`},
		"added initializer": {func(g *onnx.GraphProto) {
			g.Initializer = append(g.Initializer, onnx.NewInt64("more", []int64{1}, []int64{1}))
		}, `initializer "more"`},
		"name of an output": {func(g *onnx.GraphProto) { g.Output[0].Name = "scores" }, "outputs"},
		"size of an input": {func(g *onnx.GraphProto) {
			g.Input[0] = onnx.NewValueInfo("images", onnx.TensorProto_FLOAT, []int64{-1, 3, 8, 9}, "")
		}, `input "images"`},
	} {
		t.Run(name, func(t *testing.T) {
			changed := proto.Clone(model).(*onnx.ModelProto).GetGraph()
			c.change(changed)
			cmp := comparison{ours: changed, theirs: theirs}
			cmp.boundaries()
			cmp.nodes()
			cmp.initializers()
			text := ""
			if len(cmp.differences) > 0 {
				text = (&MismatchError{cmp.differences}).Error()
			}
			if (text == "") != (c.want == "") || !strings.Contains(text, c.want) {
				t.Errorf("found %q, which does not say %q", text, c.want)
			}
		})
	}
}

func TestWhatCannotBeComparedIsSaid(t *testing.T) {
	branch := &onnx.GraphProto{Name: "branch"}
	for name, c := range map[string]struct {
		change func(g *onnx.GraphProto)
		want   string
	}{
		"subgraph": {func(g *onnx.GraphProto) {
			g.Node[0].Attribute = append(g.Node[0].Attribute, onnx.GraphAttribute("then_branch", branch))
		}, "node 0 (Conv), attribute then_branch is a subgraph"},
		"bool": {func(g *onnx.GraphProto) {
			g.Initializer = append(g.Initializer, &onnx.TensorProto{Name: "flags", Dims: []int64{2}, DataType: int32(onnx.TensorProto_BOOL), RawData: []byte{0, 1}})
		}, `initializer "flags" holds BOOL`},
		"nothing in it": {func(g *onnx.GraphProto) {
			g.Initializer = append(g.Initializer, onnx.NewInt64("empty", []int64{0}, nil))
		}, `initializer "empty" has no elements`},
		"no type": {func(g *onnx.GraphProto) { g.Node[0].Attribute[0].Type = onnx.AttributeProto_UNDEFINED }, "has the type UNDEFINED"},
		"huge": {func(g *onnx.GraphProto) {
			g.Input[0] = onnx.NewValueInfo("images", onnx.TensorProto_FLOAT, []int64{1 << 40, 1 << 40}, "")
			g.ValueInfo = append(g.ValueInfo, g.Input[0])
		}, "declare more than"},
	} {
		t.Run(name, func(t *testing.T) {
			m := classifier(t)
			c.change(m.Graph)
			_, err := Decoded(encode(t, m))
			var unsupported *UnsupportedError
			if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v does not say %q", err, c.want)
			}
		})
	}
}

// The independent decoder is known to panic on malformed files; no panic may come out of this package.
func FuzzDecoded(f *testing.F) {
	f.Add(encode(f, classifier(f)))
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = Decoded(data) })
}
