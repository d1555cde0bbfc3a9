package regret

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/score/scoretest"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/table"
)

// What has no score, or no truth, fails.
func TestProblemConforms(t *testing.T) {
	sp := space.NASBench201()
	failing := []space.Architecture{{1, 1, 1, 1, 1, 1}, {2, 2, 2, 2, 2, 2}}
	var scores, truth strings.Builder
	scores.WriteString("arch,top1\n")
	truth.WriteString("arch,top1\n")
	i := 0
	for a := range sp.All() {
		i++
		if !a.Equal(failing[0]) {
			fmt.Fprintf(&scores, "%s,%d\n", sp.Format(a), i)
		}
		if !a.Equal(failing[1]) {
			fmt.Fprintf(&truth, "%s,%d\n", sp.Format(a), 2*i)
		}
	}
	load := func(name, text string, epochs int) *table.Table {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		s := table.DefaultSettings()
		s.Path, s.Column, s.Dataset, s.Split, s.Epochs, s.Quantity, s.Unit, s.Partial = path, "top1", "mine", "test", epochs, table.Accuracy, "percent", true
		tb, err := s.Read(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return tb
	}
	p, err := newProblem(load("short.csv", scores.String(), 3), load("long.csv", truth.String(), 90), "")
	if err != nil {
		t.Fatal(err)
	}
	scoretest.Run(t, scoretest.Suite{Space: sp, Failing: failing, New: func(*testing.T) score.Evaluator { return p }})
	if p.best != 2*15625 {
		t.Errorf("the best truth is %v", p.best)
	}
}
