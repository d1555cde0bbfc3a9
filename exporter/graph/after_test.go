package graph_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/internal/graphtest"
	"github.com/plateau-nas/plateau/runtime"
)

// What comes after other values is what it was, whatever they are.
func TestAfterChangesNothing(t *testing.T) {
	g := graph.New("after")
	v, a, b := image(g, "v", 2, 3), image(g, "a", 4), image(g, "b", 1, 2, 2)
	after := graph.After(v, a, graph.Log(b))
	g.Output("y", after, "")
	g.Output("scalar", graph.Reshape(graph.After(g.Scalar(3), a), 1), "")
	if !slices.Equal(after.Shape(), v.Shape()) || graph.After(v) != v {
		t.Errorf("the shape is %v; after nothing it is %v", after.Shape(), graph.After(v))
	}
	want := []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), 1e-45, -3, 4}
	nan := float32(math.NaN())
	out := graphtest.Run(t, g, map[string]runtime.Tensor{
		"v": graphtest.Float32(want, 2, 3), "a": graphtest.Float32([]float32{nan, nan, 0, 1}, 4), "b": graphtest.Float32([]float32{-1, 0, nan, 1}, 1, 2, 2),
	})
	bits := func(v []float32) []uint32 {
		out := make([]uint32, len(v))
		for i, x := range v {
			out[i] = math.Float32bits(x)
		}
		return out
	}
	if got := graphtest.Floats(t, out["y"]); !slices.Equal(bits(got), bits(want)) {
		t.Errorf("%v instead of %v", got, want)
	}
	if got := graphtest.Floats(t, out["scalar"]); got[0] != 3 {
		t.Errorf("%v instead of 3", got)
	}
}

func TestAfterOrdersFloatsOnly(t *testing.T) {
	g := graph.New("after")
	graph.After(image(g, "v", 2), g.Input("i", graph.Int64, []int{1}, ""))
	if g.Err() == nil || !strings.Contains(g.Err().Error(), "After: orders float32 values, has float32 and int64") {
		t.Errorf("error %v", g.Err())
	}
}
