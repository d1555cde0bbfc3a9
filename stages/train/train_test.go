package train

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/optimizer"
	"github.com/plateau-nas/plateau/exporter/safetensors"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

func TestMain(m *testing.M) { stagetest.Main(m) }

var chosen = space.Architecture{3, 1, 2, 0, 4, 3}

// inputs are a dataset and an architecture.
func inputs(t *testing.T, o stagetest.Images) map[string]pipeline.Artifact {
	t.Helper()
	folder := t.TempDir()
	data, arch := filepath.Join(folder, "dataset.safetensors"), filepath.Join(folder, "architecture.json")
	if err := stagetest.Dataset(t, o).Save(data); err != nil {
		t.Fatal(err)
	}
	if err := result.WriteArchitecture(arch, result.NewArchitecture(space.NASBench201(), chosen)); err != nil {
		t.Fatal(err)
	}
	return map[string]pipeline.Artifact{
		"dataset":      {Type: "dataset", Path: data, Stage: "data"},
		"architecture": {Type: "architecture", Path: arch, Stage: "search"},
	}
}

// training is a run of the stage on small inputs; changes are settings that replace those of the same name.
func training(t *testing.T, in map[string]pipeline.Artifact, changes ...string) stagetest.Run {
	t.Helper()
	lines := map[string]string{}
	for _, c := range append([]string{"channels: 2", "epochs: 3", "training: {batch: 8, momentum: 0.9, nesterov: true, weight_decay: 0.0005, clip: 5}"}, changes...) {
		name, _, _ := strings.Cut(c, ":")
		lines[name] = c
	}
	settings := strings.Join(slices.Sorted(maps.Values(lines)), "\n")
	return stagetest.Run{Kind: Kind(stagetest.Opener(t)), Settings: settings, Inputs: in, Seed: 5}
}

func rows(t *testing.T, res *stagetest.Result) []result.TrainEpoch {
	t.Helper()
	out, err := result.ReadTrainHistory(res.Outputs["history"])
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTrainingWritesNetworkWeightsAndHistory(t *testing.T) {
	in := inputs(t, stagetest.DefaultImages())
	res := training(t, in).Must(t)

	net, err := supernet.ReadNetwork(res.Outputs["network"])
	if err != nil {
		t.Fatal(err)
	}
	want := supernet.Network{Space: "nasbench201", Architecture: space.NASBench201().Format(chosen), Macro: stagetest.Macro()}
	if diff := cmp.Diff(want, net); diff != "" {
		t.Errorf("network differs (-want +got):\n%s", diff)
	}

	parameters, running, err := net.Indexes()
	if err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Read(res.Outputs["weights"])
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range append(slices.Clone(parameters.All()), running.All()...) {
		names = append(names, p.Name)
		v, err := f.Float32(p.Name, p.Shape...)
		if err != nil {
			t.Error(err)
		}
		for _, x := range v {
			if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
				t.Errorf("%s holds %v", p.Name, x)
			}
		}
	}
	got := f.Names()
	slices.Sort(names)
	slices.Sort(got)
	if diff := cmp.Diff(names, got); diff != "" {
		t.Errorf("tensors differ (-want +got):\n%s", diff)
	}
	if f.Metadata["plateau.architecture"] != want.Architecture || f.Metadata["plateau.space"] != "nasbench201" {
		t.Errorf("metadata is %v", f.Metadata)
	}

	history := rows(t, res)
	if len(history) != 3 {
		t.Fatalf("%d epochs in the history", len(history))
	}
	for i, row := range history {
		if row.Epoch != i+1 || !(row.TrainLoss > 0) || !(row.TrainAccuracy >= 0 && row.TrainAccuracy <= 1) {
			t.Errorf("row %d is %+v", i, row)
		}
	}
	if res.Metrics["parameters"] != float64(parameters.Total()) || !strings.Contains(res.Summary, fmt.Sprintf("%d parameters", parameters.Total())) {
		t.Errorf("metrics are %v, the summary is %q", res.Metrics, res.Summary)
	}
}

// Few images are soon learned by heart, and the form for use knows them with the weights and statistics that were written.
func TestTrainingLearns(t *testing.T) {
	in := inputs(t, stagetest.DefaultImages())
	res := training(t, in, "epochs: 80", "channels: 4", "augment: {flip: false, crop: 0}").Must(t)
	history := rows(t, res)
	first, last := history[0], history[len(history)-1]
	if last.TrainLoss > first.TrainLoss/2 || last.TrainAccuracy < 0.8 {
		t.Errorf("from %+v to %+v", first, last)
	}
	net, err := supernet.ReadNetwork(res.Outputs["network"])
	if err != nil {
		t.Fatal(err)
	}
	parameters, running, err := net.Indexes()
	if err != nil {
		t.Fatal(err)
	}
	p, err := supernet.LoadWeights(res.Outputs["weights"], parameters)
	if err != nil {
		t.Fatal(err)
	}
	r, err := supernet.LoadWeights(res.Outputs["weights"], running)
	if err != nil {
		t.Fatal(err)
	}
	m, err := net.Inference(p, r)
	if err != nil {
		t.Fatal(err)
	}
	model, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := stagetest.Runtime(t).NewSession(model, runtime.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	data, err := dataset.Load(in["dataset"].Path)
	if err != nil {
		t.Fatal(err)
	}
	images := data.TrainValid()
	loader, err := dataset.NewLoader(images, data.Mean, data.Std, dataset.LoaderOptions{Batch: images.Count})
	if err != nil {
		t.Fatal(err)
	}
	for b, err := range loader.Epoch(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.Run(t.Context(), map[string]runtime.Tensor{supernet.Images: {Shape: []int64{int64(b.Count), 3, 12, 12}, Data: b.X}})
		if err != nil {
			t.Fatal(err)
		}
		logits, hits := out[supernet.Logits].Data.([]float32), 0
		for i, y := range b.Y {
			row := logits[i*10 : (i+1)*10]
			if slices.Max(row) == row[y] {
				hits++
			}
		}
		if share := float64(hits) / float64(b.Count); share < 0.7 {
			t.Errorf("the training images are classified with accuracy %v", share)
		}
	}
}

func TestLearningRateFollowsTheSchedule(t *testing.T) {
	in := inputs(t, stagetest.DefaultImages())
	for _, c := range []struct {
		name    string
		changes []string
		batches int
		rate    func(step int) float64
	}{
		{"cosine over all images", []string{"learning_rate: 0.1", "learning_rate_min: 0.01"}, 4, optimizer.Cosine(0.1, 0.01, 12)},
		{"without the validation images", []string{"learning_rate: 0.1", "use_valid: false"}, 2, optimizer.Cosine(0.1, 0, 6)},
		{"cosine by epochs", []string{"learning_rate: 0.1", "learning_rate_min: 0.01", "learning_rate_each: epoch"}, 4, func(step int) float64 {
			return optimizer.Cosine(0.1, 0.01, 3)(step / 4)
		}},
		{"exponential by epochs", []string{"learning_rate: 0.1", "schedule: exponential", "learning_rate_decay: 0.5", "learning_rate_each: epoch"}, 4, func(step int) float64 {
			return []float64{0.1, 0.05, 0.025}[step/4]
		}},
		{"exponential by iterations, down to a least rate", []string{"learning_rate: 0.16", "schedule: exponential", "learning_rate_decay: 0.0625", "learning_rate_min: 0.001"}, 4, func(step int) float64 {
			return max(0.16*math.Pow(0.5, float64(step)), 0.001)
		}},
		{"by epochs after a warm-up of one", []string{"learning_rate: 0.1", "warmup: 1", "learning_rate_each: epoch"}, 4, func(step int) float64 {
			if step < 4 {
				return 0.1 * float64(step+1) / 4
			}
			return optimizer.Cosine(0.1, 0, 2)((step - 4) / 4)
		}},
		{"after a warm-up of one and a half epochs", []string{"learning_rate: 0.1", "warmup: 1.5"}, 4, func(step int) float64 {
			if step < 6 {
				return 0.1 * float64(step+1) / 6
			}
			return 0.1 * (1 + math.Cos(math.Pi*float64(step-6)/6)) / 2
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for i, row := range rows(t, training(t, in, c.changes...).Must(t)) {
				if want := c.rate((i+1)*c.batches - 1); math.Abs(row.LR-want) > 1e-15 {
					t.Errorf("epoch %d ends at the rate %v, want %v", i+1, row.LR, want)
				}
			}
		})
	}
}

// inSecondEpoch is true after the first checkpoint and before the second.
func inSecondEpoch(p event.Progress) bool { return p.Done == 1 && !p.Final }

// interrupted starts the run and ends its context at the given moment.
func interrupted(t *testing.T, run stagetest.Run, at func(event.Progress) bool) *stagetest.Result {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	run.Context, run.Watch = ctx, func(e event.Event) {
		if e.Type == event.StageProgress && at(*e.Progress) {
			cancel()
		}
	}
	res := run.Do(t)
	if !errors.Is(res.Err, context.Canceled) {
		t.Fatalf("the interrupted run ended with %v", res.Err)
	}
	for _, path := range res.Outputs {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s was written", filepath.Base(path))
		}
	}
	return res
}

func TestInterruptedTrainingEndsWithTheSameBytes(t *testing.T) {
	in := inputs(t, stagetest.DefaultImages())
	run := training(t, in)
	want := run.Must(t)
	stagetest.SameBytes(t, want, run.Must(t))
	run.Scratch = interrupted(t, run, inSecondEpoch).Scratch
	interrupted(t, run, func(p event.Progress) bool { return p.Done == 2 && !p.Final })
	last := run.Must(t)
	if said := last.Logged("info"); !strings.Contains(said, "continuing in epoch 3 of 3, after 1 of ") {
		t.Errorf("what was said: %s", said)
	}
	stagetest.SameBytes(t, want, last)
	if want.Summary != last.Summary {
		t.Errorf("the summary is %q, without interruptions %q", last.Summary, want.Summary)
	}
	// A run that was killed after its last checkpoint has only to write its results.
	again := run.Must(t)
	if said := again.Logged("info"); !strings.Contains(said, "continuing after epoch 3 of 3") {
		t.Errorf("what was said: %s", said)
	}
	stagetest.SameBytes(t, want, again)

	run.Scratch, run.Seed = "", run.Seed+1
	if other := run.Must(t).Bytes(t); other["weights"] == want.Bytes(t)["weights"] {
		t.Error("another seed gives the same weights")
	}
}

// An interrupt finishes the step and leaves a checkpoint behind it: a training that is interrupted in every step makes one step each
// time, and ends like one that never was.
func TestTrainingInterruptedInEveryStep(t *testing.T) {
	for _, c := range []struct {
		name  string
		run   stagetest.Run
		steps int
	}{
		{"cell", training(t, inputs(t, stagetest.DefaultImages())), 3 * 4},
		{"genotype", training(t, genotypeInputs(t), append(recipe[:3:3], "epochs: 2")...), 2 * 2}, // draws which edges are dropped
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			run, want := c.run, c.run.Must(t)
			run.Scratch = t.TempDir()
			times := 0
			for ; ; times++ {
				ctx, cancel := context.WithCancel(context.Background())
				run.Context, run.Watch = ctx, func(e event.Event) {
					if e.Type == event.StageProgress && !e.Progress.Final {
						cancel()
					}
				}
				res := run.Do(t)
				cancel()
				if res.Err == nil {
					stagetest.SameBytes(t, want, res)
					break
				}
				if !errors.Is(res.Err, context.Canceled) {
					t.Fatal(res.Err)
				}
			}
			if times != c.steps {
				t.Errorf("interrupted %d times in %d steps", times, c.steps)
			}
		})
	}
}

func TestDamagedCheckpointIsReportedAndTrainingStartsOver(t *testing.T) {
	in := inputs(t, stagetest.DefaultImages())
	run := training(t, in)
	want := run.Must(t)
	scratch := interrupted(t, run, inSecondEpoch).Scratch
	for _, c := range []struct {
		name, file, said string
		damage           func([]byte) []byte
	}{
		{"a bit of the weights", checkpointFile, "is damaged", func(data []byte) []byte { data[len(data)-100] ^= 4; return data }},
		{"the second half", checkpointFile, "is damaged", func(data []byte) []byte { return data[:len(data)/2] }},
		{"a digit of the history", historyFile, "history", func(data []byte) []byte {
			return []byte(strings.Replace(string(data), ",2.", ",3.", 1))
		}},
		{"the rows of the history", historyFile, "history", func(data []byte) []byte {
			return data[:strings.IndexByte(string(data), '\n')+1]
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			damaged := run
			damaged.Scratch = t.TempDir()
			if err := os.CopyFS(damaged.Scratch, os.DirFS(scratch)); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(damaged.Scratch, c.file)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, c.damage(data), 0o644); err != nil {
				t.Fatal(err)
			}
			res := damaged.Must(t)
			if said := res.Logged("warn"); !strings.Contains(said, c.said) || !strings.Contains(said, "training starts over") {
				t.Errorf("what was said: %s", said)
			}
			stagetest.SameBytes(t, want, res)
		})
	}
}

func TestTrainingSaysWhatIsWrong(t *testing.T) {
	in := inputs(t, stagetest.DefaultImages())
	with := func(port, content string) map[string]pipeline.Artifact {
		path := filepath.Join(t.TempDir(), port)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		out := map[string]pipeline.Artifact{"dataset": in["dataset"], "architecture": in["architecture"]}
		out[port] = pipeline.Artifact{Path: path}
		return out
	}
	for _, c := range []struct {
		name    string
		in      map[string]pipeline.Artifact
		changes []string
		want    string
	}{
		{"a learning rate that is far too large", in, []string{"learning_rate: 1.0e+30"}, "lower the learning rate (now 1e+30)"},
		{"an architecture that is none", with("architecture", "{}"), nil, "reading an architecture"},
		{"a dataset that is none", with("dataset", "{}"), nil, "load dataset"},
		{"a crop larger than the images", in, []string{"augment: {crop: 12}"}, "crop"},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := training(t, c.in, c.changes...).Do(t)
			if res.Err == nil || !strings.Contains(res.Err.Error(), c.want) || strings.Contains(res.Err.Error(), "close a state") {
				t.Errorf("the error does not say %q alone: %v", c.want, res.Err)
			}
		})
	}
}

func TestClosedRuntimeIsAnError(t *testing.T) {
	stagetest.Runtime(t) // skips where there is none
	run := training(t, inputs(t, stagetest.DefaultImages()))
	closed, err := runtime.Open(t.Context(), runtimetest.Settings())
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	run.Kind = Kind(func(context.Context) (*runtime.Runtime, error) { return closed, nil })
	if res := run.Do(t); res.Err == nil || !strings.Contains(res.Err.Error(), "closed") {
		t.Error(res.Err)
	}
}

func TestEveryMistakeIsReportedWithItsPath(t *testing.T) {
	nan := math.NaN()
	all := DefaultSettings()
	var want []string
	for _, c := range []struct {
		path   string
		change func(*Settings)
	}{
		{"epochs", func(s *Settings) { s.Epochs = 0 }},
		{"learning_rate", func(s *Settings) { s.LearningRate = nan }},
		{"learning_rate_min", func(s *Settings) { s.LearningRateMin = -1 }},
		{"warmup", func(s *Settings) { s.Warmup = 30 }},
		{"augment.crop", func(s *Settings) { s.Augment.Crop = -1 }},
		{"augment.cutout", func(s *Settings) { s.Augment.Cutout = -1 }},
		{"augment.resized_crop", func(s *Settings) { s.Augment.ResizedCrop = 2 }},
		{"augment.jitter.hue", func(s *Settings) { s.Augment.Jitter.Hue = nan }},
		{"schedule", func(s *Settings) { s.Schedule = "step" }},
		{"learning_rate_decay", func(s *Settings) { s.LearningRateDecay = 0 }},
		{"learning_rate_each", func(s *Settings) { s.LearningRateEach = "" }},
		{"channels", func(s *Settings) { s.Channels = 0 }},
		{"cells", func(s *Settings) { s.Cells = 0 }},
		{"training.batch", func(s *Settings) { s.Training.Batch = 0 }},
		{"training.clip", func(s *Settings) { s.Training.Clip = -1 }},
	} {
		s := DefaultSettings()
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		c.change(&all)
		want = append(want, c.path)
		c.change(&s)
		got := settingPaths(s.Validate())
		switch c.path { // these make other settings wrong too
		case "epochs":
			got = slices.DeleteFunc(got, func(p string) bool { return p == "warmup" })
		case "learning_rate":
			got = slices.DeleteFunc(got, func(p string) bool { return p == "learning_rate_min" })
		}
		if diff := cmp.Diff([]string{c.path}, got); diff != "" {
			t.Errorf("mistakes (-want +got):\n%s", diff)
		}
	}
	got := settingPaths(all.Validate())
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("with all mistakes at once (-want +got):\n%s", diff)
	}
}

// settingPaths returns the setting that each mistake of an error names.
func settingPaths(err error) []string {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var out []string
		for _, e := range many.Unwrap() {
			out = append(out, settingPaths(e)...)
		}
		return out
	}
	var one *pipeline.SettingError
	if errors.As(err, &one) {
		return []string{one.Path}
	}
	return []string{fmt.Sprint(err)}
}

// A batch that the images do not fill is as large as there are images, and that is said.
func TestTrainingTakesASmallerBatch(t *testing.T) {
	few := stagetest.DefaultImages()
	few.Train = 7
	in := inputs(t, few)
	res := training(t, in, "use_valid: false", "epochs: 2").Must(t)
	if said := res.Logged("warn"); !strings.Contains(said, "7 images do not fill a batch of 8: training in batches of 7") {
		t.Errorf("what was said: %s", said)
	}
	stagetest.SameBytes(t, res, training(t, in, "use_valid: false", "epochs: 2", "training: {batch: 7}").Must(t))
}
