// Package stagetest runs single stages in tests of the stage kinds, on inputs that are small enough to search and train
// within a second: few drawn images of 12x12 pixels and supernets of two channels.
//
// Its nouns: Inputs are the artifacts that stages read, made once for a test; a Run is one execution of a stage in folders
// of its own, by settings written as in a document.
package stagetest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// Images is the size of the dataset and the batches that the supernet's graphs are built for.
type Images struct {
	Train, Valid      int // images of the two splits
	Batch, ScoreBatch int
	Seed              uint64
}

// DefaultImages returns two batches an epoch and two to score on.
func DefaultImages() Images { return Images{Train: 16, Valid: 16, Batch: 8, ScoreBatch: 8, Seed: 1} }

// Dataset makes drawn images.
func Dataset(t testing.TB, o Images) *dataset.Dataset {
	t.Helper()
	s := dataset.DefaultSettings()
	s.Size, s.TrainImages, s.TestImages = 12, o.Train+o.Valid, 10
	s.ValidFraction = float64(o.Valid) / float64(o.Train+o.Valid)
	d, err := dataset.Make(context.Background(), s, o.Seed)
	if err != nil {
		t.Fatal(err)
	}
	if d.Train.Count != o.Train || d.Valid.Count != o.Valid {
		t.Fatalf("the dataset has %d and %d images instead of %d and %d", d.Train.Count, d.Valid.Count, o.Train, o.Valid)
	}
	return d
}

// Macro is the skeleton of the supernets of Inputs and of networks that fit their dataset.
func Macro() supernet.Macro {
	return supernet.Macro{Channels: 2, Cells: 1, Classes: len(dataset.ShapeClasses()), Image: [3]int{3, 12, 12}}
}

// Inputs makes the artifacts of a dataset stage "data" and a supernet stage "supernet", by the names of the ports that take
// them.
func Inputs(t testing.TB, o Images) map[string]pipeline.Artifact {
	t.Helper()
	return InputsOf(t, o, func(*supernet.Settings) {})
}

// InputsOf is Inputs with other settings of the supernet.
func InputsOf(t testing.TB, o Images, change func(*supernet.Settings)) map[string]pipeline.Artifact {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dataset.safetensors")
	if err := Dataset(t, o).Save(path); err != nil {
		t.Fatal(err)
	}
	in := map[string]pipeline.Artifact{"dataset": {Type: "dataset", Path: path, Stage: "data", Kind: "dataset"}}
	training := supernet.DefaultTraining()
	training.Batch = o.Batch
	s := supernet.Settings{Space: "nasbench201", Channels: Macro().Channels, Cells: Macro().Cells, ScoreBatch: o.ScoreBatch, Training: training}
	change(&s)
	kind := supernet.Kind()
	outputs := paths(t, kind)
	if err := s.Run(context.Background(), pipeline.NewJob(pipeline.JobConfig{ID: "supernet", Scratch: t.TempDir(), Inputs: in, Outputs: outputs})); err != nil {
		t.Fatal(err)
	}
	for _, out := range kind.Outputs {
		in[out.Name] = pipeline.Artifact{Type: out.Type, Path: outputs[out.Name], Stage: "supernet", Kind: "supernet"}
	}
	return in
}

// paths gives every output of a kind a path in a fresh folder.
func paths(t testing.TB, kind pipeline.Kind) map[string]string {
	t.Helper()
	folder, out := t.TempDir(), map[string]string{}
	for _, o := range kind.Outputs {
		out[o.Name] = filepath.Join(folder, o.File)
	}
	return out
}

// Run is one execution of a stage. Only Kind and Inputs must be set.
type Run struct {
	Kind     pipeline.Kind
	Settings string // YAML as under "settings" of a document
	Inputs   map[string]pipeline.Artifact
	Lists    map[string][]pipeline.Artifact // of ports that take many
	Seed     uint64
	Scratch  string              // a fresh folder when empty
	Context  context.Context     // never ends when nil
	Watch    func(e event.Event) // called with every event, may be nil
}

// Result is what a stage has left.
type Result struct {
	Err     error
	Outputs map[string]string // path of each output
	Metrics map[string]float64
	Summary string
	Scratch string

	mu       sync.Mutex
	messages []event.Event
}

// Stage returns a stage of the kind with the settings decoded.
func Stage(t testing.TB, kind pipeline.Kind, settings string) pipeline.Stage {
	t.Helper()
	s := kind.New()
	if settings == "" {
		return s
	}
	if err := yaml.UnmarshalWithOptions([]byte(settings), s, yaml.Strict()); err != nil {
		t.Fatalf("settings of %s: %v", kind.Name, err)
	}
	return s
}

// Job returns the job of a run, and the result that it will fill.
func (r Run) Job(t testing.TB) (*pipeline.Job, *Result) {
	t.Helper()
	res := &Result{Outputs: paths(t, r.Kind), Scratch: r.Scratch}
	if res.Scratch == "" {
		res.Scratch = t.TempDir()
	}
	sink := event.Func(func(e event.Event) {
		if e.Type == event.StageLog {
			res.mu.Lock()
			res.messages = append(res.messages, e)
			res.mu.Unlock()
		}
		if r.Watch != nil {
			r.Watch(e)
		}
	})
	return pipeline.NewJob(pipeline.JobConfig{ID: r.Kind.Name, Seed: r.Seed, Scratch: res.Scratch, Events: sink, Inputs: r.Inputs, Lists: r.Lists, Outputs: res.Outputs}), res
}

// Do executes the stage after checking its settings, which must be valid.
func (r Run) Do(t testing.TB) *Result {
	t.Helper()
	s := Stage(t, r.Kind, r.Settings)
	if v, ok := s.(pipeline.Validator); ok {
		if err := v.Validate(); err != nil {
			t.Fatalf("settings of %s: %v", r.Kind.Name, err)
		}
	}
	if r.Context == nil {
		r.Context = context.Background()
	}
	job, res := r.Job(t)
	res.Err = s.Run(r.Context, job)
	res.Summary, res.Metrics = job.SummaryText(), map[string]float64{}
	for _, m := range job.Metrics() {
		res.Metrics[m.Name] = m.Value
	}
	return res
}

// Must is Do for a run that must succeed.
func (r Run) Must(t testing.TB) *Result {
	t.Helper()
	res := r.Do(t)
	if res.Err != nil {
		t.Fatalf("%s: %v", r.Kind.Name, res.Err)
	}
	return res
}

// Logged returns the messages of a level, "info" or "warn", joined by newlines.
func (r *Result) Logged(level string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, e := range r.messages {
		if e.Level == level {
			out = append(out, e.Message)
		}
	}
	return strings.Join(out, "\n")
}

// Bytes returns the content of every output.
func (r *Result) Bytes(t testing.TB) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name, path := range r.Outputs {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = string(data)
	}
	return out
}

// Artifacts returns inputs with the outputs of the run added, as made by a stage of the given id.
func (r *Result) Artifacts(inputs map[string]pipeline.Artifact, kind pipeline.Kind, id string) map[string]pipeline.Artifact {
	out := map[string]pipeline.Artifact{}
	for name, a := range inputs {
		out[name] = a
	}
	for _, o := range kind.Outputs {
		out[o.Name] = pipeline.Artifact{Type: o.Type, Path: r.Outputs[o.Name], Stage: id, Kind: kind.Name}
	}
	return out
}

// SameBytes fails the test when two runs have not written the same files.
func SameBytes(t testing.TB, want, got *Result) {
	t.Helper()
	a, b := want.Bytes(t), got.Bytes(t)
	if len(a) != len(b) {
		t.Fatalf("%d outputs instead of %d", len(b), len(a))
	}
	for name := range a {
		if a[name] != b[name] {
			t.Errorf("%s differs between the runs:\n%s\nand\n%s", name, excerpt(a[name]), excerpt(b[name]))
		}
	}
}

// excerpt is a text that can be shown.
func excerpt(content string) string {
	if strings.ContainsRune(content[:min(64, len(content))], 0) {
		return "(binary)"
	}
	return content[:min(1500, len(content))]
}
