package supernet_test

import (
	"testing"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// What is computed again in the backward pass is what would have been kept: all results stay. The
// sizes are such that the values of the first stage are worth it.
func TestRecomputationKeepsResults(t *testing.T) {
	rt := runtimetest.Open(t)
	macro := supernet.Macro{Channels: 4, Cells: 1, Classes: 10, Image: [3]int{3, 16, 16}}
	sn, err := supernet.New(space.NASBench201(), macro)
	if err != nil {
		t.Fatal(err)
	}
	net := network()
	net.Macro = macro
	for name, step := range map[string]func(supernet.Training) (*onnx.ModelProto, error){
		"joint step": sn.JointStep, "stand-alone network": net.TrainStep,
		"architecture step": func(t supernet.Training) (*onnx.ModelProto, error) {
			sn.Recompute = t.Recompute
			return sn.ArchitectureStep(t.Batch)
		},
	} {
		t.Run(name, func(t *testing.T) {
			training := supernet.Training{Batch: 16, Momentum: 0.9, Clip: 5}
			plain, err := step(training)
			if err != nil {
				t.Fatal(err)
			}
			training.Recompute = true
			again, err := step(training)
			if err != nil {
				t.Fatal(err)
			}
			if a, b := len(plain.GetGraph().GetNode()), len(again.GetGraph().GetNode()); a == b {
				t.Errorf("both have %d nodes", a)
			}
			in := anyInputs(plain)
			want := session(t, rt, func() (*onnx.ModelProto, error) { return plain, nil })(in)
			for out, v := range session(t, rt, func() (*onnx.ModelProto, error) { return again, nil })(in) {
				closeTo(t, out, v.Data.([]float32), want[out].Data.([]float32), 1e-4)
			}
		})
	}
}
