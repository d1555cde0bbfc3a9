package pipeline_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/pipelinetest"
	"github.com/plateau-nas/plateau/pipeline/store"
)

// pair writes one file, and with the setting a second one.
type pair struct {
	Both bool `yaml:"both" doc:"Write the second file too."`
}

func (p *pair) Writes(output string) bool { return output == "first" || p.Both }

func (p *pair) Run(_ context.Context, job *pipeline.Job) error {
	if err := os.WriteFile(job.Output("first"), []byte("1\n"), 0o666); err != nil || !p.Both {
		return err
	}
	return os.WriteFile(job.Output("second"), []byte("2\n"), 0o666)
}

// What a stage does not write with its settings is no output of it: a run does not wait for it, and nothing can be connected to it.
func TestOutputsBySettings(t *testing.T) {
	kind := pipeline.Kind{
		Name: "pair", Version: 1, Doc: "Writes one number or two.",
		Outputs: []pipeline.Output{
			{Name: "first", Type: "one", File: "first.txt", Doc: "A number."},
			{Name: "second", Type: "numbers", File: "second.txt", Doc: "Another one."},
		},
		New: func() pipeline.Stage { return &pair{} },
	}
	reg, err := pipeline.NewRegistry(kind, pipelinetest.Sum())
	if err != nil {
		t.Fatal(err)
	}
	load := func(stages string) *pipeline.Document {
		t.Helper()
		doc, err := pipeline.Load("toy.yaml", []byte("name: toy\nstages:\n"+stages))
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	st, err := store.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	for settings, want := range map[string]string{"": "first.txt", ", settings: {both: true}": "first.txt second.txt"} {
		plan, err := load("  p: {kind: pair"+settings+"}\n").Plan(t.Context(), reg, st, pipeline.PlanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if _, err := (&pipeline.Runner{Store: st, Dir: dir}).Run(t.Context(), plan); err != nil {
			t.Fatal(err)
		}
		left, err := os.ReadDir(filepath.Join(dir, "p"))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range left {
			names = append(names, e.Name())
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("with %q the stage leaves %q instead of %q", settings, got, want)
		}
	}
	for stages, want := range map[string]string{
		"  p: {kind: pair, settings: {both: true}}\n  s: {kind: sum}\n":      "",
		"  p: {kind: pair}\n  s: {kind: sum, inputs: {numbers: p.second}}\n": `has no output "second"`,
		"  p: {kind: pair}\n  s: {kind: sum}\n":                              "no other stage writes it",
		"  p: {kind: pair, matrix: {both: [true, false]}, settings: {both: \"${both}\"}}\n  s: {kind: sum, matrix: {both: [true, false]}, inputs: {numbers: p.second}}\n": "as it is set, does not write second",
	} {
		err := load(stages).Check(t.Context(), reg, nil)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", stages, err)
		}
	}
}
