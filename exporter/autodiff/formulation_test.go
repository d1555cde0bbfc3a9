package autodiff_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/exporter/autodiff"
	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/internal/graphtest"
	"github.com/plateau-nas/plateau/exporter/torchtest"
	"github.com/plateau-nas/plateau/runtime"
)

// TestFormulationsAgree takes the gradients of a convolution and its normalization, drawn at random, with each
// formulation alone and with none.
func TestFormulationsAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		number := func(name string, from, to int) int { return rapid.IntRange(from, to).Draw(rt, name) }
		g := graph.New("formulations")
		size, kernel, groups := number("size", 3, 9), number("kernel", 1, 3), number("groups", 1, 2)
		// More than one weight a filter, since normalization takes away the gradient along the weights themselves.
		in, out := groups*number("in", 2, 3), groups*number("out", 1, 3)
		x := g.Input("x", graph.Float32, []int{2, in, size, size + 1}, "")
		w := g.Input("w", graph.Float32, []int{out, in / groups, kernel, kernel}, "")
		scale := g.Input("scale", graph.Float32, []int{out}, "")
		dy := func(y *graph.Value) *graph.Value { return g.Input("dy", graph.Float32, y.Shape(), "") }
		stride := number("stride", 1, 2)
		as := graph.Same(kernel, stride, number("dilation", 1, 2), groups)
		y, _, variance := graph.BatchNormTrain(graph.Conv(x, w, nil, as), scale, g.Fill(0, out), g.Fill(0, out), g.Fill(0, out), graph.DefaultEpsilon, 0)
		seed := dy(y)

		// What the terms of each gradient come to without their signs. Normalization takes away most of a gradient by chance, and
		// what is left then carries the rounding of all that went into it.
		wrt := []*graph.Value{x, w, scale}
		sizes := []*graph.Value{graph.Abs(x), graph.Abs(w), graph.Abs(scale)}
		by := graph.Div(sizes[2], graph.Sqrt(graph.Add(variance, g.Fill(graph.DefaultEpsilon, out))))
		most := graph.Mul(graph.Conv(sizes[0], sizes[1], nil, as), graph.Reshape(by, out, 1, 1))
		bounds, err := autodiff.Gradients([]*graph.Value{most}, []*graph.Value{graph.Abs(seed)}, sizes)
		if err != nil {
			rt.Fatal(err)
		}
		for i, v := range bounds {
			g.Output("bound "+wrt[i].Name(), v, "")
		}

		cases := map[string][]string{"all": nil, "none": autodiff.Formulations()}
		for _, name := range autodiff.Formulations() {
			for _, other := range autodiff.Formulations() {
				if other != name {
					cases[name] = append(cases[name], other)
				}
			}
		}
		for name, without := range cases {
			grads, err := autodiff.Gradients([]*graph.Value{y}, []*graph.Value{seed}, wrt, autodiff.Without(without...))
			if err != nil {
				rt.Fatal(err)
			}
			for i, v := range grads {
				g.Output(name+" "+wrt[i].Name(), v, "")
			}
		}
		inputs := map[string]runtime.Tensor{}
		for i, v := range append(wrt, seed) {
			inputs[v.Name()] = graphtest.Float32(torchtest.Noise(number("noise", 0, 99)+i, v.Size()), v.Shape()...)
		}
		results := graphtest.Run(t, g, inputs)
		for name := range maps.Keys(results) {
			how, of, _ := strings.Cut(name, " ")
			if how != "bound" {
				most := slices.Max(graphtest.Floats(t, results["bound "+of]))
				graphtest.Within(t, name, graphtest.Floats(t, results[name]), graphtest.Floats(t, results["none "+of]), 1e-5*float64(most))
			}
		}
	})
}

func TestUnknownFormulationIsAnError(t *testing.T) {
	g := graph.New("unknown")
	x := vector(g, "x", 1)
	_, err := autodiff.Gradients([]*graph.Value{graph.Neg(x)}, nil, []*graph.Value{x}, autodiff.Without("magic"))
	if err == nil || !strings.Contains(err.Error(), `"magic"`) || !strings.Contains(err.Error(), autodiff.AxesApart) {
		t.Errorf("the error must name what is unknown and what there is: %v", err)
	}
}

// TestSingleRowsAgree takes the gradient of a stack of products by their common left factor, whose rows are few and long.
func TestSingleRowsAgree(t *testing.T) {
	g := graph.New("rows")
	for rows := range 7 {
		for _, length := range []int{1, 1024} {
			name := fmt.Sprintf("%d rows of %d", rows+1, length)
			a := g.Input(name+" a", graph.Float32, []int{rows + 1, 2}, "")
			b := g.Input(name+" b", graph.Float32, []int{4, 2, length}, "")
			y := graph.MatMul(a, b)
			seed := g.Input(name+" dy", graph.Float32, y.Shape(), "")
			for how, without := range map[string][]string{"plain": {autodiff.SingleRows}, "single": nil} {
				grads, err := autodiff.Gradients([]*graph.Value{y}, []*graph.Value{seed}, []*graph.Value{a, b}, autodiff.Without(without...))
				if err != nil {
					t.Fatal(err)
				}
				g.Output(name+" a "+how, grads[0], "")
				g.Output(name+" b "+how, grads[1], "")
			}
		}
	}
	inputs := map[string]runtime.Tensor{}
	for i, v := range g.Inputs() {
		inputs[v.Name()] = graphtest.Float32(torchtest.Noise(i, v.Size()), v.Shape()...)
	}
	results := graphtest.Run(t, g, inputs)
	for name, single := range results {
		if plain, ok := strings.CutSuffix(name, "single"); ok {
			graphtest.Close(t, name, graphtest.Floats(t, single), graphtest.Floats(t, results[plain+"plain"]), 1e-5)
		}
	}
}
