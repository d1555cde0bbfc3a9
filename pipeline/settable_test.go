package pipeline_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/pipeline"
)

// tuned has settings of every form that a list of them must tell apart.
type tuned struct {
	Epochs int     `yaml:"epochs" doc:"Epochs."`
	Flip   bool    `yaml:"flip"`
	How    string  `yaml:"how" enum:"cosine,linear" doc:"Schedule."`
	Group  tunedIn `yaml:"group" doc:"A group."`
}

type tunedIn struct {
	Rate float64   `yaml:"rate"`
	List []float64 `yaml:"list"`
}

func (*tuned) Run(context.Context, *pipeline.Job) error { return nil }

// What is listed can be set, and everything can be set that is listed.
func TestSettablesAreWhatOverridesSet(t *testing.T) {
	reg, err := pipeline.NewRegistry(pipeline.Kind{Name: "tuned", Version: 1, New: func() pipeline.Stage { return &tuned{Epochs: 3, How: "cosine"} }})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := pipeline.Load("d.yaml", []byte("variables: {speed: 2}\nstages:\n  one: {kind: tuned, settings: {epochs: \"${speed}\"}}\n  odd: {kind: tooned}\n  bare:\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []pipeline.Settable{
		{Path: "name", Doc: "Names the run and its folder, runs/NAME; the file's name when it is left out."},
		{Path: "seed", Doc: "Every random stream of the run comes from it."},
		{Path: "speed", Doc: "A variable of the document."},
		{Path: "one.epochs", Doc: "Epochs.", Default: "3"},
		{Path: "one.flip", Default: "false", Values: []string{"true", "false"}},
		{Path: "one.how", Doc: "Schedule.", Default: `"cosine"`, Values: []string{"cosine", "linear"}},
		{Path: "one.group.rate", Default: "0"},
		{Path: "one.group.list", Default: "[]"},
	}
	got := doc.Settables(reg)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	sound, err := pipeline.Load("d.yaml", []byte("variables: {speed: 2}\nstages:\n  one: {kind: tuned, settings: {epochs: \"${speed}\"}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{"name": "x", "seed": "3", "speed": "4"}
	for _, s := range got {
		value := values[s.Path]
		if value == "" {
			value = s.Default
		}
		if len(s.Values) > 0 {
			value = s.Values[len(s.Values)-1]
		}
		if err := sound.Check(t.Context(), reg, []string{s.Path + "=" + value}); err != nil {
			t.Errorf("%s=%s: %v", s.Path, value, err)
		}
	}
}
