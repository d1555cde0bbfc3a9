package autodiff_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/exporter/autodiff"
	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/internal/graphtest"
	"github.com/plateau-nas/plateau/exporter/torchtest"
	"github.com/plateau-nas/plateau/runtime"
)

// operations returns the candidate operations of an edge, as a path through a supernet chooses among them.
func operations(x, w1, w3 *graph.Value) []func() []*graph.Value {
	norm := func(v *graph.Value) *graph.Value {
		g, c := v.Graph(), v.Dim(1)
		y, _, _ := graph.BatchNormTrain(v, g.Fill(1, c), g.Fill(0, c), g.Fill(0, c), g.Fill(1, c), graph.DefaultEpsilon, 0)
		return y
	}
	one := func(v *graph.Value) []*graph.Value { return []*graph.Value{v} }
	return []func() []*graph.Value{
		func() []*graph.Value { return one(graph.Expand(x.Graph().Scalar(0), x.Shape()...)) },
		func() []*graph.Value { return one(x) },
		func() []*graph.Value { return one(norm(graph.Conv(graph.Relu(x), w1, nil, graph.Same(1, 1, 1, 1)))) },
		func() []*graph.Value { return one(norm(graph.Conv(graph.Relu(x), w3, nil, graph.Same(3, 1, 1, 1)))) },
		func() []*graph.Value { return one(graph.AveragePool(x, graph.SquarePool(3, 1, 1))) },
	}
}

// chain builds two edges in a row and a loss with gradients. choose picks the operation of an edge.
func chain(t *testing.T, g *graph.Graph, choose func(edge int, ops []func() []*graph.Value) *graph.Value) {
	t.Helper()
	x := g.Input("x", graph.Float32, []int{2, 3, 4, 4}, "")
	w1 := g.Input("w1", graph.Float32, []int{3, 3, 1, 1}, "")
	w3 := g.Input("w3", graph.Float32, []int{3, 3, 3, 3}, "")
	v := graph.Tanh(x)
	for edge := range 2 {
		done := g.Scope(fmt.Sprintf("edge%d", edge))
		// The sum makes the values that branches capture depend on each other.
		v = graph.Add(choose(edge, operations(v, w1, w3)), graph.Mul(v, g.Scalar(0.25)))
		done()
	}
	weights := g.Input("dy", graph.Float32, v.Shape(), "")
	loss := graph.ReduceSum(graph.Mul(v, weights), true)
	grads, err := autodiff.Gradients([]*graph.Value{loss}, nil, []*graph.Value{x, w1, w3})
	if err != nil {
		t.Fatal(err)
	}
	g.Output("loss", loss, "")
	for i, name := range []string{"dx", "dw1", "dw3"} {
		g.Output(name, grads[i], "")
	}
}

func chainInputs() map[string]runtime.Tensor {
	return map[string]runtime.Tensor{
		"x":  graphtest.Float32(torchtest.Noise(1, 96), 2, 3, 4, 4),
		"w1": graphtest.Float32(torchtest.Noise(2, 9), 3, 3, 1, 1),
		"w3": graphtest.Float32(torchtest.Noise(3, 81), 3, 3, 3, 3),
		"dy": graphtest.Float32(torchtest.Noise(4, 96), 2, 3, 4, 4),
	}
}

func TestGradientsOfSwitchAreThoseOfTheChosenBranch(t *testing.T) {
	g := graph.New("switch")
	choices := g.Input("choices", graph.Int64, []int{2}, "")
	chain(t, g, func(edge int, ops []func() []*graph.Value) *graph.Value {
		choice := graph.Slice(choices, graph.Range{Axis: 0, Start: edge, End: edge + 1})
		return graph.Switch(choice, ops...)[0]
	})
	run := graphtest.Compile(t, g)
	for first := range 5 {
		for second := range 5 {
			plain := graph.New("plain")
			chain(t, plain, func(edge int, ops []func() []*graph.Value) *graph.Value {
				return ops[[]int{first, second}[edge]]()[0]
			})
			inputs := chainInputs()
			want := graphtest.Run(t, plain, inputs)
			inputs["choices"] = graphtest.Int64([]int64{int64(first), int64(second)}, 2)
			got := run(inputs)
			for name := range want {
				what := fmt.Sprintf("operations %d and %d: %s", first, second, name)
				graphtest.Close(t, what, graphtest.Floats(t, got[name]), graphtest.Floats(t, want[name]), 1e-5)
			}
		}
	}
}

// A branch that is not taken must cost nothing in the backward direction either.
func TestSwitchKeepsItsWorkInsideBranches(t *testing.T) {
	g := graph.New("switch")
	choices := g.Input("choices", graph.Int64, []int{2}, "")
	chain(t, g, func(edge int, ops []func() []*graph.Value) *graph.Value {
		choice := graph.Slice(choices, graph.Range{Axis: 0, Start: edge, End: edge + 1})
		return graph.Switch(choice, ops...)[0]
	})
	outside := []string{"If", "Slice", "Less", "Tanh", "Mul", "Sub", "Add", "ReduceSum", "Reshape", "Expand", "Identity"}
	for _, n := range g.Nodes() {
		if !slices.Contains(outside, n.Op) {
			t.Errorf("%s at scope %q runs whatever branch is chosen", n.Op, n.Scope)
		}
	}
}

func TestGradientsOfGradientsOfSwitch(t *testing.T) {
	g := graph.New("g")
	x, choice := vector(g, "x", 1), g.Input("choice", graph.Int64, []int{1}, "")
	y := graph.Switch(choice,
		func() []*graph.Value { return []*graph.Value{graph.Exp(graph.Mul(x, x))} },
		func() []*graph.Value { return []*graph.Value{graph.Tanh(x)} },
		func() []*graph.Value { return []*graph.Value{x} })
	first, err := autodiff.Gradients(y, nil, []*graph.Value{x})
	if err != nil {
		t.Fatal(err)
	}
	second, err := autodiff.Gradients(first, nil, []*graph.Value{x})
	if err != nil {
		t.Fatal(err)
	}
	g.Output("first", first[0], "")
	g.Output("second", second[0], "")
	run := graphtest.Compile(t, g)
	e, h := math.Exp(0.25), math.Tanh(0.5)
	for choice, want := range map[int64][2]float64{
		0: {e, 3 * e}, // 2x e^(x^2) and (2 + 4x^2) e^(x^2) at 1/2
		1: {1 - h*h, -2 * h * (1 - h*h)},
		2: {1, 0},
	} {
		out := run(map[string]runtime.Tensor{"x": graphtest.Float32([]float32{0.5}, 1), "choice": graphtest.Int64([]int64{choice}, 1)})
		graphtest.Close(t, fmt.Sprintf("branch %d: first", choice), graphtest.Floats(t, out["first"]), []float32{float32(want[0])}, 1e-5)
		graphtest.Close(t, fmt.Sprintf("branch %d: second", choice), graphtest.Floats(t, out["second"]), []float32{float32(want[1])}, 1e-5)
	}
}

func TestMistakesInBranchesNameTheirScope(t *testing.T) {
	g := graph.New("g")
	x := vector(g, "x", 3)
	y := graph.Switch(g.Ints(0),
		func() []*graph.Value {
			defer g.Scope("cell2/edge0")()
			return []*graph.Value{foreign(x)}
		},
		func() []*graph.Value { return []*graph.Value{x} })
	_, err := autodiff.Gradients([]*graph.Value{graph.ReduceSum(y[0], true)}, nil, []*graph.Value{x})
	if err == nil || !strings.Contains(err.Error(), `Mish (scope "cell2/edge0") has no rule`) {
		t.Errorf("error = %v", err)
	}
}
