package supernet_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

type build func() (*onnx.ModelProto, error)

// graphs returns every graph of a supernet by the name of its file.
func graphs(t *testing.T) map[string]build {
	t.Helper()
	sn, err := supernet.New(space.NASBench201(), small)
	if err != nil {
		t.Fatal(err)
	}
	training := supernet.DefaultTraining()
	training.Batch = 4
	return map[string]build{
		"supernet":          func() (*onnx.ModelProto, error) { return sn.Forward(4) },
		"path":              func() (*onnx.ModelProto, error) { return sn.Path(4) },
		"train_step":        func() (*onnx.ModelProto, error) { return sn.TrainStep(training) },
		"joint_step":        func() (*onnx.ModelProto, error) { return sn.JointStep(training) },
		"path_step":         func() (*onnx.ModelProto, error) { return sn.PathStep(training) },
		"architecture_step": func() (*onnx.ModelProto, error) { return sn.ArchitectureStep(4) },
	}
}

func bytesOf(t *testing.T, b build) string {
	t.Helper()
	m, err := b()
	if err != nil {
		t.Fatal(err)
	}
	data, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestGraphsHaveTheSameBytesEachTime(t *testing.T) {
	again := graphs(t)
	for name, b := range graphs(t) {
		if first := bytesOf(t, b); first != bytesOf(t, b) || first != bytesOf(t, again[name]) {
			t.Errorf("%s: the bytes differ", name)
		}
	}
}

// Who meets one of the files alone finds in it what it computes, and what goes in and comes out.
func TestGraphsDescribeThemselves(t *testing.T) {
	sn, err := supernet.New(space.NASBench201(), small)
	if err != nil {
		t.Fatal(err)
	}
	n := sn.Index.Total()
	type entry struct {
		Name    string `json:"name"`
		Type    string `json:"type"`
		Shape   []int  `json:"shape"`
		Meaning string `json:"meaning"`
	}
	images, labels := entry{Name: "images", Type: "float32", Shape: []int{4, 3, 8, 8}}, entry{Name: "labels", Type: "int64", Shape: []int{4}}
	probabilities, choices := entry{Name: "probabilities", Type: "float32", Shape: []int{6, 5}}, entry{Name: "choices", Type: "int64", Shape: []int{6}}
	alpha := entry{Name: "alpha", Type: "float32", Shape: []int{6, 5}}
	parameters, momentum, rate := entry{Name: "params", Type: "float32", Shape: []int{n}}, entry{Name: "momentum", Type: "float32", Shape: []int{n}}, entry{Name: "learning_rate", Type: "float32", Shape: []int{1}}
	logits := entry{Name: "logits", Type: "float32", Shape: []int{4, 10}}
	loss, correct := entry{Name: "loss", Type: "float32", Shape: []int{1}}, entry{Name: "correct", Type: "float32", Shape: []int{1}}
	nextParams, nextMomentum := entry{Name: "next_params", Type: "float32", Shape: []int{n}}, entry{Name: "next_momentum", Type: "float32", Shape: []int{n}}
	byProbability, byAlpha := entry{Name: "grad_probabilities", Type: "float32", Shape: []int{6, 5}}, entry{Name: "grad_alpha", Type: "float32", Shape: []int{6, 5}}
	want := map[string][2][]entry{
		"supernet":          {{images, probabilities, parameters}, {logits}},
		"path":              {{images, choices, parameters}, {logits}},
		"train_step":        {{images, probabilities, parameters, labels, momentum, rate}, {loss, correct, nextParams, nextMomentum}},
		"joint_step":        {{images, alpha, parameters, labels, momentum, rate}, {loss, correct, nextParams, nextMomentum, byAlpha}},
		"path_step":         {{images, choices, parameters, labels, momentum, rate}, {loss, correct, nextParams, nextMomentum}},
		"architecture_step": {{images, probabilities, parameters, labels}, {loss, correct, byProbability}},
	}
	for name, b := range graphs(t) {
		m, err := b()
		if err != nil {
			t.Fatal(err)
		}
		about := onnx.Metadata(m)
		for i, key := range []string{"plateau.inputs", "plateau.outputs"} {
			var got []entry
			if err := json.Unmarshal([]byte(about[key]), &got); err != nil {
				t.Fatalf("%s: %s is %q: %v", name, key, about[key], err)
			}
			values := m.GetGraph().GetInput()
			if i == 1 {
				values = m.GetGraph().GetOutput()
			}
			if len(values) != len(got) {
				t.Errorf("%s: %s describes %d values, the graph has %d", name, key, len(got), len(values))
			}
			for j := range got {
				if len(got[j].Meaning) < 10 || !strings.HasSuffix(got[j].Meaning, ".") {
					t.Errorf("%s: the meaning of %s is %q", name, got[j].Name, got[j].Meaning)
				}
				if values[j].GetName() != got[j].Name || values[j].GetDocString() != got[j].Meaning {
					t.Errorf("%s: value %d is %s in the graph and %s in %s, or is described differently", name, j, values[j].GetName(), got[j].Name, key)
				}
				got[j].Meaning = ""
			}
			if diff := cmp.Diff(want[name][i], got); diff != "" {
				t.Errorf("%s: %s differs (-want +got):\n%s", name, key, diff)
			}
		}
		if m.GetDocString() == "" && m.GetGraph().GetDocString() == "" {
			t.Errorf("%s does not say what it is", name)
		}
		if about["plateau.space"] != "nasbench201" || about["plateau.edges"] != `["1<-0","2<-0","2<-1","3<-0","3<-1","3<-2"]` ||
			about["plateau.operations"] != `["none","skip_connect","nor_conv_1x1","nor_conv_3x3","avg_pool_3x3"]` ||
			about["plateau.macro"] != `{"channels":4,"cells":1,"classes":10,"image":[3,8,8]}` {
			t.Errorf("%s: metadata is %v", name, about)
		}
		if opset, err := onnx.OpsetOf(m); err != nil || opset < 17 {
			t.Errorf("%s has opset %d: %v", name, opset, err)
		}
		sp, macro, err := supernet.Of([]byte(bytesOf(t, b)))
		if err != nil || sp.Name != "nasbench201" || macro != small {
			t.Errorf("%s is of space %v with skeleton %+v: %v", name, sp, macro, err)
		}
	}
}

func TestOfForeignModels(t *testing.T) {
	if _, _, err := supernet.Of([]byte("nonsense")); err == nil {
		t.Error("nonsense has a space")
	}
	m, err := graphs(t)["path"]()
	if err != nil {
		t.Fatal(err)
	}
	m.MetadataProps = nil
	data, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := supernet.Of(data); err == nil || !strings.Contains(err.Error(), "not made by the supernet stage") {
		t.Errorf("a model without metadata: %v", err)
	}
}

// The gradient by the probabilities is what the loss does when they change, each alone.
func TestArchitectureGradientEqualsFiniteDifferences(t *testing.T) {
	rt := runtimetest.Open(t)
	sn, err := supernet.New(space.NASBench201(), small)
	if err != nil {
		t.Fatal(err)
	}
	const batch = 4
	rng := rand.New(rand.NewPCG(11, 12))
	p := make([]float32, 30)
	for i := range p {
		p[i] = 0.05 + rng.Float32()
	}
	n := int64(sn.Index.Total())
	in := map[string]runtime.Tensor{
		"images": vector(normal(rng, batch*3*8*8), batch, 3, 8, 8), "labels": {Shape: []int64{batch}, Data: []int64{1, 5, 2, 9}},
		"params": vector(sn.Index.Initialize(rng), n), "probabilities": vector(p, 6, 5),
	}
	step := session(t, rt, func() (*onnx.ModelProto, error) { return sn.ArchitectureStep(batch) })
	run := func() (loss float64, gradient []float32) {
		out := step(in)
		return float64(out["loss"].Data.([]float32)[0]), out["grad_probabilities"].Data.([]float32)
	}
	_, gradient := run()
	gradient = append([]float32(nil), gradient...)
	largest := 0.0
	for _, v := range gradient {
		largest = max(largest, math.Abs(float64(v)))
	}
	const h = 2e-3
	for i := range p {
		before := p[i]
		p[i] = before + h
		up, _ := run()
		p[i] = before - h
		down, _ := run()
		p[i] = before
		if slope := (up - down) / (2 * h); math.Abs(slope-float64(gradient[i])) > 0.03*largest {
			t.Errorf("edge %d, %s: the gradient is %v, the loss changes by %v", i/5, sn.Space.Operations[i%5], gradient[i], slope)
		}
	}
	for e := range 6 { // "none" adds nothing, whatever its probability
		if gradient[e*5] != 0 {
			t.Errorf("edge %d: the gradient by none is %v", e, gradient[e*5])
		}
	}
}
