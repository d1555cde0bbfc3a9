package pipeline_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/pipelinetest"
	"github.com/plateau-nas/plateau/pipeline/store"
)

// What the engine writes into events.jsonl is what is documented: of stages that run, are reused, and fail.
func TestTheEngineWritesEventsThatFitTheirSchema(t *testing.T) {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(event.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("events.schema.json", value); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("events.schema.json")
	if err != nil {
		t.Fatal(err)
	}
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
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err == nil {
			err = schema.Validate(value)
		}
		if err != nil {
			t.Errorf("%s\n%v", line, err)
		}
	}
	for _, typ := range []event.Type{event.StageReused, event.StageFailed, event.StageMetric, event.StageProgress, event.RunFinished} {
		if !bytes.Contains(text, []byte(`"type":"`+string(typ)+`"`)) {
			t.Errorf("no %s among %d lines", typ, len(lines))
		}
	}
}
