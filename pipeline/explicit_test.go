package pipeline_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/pipelinetest"
	"github.com/plateau-nas/plateau/pipeline/store"
)

// An explicit input reads what a document names, and nothing otherwise, however well one output or several would fit.
func TestExplicitInputsAreNeverImplied(t *testing.T) {
	kind := pipelinetest.Sum()
	kind.Name = "compare"
	kind.Inputs = append(kind.Inputs, pipeline.Port{Name: "others", Type: "numbers", Optional: true, Many: true, Explicit: true})
	reg, err := pipeline.NewRegistry(pipelinetest.Numbers(), kind)
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	inputs := func(text string) []string {
		t.Helper()
		doc, err := pipeline.Load("toy.yaml", []byte("name: toy\nstages:\n  a: {kind: numbers}\n  b: {kind: numbers}\n  c: {kind: compare, inputs: {numbers: a"+text+"}}\n"))
		if err != nil {
			t.Fatal(err)
		}
		p, err := doc.Plan(t.Context(), reg, st, pipeline.PlanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, in := range p.Stages[2].Inputs {
			out = append(out, in.Stage)
		}
		return out
	}
	if got := inputs(""); !slices.Equal(got, []string{"a"}) {
		t.Errorf("connected without being named: %v", got)
	}
	if got := inputs(", others: [b, a]"); !slices.Equal(got, []string{"a", "b", "a"}) {
		t.Error(got)
	}
}
