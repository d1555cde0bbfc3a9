package graph_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/internal/graphtest"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
)

func TestErrorsNameScopeOperationAndShapes(t *testing.T) {
	for _, c := range []struct {
		want  string
		build func(g *graph.Graph, x *graph.Value)
	}{
		{"cell3/edge1: Conv: input [2 3 8 8] does not fit the weights [4 5 3 3] in 1 groups", func(g *graph.Graph, x *graph.Value) {
			graph.Conv(x, image(g, "w", 4, 5, 3, 3), nil, graph.Same(3, 1, 1, 1))
		}},
		{"Conv: the kernel [4 3 9 9] with dilation [1 1] does not fit into the padded input [2 3 8 8]", func(g *graph.Graph, x *graph.Value) {
			graph.Conv(x, image(g, "w", 4, 3, 9, 9), nil, graph.ConvConfig{})
		}},
		{"Conv: the bias [3] does not fit the weights [4 3 1 1]", func(g *graph.Graph, x *graph.Value) {
			graph.Conv(x, image(g, "w", 4, 3, 1, 1), image(g, "b", 3), graph.ConvConfig{})
		}},
		{"ConvByProducts: is for one group, has 3", func(g *graph.Graph, x *graph.Value) {
			graph.ConvByProducts(x, image(g, "w", 3, 1, 3, 3), graph.Same(3, 1, 1, 3))
		}},
		{"ConvWinograd: is for 3x3 kernels, has [4 3 5 5]", func(g *graph.Graph, x *graph.Value) {
			graph.ConvWinograd(x, image(g, "w", 4, 3, 5, 5))
		}},
		{"DepthwiseByPlanes: is for filters that see one channel, has [4 3 3 3] in 1 groups", func(g *graph.Graph, x *graph.Value) {
			graph.DepthwiseByPlanes(x, image(g, "w", 4, 3, 3, 3), graph.Same(3, 1, 1, 1))
		}},
		{"Add: the shapes [2 3 8 8] and [5] do not broadcast", func(g *graph.Graph, x *graph.Value) { graph.Add(x, image(g, "b", 5)) }},
		{"Mul: the types float32 and int64 differ", func(g *graph.Graph, x *graph.Value) { graph.Mul(x, g.Int(1)) }},
		{"Sum: the terms", func(g *graph.Graph, x *graph.Value) { graph.Sum(x, g.Scalar(1), x) }},
		{"Reshape: [2 3 8 8] has 384 elements, [5 -1] wants 380", func(g *graph.Graph, x *graph.Value) { graph.Reshape(x, 5, -1) }},
		{"Transpose: [0 1 1 2] is not a permutation", func(g *graph.Graph, x *graph.Value) { graph.Transpose(x, 0, 1, 1, 2) }},
		{"Transpose: [] is not a permutation", func(g *graph.Graph, x *graph.Value) { graph.Transpose(x) }},
		{"Softmax: axis 4 is outside the shape [2 3 8 8]", func(g *graph.Graph, x *graph.Value) { graph.Softmax(x, 4) }},
		{"Concat: float32[2 3 8 8] and float32[2 3 8 7] do not join along axis 1", func(g *graph.Graph, x *graph.Value) {
			graph.Concat(1, x, image(g, "b", 2, 3, 8, 7))
		}},
		{"Split: the parts [1 1] do not add up to axis 1 of [2 3 8 8]", func(g *graph.Graph, x *graph.Value) { graph.Split(x, 1, 1, 1) }},
		{"Clip: wants float32 elements and a low bound that is not above the high one, has float32, 2 and 1", func(g *graph.Graph, x *graph.Value) {
			graph.Clip(x, 2, 1)
		}},
		{"LayerNormalization: wants scale and bias of the shape [8 8], the dimensions of [2 3 8 8] from axis 2 on; has float32[8]", func(g *graph.Graph, x *graph.Value) {
			graph.LayerNorm(x, image(g, "s", 8), nil, 2, 1e-5)
		}},
		{"Dropout: the mask float32[5] does not broadcast to float32[2 3 8 8]", func(g *graph.Graph, x *graph.Value) {
			graph.Dropout(x, image(g, "m", 5), g.Scalar(0.5))
		}},
		{"Dropout: the rate [1] lies outside [0, 1)", func(g *graph.Graph, x *graph.Value) { graph.Dropout(x, x, g.Scalar(1)) }},
		{"DropPath: wants keep [N] for x [N, ...], has [3] for [2 3 8 8]", func(g *graph.Graph, x *graph.Value) {
			graph.DropPath(x, image(g, "m", 3), g.Scalar(0.5))
		}},
		{"DropPath: the rate is float32[4], not one float32", func(g *graph.Graph, x *graph.Value) {
			graph.DropPath(x, image(g, "m", 2), image(g, "rate", 4))
		}},
		{"GatherElements: the indices int64[2 4 8 1] do not fit float32[2 3 8 8]", func(g *graph.Graph, x *graph.Value) {
			graph.GatherElements(x, g.Input("i", graph.Int64, []int{2, 4, 8, 1}, ""), 3)
		}},
		{"ScatterElements: the indices int64[2 3 1 8] and updates float32[2 3 8 8] do not fit", func(g *graph.Graph, x *graph.Value) {
			graph.ScatterElements(x, g.Input("i", graph.Int64, []int{2, 3, 1, 8}, ""), x, 0)
		}},
		{"Resize: wants float32 x [N, C, H, W] and factors of 1 or more, has float32[2 3 8 8], 0 and 2", func(g *graph.Graph, x *graph.Value) {
			graph.ResizeNearest(x, 0, 2)
		}},
		{"Slice: the range {Axis:2 Start:3 End:9 Step:0} does not lie in [2 3 8 8]", func(g *graph.Graph, x *graph.Value) {
			graph.Slice(x, graph.Range{Axis: 2, Start: 3, End: 9})
		}},
		{"Expand: [2 3 8 8] does not broadcast to [2 3 8]", func(g *graph.Graph, x *graph.Value) { graph.Expand(x, 2, 3, 8) }},
		{"Gather: the index is float32, not int64", func(g *graph.Graph, x *graph.Value) { graph.Gather(x, x, 0) }},
		{"MaxPool: the kernel [2 2] with padding [2 0 0 0] does not fit", func(g *graph.Graph, x *graph.Value) {
			graph.MaxPool(x, graph.PoolConfig{Kernel: [2]int{2, 2}, Pad: [4]int{2, 0, 0, 0}})
		}},
		{"BatchNormalization: wants [3] for the channels of [2 3 8 8], has [4]", func(g *graph.Graph, x *graph.Value) {
			v := image(g, "v", 4)
			graph.BatchNormTrain(x, v, v, v, v, 1e-5, 0)
		}},
		{"MatMul: [2 3 8 8] and [7 2] do not multiply", func(g *graph.Graph, x *graph.Value) { graph.MatMul(x, image(g, "b", 7, 2)) }},
		{"Gemm: wants two matrices", func(g *graph.Graph, x *graph.Value) { graph.Gemm(x, x, nil, graph.GemmConfig{}) }},
		{"Where: wants (bool, T, T), has (float32, float32, float32)", func(g *graph.Graph, x *graph.Value) { graph.Where(x, x, x) }},
		{"If: the condition is float32[2 3 8 8], not one bool", func(g *graph.Graph, x *graph.Value) {
			branch := func() []*graph.Value { return []*graph.Value{x} }
			graph.If(x, branch, branch)
		}},
		{"If: result 0 is float32[2 3 8 8] in one branch and float32[2 3 1 1] in the other", func(g *graph.Graph, x *graph.Value) {
			graph.If(graph.Less(g.Int(0), g.Int(1)), func() []*graph.Value { return []*graph.Value{x} }, func() []*graph.Value { return []*graph.Value{graph.GlobalAveragePool(x)} })
		}},
		{"If: the branches have 1 and 0 results", func(g *graph.Graph, x *graph.Value) {
			graph.Neg(graph.If(graph.Less(g.Int(0), g.Int(1)), func() []*graph.Value { return []*graph.Value{x} }, func() []*graph.Value { return nil })[0])
		}},
		{"Relu: input 0 (edge/Neg_1) belongs to a branch that has been closed", func(g *graph.Graph, x *graph.Value) {
			var inside *graph.Value
			branch := func() []*graph.Value {
				defer g.Scope("edge")()
				inside = graph.Neg(x)
				return []*graph.Value{inside}
			}
			graph.If(graph.Less(g.Int(0), g.Int(1)), branch, branch)
			graph.Relu(inside)
		}},
		{"Switch: wants one int64 index", func(g *graph.Graph, x *graph.Value) { graph.Neg(graph.Switch(g.Int(0))[0]) }},
		{"Add: input 1 belongs to another graph", func(g *graph.Graph, x *graph.Value) {
			graph.Add(x, image(graph.New("other"), "x", 2, 3, 8, 8))
		}},
		{`Input: the name "x" is empty or taken`, func(g *graph.Graph, x *graph.Value) { image(g, "x", 1) }},
		{`Parameter: the name "x" is empty or taken`, func(g *graph.Graph, x *graph.Value) { g.Parameter("x", []float32{1}, 1) }},
		{`Output: the name "x" is empty or taken`, func(g *graph.Graph, x *graph.Value) { g.Output("x", x, "") }},
		{"Floats: 3 elements do not fill the shape [2 2]", func(g *graph.Graph, x *graph.Value) { g.Floats([]float32{1, 2, 3}, 2, 2) }},
		{"Dim: dimension 4 of a value of shape [2 3 8 8]", func(g *graph.Graph, x *graph.Value) { x.Dim(4) }},
	} {
		g := graph.New("g")
		x := image(g, "x", 2, 3, 8, 8)
		if strings.HasPrefix(c.want, "cell3/edge1: ") {
			defer g.Scope("cell3")()
			defer g.Scope("edge1")()
		}
		c.build(g, x)
		if g.Err() == nil || !strings.Contains(g.Err().Error(), c.want) {
			t.Errorf("error %v does not contain %q", g.Err(), c.want)
			continue
		}
		first := g.Err()
		graph.Relu(graph.Conv(x, x, nil, graph.ConvConfig{})) // later mistakes do not replace the first
		g.Output("y", x, "")
		if _, err := g.Model(graph.ModelOptions{}); err != first {
			t.Errorf("Model returns %v, not the first error %v", err, first)
		}
	}
}

func TestAGraphWithoutOutputsIsAnError(t *testing.T) {
	if _, err := graph.New("empty").Model(graph.ModelOptions{}); err == nil || !strings.Contains(err.Error(), `graph "empty" has no outputs`) {
		t.Errorf("error = %v", err)
	}
}

// TestNothingPanics calls operations with arguments of any shape.
func TestNothingPanics(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := graph.New("g")
		number := func() int { return rapid.IntRange(-2, 3).Draw(t, "number") }
		shape := func() []int { return rapid.SliceOfN(rapid.IntRange(0, 3), 0, 5).Draw(t, "shape") }
		numbers := func() []int { return rapid.SliceOfN(rapid.IntRange(-1, 4), 0, 4).Draw(t, "numbers") }
		values := []*graph.Value{image(g, "x", shape()...), image(g, "y", shape()...), g.Input("i", graph.Int64, shape(), ""), graph.Less(g.Int(0), g.Int(1))}
		value := func() *graph.Value { return rapid.SampledFrom(values).Draw(t, "value") }
		window := graph.PoolConfig{Kernel: [2]int{number(), number()}, Stride: [2]int{number(), 1}, Pad: [4]int{number(), 0, 0, number()}}
		conv := graph.ConvConfig{Stride: [2]int{number(), 1}, Pad: window.Pad, Dilation: [2]int{1, number()}, Groups: number()}
		calls := []func() *graph.Value{
			func() *graph.Value { return graph.Add(value(), value()) },
			func() *graph.Value { return graph.Equal(value(), value()) },
			func() *graph.Value { return graph.Sum(value(), value(), value()) },
			func() *graph.Value { return graph.Where(value(), value(), value()) },
			func() *graph.Value { return graph.Softmax(value(), number()) },
			func() *graph.Value { return graph.Reshape(value(), numbers()...) },
			func() *graph.Value { return graph.Flatten(value(), number()) },
			func() *graph.Value { return graph.Transpose(value(), numbers()...) },
			func() *graph.Value { return graph.Concat(number(), value(), value()) },
			func() *graph.Value { return graph.Sum(graph.Split(value(), number(), numbers()...)...) },
			func() *graph.Value {
				return graph.Slice(value(), graph.Range{Axis: number(), Start: number(), End: number(), Step: number()})
			},
			func() *graph.Value { return graph.Gelu(value()) },
			func() *graph.Value { return graph.Clip(value(), float32(number()), float32(number())) },
			func() *graph.Value { return graph.LayerNorm(value(), value(), value(), number(), 1e-5) },
			func() *graph.Value { return graph.Dropout(value(), value(), value()) },
			func() *graph.Value { return graph.DropPath(value(), value(), value()) },
			func() *graph.Value { return graph.Pad(value(), numbers(), numbers(), 0) },
			func() *graph.Value { return graph.Expand(value(), numbers()...) },
			func() *graph.Value { return graph.OneHot(value(), number()) },
			func() *graph.Value { return graph.ArgMax(value(), number()) },
			func() *graph.Value { return graph.Gather(value(), value(), number()) },
			func() *graph.Value { return graph.ScatterAdd(value(), value(), value(), number()) },
			func() *graph.Value { return graph.GatherElements(value(), value(), number()) },
			func() *graph.Value { return graph.ScatterElements(value(), value(), value(), number()) },
			func() *graph.Value { return graph.ResizeNearest(value(), number(), number()) },
			func() *graph.Value { return graph.ReduceSum(value(), true, numbers()...) },
			func() *graph.Value { return graph.ReduceMean(value(), false, numbers()...) },
			func() *graph.Value { return graph.Conv(value(), value(), value(), conv) },
			func() *graph.Value { return graph.ConvTranspose(value(), value(), conv) },
			func() *graph.Value { return graph.MaxPool(value(), window) },
			func() *graph.Value { return graph.AveragePool(value(), window) },
			func() *graph.Value { return graph.GlobalAveragePool(value()) },
			func() *graph.Value { return graph.BatchNorm(value(), value(), value(), value(), value(), 1e-5) },
			func() *graph.Value {
				y, _, _ := graph.BatchNormTrain(value(), value(), value(), value(), value(), 1e-5, 0.5)
				return y
			},
			func() *graph.Value {
				return graph.Gemm(value(), value(), value(), graph.GemmConfig{TransA: number() > 0})
			},
			func() *graph.Value { return graph.MatMul(value(), value()) },
			func() *graph.Value { return g.Fill(1, numbers()...) },
			func() *graph.Value {
				a, b := value(), value()
				return graph.If(value(), func() []*graph.Value { return []*graph.Value{a} }, func() []*graph.Value { return []*graph.Value{b} })[0]
			},
			func() *graph.Value {
				a := value()
				return graph.Switch(value(), func() []*graph.Value { return []*graph.Value{a} }, func() []*graph.Value { return []*graph.Value{graph.Neg(a)} })[0]
			},
		}
		for range rapid.IntRange(1, 8).Draw(t, "calls") {
			if v := calls[rapid.IntRange(0, len(calls)-1).Draw(t, "call")](); v != nil {
				values = append(values, v)
			}
		}
	})
}

func operators(g *graph.Graph) map[string]int {
	out := map[string]int{}
	for _, n := range g.Nodes() {
		out[n.Op]++
	}
	return out
}

func TestEqualNodesAreBuiltOnce(t *testing.T) {
	g := graph.New("g")
	x, w := image(g, "x", 1, 2, 4, 4), image(g, "w", 2, 2, 3, 3)
	conv := func() *graph.Value { return graph.Conv(graph.Relu(x), w, nil, graph.Same(3, 1, 1, 1)) }
	if first, second := conv(), conv(); first != second {
		t.Error("two equal convolutions")
	}
	graph.Conv(graph.Relu(x), w, nil, graph.Same(3, 2, 1, 1)) // another stride
	pair, again := g.Floats([]float32{1, 2}, 2), g.Floats([]float32{1, 2}, 2)
	one, same := g.Ints(1), g.Ints(1)
	if pair != again || one != same {
		t.Error("two equal constants")
	}
	if g.Floats([]float32{1, 2}, 2) == g.Floats([]float32{1, 2}, 1, 2) || g.Ints(1) == g.Int(1) {
		t.Error("constants of different shapes are one")
	}
	pool := graph.SquarePool(2, 2, 0)
	if y, _ := graph.MaxPoolIndices(x, pool); y == graph.MaxPool(x, pool) {
		t.Error("pools with and without indices are one")
	}
	v := image(g, "v", 2)
	first, mean, _ := graph.BatchNormTrain(x, v, v, v, v, 1e-5, 0)
	second, mean2, _ := graph.BatchNormTrain(x, v, v, v, v, 1e-5, 0)
	if first != second || mean != mean2 {
		t.Error("two equal normalizations")
	}
	if diff := cmp.Diff(map[string]int{"Relu": 1, "Conv": 2, "MaxPool": 2, "BatchNormalization": 1}, operators(g)); diff != "" {
		t.Error(diff)
	}
}

func TestResultsMayBeChangedByTheCaller(t *testing.T) {
	g := graph.New("g")
	parts := graph.Split(image(g, "x", 4), 0, 1, 3)
	kept := parts[0].Node().Outputs[0]
	parts[0] = nil
	if kept.Node().Outputs[0] == nil || graph.Split(g.Inputs()[0], 0, 1, 3)[0] == nil {
		t.Error("the caller's slice is the node's own")
	}
}

func TestModelLeavesOutWhatNoOutputNeeds(t *testing.T) {
	g := graph.New("g")
	x := image(g, "x", 3)
	cond := graph.Less(g.Int(0), g.Int(1))
	y := graph.If(cond,
		func() []*graph.Value { graph.Exp(x); return []*graph.Value{graph.Add(x, g.Scalar(2))} },
		func() []*graph.Value { return []*graph.Value{graph.Neg(x)} })
	graph.Mul(graph.Log(x), g.Fill(7, 3))
	g.Output("y", y[0], "")
	m, err := g.Model(graph.ModelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var ops []string
	for _, n := range m.Graph.Node {
		ops = append(ops, n.OpType)
		for _, a := range n.Attribute {
			for _, inner := range a.GetG().GetNode() {
				ops = append(ops, a.Name+"/"+inner.OpType)
			}
		}
	}
	if diff := cmp.Diff([]string{"Less", "If", "then_branch/Add", "else_branch/Neg", "Identity"}, ops); diff != "" {
		t.Error(diff)
	}
	if n := len(m.Graph.Initializer); n != 3 {
		t.Errorf("%d constants, want 3: 0, 1 and 2", n)
	}
}

func TestSwitchTakesTheChosenBranch(t *testing.T) {
	g := graph.New("g")
	x, index := image(g, "x", 1), g.Input("index", graph.Int64, []int{1}, "")
	var branches []func() []*graph.Value
	for i := range 5 {
		branches = append(branches, func() []*graph.Value {
			// The inner choice uses values of the branch, of the graph and a constant.
			v := graph.Mul(x, g.Scalar(float32(i+1)))
			return graph.If(graph.Less(g.Int(i), g.Int(3)),
				func() []*graph.Value { return []*graph.Value{v, x} },
				func() []*graph.Value { return []*graph.Value{graph.Neg(v), graph.Add(x, v)} })
		})
	}
	out := graph.Switch(index, branches...)
	g.Output("first", out[0], "")
	g.Output("second", out[1], "")
	run := graphtest.Compile(t, g)
	for index, want := range map[int64][]float32{-4: {2, 2}, 0: {2, 2}, 1: {4, 2}, 2: {6, 2}, 3: {-8, 10}, 4: {-10, 12}, 9: {-10, 12}} {
		got := run(map[string]runtime.Tensor{"x": graphtest.Float32([]float32{2}, 1), "index": graphtest.Int64([]int64{index}, 1)})
		both := append(graphtest.Floats(t, got["first"]), graphtest.Floats(t, got["second"])...)
		if diff := cmp.Diff(want, both); diff != "" {
			t.Errorf("index %d: %s", index, diff)
		}
	}
}

func TestCapturedValuesAreThoseOfTheBlocksAround(t *testing.T) {
	g := graph.New("g")
	x, y, z := image(g, "x", 1), image(g, "y", 1), image(g, "z", 1)
	cond := graph.Greater(z, g.Scalar(0))
	out := graph.If(cond,
		func() []*graph.Value {
			inner := graph.Exp(x)
			return graph.If(cond, func() []*graph.Value { return []*graph.Value{graph.Add(inner, y)} }, func() []*graph.Value { return []*graph.Value{x} })
		},
		func() []*graph.Value { return []*graph.Value{graph.Neg(x)} })
	var names []string
	for _, v := range out[0].Node().Bodies[0].Captured() {
		names = append(names, v.Name())
	}
	if diff := cmp.Diff([]string{"x", "y", cond.Name()}, names); diff != "" {
		t.Error(diff)
	}
}

// TestNormalizationsKeepTheirOwnStatistics guards against the runtime's kernel, which writes over its inputs.
func TestNormalizationsKeepTheirOwnStatistics(t *testing.T) {
	g := graph.New("g")
	x := image(g, "x", 1, 1, 1, 2)
	zero, one := g.Fill(0, 1), g.Fill(1, 1)
	for i := range 3 {
		shifted := graph.Add(x, g.Scalar(float32(10*i)))
		y, mean, variance := graph.BatchNormTrain(shifted, one, zero, zero, one, 1e-5, float32(i)*0.25)
		for name, v := range map[string]*graph.Value{"y": y, "mean": mean, "variance": variance} {
			g.Output(fmt.Sprintf("%s%d", name, i), v, "")
		}
	}
	g.Output("zero", zero, "")
	g.Output("one", one, "")
	run := graphtest.Compile(t, g)
	for range 3 {
		got := run(map[string]runtime.Tensor{"x": graphtest.Float32([]float32{1, 5}, 1, 1, 1, 2)}) // mean 3, variance 4
		want := map[string][]float32{"zero": {0}, "one": {1}}
		for i := range 3 {
			m := float32(i) * 0.25
			want[fmt.Sprintf("y%d", i)] = []float32{-1, 1}
			want[fmt.Sprintf("mean%d", i)] = []float32{(1 - m) * float32(3+10*i)}
			want[fmt.Sprintf("variance%d", i)] = []float32{m + (1-m)*4}
		}
		for name, v := range want {
			graphtest.Close(t, name, graphtest.Floats(t, got[name]), v, 1e-5)
		}
	}
}

func TestEqualGraphsGiveEqualBytes(t *testing.T) {
	build := func() []byte {
		g := graph.New("net")
		x := image(g, "x", 2, 3, 8, 8)
		for i := range 3 {
			done := g.Scope(fmt.Sprintf("cell%d", i))
			c := x.Dim(1)
			x = graph.Relu(graph.Conv(x, g.Parameter(fmt.Sprintf("w%d", i), make([]float32, 4*c*9), 4, c, 3, 3), nil, graph.Same(3, 1, 1, 1)))
			x, _, _ = graph.BatchNormTrain(x, g.Fill(1, 4), g.Fill(0, 4), g.Fill(0, 4), g.Fill(1, 4), 1e-5, 0.9)
			done()
		}
		cond := graph.Greater(graph.ReduceMax(x, true), g.Scalar(1))
		y := graph.If(graph.Reshape(cond, 1), func() []*graph.Value { return []*graph.Value{graph.Exp(x)} }, func() []*graph.Value { return []*graph.Value{x} })
		g.Output("y", y[0], "the result")
		data, err := g.Encode(graph.ModelOptions{Doc: "a net", Metadata: map[string]string{"b": "2", "a": "1", "c": "3"}})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	first := build()
	for range 5 {
		if !bytes.Equal(first, build()) {
			t.Fatal("the same graph has other bytes")
		}
	}
}

func TestDynamicBatchRunsAnyBatch(t *testing.T) {
	g := graph.New("net")
	x := image(g, "x", 1, 3, 4, 4)
	y := graph.GlobalAveragePool(graph.Conv(x, g.Parameter("w", make([]float32, 2*3), 2, 3, 1, 1), nil, graph.ConvConfig{}))
	g.Output("y", graph.Flatten(y, 1), "")
	model, err := g.Encode(graph.ModelOptions{DynamicBatch: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := runtimetest.Open(t).NewSession(model, runtime.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if diff := cmp.Diff([]int64{-1, 3, 4, 4}, s.Inputs()[0].Shape); diff != "" {
		t.Error(diff)
	}
	out, err := s.Run(context.Background(), map[string]runtime.Tensor{"x": graphtest.Float32(make([]float32, 5*48), 5, 3, 4, 4)})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int64{5, 2}, out["y"].Shape); diff != "" {
		t.Error(diff)
	}
}

func TestExposeHandsOutWhatABranchHasComputed(t *testing.T) {
	g := graph.New("g")
	x, choice := image(g, "x", 2), g.Input("choice", graph.Int64, []int{1}, "")
	var inside []*graph.Value
	keep := func(v *graph.Value) *graph.Value {
		inside = append(inside, v)
		return v
	}
	out := graph.Switch(choice,
		func() []*graph.Value { return []*graph.Value{graph.Neg(keep(graph.Exp(x)))} },
		func() []*graph.Value {
			return []*graph.Value{graph.Add(keep(graph.Exp(graph.Neg(x))), keep(graph.ReduceSum(x, true)))}
		},
		func() []*graph.Value { return []*graph.Value{x} })
	n := out[0].Node()
	exposed := graph.Expose(n, func(n *graph.Node) bool { return n.Op == "Exp" || n.Op == "ReduceSum" })
	if again := graph.Expose(n, func(n *graph.Node) bool { return n.Op == "Exp" }); again[inside[0]] != exposed[inside[0]] {
		t.Error("exposing a value twice gives two results")
	}
	// Exponentials of different branches share one result; the sum has another.
	if exposed[inside[0]] != exposed[inside[1]] || exposed[inside[1]] == exposed[inside[2]] {
		t.Errorf("results %v, %v, %v", exposed[inside[0]], exposed[inside[1]], exposed[inside[2]])
	}
	g.Output("y", out[0], "")
	g.Output("exp", graph.ReduceSum(exposed[inside[0]], true), "")
	run := graphtest.Compile(t, g)
	e := math.E
	for choice, want := range map[int64][]float32{
		0: {float32(-e), float32(-e * e), float32(e + e*e)},
		1: {float32(1/e + 3), float32(1/e/e + 3), float32(1/e + 1/e/e)},
		2: {1, 2, 0}, // nothing was exposed, and the sum of nothing is zero
	} {
		got := run(map[string]runtime.Tensor{"x": graphtest.Float32([]float32{1, 2}, 2), "choice": graphtest.Int64([]int64{choice}, 1)})
		both := append(graphtest.Floats(t, got["y"]), graphtest.Floats(t, got["exp"])...)
		graphtest.Close(t, fmt.Sprintf("branch %d", choice), both, want, 1e-5)
	}
	m, err := g.Model(graph.ModelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Graph.Node {
		if p.OpType == "If" && len(p.Output) != 2 {
			t.Errorf("the If has the results %v; that of the sum is not used", p.Output)
		}
	}
}
