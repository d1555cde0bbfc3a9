package pipeline_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/pipelinetest"
)

func TestSettingsAreDescribed(t *testing.T) {
	got, err := pipeline.DescribeSettings(pipelinetest.Numbers())
	if err != nil {
		t.Fatal(err)
	}
	want := []pipeline.Setting{
		{Path: "count", Type: "a whole number", Default: "5", Doc: "How many numbers to draw."},
		{Path: "scale", Type: "a number", Default: "1", Doc: "The largest number."},
		{Path: "source", Type: "a name", Values: []string{"random", "ones", "zeros"}, Default: "random", Doc: "What the numbers are."},
		{Path: "file", Type: "text", Doc: "A file whose size is added to each number."},
		{Path: "pause", Type: "a duration such as 90s or 1h30m", Default: "0s", Doc: "How long one number takes.", Free: true},
		{Path: "workers", Type: "a whole number", Default: "0", Doc: "Changes nothing.", Free: true},
		{Path: "shape", Type: "a group", Doc: "Nested settings."},
		{Path: "shape.width", Type: "a whole number", Default: "1", Doc: "Numbers a line."},
		{Path: "shape.signed", Type: "true or false", Default: "false", Doc: "Negate every other number."},
		{Path: "tags", Type: "a list of texts", Doc: "Words."},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Every setting that is described can be set, to its default, without a complaint.
func TestDescribedSettingsCanBeSet(t *testing.T) {
	reg := allKinds(t)
	for _, name := range reg.Names() {
		kind, _ := reg.Lookup(name)
		settings, err := pipeline.DescribeSettings(kind)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range settings {
			if s.Default == "" || strings.ContainsAny(s.Path, "[N") {
				continue
			}
			doc, err := pipeline.Load("x.yaml", []byte("stages: {s: {kind: "+name+"}}"))
			if err != nil {
				t.Fatal(err)
			}
			if err := doc.Check(t.Context(), reg, []string{"s." + s.Path + "=" + s.Default}); err != nil && strings.Contains(err.Error(), "has no setting") {
				t.Errorf("%s: %s=%s: %v", name, s.Path, s.Default, err)
			}
		}
	}
}
