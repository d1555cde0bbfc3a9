package pipeline_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/pipelinetest"
	"github.com/plateau-nas/plateau/pipeline/store"
)

// What the engine writes into events.jsonl is what is documented: of stages that run, are reused, and fail.
func TestTheEngineWritesEventsThatFitTheirSchema(t *testing.T) {
	validate := pipelinetest.Schema(t, event.Schema())
	reg, err := pipelinetest.Registry()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := pipeline.Load("doc.yaml", []byte("stages:\n  data: {kind: numbers}\n  add: {kind: sum}\n  bad: {kind: fail}\n"))
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "run")
	for range 2 {
		plan, err := doc.Plan(context.Background(), reg, st, pipeline.PlanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (&pipeline.Runner{Store: st, Dir: dir}).Run(context.Background(), plan); err == nil {
			t.Fatal("the stage that fails did not")
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	for _, line := range lines {
		if err := validate(line); err != nil {
			t.Errorf("%s\n%v", line, err)
		}
	}
	for _, typ := range []event.Type{event.StageReused, event.StageFailed, event.StageMetric, event.StageProgress, event.RunFinished} {
		if !bytes.Contains(text, []byte(`"type":"`+string(typ)+`"`)) {
			t.Errorf("no %s among %d lines", typ, len(lines))
		}
	}
}
