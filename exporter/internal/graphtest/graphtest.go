// Package graphtest runs graphs on ONNX Runtime for the tests of the exporter's packages. No other code imports it: the
// exporter itself does not know the runtime.
package graphtest

import (
	"context"
	"math"
	"testing"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
)

// Float32 makes a tensor for Run.
func Float32(data []float32, shape ...int) runtime.Tensor {
	return runtime.Tensor{Shape: dims(shape), Data: data}
}

// Int64 makes a tensor for Run.
func Int64(data []int64, shape ...int) runtime.Tensor {
	return runtime.Tensor{Shape: dims(shape), Data: data}
}

func dims(shape []int) []int64 {
	out := make([]int64, len(shape))
	for i, d := range shape {
		out[i] = int64(d)
	}
	return out
}

// Run runs the graph with the runtime's optimizations and returns its outputs by name.
func Run(t testing.TB, g *graph.Graph, inputs map[string]runtime.Tensor) map[string]runtime.Tensor {
	t.Helper()
	return Compile(t, g)(inputs)
}

// Compile returns a function that runs the graph.
func Compile(t testing.TB, g *graph.Graph) func(map[string]runtime.Tensor) map[string]runtime.Tensor {
	t.Helper()
	model, err := g.Encode(graph.ModelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := runtimetest.Open(t).NewSession(model, runtime.SessionOptions{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return func(inputs map[string]runtime.Tensor) map[string]runtime.Tensor {
		t.Helper()
		out, err := s.Run(context.Background(), inputs)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// Floats returns the elements of a float32 tensor.
func Floats(t testing.TB, v runtime.Tensor) []float32 {
	t.Helper()
	data, ok := v.Data.([]float32)
	if !ok {
		t.Fatalf("the tensor holds %T, not []float32", v.Data)
	}
	return data
}

// Close reports an error unless got equals want up to tolerance, relative to the largest element of want (or 1e-3,
// when all are smaller): single elements of a gradient may cancel out.
func Close(t testing.TB, what string, got, want []float32, tolerance float64) {
	t.Helper()
	scale := 1e-3
	for _, v := range want {
		scale = math.Max(scale, math.Abs(float64(v)))
	}
	Within(t, what, got, want, tolerance*scale)
}

// Within reports an error unless no element of got is further from that of want than the tolerance. It is for sums that may cancel
// out as a whole, whose rounding is that of their terms.
func Within(t testing.TB, what string, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d elements, want %d", what, len(got), len(want))
		return
	}
	worst, at := 0.0, 0
	for i := range want {
		d := math.Abs(float64(got[i]) - float64(want[i]))
		if !(d <= worst) { // true for NaN as well
			worst, at = d, i
		}
	}
	if !(worst <= tolerance) {
		t.Errorf("%s: element %d is %v, want %v within %v", what, at, got[at], want[at], tolerance)
	}
}
