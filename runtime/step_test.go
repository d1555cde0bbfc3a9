package runtime_test

import (
	"context"
	"testing"

	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/internal/tinymodel"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
)

// counter is a step that adds x to a state w and puts out their product.
func counter(n int64) []byte {
	vector := func(name string) tinymodel.Value {
		return tinymodel.Value{Name: name, Type: tinymodel.Float32, Dims: []int64{n}}
	}
	return tinymodel.Model{
		Inputs:  []tinymodel.Value{vector("w"), vector("x")},
		Outputs: []tinymodel.Value{vector("product"), vector("next_w")},
		Nodes: []tinymodel.Node{
			{Op: "Mul", Inputs: []string{"w", "x"}, Outputs: []string{"product"}},
			{Op: "Add", Inputs: []string{"w", "x"}, Outputs: []string{"next_w"}},
		},
	}.Bytes()
}

func TestStepReplacesItsState(t *testing.T) {
	rt := runtimetest.Open(t)
	w, err := rt.NewState(4)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	step, err := rt.NewStep(counter(4), runtime.StepOptions{States: map[string]*runtime.State{"w": w}})
	if err != nil {
		t.Fatal(err)
	}
	defer step.Close()
	x, err := step.Float32("x")
	if err != nil {
		t.Fatal(err)
	}
	for i := range x {
		x[i] = float32(i)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for range 3 {
		if err := step.Run(ctx); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]float32, 4)
	w.Read(got)
	product, _ := step.Float32("product")
	t.Log(got, product)
	t.Log(testing.AllocsPerRun(100, func() { _ = step.Run(ctx) }))
	s, err := rt.NewSession(counter(4), runtime.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Run(ctx, map[string]runtime.Tensor{"w": {[]int64{4}, got}, "x": {[]int64{4}, x}})
	t.Log(out, err)
}
