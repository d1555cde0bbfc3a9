package rewrite_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/rewrite"
	"github.com/plateau-nas/plateau/runtime"
)

// trained returns a model that normalizes x [3, 2, 4, 5] by the statistics of the batch and returns one of the results.
func trained(t *testing.T, output int) *onnx.ModelProto {
	t.Helper()
	g := graph.New("normalized")
	x := g.Input("x", graph.Float32, []int{3, 2, 4, 5}, "")
	y, mean, variance := graph.BatchNormTrain(x, g.Floats([]float32{2, 3}, 2), g.Floats([]float32{4, 5}, 2), g.Fill(0, 2), g.Fill(1, 2), 1e-2, 0)
	g.Output("out", []*graph.Value{y, mean, variance}[output], "")
	m, err := g.Model(graph.ModelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestWriteOutStatisticsKeepsResults(t *testing.T) {
	x := random(rand.New(rand.NewPCG(1, 2)), 3*2*4*5, 10, 13) // the mean is large beside the deviation
	in := map[string]runtime.Tensor{"x": {Shape: []int64{3, 2, 4, 5}, Data: x}}
	for output := range 3 {
		m := trained(t, output)
		written := clone(m)
		if n, err := rewrite.WriteOutStatistics(written); n != 1 || err != nil {
			t.Fatalf("%d nodes were written out, error %v", n, err)
		}
		newer := clone(m)
		newer.OpsetImport[0].Version = 18
		if _, err := rewrite.WriteOutStatistics(newer); err != nil {
			t.Fatal(err)
		}
		want := run(t, m, in)
		same(t, want, run(t, written, in))
		same(t, want, run(t, newer, in))
		if got := ops(written); got["Split"] != 0 || got["ReduceMean"] < 1 {
			t.Errorf("the operators are %v", got)
		}
	}
}

func TestWriteOutStatisticsRefusesAverages(t *testing.T) {
	m := trained(t, 0)
	for _, n := range m.GetGraph().GetNode() {
		for _, a := range n.GetAttribute() {
			if a.GetName() == "momentum" {
				*a.F = 0.5
			}
		}
	}
	if _, err := rewrite.WriteOutStatistics(m); err == nil || !strings.Contains(err.Error(), `BatchNormalization node "BatchNormalization:0": its momentum is not 0`) {
		t.Errorf("error %v", err)
	}
	if _, err := rewrite.WriteOutStatistics(&onnx.ModelProto{}); err == nil {
		t.Error("a model without operator set was accepted")
	}
}
