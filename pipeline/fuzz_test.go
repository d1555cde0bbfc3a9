package pipeline_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/plateau-nas/plateau/pipeline"
)

// Whatever a text and an override say: the check ends, and finds nothing or a list of mistakes with places in the text.
func FuzzDocument(f *testing.F) {
	files, err := filepath.Glob("testdata/diagnostics/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range txtar.Parse(data).Files {
			if part.Name == "document" {
				f.Add(string(part.Data), "data.count=3")
			}
		}
	}
	f.Add(matrixDocument, "variables.seeds=[9]")
	f.Add(sumDocument, "stages.data.matrix={n: [1, 2]}")
	f.Add("stages:\n  d: {kind: numbers, matrix: {a: [1]}, when: 'not (${a} == 1) or ${a} < 2', settings: {count: '${a}'}}\n  s: {kind: sum, matrix: d}\n", "stages.s.when=false")
	reg := allKinds(f)
	f.Fuzz(func(t *testing.T, text, override string) {
		doc, err := pipeline.Load("toy.yaml", []byte(text))
		if err == nil {
			err = doc.Check(t.Context(), reg, []string{override})
		}
		var list *pipeline.DiagnosticsError
		if err != nil {
			if !errors.As(err, &list) || len(list.Diagnostics) == 0 {
				t.Fatalf("no list of mistakes: %v", err)
			}
			lines := strings.Count(text, "\n") + strings.Count(text, "\r") + 1
			for _, d := range list.Diagnostics {
				if d.Summary == "" || d.Line < 0 || d.Line > lines || strings.Contains(d.Summary, "panic") {
					t.Errorf("%+v of a text of %d lines", d, lines)
				}
			}
		}
	})
}
