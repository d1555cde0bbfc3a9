package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/pipelinetest"
	"github.com/plateau-nas/plateau/pipeline/store"
)

func TestMain(m *testing.M) {
	if runChild() {
		return
	}
	goleak.VerifyTestMain(m)
}

const sumDocument = `
name: toy
seed: 7
stages:
  data:
    kind: numbers
    settings: {count: 3}
  add:
    kind: sum
  page:
    kind: report
`

// bench is a store and a run directory for one test.
type bench struct {
	t     *testing.T
	store *store.Store
	dir   string
	saw   *recorder
}

// recorder keeps events.
type recorder struct {
	mu     sync.Mutex
	events []event.Event
}

func (r *recorder) Emit(e event.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// messages returns the messages of a type's events as "STAGE: MESSAGE".
func (r *recorder) messages(typ event.Type) []string {
	var out []string
	for _, e := range r.events {
		if e.Type == typ {
			out = append(out, e.Stage+": "+e.Message)
		}
	}
	return out
}

func newBench(t *testing.T) *bench {
	t.Helper()
	st, err := store.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	return &bench{t: t, store: st, dir: filepath.Join(t.TempDir(), "run"), saw: &recorder{}}
}

func (b *bench) registry() *pipeline.Registry {
	b.t.Helper()
	reg, err := pipelinetest.Registry()
	if err != nil {
		b.t.Fatal(err)
	}
	return reg
}

func (b *bench) plan(doc string, o pipeline.PlanOptions) *pipeline.Plan {
	b.t.Helper()
	d, err := pipeline.Load("toy.yaml", []byte(doc))
	if err != nil {
		b.t.Fatal(err)
	}
	p, err := d.Plan(b.t.Context(), b.registry(), b.store, o)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (b *bench) try(ctx context.Context, doc string, o pipeline.PlanOptions) (*pipeline.Result, error) {
	b.t.Helper()
	b.saw.events = nil
	r := &pipeline.Runner{Store: b.store, Dir: b.dir, Events: b.saw, Version: "test"}
	return r.Run(ctx, b.plan(doc, o))
}

func (b *bench) run(doc string, overrides ...string) *pipeline.Result {
	b.t.Helper()
	res, err := b.try(b.t.Context(), doc, pipeline.PlanOptions{Overrides: overrides})
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}

func (b *bench) read(path string) string {
	b.t.Helper()
	data, err := os.ReadFile(filepath.Join(b.dir, path))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(data)
}

// cached lists which stages were not computed.
func cached(r *pipeline.Result) string {
	var out []string
	for _, s := range r.Stages {
		if s.Cached {
			out = append(out, s.ID)
		}
	}
	return strings.Join(out, " ")
}

func TestARunLeavesItsOutputsAndTheSecondReusesThem(t *testing.T) {
	b := newBench(t)
	first := b.run(sumDocument)
	if first.Status != pipeline.StatusDone || cached(first) != "" {
		t.Errorf("first run: status %s, cached %q", first.Status, cached(first))
	}
	page := b.read("page/page.txt")
	second := b.run(sumDocument)
	if cached(second) != "data add page" {
		t.Errorf("second run reused %q", cached(second))
	}
	if got := b.read("page/page.txt"); got != page {
		t.Errorf("the page changed from %q to %q", page, got)
	}
	if first.Metrics()["count"] != 3 || second.Metrics()["count"] != 3 {
		t.Errorf("metrics: %v, reused %v", first.Metrics(), second.Metrics())
	}
	if got := second.Outputs()["add.total"]; got != filepath.Join(b.dir, "add", "total.txt") {
		t.Errorf("outputs: %v", second.Outputs())
	}
}

func TestAStageThatFailsStopsTheRunAndIsNamed(t *testing.T) {
	b := newBench(t)
	doc := strings.Replace(sumDocument, "  add:", "  bad:\n    kind: fail\n    settings: {how: panic}\n  add:", 1)
	res, err := b.try(t.Context(), doc, pipeline.PlanOptions{})
	var se *pipeline.StageError
	if !errors.As(err, &se) || se.Stage != "bad" || strings.Contains(err.Error(), "goroutine") {
		t.Fatalf("error: %v", err)
	}
	if res.Status != pipeline.StatusFailed || res.Stages[0].Status != pipeline.StatusDone || res.Stages[2].Status != pipeline.StatusNotRun {
		t.Errorf("result: %+v", res)
	}
	if log := b.read("logs/bad.log"); !strings.Contains(log, "goroutine") {
		t.Errorf("the log has no stack: %s", log)
	}
}

func TestAnInterruptedRunLeavesACheckpointAndContinues(t *testing.T) {
	b := newBench(t)
	const doc = "stages: {data: {kind: numbers, settings: {count: 6}}}"
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough") // what the stage returns, in place of the context's error
	steps := 0
	p := b.plan(doc, pipeline.PlanOptions{})
	r := &pipeline.Runner{Store: b.store, Dir: b.dir, Events: event.Func(func(e event.Event) {
		if e.Type == event.StageProgress {
			if steps++; steps == 3 {
				cancel(enough)
			}
		}
	})}
	res, err := r.Run(ctx, p)
	if !errors.Is(err, enough) || res.Status != pipeline.StatusInterrupted || res.Stages[0].Status != pipeline.StatusInterrupted {
		t.Fatalf("interrupted run: %+v, %v", res, err)
	}
	if got := b.read("run.json"); !strings.Contains(got, `"status": "interrupted"`) {
		t.Errorf("run.json: %s", got)
	}
	if _, err := os.Stat(filepath.Join(b.dir, "data")); err == nil {
		t.Error("an unfinished stage left a folder in the run directory")
	}
	b.run(doc)
	if got := b.saw.messages(event.StageResumed); len(got) != 1 {
		t.Errorf("resumed: %q", got)
	}
	left := 0
	for _, e := range b.saw.events {
		if e.Type == event.StageProgress {
			left++
		}
	}
	if left != 6-steps {
		t.Errorf("%d steps after %d were done, want %d", left, steps, 6-steps)
	}
}

func TestEveryRunOfAStageIsExplained(t *testing.T) {
	b := newBench(t)
	outside := filepath.Join(t.TempDir(), "numbers.csv")
	if err := os.WriteFile(outside, []byte("1"), 0o666); err != nil {
		t.Fatal(err)
	}
	base := strings.Replace(sumDocument, "{count: 3}", "{count: 3, file: "+outside+"}", 1)
	reasons := func(doc string, o pipeline.PlanOptions) string {
		t.Helper()
		if _, err := b.try(t.Context(), doc, o); err != nil {
			t.Fatal(err)
		}
		all := append(b.saw.messages(event.StageStarted), b.saw.messages(event.StageReused)...)
		return strings.Join(all, "\n")
	}
	with := func(sets ...string) pipeline.PlanOptions { return pipeline.PlanOptions{Overrides: sets} }
	for _, step := range []struct {
		what    string
		doc     string
		options pipeline.PlanOptions
		before  func()
		want    []string
	}{
		{what: "first run", doc: base, want: []string{"data: it has not run before", "add: it has not run before", "page: it has not run before"}},
		{what: "again", doc: base, want: []string{"data: nothing has changed since", "page: nothing has changed since"}},
		{
			what: "setting", doc: base, options: with("data.count=4", "data.shape.signed=true"),
			want: []string{"data: setting count changed from 3 to 4; setting shape.signed changed from false to true", "add: input numbers changed: stage data wrote other bytes"},
		},
		{what: "back", doc: base, want: []string{"data: these settings and inputs ran before, on"}},
		{what: "a setting outside the key", doc: base, options: with("data.workers=9"), want: []string{"data: nothing has changed since"}},
		{what: "equal bytes stop the wave", doc: base, options: with("data.tags=[x]"), want: []string{"data: setting tags changed from [] to [\"x\"]", "add: nothing has changed since"}},
		{what: "seed", doc: base, options: with("seed=8"), want: []string{"data: setting tags changed from [\"x\"] to []; the seed changed"}},
		{
			what: "kind", doc: strings.Replace(base, "kind: sum", "kind: mean", 1), options: with("seed=8"),
			want: []string{"data: nothing has changed", "add: its kind changed from sum to mean", "page: input total changed: stage add wrote other bytes"},
		},
		{
			what: "file outside", doc: base, before: func() {
				if err := os.WriteFile(outside, []byte("12"), 0o666); err != nil {
					t.Fatal(err)
				}
			},
			want: []string{"data: the seed changed; size of numbers.csv changed from 1 to 2"},
		},
		{what: "forced", doc: base, options: pipeline.PlanOptions{Force: true}, want: []string{"data: forced", "add: forced", "page: forced"}},
		{what: "other document", doc: base, options: with("name=other"), want: []string{"data: the same was computed on"}},
	} {
		if step.before != nil {
			step.before()
		}
		got := reasons(step.doc, step.options)
		for _, w := range step.want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: %q is not in\n%s", step.what, w, got)
			}
		}
	}
}

func TestAPlanForeseesWhatARunDoes(t *testing.T) {
	b := newBench(t)
	show := func(p *pipeline.Plan) string {
		var out []string
		for _, s := range p.Stages {
			out = append(out, s.ID+" "+string(s.Action))
		}
		return strings.Join(out, ", ")
	}
	if got := show(b.plan(sumDocument, pipeline.PlanOptions{})); got != "data run, add run, page run" {
		t.Errorf("first: %s", got)
	}
	b.run(sumDocument)
	if got := show(b.plan(sumDocument, pipeline.PlanOptions{})); got != "data reuse, add reuse, page reuse" {
		t.Errorf("second: %s", got)
	}
	p := b.plan(sumDocument, pipeline.PlanOptions{Overrides: []string{"add.digits=2"}})
	if got := show(p); got != "data reuse, add run, page run" || p.Stages[2].Reason != "reads add, which must run first" {
		t.Errorf("changed: %s, %s", got, p.Stages[2].Reason)
	}
	if got := show(b.plan(sumDocument, pipeline.PlanOptions{Force: true})); got != "data run, add run, page run" {
		t.Errorf("forced: %s", got)
	}
}

func TestADamagedArtifactIsComputedAgain(t *testing.T) {
	b := newBench(t)
	first := b.run(sumDocument)
	want := b.read("data/numbers.txt")
	object := b.store.ObjectPath(first.Stages[0].Outputs[0].Digest)
	if err := os.Chmod(object, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(object, []byte(strings.Replace(want, "0", "9", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	var err error
	if b.store, err = store.Open(b.store.Dir()); err != nil { // as another process would
		t.Fatal(err)
	}
	second := b.run(sumDocument)
	if warned := b.saw.messages(event.StageLog); len(warned) != 1 || !strings.Contains(warned[0], "set aside as") {
		t.Errorf("warnings: %q", warned)
	}
	if cached(second) != "add page" || b.read("data/numbers.txt") != want {
		t.Errorf("reused %q; data is %q", cached(second), b.read("data/numbers.txt"))
	}
}

func TestAFileThatWasChangedByHandIsKept(t *testing.T) {
	b := newBench(t)
	b.run(sumDocument)
	page := filepath.Join(b.dir, "page", "page.txt")
	want := b.read("page/page.txt")
	if err := os.WriteFile(page, []byte("my notes"), 0o666); err != nil {
		t.Fatal(err)
	}
	b.run(sumDocument)
	if b.read("page/page.txt") != want || b.read("page/page.txt.changed-1") != "my notes" {
		t.Error("the edited file was lost or not replaced")
	}
	// An output that the store knows is replaced without a word.
	b.run(sumDocument, "page.title=Other")
	b.run(sumDocument)
	if left, _ := filepath.Glob(page + ".*"); len(left) != 1 {
		t.Errorf("files: %q", left)
	}
	// So is one that the last run put there from another store.
	other, err := store.Open(filepath.Join(t.TempDir(), "other"))
	if err != nil {
		t.Fatal(err)
	}
	b.store = other
	b.run(sumDocument, "page.title=Other")
	if left, _ := filepath.Glob(page + ".*"); len(left) != 1 {
		t.Errorf("files: %q", left)
	}
}

func TestAForcedRunSaysWhenBytesDiffer(t *testing.T) {
	b := newBench(t)
	const doc = "stages: {odd: {kind: fail, settings: {how: flaky}}}"
	b.run(doc)
	if _, err := b.try(t.Context(), doc, pipeline.PlanOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	if got := b.saw.messages(event.StageLog); len(got) != 1 || !strings.Contains(got[0], "extra.txt differs") {
		t.Errorf("warnings: %q", got)
	}
}

// What is made of a file that changes meanwhile must not be taken later for what the old file gives.
func TestAResultOfAFileThatChangedMeanwhileIsNotKept(t *testing.T) {
	b := newBench(t)
	file := filepath.Join(t.TempDir(), "x.csv")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Error(err)
		}
	}
	write("1")
	doc := "stages: {data: {kind: numbers, settings: {file: " + file + "}}}"
	r := &pipeline.Runner{Store: b.store, Dir: b.dir, Events: event.Func(func(e event.Event) {
		if e.Type == event.StageProgress {
			write("22")
		}
	})}
	_, err := r.Run(t.Context(), b.plan(doc, pipeline.PlanOptions{}))
	if err == nil || !strings.Contains(err.Error(), "size of x.csv changed from 1 to 2") {
		t.Errorf("error: %v", err)
	}
	write("1")
	if res := b.run(doc); cached(res) != "" {
		t.Error("the result was kept")
	}
}

func TestAForgottenOutputIsTheStagesFault(t *testing.T) {
	b := newBench(t)
	_, err := b.try(t.Context(), "stages: {bad: {kind: fail, settings: {how: nothing}}}", pipeline.PlanOptions{})
	if err == nil || !strings.Contains(err.Error(), "without writing its output extra (extra.txt)") {
		t.Errorf("error: %v", err)
	}
}

func TestARunDirectoryThatCannotBeMadeIsNamed(t *testing.T) {
	b := newBench(t)
	b.dir = filepath.Join(b.dir, "file", "below")
	if err := os.MkdirAll(filepath.Dir(filepath.Dir(b.dir)), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Dir(b.dir), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	res, err := b.try(t.Context(), sumDocument, pipeline.PlanOptions{})
	if res != nil || err == nil || !strings.Contains(err.Error(), b.dir) || !strings.Contains(err.Error(), "--run-dir") {
		t.Errorf("%v, %v", res, err)
	}
}

func TestTheRunFileHoldsTheFrozenPlan(t *testing.T) {
	b := newBench(t)
	b.run(sumDocument, "data.count=4", "name=frozen")
	var file pipeline.RunFile
	if err := json.Unmarshal([]byte(b.read("run.json")), &file); err != nil {
		t.Fatal(err)
	}
	if file.Run != "frozen" || file.Status != pipeline.StatusDone || len(file.Stages) != 3 || file.Stages[2].Inputs[0].Source != "add.total" {
		t.Errorf("run.json: %+v", file)
	}
	// The text in it is the whole pipeline: running it needs no override.
	b.dir += "-again"
	if again := b.run(file.Document); cached(again) != "data add page" {
		t.Errorf("running the frozen document reused %q", cached(again))
	}
}
