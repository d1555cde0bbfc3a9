package runtime_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/internal/tinymodel"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
)

// TestBlockedLayoutServesConstantWeights reads the graphs that ONNX Runtime makes of a convolution and a pooling: only where the
// weights are constants may they change to the blocked layout and back.
func TestBlockedLayoutServesConstantWeights(t *testing.T) {
	rt := runtimetest.Open(t)
	const channels = 16
	image := func(name string) tinymodel.Value {
		return tinymodel.Value{Name: name, Type: tinymodel.Float32, Dims: []int64{1, channels, 8, 8}}
	}
	weights := tinymodel.Initializer{Name: "w", Dims: []int64{channels, channels, 1, 1}, Data: make([]float32, channels*channels)}
	fed := tinymodel.Value{Name: "w", Type: tinymodel.Float32, Dims: weights.Dims}
	conv := tinymodel.Node{Op: "Conv", Inputs: []string{"x", "w"}, Outputs: []string{"c"}}
	pool := tinymodel.Node{Op: "AveragePool", Inputs: []string{"c"}, Outputs: []string{"y"}, Ints: map[string][]int64{"kernel_shape": {3, 3}, "pads": {1, 1, 1, 1}}}
	double := tinymodel.Node{Op: "Add", Inputs: []string{"w", "w"}, Outputs: []string{"w2"}}
	doubled := tinymodel.Node{Op: "Conv", Inputs: []string{"x", "w2"}, Outputs: []string{"c"}}
	images, results := []tinymodel.Value{image("x")}, []tinymodel.Value{image("y")}
	inBranch := tinymodel.Node{Op: "If", Inputs: []string{"flag"}, Outputs: []string{"c"}, Branches: map[string]tinymodel.Model{
		"then_branch": {Nodes: []tinymodel.Node{{Op: "Conv", Inputs: []string{"x", "w"}, Outputs: []string{"t"}}}, Outputs: []tinymodel.Value{image("t")}},
		"else_branch": {Nodes: []tinymodel.Node{{Op: "Relu", Inputs: []string{"x"}, Outputs: []string{"e"}}}, Outputs: []tinymodel.Value{image("e")}},
	}}
	flag := tinymodel.Value{Name: "flag", Type: tinymodel.Bool, Dims: []int64{1}}
	for name, c := range map[string]struct {
		model   tinymodel.Model
		blocked bool
	}{
		"constant weights":          {tinymodel.Model{Inputs: images, Initializers: []tinymodel.Initializer{weights}, Nodes: []tinymodel.Node{conv, pool}}, true},
		"weights that are computed": {tinymodel.Model{Inputs: images, Initializers: []tinymodel.Initializer{weights}, Nodes: []tinymodel.Node{double, doubled, pool}}, true},
		"weights that are fed":      {tinymodel.Model{Inputs: append(images, fed), Nodes: []tinymodel.Node{conv, pool}}, false},
		"weights from what is fed":  {tinymodel.Model{Inputs: append(images, fed), Nodes: []tinymodel.Node{double, doubled, pool}}, false},
		"a default for what is fed": {tinymodel.Model{Inputs: append(images, fed), Initializers: []tinymodel.Initializer{weights}, Nodes: []tinymodel.Node{conv, pool}}, false},
		"constants around a branch": {tinymodel.Model{Inputs: append(images, flag), Initializers: []tinymodel.Initializer{weights}, Nodes: []tinymodel.Node{inBranch, pool}}, true},
		"fed around a branch":       {tinymodel.Model{Inputs: append(images, flag, fed), Nodes: []tinymodel.Node{inBranch, pool}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c.model.Outputs = results
			path := filepath.Join(t.TempDir(), "optimized.onnx")
			s, err := rt.NewSession(c.model.Bytes(), runtime.SessionOptions{Optimized: path, Optimization: "all"})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			graph, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := bytes.Contains(graph, []byte("ReorderOutput")); got != c.blocked {
				t.Errorf("the graph uses the blocked layout: %v, expected %v", got, c.blocked)
			}
		})
	}
}
