package autodiff_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/plateau-nas/plateau/exporter/autodiff"
	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/internal/graphtest"
	"github.com/plateau-nas/plateau/exporter/safetensors"
	"github.com/plateau-nas/plateau/exporter/torchtest"
	"github.com/plateau-nas/plateau/runtime"
)

// Whatever counts as large, gradients that save memory are those that do not, for every operator.
func TestSavingMemoryDoesNotChangeGradients(t *testing.T) {
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
		inputs := map[string]runtime.Tensor{}
		var xs, wrt []*graph.Value
		for i, in := range c.Inputs {
			name := fmt.Sprintf("x%d", i)
			if in.Kind == "labels" {
				xs = append(xs, g.Input(name, graph.Int64, in.Shape, ""))
				inputs[name] = graphtest.Int64(make([]int64, product(in.Shape)), in.Shape...)
				continue
			}
			x := g.Input(name, graph.Float32, in.Shape, "")
			data := torchtest.Noise(100*k+i, product(in.Shape))
			for j, v := range data {
				data[j] = v/2 + 1 // every operator has these numbers in its domain
			}
			// A product with a small value and a ReLU lead to the operator, so that there is something to compute again.
			xs, wrt = append(xs, graph.Relu(graph.Mul(x, g.Fill(1.5, 1)))), append(wrt, x)
			inputs[name] = graphtest.Float32(data, in.Shape...)
		}
		ys := apply(c, xs)
		var seeds []*graph.Value
		for i, y := range ys {
			name := fmt.Sprintf("dy%d", i)
			seeds = append(seeds, g.Input(name, graph.Float32, y.Shape(), ""))
			inputs[name] = graphtest.Float32(torchtest.Noise(100*k+50+i, y.Size()), y.Shape()...)
		}
		variants := map[string][]autodiff.Option{"plain": nil}
		for _, large := range []int{1, 8, 40} {
			variants[fmt.Sprintf("order%d", large)] = []autodiff.Option{autodiff.InOrder(large)}
			variants[fmt.Sprintf("again%d", large)] = []autodiff.Option{autodiff.Recompute(large)}
		}
		for name, options := range variants {
			dxs, err := autodiff.Gradients(ys, seeds, wrt, options...)
			if err != nil {
				t.Fatal(err)
			}
			for i, dx := range dxs {
				g.Output(fmt.Sprintf("%s_%d", name, i), dx, "")
			}
		}
		out := graphtest.Run(t, g, inputs)
		for name := range variants {
			for i := range wrt {
				want := graphtest.Floats(t, out[fmt.Sprintf("plain_%d", i)])
				graphtest.Close(t, fmt.Sprintf("%03d_%s, %s", k, c.Op, name), graphtest.Floats(t, out[fmt.Sprintf("%s_%d", name, i)]), want, 1e-5)
			}
		}
	}
}

// normalizing is a chain of layers as networks have them, of values of 2*4*6*6 elements; w are weights.
func normalizing(g *graph.Graph) (loss *graph.Value, w []*graph.Value) {
	x := g.Input("x", graph.Float32, []int{2, 4, 6, 6}, "")
	for i := range 3 {
		done := g.Scope(fmt.Sprintf("layer%d", i))
		weight := g.Input(fmt.Sprintf("w%d", i), graph.Float32, []int{4, 4, 3, 3}, "")
		w = append(w, weight)
		x = graph.Conv(graph.Relu(x), weight, nil, graph.Same(3, 1, 1, 1))
		x, _, _ = graph.BatchNormTrain(x, g.Fill(2, 4), g.Fill(0.5, 4), g.Fill(0, 4), g.Fill(1, 4), 1e-5, 0)
		if i == 1 {
			x = graph.Slice(graph.Concat(1, x, graph.Mul(x, g.Scalar(3))), graph.Range{Axis: 1, Start: 2, End: 6})
		}
		done()
	}
	return graph.ReduceSum(graph.Mul(x, x), false), w
}

// No result of Relu or of normalization and no product is read by both directions: it need not be kept.
func TestCheapResultsAreNotKept(t *testing.T) {
	keeps := func(options ...autodiff.Option) map[string]int {
		g := graph.New("chain")
		loss, w := normalizing(g)
		forward := map[*graph.Node]bool{}
		for _, n := range g.Nodes() {
			forward[n] = true
		}
		dw, err := autodiff.Gradients([]*graph.Value{loss}, nil, w, options...)
		if err != nil {
			t.Fatal(err)
		}
		kept, seen := map[string]int{}, map[*graph.Value]bool{}
		stack := dw
		for len(stack) > 0 {
			v := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if v == nil || seen[v] || v.Node() == nil {
				continue
			}
			seen[v] = true
			if forward[v.Node()] {
				if v.Size() >= 288 {
					kept[v.Node().Op]++
				}
				continue
			}
			stack = append(stack, v.Node().Inputs...)
		}
		return kept
	}
	plain, again := keeps(), keeps(autodiff.Recompute(288))
	if plain["Relu"] != 3 || plain["Conv"] != 3 {
		t.Errorf("without recomputation these are kept: %v", plain)
	}
	// The slice is not cheap by the list; the ReLU after it is computed from it.
	if again["Relu"] != 0 || again["BatchNormalization"] != 0 || again["Mul"] != 0 || again["Conv"] != 3 || again["Slice"] != 1 {
		t.Errorf("with recomputation these are kept: %v", again)
	}
}

// A normalization that is computed again rounds differently, which must not hide which element was the largest.
func TestMaximaAreFoundInWhatWasCompared(t *testing.T) {
	for name, f := range map[string]func(x *graph.Value) *graph.Value{
		"MaxPool":   func(x *graph.Value) *graph.Value { return graph.MaxPool(x, graph.SquarePool(3, 2, 1)) },
		"ReduceMax": func(x *graph.Value) *graph.Value { return graph.ReduceMax(x, true, 2, 3) },
		"Clip":      func(x *graph.Value) *graph.Value { return graph.Clip(x, -0.5, 0.5) },
	} {
		g := graph.New("maxima")
		x := g.Input("x", graph.Float32, []int{4, 3, 9, 9}, "")
		y, _, _ := graph.BatchNormTrain(x, g.Floats([]float32{2, 0.3, 1.7}, 3), g.Floats([]float32{0.1, 0.2, 0.3}, 3), g.Fill(0, 3), g.Fill(1, 3), 1e-5, 0)
		y = f(y)
		loss := graph.ReduceSum(graph.Mul(y, y), false)
		for out, options := range map[string][]autodiff.Option{"plain": nil, "again": {autodiff.Recompute(64)}} {
			dx, err := autodiff.Gradients([]*graph.Value{loss}, nil, []*graph.Value{x}, options...)
			if err != nil {
				t.Fatal(err)
			}
			g.Output(out, dx[0], "")
		}
		out := graphtest.Run(t, g, map[string]runtime.Tensor{"x": graphtest.Float32(torchtest.Noise(3, 4*3*81), 4, 3, 9, 9)})
		graphtest.Close(t, name, graphtest.Floats(t, out["again"]), graphtest.Floats(t, out["plain"]), 1e-5)
	}
}
