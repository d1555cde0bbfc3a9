package autodiff_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/exporter/autodiff"
	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/internal/graphtest"
	"github.com/plateau-nas/plateau/exporter/loss"
	"github.com/plateau-nas/plateau/exporter/safetensors"
	"github.com/plateau-nas/plateau/exporter/torchtest"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
)

func TestMain(m *testing.M) { runtimetest.Main(m) }

// torchCase is one case of testdata/generate.py.
type torchCase struct {
	Op     string
	Inputs []struct {
		Shape   []int
		Kind    string
		Classes int
	}
	Outputs  int
	Settings settings
}

// settings are those of all operators together.
type settings struct {
	Stride, Dilation, Kernel, OutputPad, Factors [2]int
	Pad                                          [4]int
	Groups                                       int
	Count, TransA, TransB, Keep                  bool
	Momentum, Exponent, Value                    float32
	Smoothing, Scale, Rate                       float32
	Low, High                                    *float32
	Activation                                   string
	Axis                                         int
	Axes, Sizes, Shape, Perm                     []int
	Before, After, Index                         []int
	Ranges                                       [][4]int
}

func (s settings) conv() graph.ConvConfig {
	return graph.ConvConfig{Stride: s.Stride, Pad: s.Pad, Dilation: s.Dilation, Groups: s.Groups, OutputPad: s.OutputPad}
}

func (s settings) pool() graph.PoolConfig {
	return graph.PoolConfig{Kernel: s.Kernel, Stride: s.Stride, Pad: s.Pad, CountPad: s.Count}
}

func optional(xs []*graph.Value, i int) *graph.Value {
	if i < len(xs) {
		return xs[i]
	}
	return nil
}

// bound returns a bound of Clip; one that is absent is infinite.
func bound(v *float32, sign int) float32 {
	if v == nil {
		return float32(math.Inf(sign))
	}
	return *v
}

// apply builds the operator of a case.
func apply(c torchCase, xs []*graph.Value) []*graph.Value {
	g, s := xs[0].Graph(), c.Settings
	unary := map[string]func(*graph.Value) *graph.Value{
		"Neg": graph.Neg, "Sqrt": graph.Sqrt, "Exp": graph.Exp, "Log": graph.Log, "Abs": graph.Abs, "Reciprocal": graph.Reciprocal,
		"Erf": graph.Erf, "Gelu": graph.Gelu, "GeluTanh": graph.GeluTanh, "Swish": graph.Swish, "HardSigmoid": graph.HardSigmoid, "HardSwish": graph.HardSwish,
		"Relu": graph.Relu, "Sigmoid": graph.Sigmoid, "Tanh": graph.Tanh, "GlobalAveragePool": graph.GlobalAveragePool,
		"Identity": func(x *graph.Value) *graph.Value { return graph.Add(x, g.Scalar(0)) },
		"Square":   func(x *graph.Value) *graph.Value { return graph.Mul(x, x) },
	}
	binary := map[string]func(a, b *graph.Value) *graph.Value{
		"Add": graph.Add, "Sub": graph.Sub, "Mul": graph.Mul, "Div": graph.Div, "Max": graph.Max, "Min": graph.Min, "MatMul": graph.MatMul,
	}
	reduce := map[string]func(x *graph.Value, keep bool, axes ...int) *graph.Value{
		"ReduceSum": graph.ReduceSum, "ReduceMean": graph.ReduceMean, "ReduceMax": graph.ReduceMax, "ReduceSumSquare": graph.ReduceSumSquare,
	}
	if f, ok := unary[c.Op]; ok {
		return []*graph.Value{f(xs[0])}
	}
	if f, ok := binary[c.Op]; ok {
		return []*graph.Value{f(xs[0], xs[1])}
	}
	if f, ok := reduce[c.Op]; ok {
		return []*graph.Value{f(xs[0], s.Keep, s.Axes...)}
	}
	var y *graph.Value
	switch c.Op {
	case "Conv":
		y = graph.Conv(xs[0], xs[1], optional(xs, 2), s.conv())
	case "ConvTranspose":
		y = graph.ConvTranspose(xs[0], xs[1], s.conv())
	case "AveragePool":
		y = graph.AveragePool(xs[0], s.pool())
	case "MaxPool":
		y = graph.MaxPool(xs[0], s.pool())
	case "BatchNorm":
		y = graph.BatchNorm(xs[0], xs[1], xs[2], xs[3], xs[4], 1e-3)
	case "BatchNormTrain":
		n := xs[0].Dim(1)
		scale, bias := g.Fill(1, n), g.Fill(0, n)
		if len(xs) == 3 {
			scale, bias = xs[1], xs[2]
		}
		y, _, _ = graph.BatchNormTrain(xs[0], scale, bias, g.Fill(0, n), g.Fill(1, n), graph.DefaultEpsilon, s.Momentum)
	case "Sum":
		if len(xs) == 1 {
			xs = []*graph.Value{xs[0], xs[0], xs[0]}
		}
		y = graph.Sum(xs...)
	case "Pow":
		exponent := optional(xs, 1)
		if exponent == nil {
			exponent = g.Scalar(s.Exponent)
		}
		y = graph.Pow(xs[0], exponent)
	case "Resize":
		y = graph.ResizeNearest(xs[0], s.Factors[0], s.Factors[1])
	case "FactorizedReduce":
		shifted := graph.Slice(xs[0], graph.Range{Axis: 2, Start: 1}, graph.Range{Axis: 3, Start: 1})
		half := graph.ConvConfig{Stride: [2]int{2, 2}}
		y = graph.Concat(1, graph.Conv(xs[0], xs[1], nil, half), graph.Conv(shifted, xs[2], nil, half))
	case "LayerNorm":
		y = graph.LayerNorm(xs[0], xs[1], optional(xs, 2), s.Axis, 1e-3)
	case "Dropout":
		y = graph.Dropout(xs[0], graph.Cast(graph.Greater(xs[1], g.Scalar(0)), graph.Float32), g.Scalar(s.Rate))
	case "DropPath":
		y = graph.DropPath(xs[0], graph.Cast(graph.Greater(xs[1], g.Scalar(0)), graph.Float32), xs[2])
	case "Clip":
		y = graph.Clip(graph.Mul(xs[0], g.Scalar(s.Scale)), bound(s.Low, -1), bound(s.High, 1))
	case "Scaled":
		y = unary[s.Activation](graph.Mul(xs[0], g.Scalar(s.Scale)))
	case "Softmax":
		y = graph.Softmax(xs[0], s.Axis)
	case "LogSoftmax":
		y = graph.LogSoftmax(xs[0], s.Axis)
	case "Where":
		y = graph.Where(graph.Greater(xs[0], g.Scalar(0)), xs[1], xs[2])
	case "Gemm":
		y = graph.Gemm(xs[0], xs[1], optional(xs, 2), graph.GemmConfig{TransA: s.TransA, TransB: s.TransB})
	case "Concat":
		y = graph.Concat(s.Axis, xs...)
	case "Split":
		return graph.Split(xs[0], s.Axis, s.Sizes...)
	case "SplitFirst":
		y = graph.Split(xs[0], s.Axis, s.Sizes...)[0]
	case "Slice":
		var ranges []graph.Range
		for _, r := range s.Ranges {
			ranges = append(ranges, graph.Range{Axis: r[0], Start: r[1], End: r[2], Step: r[3]})
		}
		y = graph.Slice(xs[0], ranges...)
	case "Reshape":
		y = graph.Reshape(xs[0], s.Shape...)
	case "Flatten":
		y = graph.Flatten(xs[0], s.Axis)
	case "Transpose":
		y = graph.Transpose(xs[0], s.Perm...)
	case "Pad":
		y = graph.Pad(xs[0], s.Before, s.After, s.Value)
	case "Expand":
		y = graph.Expand(xs[0], s.Shape...)
	case "Gather":
		y = graph.Gather(xs[0], graph.Reshape(g.Ints(s.Index...), s.Shape...), s.Axis)
	case "GatherElements":
		y = graph.GatherElements(xs[0], xs[1], s.Axis)
	case "ScatterElements":
		y = graph.ScatterElements(xs[0], graph.Reshape(g.Ints(s.Index...), s.Shape...), xs[1], s.Axis)
	case "ScatterAdd":
		y = graph.ScatterAdd(xs[0], xs[1], xs[2], s.Axis)
	case "CrossEntropy":
		y = loss.CrossEntropy(xs[0], xs[1], s.Smoothing)
	}
	return []*graph.Value{y}
}

// TestRulesAgreeWithPyTorch runs every case forward and backward and compares both with PyTorch's results.
func TestRulesAgreeWithPyTorch(t *testing.T) {
	file, err := safetensors.Read("testdata/rules.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	var cases []torchCase
	if err := json.Unmarshal([]byte(file.Metadata["cases"]), &cases); err != nil {
		t.Fatal(err)
	}
	stored := func(t *testing.T, name string) safetensors.Tensor {
		t.Helper()
		v, ok := file.Tensor(name)
		if !ok {
			t.Fatalf("the fixture has no tensor %s", name)
		}
		return v
	}
	ruled := map[string]bool{}
	for k, c := range cases {
		t.Run(fmt.Sprintf("%03d_%s", k, c.Op), func(t *testing.T) {
			g := graph.New("case")
			inputs := map[string]runtime.Tensor{}
			var xs, wrt []*graph.Value
			for i, in := range c.Inputs {
				name := fmt.Sprintf("x%d", i)
				data := torchtest.Noise(100*k+i, product(in.Shape))
				if in.Kind == "labels" {
					labels := make([]int64, len(data))
					for j, v := range data {
						labels[j] = int64((float64(v) + 1) / 2 * float64(in.Classes))
					}
					xs = append(xs, g.Input(name, graph.Int64, in.Shape, ""))
					inputs[name] = graphtest.Int64(labels, in.Shape...)
					continue
				}
				for j, v := range data {
					switch in.Kind {
					case "coarse":
						data[j] = float32(math.RoundToEven(float64(v)*2) / 2)
					case "positive":
						data[j] = v/2 + 1
					case "grid":
						data[j] = float32(math.Floor(float64(v) + 1))
					case "rate":
						data[j] = v/4 + 0.25
					case "offset":
						data[j] = v + 2
					}
				}
				x := g.Input(name, graph.Float32, in.Shape, "")
				xs, wrt = append(xs, x), append(wrt, x)
				inputs[name] = graphtest.Float32(data, in.Shape...)
			}
			ys := apply(c, xs)
			var seeds []*graph.Value
			for i, y := range ys {
				name := fmt.Sprintf("dy%d", i)
				seeds = append(seeds, g.Input(name, graph.Float32, y.Shape(), ""))
				inputs[name] = graphtest.Float32(torchtest.Noise(100*k+50+i, y.Size()), y.Shape()...)
				g.Output(fmt.Sprintf("y%d", i), y, "")
			}
			for _, without := range formulations(c.Op) {
				dxs, err := autodiff.Gradients(ys, seeds, wrt, autodiff.Without(without...))
				if err != nil {
					t.Fatal(err)
				}
				for i, dx := range dxs {
					g.Output(strings.Join(append([]string{fmt.Sprintf("dx%d", i)}, without...), " without "), dx, "")
				}
			}
			for _, n := range g.Nodes() {
				ruled[n.Op] = true
			}
			for name, v := range graphtest.Run(t, g, inputs) {
				plain, _, _ := strings.Cut(name, " without ")
				want := stored(t, fmt.Sprintf("%03d/%s", k, plain))
				if !slices.Equal(want.Shape, ints(v.Shape)) && len(want.Shape)+len(v.Shape) > 0 {
					t.Errorf("%s has the shape %v, want %v", name, v.Shape, want.Shape)
				}
				data, err := want.Float32s()
				if err != nil {
					t.Fatal(err)
				}
				graphtest.Close(t, fmt.Sprintf("%+v: %s", c, name), graphtest.Floats(t, v), data, 2e-5)
			}
		})
	}
	for _, op := range autodiff.Operators() {
		if !ruled[op] && op != "If" && op != "Sign" {
			t.Errorf("no case has a %s node", op)
		}
	}
}

// formulations returns what is switched off in turn for an operator, so that each formulation of a convolution's
// gradients is met at every size, whichever is chosen first.
func formulations(op string) [][]string {
	all := [][]string{nil}
	switch op {
	case "Conv", "ConvTranspose", "FactorizedReduce":
		all = append(all, []string{autodiff.SelectionProduct}, autodiff.Formulations())
	}
	return all
}

func ints(v []int64) []int {
	out := make([]int, len(v))
	for i, x := range v {
		out[i] = int(x)
	}
	return out
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
