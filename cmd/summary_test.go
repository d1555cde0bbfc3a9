package cmd

import (
	"fmt"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
)

func TestSummaryOfManyMetricsSaysWhereTheyAllAre(t *testing.T) {
	r := &pipeline.Result{Run: "many", Dir: t.TempDir()}
	for _, n := range []int{41, 150} {
		stage := &pipeline.StageResult{ID: "table"}
		for i := range n {
			stage.Metrics = append(stage.Metrics, event.Value{Name: fmt.Sprintf("m%d", i), Value: float64(i)})
		}
		r.Stages = []*pipeline.StageResult{stage}
		var b strings.Builder
		printSummary(&b, r)
		shown, more := strings.Count(b.String(), "\n  m"), strings.Contains(b.String(), "and 110 more: plateau runs show "+r.Dir)
		if n == 41 && (shown != 41 || more) || n == 150 && (shown != 40 || !more) {
			t.Errorf("of %d metrics %d are shown:\n%s", n, shown, b.String())
		}
	}
}
