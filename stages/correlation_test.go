package stages_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/configs"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/publicdata"
	"github.com/plateau-nas/plateau/pipeline/store"
	"github.com/plateau-nas/plateau/stages"
)

// The shipped document gives the figures that were measured on the public tables when the method was chosen.
func TestCorrelationDocument(t *testing.T) {
	short, long := publicdata.Path(t, "nasbench201", "accuracy_12ep.csv"), publicdata.Path(t, "nasbench201", "accuracy_200ep_cifar100.csv")
	text, err := configs.Read("nasbench201-correlation")
	if err != nil {
		t.Fatal(err)
	}
	reg, err := stages.Registry(nil)
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := pipeline.Load("nasbench201-correlation", text)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		overrides []string
		want      map[string]string
	}{
		"200 epochs": {[]string{"truth.path=" + long}, map[string]string{
			"spearman_own": "0.8248", "spearman_mean": "0.8712", "spearman_median": "0.8372",
			"best_own_index": "10165", "best_own_truth": "72.28", "best_own_rank": "34",
			"best_mean_index": "9930", "best_mean_truth": "73.51", "best_mean_rank": "1",
			"best_median_index": "5292", "best_median_truth": "72.67", "best_median_rank": "18",
			"spearman_mean_once": "0.8648", "spearman_mean_leave_out": "0.8574", "best_mean_once_index": "9930",
			"table_epochs": "12", "truth_epochs": "200",
		}},
		"12 epochs": {[]string{"truth.path=" + short, "truth.column=cifar100_test"}, map[string]string{
			"spearman_own": "0.9971", "spearman_mean": "0.9524", "spearman_median": "0.9782", "truth_epochs": "12",
		}},
	} {
		plan, err := doc.Plan(t.Context(), reg, st, pipeline.PlanOptions{Overrides: append(c.overrides, "table.path="+short)})
		if err != nil {
			t.Fatal(err)
		}
		runner := pipeline.Runner{Store: st, Dir: filepath.Join(t.TempDir(), "run")}
		res, err := runner.Run(t.Context(), plan)
		if err != nil {
			t.Fatal(err)
		}
		for metric, want := range c.want {
			decimals := 0
			if _, after, ok := strings.Cut(want, "."); ok {
				decimals = len(after)
			}
			if got := fmt.Sprintf("%.*f", decimals, res.Metrics()[metric]); got != want {
				t.Errorf("%s: %s is %s, want %s", name, metric, got, want)
			}
		}
	}
}
