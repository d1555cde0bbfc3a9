package pipeline_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/pipelinetest"
)

var update = flag.Bool("update", false, "write what diagnostics are into testdata instead of comparing")

// extraKinds are kinds that only documents with mistakes need: one that can form cycles, one with two outputs of one
// type, one that is hard to please, and two of which one sets the other's bound.
func extraKinds() []pipeline.Kind {
	out := func(name string) pipeline.Output {
		return pipeline.Output{Name: name, Type: "numbers", File: name + ".txt"}
	}
	return []pipeline.Kind{
		{
			Name: "loop", Inputs: []pipeline.Port{{Name: "in", Type: "numbers"}}, Outputs: []pipeline.Output{out("out")},
			New: func() pipeline.Stage { return &idle{} },
		},
		{Name: "twin", Outputs: []pipeline.Output{out("left"), out("right")}, New: func() pipeline.Stage { return &idle{} }},
		{Name: "picky", New: func() pipeline.Stage { return &picky{} }},
		{Name: "bound", Outputs: []pipeline.Output{out("bound")}, New: func() pipeline.Stage { return &bound{} }},
		{
			Name: "bounded", Inputs: []pipeline.Port{{Name: "by", Type: "numbers", Many: true, Optional: true}},
			New: func() pipeline.Stage { return &bounded{} },
		},
	}
}

// allKinds returns the toy kinds and the extra ones.
func allKinds(t testing.TB) *pipeline.Registry {
	t.Helper()
	kinds := append(extraKinds(), pipelinetest.Numbers(), pipelinetest.Sum(), pipelinetest.Mean(), pipelinetest.Report(), pipelinetest.Gather(), pipelinetest.Fail())
	reg, err := pipeline.NewRegistry(kinds...)
	if err != nil {
		t.Fatal(err)
	}
	return reg
}

type idle struct{}

func (*idle) Run(context.Context, *pipeline.Job) error { return nil }

type picky struct {
	Color string `yaml:"color"`
	Size  int    `yaml:"size"`
}

func (*picky) Run(context.Context, *pipeline.Job) error { return nil }

func (p *picky) Validate() error {
	return errors.Join(
		pipeline.UnknownValue("color", p.Color, []string{"red", "green", "blue"}),
		fmt.Errorf("checking the size: %w", &pipeline.SettingError{Path: "size", Err: errors.New("it is never right")}),
		errors.New("nothing pleases this stage"),
	)
}

type bound struct {
	Most int `yaml:"most"`
}

func (*bound) Run(context.Context, *pipeline.Job) error { return nil }

type bounded struct {
	More struct {
		Value int `yaml:"value"`
	} `yaml:"more"`
}

func (*bounded) Run(context.Context, *pipeline.Job) error { return nil }

func (b *bounded) ValidateInputs(from map[string][]pipeline.Stage) error {
	if len(from["by"]) == 0 {
		return errors.New("nothing bounds this stage")
	}
	var errs []error
	for _, s := range from["by"] {
		if most := s.(*bound).Most; b.More.Value > most { // panics for the other kinds that write numbers
			errs = append(errs, &pipeline.SettingError{Path: "more.value", Err: fmt.Errorf("%d is more than %d", b.More.Value, most)})
		}
	}
	return errors.Join(errs...)
}

// Each file of testdata/diagnostics holds a document, overrides, and every mistake that is found.
func TestEveryMistakeIsReportedWithItsPlace(t *testing.T) {
	files, err := filepath.Glob("testdata/diagnostics/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			parts := map[string]string{}
			for _, f := range archive.Files {
				parts[f.Name] = string(f.Data)
			}
			var overrides []string
			for line := range strings.Lines(parts["overrides"]) {
				overrides = append(overrides, strings.TrimSuffix(line, "\n"))
			}
			got := mistakes(t, parts, overrides)
			if *update {
				rewrite(t, file, archive, got)
				return
			}
			if diff := cmp.Diff(parts["want"], got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// mistakes lists what is wrong with the part "document". The other parts are what it may extend.
func mistakes(t *testing.T, parts map[string]string, overrides []string) string {
	t.Helper()
	loader := pipeline.Loader{Names: []string{"base", "quickstart"}, Shipped: func(name string) ([]byte, bool) {
		text, ok := parts[name]
		return []byte(text), ok
	}}
	d, err := loader.Load("toy.yaml", []byte(parts["document"]))
	if err == nil {
		err = d.Check(t.Context(), allKinds(t), overrides)
	}
	if err == nil {
		return "no mistakes\n"
	}
	var list *pipeline.DiagnosticsError
	if !errors.As(err, &list) {
		t.Fatalf("the error is no list of mistakes: %v", err)
	}
	return err.Error() + "\n"
}

func rewrite(t *testing.T, file string, archive *txtar.Archive, want string) {
	t.Helper()
	var files []txtar.File
	for _, f := range archive.Files {
		if f.Name != "want" {
			files = append(files, f)
		}
	}
	archive.Files = append(files, txtar.File{Name: "want", Data: []byte(want)})
	if err := os.WriteFile(file, txtar.Format(archive), 0o666); err != nil {
		t.Fatal(err)
	}
}
