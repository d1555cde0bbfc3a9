package supernet_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/torchtest"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// everyOperation is a space with every registered kind of operation and activation.
func everyOperation(t *testing.T) *space.Space {
	t.Helper()
	s, err := space.Declaration{Name: "every", Nodes: 3, Operations: []string{
		"none", "skip_connect", "nor_conv_3x3_d2_hardswish", "nor_conv_5x5", "dep_conv_3x3_swish", "dil_conv_3x3_d3", "sep_conv_3x3_gelu", "avg_pool_5x5", "max_pool_3x3",
	}}.Space()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// In a declared space the three forms agree: what the path form computes is what the relaxed one computes at one-hot
// probabilities, and a step of SGD leaves the same weights.
func TestFormsOfADeclaredSpaceAgree(t *testing.T) {
	rt, s := runtimetest.Open(t), everyOperation(t)
	sn, err := supernet.New(s, supernet.Macro{Channels: 2, Cells: 1, Classes: 3, Image: [3]int{3, 8, 8}, Stages: 2})
	if err != nil {
		t.Fatal(err)
	}
	n := int64(sn.Index.Total())
	training := supernet.Training{Batch: 4, Momentum: 0.9}
	path := session(t, rt, func() (*onnx.ModelProto, error) { return sn.PathStep(training) })
	relaxed := session(t, rt, func() (*onnx.ModelProto, error) { return sn.TrainStep(training) })
	for i := range s.Operations {
		a := space.Architecture{i, (i + 3) % len(s.Operations), (i + 5) % len(s.Operations)}
		in := map[string]runtime.Tensor{
			"images": vector(torchtest.Noise(2, 4*3*8*8), 4, 3, 8, 8), "labels": {Shape: []int64{4}, Data: []int64{0, 1, 2, 1}},
			"params": vector(torchtest.Fill(sn.Index), n), "momentum": vector(make([]float32, n), n), "learning_rate": vector([]float32{0.1}, 1),
		}
		var choices []int64
		var hot []float32
		for e, row := range s.OneHot(a) {
			choices = append(choices, int64(a[e]))
			for _, v := range row {
				hot = append(hot, float32(v))
			}
		}
		in["choices"] = runtime.Tensor{Shape: []int64{3}, Data: choices}
		one := path(in)
		delete(in, "choices")
		in["probabilities"] = vector(hot, 3, int64(len(s.Operations)))
		other := relaxed(in)
		for _, name := range []string{"loss", "next_params"} {
			closeTo(t, name+" of "+s.Format(a), one[name].Data.([]float32), other[name].Data.([]float32), 1e-3)
		}
	}
}

// A network of a declared space is found again by what its files say, and trains.
func TestNetworkOfADeclaredSpace(t *testing.T) {
	rt, s := runtimetest.Open(t), everyOperation(t)
	a := s.Random(rand.New(rand.NewPCG(3, 1)))
	net := supernet.Network{Space: s.Reference(), Architecture: s.Format(a), Macro: supernet.Macro{Channels: 2, Cells: 1, Classes: 3, Image: [3]int{3, 8, 8}, Stages: 2}}
	path := t.TempDir() + "/network.json"
	if err := supernet.WriteNetwork(path, net); err != nil {
		t.Fatal(err)
	}
	if again, err := supernet.ReadNetwork(path); err != nil || again != net {
		t.Errorf("%+v, %v", again, err)
	}
	index, running, err := net.Indexes()
	if err != nil {
		t.Fatal(err)
	}
	use := session(t, rt, func() (*onnx.ModelProto, error) {
		return net.Inference(torchtest.Fill(index), running.Initialize(rand.New(rand.NewPCG(1, 1))))
	})
	if out := use(map[string]runtime.Tensor{"images": vector(torchtest.Noise(1, 2*3*8*8), 2, 3, 8, 8)}); len(out["logits"].Data.([]float32)) != 6 {
		t.Errorf("%v", out)
	}
}

const custom = `
space: custom
custom:
  name: tiny
  nodes: 3
  edges: [1<-0, 2<-0, 2<-1]
  operations: [none, skip_connect, sep_conv_3x3]
stages: 2
channels: 2
score_batch: 8
training: {batch: 4}
`

func TestStageBuildsADeclaredSpace(t *testing.T) {
	in := map[string]pipeline.Artifact{"dataset": stagetest.Inputs(t, stagetest.DefaultImages())["dataset"]}
	res := stagetest.Run{Kind: supernet.Kind(), Settings: custom, Inputs: in}.Must(t)
	model, err := os.ReadFile(res.Outputs["path"])
	if err != nil {
		t.Fatal(err)
	}
	s, macro, err := supernet.Of(model)
	if err != nil || s.Name != "tiny" || s.Size() != 27 || macro.Stages != 2 {
		t.Errorf("built for %+v, %+v, %v", s, macro, err)
	}
}

func TestMistakesInTheSpaceOfTheStage(t *testing.T) {
	for name, c := range map[string]struct{ old, with, path, want string }{
		"an operation that is none":     {"sep_conv_3x3", "sep_con_3x3", "custom.operations[2]", `did you mean "sep_conv_3x3"?`},
		"edges out of order":            {"1<-0, 2<-0", "2<-0, 1<-0", "custom.edges[1]", "out of order"},
		"an output that is not reached": {"2<-0, 2<-1", "", "custom.edges", "no edge leads to the output, node 2,"},
		"no declaration":                {"custom:", "ignored:", "custom", "is not declared"},
		"a declaration for nothing":     {"space: custom", "space: darts", "space", "write space: custom, or leave custom out"},
		"too many stages":               {"stages: 2", "stages: 9", "stages", "9 stages; give 1 to 6"},
	} {
		text := strings.Replace(custom, c.old, c.with, 1)
		if name == "no declaration" {
			text = "space: custom"
		}
		err := stagetest.Stage(t, supernet.Kind(), text).(pipeline.Validator).Validate()
		found := false
		var walk func(error)
		walk = func(err error) {
			if j, ok := err.(interface{ Unwrap() []error }); ok {
				for _, e := range j.Unwrap() {
					walk(e)
				}
				return
			}
			var se *pipeline.SettingError
			found = found || errors.As(err, &se) && se.Path == c.path && strings.Contains(se.Error(), c.want)
		}
		walk(err)
		if !found {
			t.Errorf("%s: %v does not say %q of %s", name, err, c.want, c.path)
		}
	}
	darts := stagetest.Stage(t, supernet.Kind(), "{space: darts, stages: 2}").(pipeline.Validator).Validate()
	if darts == nil || !strings.Contains(darts.Error(), "stages: 2 stages; networks of the space darts have 3") {
		t.Error(darts)
	}
}
