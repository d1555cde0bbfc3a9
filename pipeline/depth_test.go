package pipeline_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/pipeline"
)

// A long document with blank lines between its stages is not a deep one; one that is nested deep is refused.
func TestLongIsNotDeep(t *testing.T) {
	var long, deep strings.Builder
	long.WriteString("name: long\nstages:\n")
	for i := range 100 {
		fmt.Fprintf(&long, "  # A comment.\n  s%d:\n    kind: none\n    inputs:\n      model: other\n\n", i)
	}
	for i := range 80 {
		fmt.Fprintf(&deep, "%sa:\n", strings.Repeat(" ", i))
	}
	for text, want := range map[string]bool{long.String(): false, deep.String(): true} {
		_, err := pipeline.Load("doc.yaml", []byte(text))
		if got := err != nil && strings.Contains(err.Error(), "nested more than 64 deep"); got != want {
			t.Errorf("%.30q: %v", text, err)
		}
	}
}
