package pipeline_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
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
type recorder struct{ events []event.Event }

func (r *recorder) Emit(e event.Event) { r.events = append(r.events, e) }

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
