package autodiff_test

import (
	"fmt"
	"maps"
	"math"
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

func vector(g *graph.Graph, name string, n int) *graph.Value {
	return g.Input(name, graph.Float32, []int{n}, "")
}

// smooth are operations on images [N, C, H, W] without corners, so that finite differences hold. Each takes a
// value and others of the same shape.
var smooth = map[string]func(t *rapid.T, x, other, w *graph.Value) *graph.Value{
	"add":       func(t *rapid.T, x, other, w *graph.Value) *graph.Value { return graph.Add(x, other) },
	"sum":       func(t *rapid.T, x, other, w *graph.Value) *graph.Value { return graph.Sum(x, other, x) },
	"mul":       func(t *rapid.T, x, other, w *graph.Value) *graph.Value { return graph.Mul(x, graph.Tanh(other)) },
	"tanh":      func(t *rapid.T, x, other, w *graph.Value) *graph.Value { return graph.Tanh(x) },
	"sigmoid":   func(t *rapid.T, x, other, w *graph.Value) *graph.Value { return graph.Sigmoid(x) },
	"gelu":      func(t *rapid.T, x, other, w *graph.Value) *graph.Value { return graph.Gelu(x) },
	"tanh gelu": func(t *rapid.T, x, other, w *graph.Value) *graph.Value { return graph.GeluTanh(x) },
	"swish":     func(t *rapid.T, x, other, w *graph.Value) *graph.Value { return graph.Swish(x) },
	"softmax": func(t *rapid.T, x, other, w *graph.Value) *graph.Value {
		return graph.Softmax(x, rapid.IntRange(0, 3).Draw(t, "axis"))
	},
	"log softmax": func(t *rapid.T, x, other, w *graph.Value) *graph.Value {
		return graph.LogSoftmax(x, rapid.IntRange(0, 3).Draw(t, "axis"))
	},
	"conv": func(t *rapid.T, x, other, w *graph.Value) *graph.Value {
		stride := rapid.IntRange(1, 2).Draw(t, "stride")
		return graph.Conv(x, w, nil, graph.Same(3, stride, rapid.IntRange(1, 2).Draw(t, "dilation"), 1))
	},
	"depthwise": func(t *rapid.T, x, other, w *graph.Value) *graph.Value {
		w = graph.Slice(w, graph.Range{Axis: 1, End: 1})
		return graph.Conv(x, w, nil, graph.Same(3, rapid.IntRange(1, 2).Draw(t, "stride"), 1, 2))
	},
	"average": func(t *rapid.T, x, other, w *graph.Value) *graph.Value {
		c := graph.SquarePool(3, rapid.IntRange(1, 2).Draw(t, "stride"), 1)
		c.CountPad = rapid.Bool().Draw(t, "count")
		return graph.AveragePool(x, c)
	},
	"norm": func(t *rapid.T, x, other, w *graph.Value) *graph.Value {
		scale := graph.Add(graph.Reshape(graph.Slice(w, graph.Range{Axis: 1, End: 1}, graph.Range{Axis: 2, End: 1}, graph.Range{Axis: 3, End: 1}), 2), x.Graph().Scalar(1))
		zero := x.Graph().Fill(0, 2)
		// Epsilon is large because differences of nearly equal values are hopeless in float32.
		y, _, _ := graph.BatchNormTrain(x, scale, zero, zero, scale, 0.1, 0)
		return y
	},
	"layer norm": func(t *rapid.T, x, other, w *graph.Value) *graph.Value {
		scale := graph.Slice(graph.Tanh(other), graph.Range{Axis: 0, End: 1})
		return graph.LayerNorm(x, graph.Reshape(scale, x.Shape()[1:]...), nil, 1, 0.1)
	},
	"drop path": func(t *rapid.T, x, other, w *graph.Value) *graph.Value {
		keep := x.Graph().Floats([]float32{1, float32(rapid.IntRange(0, 1).Draw(t, "keep"))}, 2)
		return graph.DropPath(x, keep, x.Graph().Scalar(0.25))
	},
	"gather": func(t *rapid.T, x, other, w *graph.Value) *graph.Value {
		index := x.Graph().Ints(rapid.SliceOfN(rapid.IntRange(-1, 1), 2, 2).Draw(t, "index")...)
		return graph.Gather(x, index, rapid.IntRange(0, 3).Draw(t, "axis"))
	},
	"scatter": func(t *rapid.T, x, other, w *graph.Value) *graph.Value {
		index := graph.Reshape(x.Graph().Ints(rapid.SampledFrom([][]int{{0, 1}, {1, 0}}).Draw(t, "index")...), 1, 2, 1, 1)
		picked := graph.GatherElements(other, index, 1)
		if rapid.Bool().Draw(t, "add") {
			return graph.ScatterAdd(x, index, picked, 1)
		}
		return graph.ScatterElements(x, index, picked, 1)
	},
	"resize": func(t *rapid.T, x, other, w *graph.Value) *graph.Value {
		larger := graph.ResizeNearest(x, rapid.IntRange(1, 2).Draw(t, "rows"), 2)
		return graph.AveragePool(graph.Mul(larger, larger), graph.SquarePool(2, 2, 0))
	},
	"power": func(t *rapid.T, x, other, w *graph.Value) *graph.Value {
		return graph.Pow(graph.Add(graph.Sigmoid(x), x.Graph().Scalar(0.5)), graph.Tanh(other))
	},
	"ratio": func(t *rapid.T, x, other, w *graph.Value) *graph.Value {
		positive := graph.Add(graph.Mul(other, other), x.Graph().Scalar(1))
		return graph.Div(graph.Log(positive), graph.Sqrt(positive))
	},
	"pool": func(t *rapid.T, x, other, w *graph.Value) *graph.Value {
		return graph.Add(x, graph.GlobalAveragePool(graph.Mul(x, x)))
	},
	"slice": func(t *rapid.T, x, other, w *graph.Value) *graph.Value {
		left := graph.Slice(x, graph.Range{Axis: 3, End: 1})
		return graph.Concat(3, x, left)
	},
	"pad": func(t *rapid.T, x, other, w *graph.Value) *graph.Value {
		return graph.Pad(x, []int{0, 0, 1, 0}, []int{0, 0, 0, 1}, 0.5)
	},
	"matmul": func(t *rapid.T, x, other, w *graph.Value) *graph.Value {
		return graph.MatMul(x, graph.Transpose(other, 0, 1, 3, 2))
	},
	"choice": func(t *rapid.T, x, other, w *graph.Value) *graph.Value {
		positive := graph.Greater(graph.ReduceSum(w, true), x.Graph().Scalar(float32(rapid.SampledFrom([]int{-99, 99}).Draw(t, "bound"))))
		return graph.If(graph.Reshape(positive, 1),
			func() []*graph.Value { return []*graph.Value{graph.Mul(x, graph.Tanh(other))} },
			func() []*graph.Value { return []*graph.Value{graph.Sub(graph.Exp(graph.Tanh(x)), other)} })[0]
	},
}

// TestGradientsAgreeWithFiniteDifferences takes the derivative of random graphs along a random direction.
func TestGradientsAgreeWithFiniteDifferences(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := graph.New("random")
		x, w, loss := randomGraph(rt, g, 6)
		checkSlope(t, rt, g, x, w, loss)
	})
}

// TestGradientsOfGradientsAgreeWithFiniteDifferences does so with the gradient, in place of the graph itself.
func TestGradientsOfGradientsAgreeWithFiniteDifferences(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := graph.New("random")
		x, w, loss := randomGraph(rt, g, 2)
		grads, err := autodiff.Gradients([]*graph.Value{loss}, nil, []*graph.Value{x, w})
		if err != nil {
			rt.Fatal(err)
		}
		checkSlope(t, rt, g, x, w, graph.Add(weightedSum(grads[0]), weightedSum(grads[1])))
	})
}

// randomGraph returns two inputs and a loss that is computed from them by up to the given number of operations.
func randomGraph(rt *rapid.T, g *graph.Graph, most int) (x, w, loss *graph.Value) {
	names := slices.Sorted(maps.Keys(smooth))
	x = g.Input("x", graph.Float32, []int{2, 2, 4, 4}, "")
	w = g.Input("w", graph.Float32, []int{2, 2, 3, 3}, "")
	values := []*graph.Value{x}
	for range rapid.IntRange(1, most).Draw(rt, "operations") {
		name := rapid.SampledFrom(names).Draw(rt, "operation")
		v := rapid.SampledFrom(values).Draw(rt, "input")
		var same []*graph.Value
		for _, o := range values {
			if slices.Equal(o.Shape(), v.Shape()) {
				same = append(same, o)
			}
		}
		values = append(values, smooth[name](rt, v, rapid.SampledFrom(same).Draw(rt, "other"), w))
	}
	return x, w, weightedSum(values[len(values)-1])
}

// weightedSum adds up the elements of v with random weights.
func weightedSum(v *graph.Value) *graph.Value {
	weights := v.Graph().Floats(torchtest.Noise(9, v.Size()), v.Shape()...)
	return graph.Reshape(graph.ReduceSum(graph.Mul(v, weights), false), 1)
}

// checkSlope compares the derivative of loss along a random direction of x and w with finite differences.
func checkSlope(t *testing.T, rt *rapid.T, g *graph.Graph, x, w, loss *graph.Value) {
	grads, err := autodiff.Gradients([]*graph.Value{loss}, nil, []*graph.Value{x, w})
	if err != nil {
		rt.Fatal(err)
	}
	g.Output("loss", loss, "")
	g.Output("dx", grads[0], "")
	g.Output("dw", grads[1], "")
	run := graphtest.Compile(t, g)
	const h = 1e-2
	at := func(step float32) (float64, map[string]runtime.Tensor) {
		xs, ws := torchtest.Noise(1, 64), torchtest.Noise(2, 36)
		for i, u := range torchtest.Noise(3, 64) {
			xs[i] += step * u
		}
		for i, u := range torchtest.Noise(4, 36) {
			ws[i] += step * u
		}
		out := run(map[string]runtime.Tensor{"x": graphtest.Float32(xs, 2, 2, 4, 4), "w": graphtest.Float32(ws, 2, 2, 3, 3)})
		return float64(graphtest.Floats(t, out["loss"])[0]), out
	}
	_, here := at(0)
	slope, size := 0.0, 0.0
	for i, u := range torchtest.Noise(3, 64) {
		slope += float64(u) * float64(graphtest.Floats(t, here["dx"])[i])
		size += math.Abs(float64(u) * float64(graphtest.Floats(t, here["dx"])[i]))
	}
	for i, u := range torchtest.Noise(4, 36) {
		slope += float64(u) * float64(graphtest.Floats(t, here["dw"])[i])
		size += math.Abs(float64(u) * float64(graphtest.Floats(t, here["dw"])[i]))
	}
	up, _ := at(h)
	down, _ := at(-h)
	up2, _ := at(2 * h)
	down2, _ := at(-2 * h)
	// The five-point formula, whose error falls with h^4.
	difference := (8*(up-down) - (up2 - down2)) / (12 * h)
	if d := math.Abs(slope - difference); !(d <= 0.01*size+1e-2) {
		rt.Fatalf("slope %v by gradients, %v by differences (terms %v)", slope, difference, size)
	}
}

func TestGradientIsTheTotalDerivative(t *testing.T) {
	g := graph.New("g")
	x := vector(g, "x", 1)
	y := graph.Mul(x, g.Scalar(3)) // 3x
	z := graph.Mul(x, y)           // 3x^2: dz/dy = x, dz/dx = 6x
	grads, err := autodiff.Gradients([]*graph.Value{z}, nil, []*graph.Value{x, y, vector(g, "other", 2), z})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range grads {
		g.Output(fmt.Sprintf("d%d", i), v, "")
	}
	out := graphtest.Run(t, g, map[string]runtime.Tensor{"x": graphtest.Float32([]float32{2}, 1), "other": graphtest.Float32([]float32{0, 0}, 2)})
	for name, want := range map[string][]float32{"d0": {12}, "d1": {2}, "d2": {0, 0}, "d3": {1}} {
		graphtest.Close(t, name, graphtest.Floats(t, out[name]), want, 1e-6)
	}
}

func TestGradientsOfGradients(t *testing.T) {
	g := graph.New("g")
	x := vector(g, "x", 1)
	first, err := autodiff.Gradients([]*graph.Value{graph.Exp(graph.Mul(x, x))}, nil, []*graph.Value{x})
	if err != nil {
		t.Fatal(err)
	}
	second, err := autodiff.Gradients(first, nil, []*graph.Value{x})
	if err != nil {
		t.Fatal(err)
	}
	g.Output("second", second[0], "")
	out := graphtest.Run(t, g, map[string]runtime.Tensor{"x": graphtest.Float32([]float32{0.5}, 1)})
	want := float32((2 + 4*0.25) * math.Exp(0.25)) // (2 + 4x^2) e^(x^2)
	graphtest.Close(t, "second derivative", graphtest.Floats(t, out["second"]), []float32{want}, 1e-5)
}

func TestOnlyWhatLiesBetweenIsWalked(t *testing.T) {
	g := graph.New("g")
	x, y := vector(g, "x", 3), vector(g, "y", 3)
	// ArgMax has no rule, but no gradient passes through its integers.
	picked := graph.Gather(x, graph.ArgMax(y, 0), 0)
	_, err := autodiff.Gradients([]*graph.Value{graph.Mul(picked, graph.ReduceSum(y, false))}, nil, []*graph.Value{x, y})
	if err != nil {
		t.Error(err)
	}
}

// foreign applies an operator that gradients do not know: every one that the graph package builds has a rule.
func foreign(x *graph.Value) *graph.Value {
	y := graph.Abs(x)
	y.Node().Op = "Mish"
	return y
}

func TestMistakesAreReported(t *testing.T) {
	for want, build := range map[string]func(g *graph.Graph) error{
		`Mish (scope "cell0/place") has no rule; these have: Abs, Add,`: func(g *graph.Graph) error {
			defer g.Scope("cell0/place")()
			x := vector(g, "x", 3)
			y := foreign(x)
			_, err := autodiff.Gradients([]*graph.Value{graph.ReduceSum(y, true)}, nil, []*graph.Value{x})
			return err
		},
		"without a seed it must have one element": func(g *graph.Graph) error {
			x := vector(g, "x", 3)
			_, err := autodiff.Gradients([]*graph.Value{graph.Neg(x)}, nil, []*graph.Value{x})
			return err
		},
		"the seed of output 0 is [2], the output [3]": func(g *graph.Graph) error {
			x := vector(g, "x", 3)
			_, err := autodiff.Gradients([]*graph.Value{graph.Neg(x)}, []*graph.Value{vector(g, "dy", 2)}, []*graph.Value{x})
			return err
		},
		"1 seeds for 2 outputs": func(g *graph.Graph) error {
			x := vector(g, "x", 3)
			_, err := autodiff.Gradients([]*graph.Value{x, x}, []*graph.Value{x}, []*graph.Value{x})
			return err
		},
		"gradients are of float32 values": func(g *graph.Graph) error {
			x := vector(g, "x", 3)
			_, err := autodiff.Gradients([]*graph.Value{graph.ArgMax(x, 0)}, nil, []*graph.Value{x})
			return err
		},
		"Conv: the kernel": func(g *graph.Graph) error {
			x := g.Input("x", graph.Float32, []int{1, 1, 2, 2}, "")
			w := g.Input("w", graph.Float32, []int{1, 1, 3, 3}, "")
			_, err := autodiff.Gradients([]*graph.Value{graph.Conv(x, w, nil, graph.ConvConfig{})}, nil, []*graph.Value{x})
			return err
		},
	} {
		if err := build(graph.New("g")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not contain %q", err, want)
		}
	}
}
