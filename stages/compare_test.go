package stages_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/stages/space"
)

// smallComparison is the shipped document at a size that shows that its stages fit together, and nothing else.
const smallComparison = `
extends: darts-or-na-darts
variables: {seeds: [1, 2], baseline_seeds: [1]}
stages:
  data: {settings: {source: shapes, valid_fraction: 0.5, size: 16, train_images: 64, test_images: 10}}
  supernet: {settings: {channels: 2, training: {batch: 16}, score_batch: 16}}
  coupled: {matrix: {method: {darts: {epochs: 1, finalists: 2}}}}
  baselines: {matrix: {method: {gdas: {epochs: 1, finalists: 2}, a2m: {epochs: 1, finalists: 2}}}}
  weights: {settings: {epochs: 1, warm_up: 0}}
  search:
    matrix:
      method:
        decoupled:
        na_darts: {epochs: 1, finalists: 2, neighborhood: {samples: 1}}
        random: {budget: {evaluations: 30}}
        na_random: {budget: {evaluations: 30}}
        na_random_std: {budget: {evaluations: 30}}
        evolution: {budget: {evaluations: 30}}
        na_evolution: {budget: {evaluations: 30}}
        local: {budget: {evaluations: 30}}
        na_local: {budget: {evaluations: 30}}
  neighborhood: {settings: {samples: 4, score_images: 16}}
  alone: {matrix: {method: [random, evolution, local]}, settings: {score_images: 16}}
  compare: {settings: {pairs: [[darts, na_darts], [random, na_random]]}}
`

// tableFile writes a table in which skip connections and operations that do nothing cost accuracy.
func tableFile(t *testing.T, name, column string) string {
	t.Helper()
	sp := space.NASBench201()
	var b strings.Builder
	fmt.Fprintf(&b, "index,arch,%s\n", column)
	i := 0
	for a := range sp.All() {
		fmt.Fprintf(&b, "%d,%s,%d\n", i, sp.Format(a), 90-5*sp.CountOperation(a, "skip_connect")-10*sp.CountOperation(a, "none"))
		i++
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// The stages of the shipped comparison fit together, every method is judged by both tables, and each pays for what it used:
// weights that several methods share count for all of them.
func TestComparisonDocument(t *testing.T) {
	res := runDocument(t, []byte(smallComparison),
		"truth.path="+tableFile(t, "accuracy_200ep_cifar100.csv", "cifar100_test_mean"), "table.path="+tableFile(t, "accuracy_12ep.csv", "cifar10_test"))
	m := map[string]float64{}
	for _, s := range res.Stages {
		if s.Kind == "compare" {
			for _, v := range s.Metrics {
				m[v.Name] = v.Value
			}
		}
	}
	for _, method := range []string{"darts", "na_darts", "na_darts_search", "random", "na_random"} {
		for _, measure := range []string{"truth", "table"} {
			if v, ok := m["mean_"+method+"_"+measure]; !ok || v < 30 || v > 90 {
				t.Errorf("%s of %s is %v", measure, method, v)
			}
		}
		// 32 images to train on in batches of 16, one epoch.
		if m["weight_steps_"+method] != 2 || m["seconds_"+method] <= 0 {
			t.Errorf("%s took %v steps and %v seconds", method, m["weight_steps_"+method], m["seconds_"+method])
		}
	}
	for name, want := range map[string]float64{
		"seeds": 2, "best_truth": 90, "p_least_na_darts_vs_darts_truth": 0.5, "evaluations_random": 35, // five finalists are scored once more

		"alpha_passes_darts": 2, "alpha_passes_na_darts": 4, "weight_steps_na_random": 2,
	} {
		if m[name] != want {
			t.Errorf("%s is %v, want %v", name, m[name], want)
		}
	}
	if m["evaluations_na_darts"] <= m["evaluations_na_darts_search"] || m["p_na_random_vs_random_table"] == 0 {
		t.Errorf("%v", m)
	}
}
