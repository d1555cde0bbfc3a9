package graph_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/internal/graphtest"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
)

func TestMain(m *testing.M) { runtimetest.Main(m) }

func image(g *graph.Graph, name string, shape ...int) *graph.Value {
	return g.Input(name, graph.Float32, shape, "")
}

// run gives every input zeros (or ones, for floats) and runs the graph.
func run(t testing.TB, g *graph.Graph) map[string]runtime.Tensor {
	t.Helper()
	inputs := map[string]runtime.Tensor{}
	for _, v := range g.Inputs() {
		switch v.DType() {
		case graph.Float32:
			data := make([]float32, v.Size())
			for i := range data {
				data[i] = 1
			}
			inputs[v.Name()] = graphtest.Float32(data, v.Shape()...)
		case graph.Int64:
			inputs[v.Name()] = graphtest.Int64(make([]int64, v.Size()), v.Shape()...)
		default:
			t.Fatalf("no data for %v", v)
		}
	}
	return graphtest.Run(t, g, inputs)
}

// checkShapes runs the graph and compares what the builder said of each output with what came out.
func checkShapes(t testing.TB, g *graph.Graph, outputs []*graph.Value) {
	t.Helper()
	for i, v := range outputs {
		if v.DType() == graph.Bool {
			v = graph.Cast(v, graph.Float32)
		}
		g.Output(fmt.Sprintf("out%d", i), v, "")
	}
	got := run(t, g)
	for i, v := range outputs {
		var shape []int
		for _, d := range got[fmt.Sprintf("out%d", i)].Shape {
			shape = append(shape, int(d))
		}
		if !slices.Equal(shape, v.Shape()) {
			t.Errorf("output %d (%s): the builder says %v, ONNX Runtime %v", i, v.Name(), v.Shape(), shape)
		}
	}
}

// TestShapesAreThoseOfONNXRuntime builds every operation of the package.
func TestShapesAreThoseOfONNXRuntime(t *testing.T) {
	one := func(v *graph.Value) []*graph.Value { return []*graph.Value{v} }
	two := func(a, b *graph.Value) []*graph.Value { return []*graph.Value{a, b} }
	type build func(g *graph.Graph, x *graph.Value) []*graph.Value
	unary := func(f func(*graph.Value) *graph.Value) build {
		return func(g *graph.Graph, x *graph.Value) []*graph.Value { return one(f(x)) }
	}
	binary := func(f func(a, b *graph.Value) *graph.Value) build {
		return func(g *graph.Graph, x *graph.Value) []*graph.Value {
			return two(f(x, image(g, "b", 3, 1, 1)), f(g.Scalar(2), x))
		}
	}
	reduce := func(f func(*graph.Value, bool, ...int) *graph.Value) build {
		return func(g *graph.Graph, x *graph.Value) []*graph.Value {
			return []*graph.Value{f(x, true), f(x, false), f(x, true, 2, -1), f(x, false, 1, 0)}
		}
	}
	channels := func(g *graph.Graph, x *graph.Value) []*graph.Value {
		return []*graph.Value{image(g, "s", 3), image(g, "c", 3), image(g, "m", 3), image(g, "v", 3)}
	}
	operations := map[string]build{
		"Add": binary(graph.Add), "Sub": binary(graph.Sub), "Mul": binary(graph.Mul), "Div": binary(graph.Div), "Pow": binary(graph.Pow),
		"Max": binary(graph.Max), "Min": binary(graph.Min), "Equal": binary(graph.Equal), "Greater": binary(graph.Greater), "Less": binary(graph.Less),
		"Neg": unary(graph.Neg), "Sqrt": unary(graph.Sqrt), "Exp": unary(graph.Exp), "Log": unary(graph.Log), "Abs": unary(graph.Abs), "Sign": unary(graph.Sign),
		"Reciprocal": unary(graph.Reciprocal), "Relu": unary(graph.Relu), "Sigmoid": unary(graph.Sigmoid), "Tanh": unary(graph.Tanh),
		"Erf": unary(graph.Erf), "Gelu": unary(graph.Gelu), "GeluTanh": unary(graph.GeluTanh), "Swish": unary(graph.Swish),
		"HardSigmoid": unary(graph.HardSigmoid), "HardSwish": unary(graph.HardSwish),
		"LayerNorm": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			s := image(g, "s", 4, 5)
			return two(graph.LayerNorm(x, s, s, 2, 1e-5), graph.LayerNorm(x, image(g, "last", 5), nil, -1, 1e-5))
		},
		"Dropout": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			return two(graph.Dropout(x, image(g, "m", 3, 1, 5), g.Scalar(0.5)), graph.DropPath(x, image(g, "n", 2), g.Scalar(0)))
		},
		"GatherElements": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			index := g.Input("i", graph.Int64, []int{1, 7, 4, 2}, "")
			return one(graph.GatherElements(x, index, 1))
		},
		"ScatterElements": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			index := g.Input("i", graph.Int64, []int{1, 3, 4, 2}, "")
			return one(graph.ScatterElements(x, index, image(g, "u", 1, 3, 4, 2), -1))
		},
		"ResizeNearest": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			return []*graph.Value{graph.ResizeNearest(x, 2, 2), graph.ResizeNearest(x, 1, 3), graph.ResizeNearest(x, 1, 1)}
		},
		"Clip": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			infinity := float32(math.Inf(1))
			return []*graph.Value{graph.Clip(x, 0, 6), graph.Clip(x, 0, infinity), graph.Clip(x, -infinity, 6), graph.Clip(x, -infinity, infinity)}
		},
		"ReduceSum": reduce(graph.ReduceSum), "ReduceMean": reduce(graph.ReduceMean), "ReduceMax": reduce(graph.ReduceMax), "ReduceSumSquare": reduce(graph.ReduceSumSquare),
		"GlobalAveragePool": unary(graph.GlobalAveragePool),
		"Sum": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			return []*graph.Value{graph.Sum(x), graph.Sum(x, x), graph.Sum(x, x, x)}
		},
		"Softmax": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			return two(graph.Softmax(x, 1), graph.Softmax(x, -1))
		},
		"LogSoftmax": func(g *graph.Graph, x *graph.Value) []*graph.Value { return one(graph.LogSoftmax(x, 0)) },
		"Cast":       func(g *graph.Graph, x *graph.Value) []*graph.Value { return one(graph.Cast(x, graph.Int64)) },
		"Where": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			return one(graph.Where(graph.Greater(image(g, "c", 4, 1), g.Scalar(0)), x, g.Scalar(1)))
		},
		"Reshape": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			return two(graph.Reshape(x, 6, -1), graph.Reshape(x, 120))
		},
		"Flatten": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			return two(graph.Flatten(x, 1), graph.Flatten(x, 0))
		},
		"Transpose": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			return two(graph.Transpose(x, 0, 2, 3, 1), graph.Transpose(x, 0, 1, 2, 3))
		},
		"Concat": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			return two(graph.Concat(1, x, image(g, "b", 2, 1, 4, 5)), graph.Concat(-1, x, x, x))
		},
		"Split": func(g *graph.Graph, x *graph.Value) []*graph.Value { return graph.Split(x, 3, 2, 3) },
		"Slice": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			return two(graph.Slice(x, graph.Range{Axis: 2, Start: 1}, graph.Range{Axis: -1, Start: 0, End: -1, Step: 2}), graph.Slice(x, graph.Range{Axis: 0}))
		},
		"Pad": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			return one(graph.Pad(x, []int{0, 1, 0, 2}, []int{0, 0, 3, 0}, 0.5))
		},
		"Expand": func(g *graph.Graph, x *graph.Value) []*graph.Value { return one(graph.Expand(x, 7, 2, 3, 4, 5)) },
		"OneHot": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			return one(graph.OneHot(g.Input("i", graph.Int64, []int{6}, ""), 10))
		},
		"ArgMax": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			return two(graph.ArgMax(x, 1), graph.ArgMax(x, -1))
		},
		"Gather": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			return two(graph.Gather(x, g.Ints(0, 2, 2, 1), 1), graph.Gather(x, g.Int(0), 2))
		},
		"ScatterAdd": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			index := g.Input("i", graph.Int64, []int{1, 3, 4, 6}, "")
			return one(graph.ScatterAdd(x, index, image(g, "u", 1, 3, 4, 6), 3))
		},
		"Gemm": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			a, b := image(g, "a", 3, 2), image(g, "b", 4, 3)
			return one(graph.Gemm(a, b, image(g, "c", 4), graph.GemmConfig{TransA: true, TransB: true}))
		},
		"MatMul": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			return two(graph.MatMul(x, image(g, "b", 5, 6)), graph.MatMul(image(g, "a", 7, 4), x))
		},
		"BatchNorm": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			c := channels(g, x)
			return one(graph.BatchNorm(x, c[0], c[1], c[2], c[3], 1e-5))
		},
		"BatchNormTrain": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			c := channels(g, x)
			y, mean, variance := graph.BatchNormTrain(x, c[0], c[1], c[2], c[3], 1e-5, 0.9)
			return []*graph.Value{y, mean, variance}
		},
		"MaxPoolIndices": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			return two(graph.MaxPoolIndices(x, graph.SquarePool(2, 2, 0)))
		},
		"If": func(g *graph.Graph, x *graph.Value) []*graph.Value {
			cond := graph.Greater(image(g, "c", 1), g.Scalar(0))
			return graph.If(cond, func() []*graph.Value { return two(x, x) }, func() []*graph.Value { return two(graph.Relu(x), graph.Neg(x)) })
		},
	}
	for name, f := range operations {
		t.Run(name, func(t *testing.T) {
			g := graph.New("g")
			checkShapes(t, g, f(g, image(g, "x", 2, 3, 4, 5)))
		})
	}
}

func TestShapesOfWindowsAreThoseOfONNXRuntime(t *testing.T) {
	pair := func(t *rapid.T, from, to int, what string) [2]int {
		r := rapid.IntRange(from, to)
		return [2]int{r.Draw(t, what+" of rows"), r.Draw(t, what+" of columns")}
	}
	rapid.Check(t, func(rt *rapid.T) {
		g := graph.New("g")
		groups := rapid.IntRange(1, 2).Draw(rt, "groups")
		kernel := pair(rt, 1, 3, "kernel")
		c := graph.ConvConfig{Stride: pair(rt, 1, 3, "stride"), Dilation: pair(rt, 1, 2, "dilation"), Groups: groups}
		for i := range c.Pad {
			c.Pad[i] = rapid.IntRange(0, 2).Draw(rt, "padding")
		}
		size := pair(rt, 5, 8, "size")
		x := image(g, "x", 1, 2*groups, size[0], size[1])
		y := graph.Conv(x, image(g, "w", 4, 2, kernel[0], kernel[1]), image(g, "b", 4), c)
		outputs := []*graph.Value{y}
		up := c
		up.OutputPad = [2]int{c.Stride[0] - 1, c.Stride[1] - 1}
		if grown := x.Dim(2)*c.Stride[0] - c.Pad[0] - c.Pad[2]; grown > 0 && x.Dim(3)*c.Stride[1]-c.Pad[1]-c.Pad[3] > 0 {
			outputs = append(outputs, graph.ConvTranspose(x, image(g, "wt", 2*groups, 3, kernel[0], kernel[1]), up))
		}
		p := graph.PoolConfig{Kernel: kernel, Stride: c.Stride, CountPad: rapid.Bool().Draw(rt, "count")}
		for i := range p.Pad {
			p.Pad[i] = min(c.Pad[i], kernel[i%2]-1)
		}
		outputs = append(outputs, graph.MaxPool(x, p), graph.AveragePool(x, p))
		if err := g.Err(); err != nil {
			rt.Fatal(err)
		}
		checkShapes(t, g, outputs)
		if t.Failed() {
			rt.Fatalf("%+v, %+v", c, p)
		}
	})
}
