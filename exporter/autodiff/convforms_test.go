package autodiff_test

import (
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

// TestConvolutionsAsProductsAgree takes a convolution drawn at random, and its gradients, by the operator and as matrix products.
func TestConvolutionsAsProductsAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		number := func(name string, from, to int) int { return rapid.IntRange(from, to).Draw(rt, name) }
		batch, in, out := number("batch", 1, 3), number("in", 1, 5), number("out", 1, 5)
		height, width := number("height", 3, 10), number("width", 3, 10)
		c := graph.Same(2*number("half kernel", 0, 2)+1, number("stride", 1, 2), number("dilation", 1, 2), 1)
		kernel := []int{c.Pad[0]/c.Dilation[0]*2 + 1, c.Pad[0]/c.Dilation[0]*2 + 1}
		c.Pad[1] += number("more to the left", 0, 1)
		forms := map[string]func(x, w *graph.Value) *graph.Value{
			"products": func(x, w *graph.Value) *graph.Value { return graph.ConvByProducts(x, w, c) },
		}
		weights := []int{out, in, kernel[0], kernel[1]}
		switch rapid.SampledFrom([]string{"products", "winograd", "planes"}).Draw(rt, "form") {
		case "winograd":
			c, weights = graph.Same(3, 1, 1, 1), []int{out, in, 3, 3}
			forms["winograd"] = graph.ConvWinograd
		case "planes":
			c.Groups, weights = in, []int{in * out, 1, kernel[0], kernel[1]}
			forms = map[string]func(x, w *graph.Value) *graph.Value{
				"planes": func(x, w *graph.Value) *graph.Value { return graph.DepthwiseByPlanes(x, w, c) },
			}
		}
		forms["conv"] = func(x, w *graph.Value) *graph.Value { return graph.Conv(x, w, nil, c) }

		g := graph.New("forms")
		x := g.Input("x", graph.Float32, []int{batch, in, height, width}, "")
		w := g.Input("w", graph.Float32, weights, "")
		var dy *graph.Value
		for name, form := range forms {
			y := form(x, w)
			if dy == nil {
				dy = g.Input("dy", graph.Float32, y.Shape(), "")
			}
			grads, err := autodiff.Gradients([]*graph.Value{y}, []*graph.Value{dy}, []*graph.Value{x, w})
			if err != nil {
				rt.Fatal(err)
			}
			g.Output("y of "+name, y, "")
			g.Output("dx of "+name, grads[0], "")
			g.Output("dw of "+name, grads[1], "")
		}
		// What the terms of each sum come to without their signs: where they cancel out, their rounding is left.
		sizes := []*graph.Value{graph.Abs(x), graph.Abs(w)}
		most := graph.Conv(sizes[0], sizes[1], nil, c)
		bounds, err := autodiff.Gradients([]*graph.Value{most}, []*graph.Value{graph.Abs(dy)}, sizes)
		if err != nil {
			rt.Fatal(err)
		}
		g.Output("y of all", most, "")
		g.Output("dx of all", bounds[0], "")
		g.Output("dw of all", bounds[1], "")

		inputs := map[string]runtime.Tensor{}
		for i, v := range []*graph.Value{x, w, dy} {
			inputs[v.Name()] = graphtest.Float32(torchtest.Noise(number("noise", 0, 99)+i, v.Size()), v.Shape()...)
		}
		results := graphtest.Run(t, g, inputs)
		for name, got := range results {
			what, form, _ := strings.Cut(name, " of ")
			if form != "all" {
				most := slices.Max(graphtest.Floats(t, results[what+" of all"]))
				graphtest.Within(t, name, graphtest.Floats(t, got), graphtest.Floats(t, results[what+" of conv"]), 1e-5*float64(most))
			}
		}
	})
}

// TestGramAgrees takes the gradient of x x^T, which has one product where that of x y^T has two.
func TestGramAgrees(t *testing.T) {
	g := graph.New("gram")
	x := g.Input("x", graph.Float32, []int{3, 4, 5}, "")
	same := graph.Neg(graph.Neg(x)) // x by another name
	for name, y := range map[string]*graph.Value{
		"gram":  graph.MatMul(x, graph.Transpose(x, 0, 2, 1)),
		"plain": graph.MatMul(x, graph.Transpose(same, 0, 2, 1)),
	} {
		// Summed over the batch, the gradient is one matrix for all.
		sum := graph.ReduceSum(y, false, 0)
		seed := g.Floats(torchtest.Noise(1, 16), 4, 4)
		grads, err := autodiff.Gradients([]*graph.Value{sum}, []*graph.Value{seed}, []*graph.Value{x})
		if err != nil {
			t.Fatal(err)
		}
		g.Output(name, grads[0], "")
	}
	// Where the gradient by x^T is asked for too, it is half of that by x.
	turned := graph.Transpose(x, 0, 2, 1)
	grads, err := autodiff.Gradients([]*graph.Value{graph.ReduceSum(graph.MatMul(x, turned), false, 0)}, []*graph.Value{g.Fill(1, 4, 4)}, []*graph.Value{x, turned})
	if err != nil {
		t.Fatal(err)
	}
	g.Output("by x", grads[0], "")
	g.Output("by its transpose", graph.Transpose(graph.Mul(grads[1], g.Scalar(2)), 0, 2, 1), "")
	results := graphtest.Run(t, g, map[string]runtime.Tensor{"x": graphtest.Float32(torchtest.Noise(2, 60), 3, 4, 5)})
	graphtest.Close(t, "by its transpose", graphtest.Floats(t, results["by its transpose"]), graphtest.Floats(t, results["by x"]), 1e-5)
	graphtest.Close(t, "gram", graphtest.Floats(t, results["gram"]), graphtest.Floats(t, results["plain"]), 1e-5)
}
