package crossvalidate_test

import (
	"context"
	"math/bits"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/stages/crossvalidate"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
	"github.com/plateau-nas/plateau/stages/train"
)

func TestMain(m *testing.M) { stagetest.Main(m) }

// inputs are a dataset, a network and its recipe.
func inputs(t *testing.T) map[string]pipeline.Artifact {
	t.Helper()
	folder := t.TempDir()
	put := func(kind pipeline.Type, name string, err func(path string) error) pipeline.Artifact {
		path := filepath.Join(folder, name)
		if err := err(path); err != nil {
			t.Fatal(err)
		}
		return pipeline.Artifact{Type: kind, Path: path, Stage: "train"}
	}
	data := stagetest.Dataset(t, stagetest.Images{Train: 30, Valid: 10, Seed: 1})
	s := train.DefaultSettings()
	s.Channels, s.Epochs, s.Training.Batch, s.Training.WeightDecay = 2, 3, 8, 0.0005
	net, err := s.Network(space.NASBench201(), "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|", data)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]pipeline.Artifact{
		"dataset": put("dataset", "dataset.safetensors", data.Save),
		"network": put("network", "network.json", func(p string) error { return supernet.WriteNetwork(p, net) }),
		"recipe":  put("recipe", "recipe.yaml", func(p string) error { return train.WriteRecipe(p, s) }),
	}
}

func TestEveryImageIsTestedOnce(t *testing.T) {
	run := stagetest.Run{Kind: crossvalidate.Kind(stagetest.Opener(t)), Settings: "folds: 4", Inputs: inputs(t), Seed: 5}
	res := run.Must(t)
	f, err := result.ReadFolds(res.Outputs["folds"])
	if err != nil {
		t.Fatal(err)
	}
	m := f.Metrics
	if f.K != 4 || m.Count != 50 || m.Split != result.SplitFolds || m.Parameters == 0 {
		t.Errorf("%+v", f)
	}
	right, tested, confused := 0, 0, 0
	for _, b := range m.Right {
		right += bits.OnesCount8(b)
	}
	top1 := 0.0
	for _, p := range f.Parts {
		tested += p.Test
		top1 += p.Top1 * float64(p.Test) / 50
		if p.Train+p.Test != 50 || p.Test < 12 || p.Test > 13 {
			t.Errorf("part %+v", p)
		}
	}
	for i, row := range m.Confusion {
		for k, n := range row {
			if i != k {
				confused += n
			}
		}
	}
	if tested != 50 || confused != 50-right || right != int(m.Top1*50+0.5) || len(m.Mistakes) != confused || top1-m.Top1 > 1e-9 || m.Top1-top1 > 1e-9 {
		t.Errorf("%d tested, %d right, %d confused, %d mistakes, accuracy %v and %v", tested, right, confused, len(m.Mistakes), m.Top1, top1)
	}
	// Mistakes are of images that are not right, by their number among all: training, validation, test.
	data, err := dataset.Load(run.Inputs["dataset"].Path)
	if err != nil {
		t.Fatal(err)
	}
	all, err := data.TrainValid().Join(data.Test)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range m.Mistakes {
		if m.Right[w.Image/8]>>(w.Image%8)&1 == 1 || w.True != data.Classes[all.Labels[w.Image]] || w.True == w.Predicted {
			t.Errorf("mistake %+v of an image of class %s", w, data.Classes[all.Labels[w.Image]])
		}
	}
	if res.Metrics["folds_top1"] != m.Top1 || !(res.Metrics["folds_top1_low"] < m.Top1) || !strings.Contains(res.Summary, "of all 50 images right (95% interval ") ||
		!strings.Contains(res.Logged("info"), "4 trainings on about 38 images each, since 10 test images say little: about 3.8 times the work of the training") {
		t.Errorf("metrics %v, summary %q, said %q", res.Metrics, res.Summary, res.Logged("info"))
	}
	stagetest.SameBytes(t, res, run.Must(t))
}

// A run that is stopped continues where it was and gives the same bytes.
func TestResume(t *testing.T) {
	run := stagetest.Run{Kind: crossvalidate.Kind(stagetest.Opener(t)), Settings: "folds: 3", Inputs: inputs(t), Seed: 5}
	want := run.Must(t)
	ctx, cancel := context.WithCancel(context.Background())
	run.Scratch, run.Context = t.TempDir(), ctx
	run.Watch = func(e event.Event) {
		if e.Progress != nil && e.Progress.Phase == "fold 2 of 3" && e.Progress.Done == 2 {
			cancel()
		}
	}
	if res := run.Do(t); res.Err == nil {
		t.Fatal("it was not stopped")
	}
	var phases []string
	run.Context, run.Watch = context.Background(), func(e event.Event) {
		if e.Progress != nil && !slices.Contains(phases, e.Progress.Phase) {
			phases = append(phases, e.Progress.Phase)
		}
	}
	stagetest.SameBytes(t, want, run.Must(t))
	if !slices.Equal(phases, []string{"fold 2 of 3", "fold 3 of 3"}) {
		t.Errorf("continued with %v", phases)
	}
}

func TestEnoughImages(t *testing.T) {
	in := inputs(t)
	for settings, want := range map[string]string{"below: 10": "10 test images are enough (below is 10)", "folds: 0": "folds is 0"} {
		res := stagetest.Run{Kind: crossvalidate.Kind(stagetest.Opener(t)), Settings: settings, Inputs: in}.Must(t)
		if f, err := result.ReadFolds(res.Outputs["folds"]); err != nil || f.Skipped != want || f.Metrics != nil {
			t.Errorf("%s: %+v, %v", settings, f, err)
		}
	}
	for _, s := range []crossvalidate.Settings{{Folds: 1}, {Folds: -1}, {Folds: 5, Below: -1}} {
		if s.Validate() == nil {
			t.Errorf("%+v is accepted", s)
		}
	}
}
