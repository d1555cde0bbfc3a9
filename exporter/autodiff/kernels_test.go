package autodiff_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/exporter/autodiff"
	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/kernels"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/safetensors"
)

// onCUDA reports the nodes of a graph that have no kernel on CUDA in the form that it gets there.
func onCUDA(t *testing.T, what string, g *graph.Graph) {
	t.Helper()
	data, err := g.Encode(graph.ModelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if data, err = kernels.Adapt(kernels.CUDA, data); err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	missing, err := kernels.Check(m, kernels.CUDA)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range missing {
		t.Errorf("%s: %s", what, x)
	}
}

// Every operator has a kernel on CUDA, and so has everything that its gradient is made of, in all cases that are compared with
// PyTorch: each operator with a rule is among them.
func TestOperatorsAndTheirGradientsHaveKernelsOnCUDA(t *testing.T) {
	file, err := safetensors.Read("testdata/rules.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	var cases []torchCase
	if err := json.Unmarshal([]byte(file.Metadata["cases"]), &cases); err != nil {
		t.Fatal(err)
	}
	for k, c := range cases {
		g := graph.New("case")
		var xs, wrt []*graph.Value
		for i, in := range c.Inputs {
			dtype := graph.Float32
			if in.Kind == "labels" {
				dtype = graph.Int64
			}
			xs = append(xs, g.Input(fmt.Sprintf("x%d", i), dtype, in.Shape, ""))
			if dtype == graph.Float32 {
				wrt = append(wrt, xs[i])
			}
		}
		ys := apply(c, xs)
		var seeds []*graph.Value
		for i, y := range ys {
			seeds = append(seeds, g.Input(fmt.Sprintf("dy%d", i), graph.Float32, y.Shape(), ""))
			g.Output(fmt.Sprintf("y%d", i), y, "")
		}
		dxs, err := autodiff.Gradients(ys, seeds, wrt)
		if err != nil {
			t.Fatal(err)
		}
		for i, dx := range dxs {
			g.Output(fmt.Sprintf("dx%d", i), dx, "")
		}
		onCUDA(t, fmt.Sprintf("%03d_%s", k, c.Op), g)
	}
}

// The operators that gradients stop at, and branches.
func TestIndicesAndBranchesHaveKernelsOnCUDA(t *testing.T) {
	g := graph.New("rest")
	x, labels := g.Input("x", graph.Float32, []int{2, 3, 4, 4}, ""), g.Input("labels", graph.Int64, []int{2}, "")
	flat := graph.Flatten(x, 1)
	top, indices := graph.MaxPoolIndices(x, graph.SquarePool(2, 2, 0))
	g.Output("top", top, "")
	g.Output("indices", indices, "")
	g.Output("one_hot", graph.OneHot(labels, 3), "")
	g.Output("hit", graph.Cast(graph.Equal(graph.ArgMax(flat, 1), labels), graph.Float32), "")
	g.Output("less", graph.Less(x, g.Scalar(0)), "")
	g.Output("sign", graph.Sign(x), "")
	g.Output("clip", graph.Clip(x, -1, 1), "")
	g.Output("whole", graph.Cast(x, graph.Int32), "")
	y := graph.Switch(graph.Slice(labels, graph.Range{Axis: 0, End: 1}),
		func() []*graph.Value { return []*graph.Value{graph.Tanh(x)} },
		func() []*graph.Value { return []*graph.Value{graph.HardSwish(x)} },
		func() []*graph.Value { return []*graph.Value{graph.Gelu(x)} })
	dx, err := autodiff.Gradients([]*graph.Value{graph.ReduceSum(y[0], false)}, nil, []*graph.Value{x})
	if err != nil {
		t.Fatal(err)
	}
	g.Output("dx", dx[0], "")
	onCUDA(t, "rest", g)
	var text strings.Builder
	for _, n := range g.Nodes() {
		text.WriteString(n.Op + " ")
	}
	if !strings.Contains(text.String(), "If") {
		t.Error("there is no branch")
	}
}
