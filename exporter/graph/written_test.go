package graph_test

import (
	"slices"
	"testing"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/internal/graphtest"
	"github.com/plateau-nas/plateau/runtime"
)

// What a graph is built from is more than what is written, and gives the same.
func TestNeedlessNodesAreNotWritten(t *testing.T) {
	g := graph.New("needless")
	x, b := image(g, "x", 2, 6), image(g, "b", 6)
	cube := graph.Reshape(graph.Reshape(x, 3, 4), 2, 2, 3) // reshaped twice
	back := graph.Reshape(cube, 2, 6)                      // and back
	wide := graph.Expand(graph.Reshape(b, 1, 6), 2, 6)     // broadcast by the addition as well
	g.Output("cube", cube, "")
	g.Output("sum", graph.Add(back, wide), "")
	g.Output("wide", graph.Add(wide, wide), "") // here it is needed
	m, err := g.Model(graph.ModelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var ops []string
	for _, n := range m.GetGraph().GetNode() {
		if n.GetOpType() == "Identity" {
			continue // names an output
		}
		ops = append(ops, n.GetOpType())
		if n.GetName() == cube.Name() && n.GetInput()[0] != "x" {
			t.Errorf("the cube is made of %v", n.GetInput())
		}
	}
	slices.Sort(ops)
	if want := []string{"Add", "Add", "Expand", "Reshape", "Reshape"}; !slices.Equal(ops, want) {
		t.Errorf("%v is written instead of %v", ops, want)
	}
	out := graphtest.Run(t, g, map[string]runtime.Tensor{
		"x": graphtest.Float32([]float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 2, 6), "b": graphtest.Float32([]float32{0, 1, 0, 1, 0, 1}, 6),
	})
	if got, want := graphtest.Floats(t, out["sum"]), []float32{1, 3, 3, 5, 5, 7, 7, 9, 9, 11, 11, 13}; !slices.Equal(got, want) {
		t.Errorf("the sum is %v instead of %v", got, want)
	}
	if got := out["wide"]; !slices.Equal(got.Shape, []int64{2, 6}) {
		t.Errorf("what is expanded twice has the shape %v", got.Shape)
	}
	if got := out["cube"].Shape; !slices.Equal(got, []int64{2, 2, 3}) {
		t.Errorf("the cube has the shape %v", got)
	}
}

// Dimensions of 1 move without a transposition.
func TestTransposeOfOnesIsReshape(t *testing.T) {
	g := graph.New("ones")
	x := image(g, "x", 1, 3, 4, 1)
	if y := graph.Transpose(x, 1, 0, 3, 2); y.Node().Op != "Reshape" || !slices.Equal(y.Shape(), []int{3, 1, 1, 4}) {
		t.Errorf("%s %v", y.Node().Op, y.Shape())
	}
	if y := graph.Transpose(x, 2, 1, 0, 3); y.Node().Op != "Transpose" {
		t.Errorf("%s moves elements", y.Node().Op)
	}
}
