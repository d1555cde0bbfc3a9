package pipeline_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/store"
)

// A document that is built has the keys of the same one as text: its stages are the same work.
func TestBuiltDocumentsMeanWhatTheirTextMeans(t *testing.T) {
	reg, err := pipeline.NewRegistry(
		pipeline.Kind{Name: "greeting", Version: 1, Outputs: []pipeline.Output{{Name: "text", Type: "text", File: "greeting.txt"}}, New: func() pipeline.Stage { return &greeting{} }},
		pipeline.Kind{Name: "tuned", Version: 1, Inputs: []pipeline.Port{{Name: "text", Type: "text"}}, New: func() pipeline.Stage { return &tuned{How: "cosine"} }},
	)
	if err != nil {
		t.Fatal(err)
	}
	settings := tuned{Epochs: 7, Flip: true, How: "linear", Group: tunedIn{Rate: 1e-9, List: []float64{0.5, 2}}}
	built, err := pipeline.Build(pipeline.Spec{
		Name: "built", Seed: 9, Variables: map[string]any{"who": `a "b": #c`},
		Stages: []pipeline.StageSpec{
			{ID: "hello", Kind: "greeting", Settings: map[string]any{"name": "${who}"}, More: map[string]any{"timeout": time.Minute.String(), "retries": 2}},
			{ID: "again", Kind: "greeting"},
			{ID: "tuned", Kind: "tuned", Inputs: map[string]string{"text": "hello.text"}, Settings: &settings},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	read, err := pipeline.Load("built", []byte(`
name: built
seed: 9
variables: {who: 'a "b": #c'}
stages:
  hello: {kind: greeting, settings: {name: "${who}"}, retries: 2, timeout: 1m}
  again: {kind: greeting}
  tuned: {kind: tuned, inputs: {text: hello}, settings: {epochs: 7, flip: true, how: linear, group: {rate: 1e-9, list: [0.5, 2]}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	stages := func(d *pipeline.Document) (out []string) {
		plan, err := d.Plan(t.Context(), reg, st, pipeline.PlanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range plan.Stages {
			out = append(out, s.ID, string(s.Settings))
		}
		return append(out, plan.Name)
	}
	if d := cmp.Diff(stages(read), stages(built)); d != "" {
		t.Error(d)
	}
	for want, spec := range map[string]pipeline.Spec{
		`a stage has the id ""`:  {Stages: []pipeline.StageSpec{{Kind: "greeting"}}},
		`a stage has the id "a"`: {Stages: []pipeline.StageSpec{{ID: "a"}, {ID: "a"}}},
		"want a map or a struct": {Stages: []pipeline.StageSpec{{ID: "a", Settings: 3}}},
		"settings of stage a: ":  {Stages: []pipeline.StageSpec{{ID: "a", Settings: struct{ C chan int }{}}}},
	} {
		if _, err := pipeline.Build(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	if _, err := reg.With(pipeline.Kind{Name: "tuned", Version: 1, New: func() pipeline.Stage { return &tuned{} }}); err == nil {
		t.Error("a kind is declared twice")
	}
}
