package runtime

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/runtime/internal/tinymodel"
)

func TestDescribeModel(t *testing.T) {
	got, err := describeModel(tinymodel.Model{
		Inputs: []tinymodel.Value{
			{Name: "x", Type: tinymodel.Float32, Dims: []int64{-1, 3}},
			{Name: "w", Type: tinymodel.Float32, Dims: []int64{3, 2}}, // has a default, so a run need not pass it
			{Name: "flag", Type: tinymodel.Bool, Dims: []int64{}},
		},
		Outputs:      []tinymodel.Value{{Name: "y", Type: tinymodel.Int64}},
		Initializers: []tinymodel.Initializer{{Name: "w", Dims: []int64{3, 2}, Data: make([]float32, 6)}},
		Metadata:     [][2]string{{"a", "1"}, {"b", ""}},
	}.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	want := description{
		inputs:   []IOInfo{{"x", Float32, []int64{-1, 3}}, {"flag", Bool, []int64{}}},
		outputs:  []IOInfo{{"y", Int64, nil}},
		metadata: map[string]string{"a": "1", "b": ""},
		blocked:  true, // it has no convolutions
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(description{})); diff != "" {
		t.Error(diff)
	}
	for text, info := range map[string]IOInfo{
		"x float32 [? 3]":      got.inputs[0],
		"flag bool []":         got.inputs[1],
		"y int64 [...]":        got.outputs[0],
		"z bfloat16 [4]":       {"z", BFloat16, []int64{4}},
		"q element type 99 []": {"q", 99, []int64{}},
	} {
		if info.String() != text {
			t.Errorf("an input is written %q, expected %q", info, text)
		}
	}
}

func FuzzDescribeModel(f *testing.F) {
	whole := tinymodel.Model{
		Inputs:       []tinymodel.Value{{Name: "x", Type: tinymodel.Float32, Dims: []int64{-1, 3}}},
		Outputs:      []tinymodel.Value{{Name: "y", Type: tinymodel.Float32, Dims: []int64{-1, 2}}},
		Nodes:        []tinymodel.Node{{Op: "MatMul", Inputs: []string{"x", "w"}, Outputs: []string{"y"}}},
		Initializers: []tinymodel.Initializer{{Name: "w", Dims: []int64{3, 2}, Data: make([]float32, 6)}},
		Metadata:     [][2]string{{"key", "text"}},
	}.Bytes()
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := describeModel(data)
		if err == nil && len(got.outputs) == 0 {
			t.Error("a model without outputs was taken")
		}
	})
}
