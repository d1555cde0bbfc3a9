package rewrite

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/onnx"
)

// The builder's static shapes and the walk over the finished file are written independently of each other.
func TestShapesAgreeWithTheBuilder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := graph.New("random")
		small := rapid.IntRange(1, 4)
		x := g.Input("x", graph.Float32, []int{small.Draw(t, "n"), 2 * small.Draw(t, "c"), 3 + small.Draw(t, "h"), 3 + small.Draw(t, "w")}, "")
		all := []*graph.Value{x}
		for range rapid.IntRange(1, 6).Draw(t, "steps") {
			x = grow(t, g, x)
			all = append(all, x)
		}
		for i, v := range all {
			g.Output("y"+string(rune('a'+i)), v, "")
		}
		m, err := g.Model(graph.ModelOptions{})
		if err != nil {
			t.Fatal(err)
		}
		w, err := newWalk(m, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range m.GetGraph().GetNode() {
			if err := w.visit(n); err != nil {
				t.Fatal(err)
			}
		}
		for i, v := range all {
			want := make([]int64, v.Rank())
			for j, d := range v.Shape() {
				want[j] = int64(d)
			}
			// By the name of the output: a value that equals an earlier one, as after two transpositions, has no node in the file.
			if got := w.shapes["y"+string(rune('a'+i))]; !slices.Equal(got, want) {
				t.Fatalf("%s has the shape %v, the walk found %v", v.Name(), want, got)
			}
		}
	})
}

// grow applies one random operation that keeps the rank 4.
func grow(t *rapid.T, g *graph.Graph, x *graph.Value) *graph.Value {
	s := x.Shape()
	switch rapid.SampledFrom([]string{"conv", "group", "transpose_conv", "pool", "concat", "slice", "split", "pad", "transpose", "reshape", "reduce", "matmul", "expand", "gather"}).Draw(t, "op") {
	case "conv":
		stride := rapid.IntRange(1, 2).Draw(t, "stride")
		return graph.Conv(x, g.Fill(0, 4, s[1], 3, 3), nil, graph.Same(3, stride, 1, 1))
	case "group":
		c := graph.Same(3, 1, 1, 1)
		c.Groups = s[1]
		return graph.Conv(x, g.Fill(0, 2*s[1], 1, 3, 3), g.Fill(0, 2*s[1]), c)
	case "transpose_conv":
		c := graph.Same(3, 2, 1, 1)
		c.OutputPad = [2]int{1, 1}
		return graph.ConvTranspose(x, g.Fill(0, s[1], 2, 3, 3), c)
	case "pool":
		return graph.AveragePool(x, graph.SquarePool(3, rapid.IntRange(1, 2).Draw(t, "stride"), 1))
	case "concat":
		return graph.Concat(rapid.IntRange(0, 3).Draw(t, "axis"), x, graph.Relu(x))
	case "slice":
		axis := rapid.IntRange(0, 3).Draw(t, "axis")
		return graph.Slice(x, graph.Range{Axis: axis, Start: rapid.IntRange(0, s[axis]-1).Draw(t, "start"), Step: rapid.IntRange(1, 2).Draw(t, "step")})
	case "split":
		if s[1] < 2 {
			return x
		}
		return graph.Split(x, 1, 1, s[1]-1)[1]
	case "pad":
		return graph.Pad(x, []int{0, 0, 1, 2}, []int{0, 1, 0, 1}, 0)
	case "transpose":
		return graph.Transpose(x, 1, 0, 3, 2)
	case "reshape":
		return graph.Reshape(x, s[0], s[1], 1, -1)
	case "reduce":
		return graph.ReduceMean(x, true, 2, 3)
	case "matmul":
		return graph.MatMul(x, g.Fill(0, s[3], 3))
	case "expand":
		return graph.Expand(graph.ReduceSum(x, true, 3), s[0], s[1], s[2], 5)
	default:
		return graph.Gather(x, g.Ints(0, 0, s[1]-1), 1)
	}
}

// Exporters of other frameworks compute shapes inside the graph: here x [batch, 3, 4, 4] is flattened by what PyTorch
// writes for x.view(x.size(0), -1).
func TestShapesThroughComputedSizes(t *testing.T) {
	node := func(op, out string, in ...string) *onnx.NodeProto {
		return &onnx.NodeProto{OpType: op, Input: in, Output: []string{out}}
	}
	m := &onnx.ModelProto{OpsetImport: []*onnx.OperatorSetIdProto{{Version: 13}}, Graph: &onnx.GraphProto{
		Node: []*onnx.NodeProto{
			node("Shape", "shape", "x"), node("Gather", "n", "shape", "zero"), node("Unsqueeze", "n1", "n", "zeros"),
			{OpType: "Constant", Output: []string{"rest"}, Attribute: []*onnx.AttributeProto{onnx.TensorAttribute("value", onnx.NewInt64("", []int64{1}, []int64{-1}))}},
			{OpType: "Concat", Input: []string{"n1", "rest"}, Output: []string{"to"}, Attribute: []*onnx.AttributeProto{onnx.IntAttribute("axis", 0)}},
			node("Reshape", "flat", "x", "to"), node("MatMul", "y", "flat", "w"), node("Add", "z", "y", "b"),
		},
		Initializer: []*onnx.TensorProto{onnx.NewInt64("zero", nil, []int64{0}), onnx.NewInt64("zeros", []int64{1}, []int64{0}),
			onnx.NewFloat32("w", []int64{48, 10}, make([]float32, 480)), onnx.NewFloat32("b", []int64{10}, make([]float32, 10))},
		Input:  []*onnx.ValueInfoProto{onnx.NewValueInfo("x", onnx.TensorProto_FLOAT, []int64{-1, 3, 4, 4}, "")},
		Output: []*onnx.ValueInfoProto{onnx.NewValueInfo("z", onnx.TensorProto_FLOAT, []int64{-1, 10}, "")},
	}}
	for _, batch := range []int64{1, 7} {
		c, err := CostOf(m, map[string][]int64{"x": {batch, 3, 4, 4}})
		if err != nil {
			t.Fatal(err)
		}
		if want := (Cost{Parameters: 490, MultiplyAdds: 480}); c != want {
			t.Errorf("batch %d: %+v instead of %+v", batch, c, want)
		}
	}
}
