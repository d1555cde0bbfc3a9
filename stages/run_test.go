package stages_test

import (
	"path/filepath"
	"testing"

	"github.com/plateau-nas/plateau/configs"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/store"
	"github.com/plateau-nas/plateau/stages"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
)

// runDocument runs a document to its end, with some of its settings replaced, in a store and a folder of its own. It may extend shipped ones.
func runDocument(t *testing.T, document []byte, overrides ...string) *pipeline.Result {
	t.Helper()
	reg, err := stages.Registry(stagetest.Opener(t))
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	loader := pipeline.Loader{Shipped: func(name string) ([]byte, bool) {
		text, err := configs.Read(name)
		return text, err == nil
	}}
	doc, err := loader.Load("document.yaml", document)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := doc.Plan(t.Context(), reg, st, pipeline.PlanOptions{Overrides: overrides})
	if err != nil {
		t.Fatal(err)
	}
	runner := pipeline.Runner{Store: st, Dir: filepath.Join(t.TempDir(), "run")}
	res, err := runner.Run(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// runShipped is runDocument for a shipped document.
func runShipped(t *testing.T, name string, overrides ...string) shipped {
	t.Helper()
	text, err := configs.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	res := runDocument(t, text, overrides...)
	return shipped{res.Outputs(), metricsByStage(res)}
}

// metricsByStage returns metrics by STAGE.NAME.
func metricsByStage(res *pipeline.Result) map[string]float64 {
	metrics := map[string]float64{}
	for _, s := range res.Stages {
		for _, m := range s.Metrics {
			metrics[s.ID+"."+m.Name] = m.Value
		}
	}
	return metrics
}
