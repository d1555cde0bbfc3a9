package event_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/pipelinetest"
)

// validator returns what checks a line against the schema.
func validator(t *testing.T) func(line string) error {
	t.Helper()
	check := pipelinetest.Schema(t, event.Schema())
	return func(line string) error { return check([]byte(line)) }
}

func TestEveryEventFitsTheSchema(t *testing.T) {
	check := validator(t)
	path := filepath.Join(t.TempDir(), "events.jsonl")
	f, err := event.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	emit := func(e event.Event) {
		e.Run = "doc"
		if e.Time.IsZero() {
			e.Time = time.Now()
		}
		if e.Type == event.StageStarted || e.Type == event.StageReused || e.Type == event.StageResumed || e.Type == event.StageFinished || e.Type == event.StageFailed {
			e.Kind = "toy" // the engine gives it
		}
		f.Emit(e)
	}
	story(time.Now(), emit)
	search(emit, 1, 3)
	emit(event.Event{Type: event.StageProgress, Stage: "s", Progress: &event.Progress{
		Remaining: -1, Values: []event.Value{{Name: "loss", Value: math.NaN()}, {Name: "l", Value: math.Inf(-1)}},
		Tables: []event.Table{{Name: "edge probabilities", Rows: []string{"1←0"}, Columns: []string{"none", "skip"}, Values: [][]float64{{0.25, 0.75}}}},
	}})
	emit(event.Event{Type: event.RunFinished, Message: "interrupted", Seconds: 3})
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(text)) {
		seen++
		if err := check(line); err != nil {
			t.Errorf("%s%v", line, err)
		}
	}
	if seen < 20 {
		t.Errorf("only %d lines", seen)
	}
}

func TestTheSchemaFindsMistakes(t *testing.T) {
	check := validator(t)
	for _, line := range []string{
		`{}`,
		`{"time":"yesterday","type":"run_started","run":"doc"}`,
		`{"time":"2026-03-01T12:00:00Z","type":"stage_begun","run":"doc","stage":"a"}`,
		`{"time":"2026-03-01T12:00:00Z","type":"stage_progress","run":"doc","stage":"a"}`,
		`{"time":"2026-03-01T12:00:00Z","type":"stage_metric","run":"doc","stage":"a","values":[{"name":"x","value":"one"}]}`,
		`{"time":"2026-03-01T12:00:00Z","type":"run_started","run":"doc","stage":"a"}`,
		`{"time":"2026-03-01T12:00:00Z","type":"run_finished","run":"doc","message":"well"}`,
		`{"time":"2026-03-01T12:00:00Z","type":"stage_log","run":"doc","stage":"a","level":"info","more":1}`,
	} {
		if check(line) == nil {
			t.Errorf("the schema lets pass %s", line)
		}
	}
}

// The page for people, the schema and the code name the same types and fields.
func TestTheDocumentationIsComplete(t *testing.T) {
	page, err := os.ReadFile("events.md")
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Properties map[string]struct{ Enum []string }
		Defs       map[string]struct{ Properties map[string]any } `json:"$defs"`
	}
	if err := json.Unmarshal(event.Schema(), &s); err != nil {
		t.Fatal(err)
	}
	types := []event.Type{
		event.RunStarted, event.StageStarted, event.StageReused, event.StageResumed, event.StageProgress, event.StageLog, event.StageMetric,
		event.StageSummary, event.StageFinished, event.StageFailed, event.RunFinished,
	}
	if len(types) != len(s.Properties["type"].Enum) {
		t.Errorf("the schema has the types %v, the code %v", s.Properties["type"].Enum, types)
	}
	names := []string{}
	for _, typ := range types {
		names = append(names, string(typ))
	}
	for name := range s.Properties {
		names = append(names, name)
	}
	for name := range s.Defs["progress"].Properties {
		names = append(names, name)
	}
	for _, name := range names {
		if !strings.Contains(string(page), name) {
			t.Errorf("events.md does not name %s", name)
		}
	}
}
