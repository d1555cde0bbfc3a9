package kernels_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/internal/graphtest"
	"github.com/plateau-nas/plateau/exporter/kernels"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
)

func TestMain(m *testing.M) { runtimetest.Main(m) }

// model is a model of one node (or more) on the float input x [2, 3, 4, 4] and the other inputs.
func model(opset int64, inputs map[string]onnx.TensorProto_DataType, nodes ...*onnx.NodeProto) *onnx.ModelProto {
	g := &onnx.GraphProto{Node: nodes}
	for name, typ := range inputs {
		g.Input = append(g.Input, onnx.NewValueInfo(name, typ, []int64{2, 3, 4, 4}, ""))
	}
	return &onnx.ModelProto{OpsetImport: []*onnx.OperatorSetIdProto{{Version: opset}}, Graph: g}
}

func node(op string, in []string, out []string, attributes ...*onnx.AttributeProto) *onnx.NodeProto {
	return &onnx.NodeProto{OpType: op, Name: out[0], Input: in, Output: out, Attribute: attributes}
}

// missing returns what Check finds, one line a node.
func missing(t *testing.T, m *onnx.ModelProto) string {
	t.Helper()
	found, err := kernels.Check(m, kernels.CUDA)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range found {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}

func TestKernelsAreFoundByOperatorVersionAndType(t *testing.T) {
	const f32, i64, i32, flag, u8, f64 = onnx.TensorProto_FLOAT, onnx.TensorProto_INT64, onnx.TensorProto_INT32, onnx.TensorProto_BOOL, onnx.TensorProto_UINT8, onnx.TensorProto_DOUBLE
	for _, c := range []struct {
		op     string
		opset  int64
		inputs []onnx.TensorProto_DataType
		want   string // "" has a kernel
	}{
		{"Conv", 17, []onnx.TensorProto_DataType{f32, f32}, ""},
		{"Conv", 17, []onnx.TensorProto_DataType{i32, i32}, "does not take int32 for T"},
		{"Gather", 17, []onnx.TensorProto_DataType{f32, i64}, ""},
		{"Gather", 17, []onnx.TensorProto_DataType{f32, f32}, "does not take float for Tind"},
		{"Max", 17, []onnx.TensorProto_DataType{i64, i64, i64}, ""},
		{"Sum", 17, []onnx.TensorProto_DataType{i64, i64}, "does not take int64 for T"},
		{"ReduceMean", 17, []onnx.TensorProto_DataType{i64}, "does not take int64 for T"},
		{"ReduceSum", 17, []onnx.TensorProto_DataType{f32, i64}, ""},
		{"ReduceSum", 17, []onnx.TensorProto_DataType{f32, i32}, "does not take int32 for int64"},
		{"Pad", 17, []onnx.TensorProto_DataType{i64, i64}, "does not take int64 for T"},
		{"ArgMax", 17, []onnx.TensorProto_DataType{i64}, "does not take int64 for T"},
		{"Relu", 17, []onnx.TensorProto_DataType{i32}, "does not take int32 for T"},
		{"Where", 17, []onnx.TensorProto_DataType{flag, u8, u8}, ""},
		{"Where", 17, []onnx.TensorProto_DataType{flag, flag, flag}, "does not take bool for T"},
		{"Sign", 12, []onnx.TensorProto_DataType{f32}, "there is no kernel for this version"},
		{"Sign", 13, []onnx.TensorProto_DataType{f32}, ""},
		{"HardSwish", 17, []onnx.TensorProto_DataType{f32}, ""},
		{"HardSwish", 13, []onnx.TensorProto_DataType{f32}, "there is no kernel for this version"},
		{"Gelu", 17, []onnx.TensorProto_DataType{f32}, "there is no kernel for this version"},
		{"Gelu", 20, []onnx.TensorProto_DataType{f32}, ""},
		{"Tan", 17, []onnx.TensorProto_DataType{f32}, "there is no kernel for this version"},
		{"Softplus", 17, []onnx.TensorProto_DataType{f64}, ""},
		{"Identity", 17, []onnx.TensorProto_DataType{f32, f32}, "has no position"},
		{"Celu", 17, []onnx.TensorProto_DataType{f32}, ""}, // by the operators that define it
		{"Celu", 17, []onnx.TensorProto_DataType{u8}, "defined by Elu, among others, which has no kernel for uint8"},
		{"Celu", 11, []onnx.TensorProto_DataType{f32}, "there is no kernel for this version"},
	} {
		inputs, names := map[string]onnx.TensorProto_DataType{}, []string{}
		for i, typ := range c.inputs {
			names = append(names, string(rune('a'+i)))
			inputs[names[i]] = typ
		}
		got := missing(t, model(c.opset, inputs, node(c.op, names, []string{"y"})))
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s %v at operator set %d: %q does not say %q", c.op, c.inputs, c.opset, got, c.want)
		}
	}
}

// Types are followed through nodes that change them, and every node that lacks a kernel is named.
func TestTypesAreFollowed(t *testing.T) {
	m := model(17, map[string]onnx.TensorProto_DataType{"x": onnx.TensorProto_FLOAT},
		node("Greater", []string{"x", "x"}, []string{"larger"}),
		node("Cast", []string{"larger"}, []string{"count"}, onnx.IntAttribute("to", int64(onnx.TensorProto_INT64))),
		node("Sqrt", []string{"count"}, []string{"root"}),
		node("ArgMax", []string{"x"}, []string{"place"}),
		node("Gather", []string{"x", "place"}, []string{"at"}),
		node("MaxPool", []string{"x"}, []string{"top", "where"}),
		node("Exp", []string{"where"}, []string{"e"}),
		node("Abs", []string{"nothing"}, []string{"b"}),
		&onnx.NodeProto{OpType: "FusedConv", Name: "fused", Domain: "com.microsoft", Input: []string{"x"}, Output: []string{"c"}},
	)
	want := []string{
		`node "root" (Sqrt, operator set 17, int64 -> int64): the kernel does not take int64 for T, which is "count"`,
		`node "e" (Exp, operator set 17, int64 -> int64): the kernel does not take int64 for T, which is "where"`,
		`node "b" (Abs, operator set 17, ? -> float): the element type of "nothing" cannot be told`,
		`node "fused" (FusedConv, operator set 17, float -> float): operators of the domain com.microsoft are not in the table`,
	}
	if got := missing(t, m); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// normalized is a graph with batch normalization in training mode in a branch, where exp of an integer is too.
func normalized(t *testing.T) *onnx.ModelProto {
	t.Helper()
	g := graph.New("branches")
	x, i := g.Input("x", graph.Float32, []int{2, 3, 4, 4}, ""), g.Input("i", graph.Int64, []int{1}, "")
	c := func(v float32) *graph.Value { return g.Fill(v, 3) }
	y := graph.Switch(i,
		func() []*graph.Value {
			y, mean, _ := graph.BatchNormTrain(x, c(2), c(1), c(0), c(1), 1e-3, 0.5)
			return []*graph.Value{graph.Add(y, graph.Reshape(mean, 3, 1, 1))}
		},
		func() []*graph.Value { return []*graph.Value{graph.Relu(x)} })
	g.Output("y", y[0], "")
	m, err := g.Model(graph.ModelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func sines(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(math.Sin(float64(i * i)))
	}
	return out
}

// What a kernel is registered for but does not do counts as missing, in branches too; Adapt takes it away.
func TestTrainingModeNormalizationIsWrittenOut(t *testing.T) {
	m := normalized(t)
	if got := missing(t, m); strings.Count(got, "\n") != 0 || !strings.Contains(got, "(BatchNormalization, operator set 17") || !strings.Contains(got, "training_mode=1") {
		t.Errorf("missing is %q", got)
	}
	data, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	for provider, changed := range map[string]bool{"cpu": false, "cuda": true, "tensorrt": true, "webgpu": true} {
		adapted, err := kernels.Adapt(provider, data)
		if err != nil || bytes.Equal(adapted, data) == changed {
			t.Errorf("%s: changed is not %v, error %v", provider, changed, err)
		}
		again, err := kernels.Adapt(provider, adapted)
		if err != nil || !bytes.Equal(again, adapted) {
			t.Errorf("%s: adapting twice is not adapting once, error %v", provider, err)
		}
		results := map[string][]float32{}
		for form, model := range map[string][]byte{"before": data, "after": adapted} {
			session, err := runtimetest.Open(t).NewSession(model, runtime.SessionOptions{})
			if err != nil {
				t.Fatal(err)
			}
			out, err := session.Run(t.Context(), map[string]runtime.Tensor{"x": graphtest.Float32(sines(2*3*4*4), 2, 3, 4, 4), "i": graphtest.Int64([]int64{0}, 1)})
			if err = errors.Join(err, session.Close()); err != nil {
				t.Fatal(err)
			}
			results[form] = graphtest.Floats(t, out["y"])
		}
		graphtest.Close(t, provider, results["after"], results["before"], 1e-6)
		if am, err := onnx.Decode(adapted); err != nil || changed && missing(t, am) != "" {
			t.Errorf("%s: %v, %v", provider, missing(t, am), err)
		}
	}
	if _, err := kernels.Adapt("cuda", []byte("no model")); err == nil || !strings.Contains(err.Error(), "provider cuda") {
		t.Errorf("what is no model: %v", err)
	}
}

func TestCheckNeedsAKnownProviderAndAnOperatorSet(t *testing.T) {
	if _, err := kernels.Check(model(17, nil), "webgpu"); err == nil || !strings.Contains(err.Error(), `"webgpu": only those of cuda are known`) {
		t.Errorf("another provider: %v", err)
	}
	if _, err := kernels.Check(&onnx.ModelProto{}, kernels.CUDA); err == nil || !strings.Contains(err.Error(), "no version of the standard operator set") {
		t.Errorf("no operator set: %v", err)
	}
}
