package supernet_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/supernet"
)

const settings = "{channels: 2, score_batch: 8, training: {batch: 4}}"

func TestStageWritesGraphsAndParameters(t *testing.T) {
	in := map[string]pipeline.Artifact{"dataset": stagetest.Inputs(t, stagetest.DefaultImages())["dataset"]}
	run := stagetest.Run{Kind: supernet.Kind(), Settings: settings, Inputs: in}
	first := run.Must(t)
	for name, path := range first.Outputs {
		if name == "parameters" {
			continue
		}
		m, err := onnx.Load(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		batch := int64(4)
		if name == "supernet" || name == "path" {
			batch = 8
		}
		if x := m.GetGraph().GetInput()[0]; x.GetName() != supernet.Images || x.Shape()[0] != batch {
			t.Errorf("%s: the first input is %s %v, want %d images", name, x.GetName(), x.Shape(), batch)
		}
	}
	index, err := params.Load(first.Outputs["parameters"])
	if err != nil {
		t.Fatal(err)
	}
	if got := first.Metrics["shared_parameters"]; int(got) != index.Total() {
		t.Errorf("%v shared parameters in the metrics, %d in the file", got, index.Total())
	}
	stagetest.SameBytes(t, first, run.Must(t))
}

func TestStageBuildsForReducedImages(t *testing.T) {
	in := map[string]pipeline.Artifact{"dataset": stagetest.Inputs(t, stagetest.DefaultImages())["dataset"]}
	res := stagetest.Run{Kind: supernet.Kind(), Settings: "{channels: 2, score_batch: 8, image_size: 8, training: {batch: 4}}", Inputs: in}.Must(t)
	model, err := os.ReadFile(res.Outputs["path"])
	if err != nil {
		t.Fatal(err)
	}
	if _, macro, err := supernet.Of(model); err != nil || macro.Image != [3]int{3, 8, 8} {
		t.Errorf("built for images of %v: %v", macro.Image, err)
	}
	res = stagetest.Run{Kind: supernet.Kind(), Settings: "{image_size: 16}", Inputs: in}.Do(t)
	if res.Err == nil || !strings.Contains(res.Err.Error(), "image_size") {
		t.Errorf("images of 12x12 enlarged to 16x16: %v", res.Err)
	}
}

func TestStageSaysWhatIsWrongWithItsInput(t *testing.T) {
	in := stagetest.Inputs(t, stagetest.DefaultImages())["dataset"]
	data, err := os.ReadFile(in.Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in.Path, data[:len(data)-10], 0o644); err != nil {
		t.Fatal(err)
	}
	res := stagetest.Run{Kind: supernet.Kind(), Settings: settings, Inputs: map[string]pipeline.Artifact{"dataset": in}}.Do(t)
	if res.Err == nil || !strings.Contains(res.Err.Error(), "truncated") {
		t.Error(res.Err)
	}
}

func TestStageEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	in := map[string]pipeline.Artifact{"dataset": stagetest.Inputs(t, stagetest.DefaultImages())["dataset"]}
	if res := (stagetest.Run{Kind: supernet.Kind(), Settings: settings, Inputs: in, Context: ctx}).Do(t); !errors.Is(res.Err, context.Canceled) {
		t.Error(res.Err)
	}
}
