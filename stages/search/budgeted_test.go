package search

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/space"
)

const trained = `
epochs: 1
weights: {at: path, learning_rate: 0.05}
score_images: 16
finalists: 3
`

func TestSearchesBySamplingOnSharedWeights(t *testing.T) {
	in := stagetest.Inputs(t, stagetest.DefaultImages())
	weights := ""
	for name, settings := range map[string]string{
		"random":              "algorithm: random\nbudget: {evaluations: 30}\nneighborhood: {radius: 0}",
		"na_evolution_staged": "algorithm: evolution\nbudget: {evaluations: 70, population: 8, policy: staged, after: 0.4}\nneighborhood: {radius: 1}",
		"na_local_shared":     "algorithm: local\nbudget: {evaluations: 40, policy: shared, prior: 1}\nneighborhood: {radius: 1}",
		"na_random_sampled":   "algorithm: random\nbudget: {evaluations: 30}\nneighborhood: {radius: 1, samples: 3}",
		"tpe":                 "algorithm: tpe\nbudget: {evaluations: 20, startup: 8}\nneighborhood: {radius: 0}",
		"na_gp_model":         "algorithm: gp\nbudget: {evaluations: 20, policy: model, startup: 8, explore: 2, model: {length: 2, noise: 0.5}}\nneighborhood: {radius: 1}",
		"halving":             "algorithm: halving\nbudget: {evaluations: 9, bracket: 6, images: [8]}\nneighborhood: {radius: 0}",
	} {
		t.Run(name, func(t *testing.T) {
			run := search(t, in, trained+settings)
			res := run.Must(t)
			a, _, _ := found(t, res)
			if a.Algorithm != name || len(a.Candidates) > 3 || (a.NeighborhoodScore != nil) != strings.HasPrefix(name, "na_") {
				t.Errorf("algorithm %s, %d candidates, neighborhood score %v", a.Algorithm, len(a.Candidates), a.NeighborhoodScore)
			}
			scores, err := result.ReadScores(res.Outputs["scores"])
			if err != nil {
				t.Fatal(err)
			}
			if n := len(scores.Scores); n < 2 || n > 70 {
				t.Errorf("%d architectures were scored", n)
			}
			// Whatever searches, the weights are trained alike.
			if w := res.Bytes(t)["weights"]; weights != "" && w != weights {
				t.Error("the shared weights depend on the algorithm")
			} else {
				weights = w
			}
		})
	}
}

// A budget that merges equal functions has one score of each, and a neighborhood that counts each once asks for no more.
func TestBudgetMergesEqualFunctions(t *testing.T) {
	in := stagetest.Inputs(t, stagetest.DefaultImages())
	for _, settings := range []string{
		"algorithm: random\nbudget: {evaluations: 40, merge_equal: true}\nneighborhood: {radius: 1}",
		"algorithm: random\nbudget: {evaluations: 40, merge_equal: true}\nneighborhood: {radius: 1, equivalents: once}",
	} {
		res := search(t, in, trained+settings).Must(t)
		scores, err := result.ReadScores(res.Outputs["scores"])
		if err != nil {
			t.Fatal(err)
		}
		sp := space.NASBench201()
		met := map[string]string{}
		for _, one := range scores.Scores {
			a, err := sp.Parse(one.Architecture)
			if err != nil {
				t.Fatal(err)
			}
			if other, ok := met[sp.Class(a)]; ok {
				t.Errorf("%s was scored after %s, which computes the same", one.Architecture, other)
			}
			met[sp.Class(a)] = one.Architecture
		}
		if a, _, _ := found(t, res); a.Class == "" || a.ClassMembers == 0 {
			t.Errorf("the result does not name its class: %q with %d members", a.Class, a.ClassMembers)
		}
	}
}

// A search that was killed while it scored ends with the same bytes.
func TestSearchBySamplingContinues(t *testing.T) {
	in := stagetest.Inputs(t, stagetest.DefaultImages())
	run := search(t, in, trained+"algorithm: evolution\nbudget: {evaluations: 40, population: 8}\nneighborhood: {radius: 1, samples: 2}")
	run.Scratch = t.TempDir()
	want := run.Must(t)
	all, err := result.ReadScores(want.Outputs["scores"])
	if err != nil {
		t.Fatal(err)
	}
	part := *all
	part.Scores = part.Scores[:13]
	cache, on := score.NewCache(nil), score.Sample{Images: part.Images, Batch: part.Batch}
	cache.Recall(space.NASBench201(), on, &part)
	if err := cache.Keep(filepath.Join(run.Scratch, scoresFile), space.NASBench201(), on); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(run.Scratch, checkpointFile)); err != nil {
		t.Fatal(err)
	}
	res := run.Must(t)
	logged(t, res, "info", "continuing with 13 architectures scored")
	stagetest.SameBytes(t, want, res)
}

// What a search without a budget hands on is as it was before there were budgets.
func TestNoBudgetLeavesNoTrace(t *testing.T) {
	st, err := result.SettingsOf(DefaultSettings())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := st["budget"]; ok {
		t.Errorf("the settings record a budget that was not given: %v", st)
	}
}
