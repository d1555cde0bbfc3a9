package sample_test

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/sample"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/table"
)

// input makes a table of all architectures with a score, that of a shorter training, and a cost.
func input(t *testing.T, partial bool) map[string]pipeline.Artifact {
	t.Helper()
	sp := space.NASBench201()
	var b strings.Builder
	b.WriteString("arch,long,short,cost\n")
	i := 0
	for a := range sp.All() {
		i++
		if partial && i%3 == 0 {
			continue
		}
		long, cost := 50.0, 0
		for e, op := range a {
			cost += op
			if op == 3 {
				long += float64(e + 1)
			}
		}
		fmt.Fprintf(&b, "%s,%v,%v,%d\n", sp.Format(a), long, long+float64(i%7)-3, cost)
	}
	path := filepath.Join(t.TempDir(), "mine.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	settings := fmt.Sprintf("{path: %s, column: long, quantity: accuracy, unit: percent, dataset: mine, split: valid, epochs: 100, partial: %v}", path, partial)
	res := stagetest.Run{Kind: table.Kind(), Settings: settings}.Must(t)
	return map[string]pipeline.Artifact{"table": {Type: "table", Path: res.Outputs["table"], Stage: "table", Kind: "table"}}
}

func found(t *testing.T, res *stagetest.Result) *result.Architecture {
	t.Helper()
	a, err := result.ReadArchitecture(res.Outputs["architecture"])
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestEveryAlgorithmSearchesATable(t *testing.T) {
	in := input(t, false)
	for name, settings := range map[string]string{
		"random":              "{algorithm: random, budget: 300, neighborhood: {radius: 0}}",
		"evolution":           "{algorithm: evolution, budget: 300, neighborhood: {radius: 0}}",
		"local":               "{algorithm: local, budget: 300, neighborhood: {radius: 0}}",
		"na_random_sampled":   "{budget: 300}",
		"na_local_shared":     "{algorithm: local, policy: shared, budget: 300, neighborhood: {radius: 1, samples: 0}}",
		"na_random_all":       "{policy: all, budget: 300, neighborhood: {radius: 1, samples: 0, aggregate: median}}",
		"na_evolution_staged": "{algorithm: evolution, policy: staged, budget: 300, neighborhood: {radius: 1, samples: 0}}",
		"tpe":                 "{algorithm: tpe, budget: 100, neighborhood: {radius: 0}}",
		"na_gp_model":         "{algorithm: gp, policy: model, budget: 60, neighborhood: {radius: 1, samples: 0}}",
		"halving":             "{algorithm: halving, budget: 60, neighborhood: {radius: 0}, fidelities: [{column: short, epochs: 20}]}",
	} {
		t.Run(name, func(t *testing.T) {
			run := stagetest.Run{Kind: sample.Kind(stagetest.Opener(t)), Settings: settings, Inputs: in, Seed: 3}
			res := run.Must(t)
			stagetest.SameBytes(t, res, run.Must(t))
			a := found(t, res)
			if a.Algorithm != name || len(a.Candidates) != 5 || a.Candidates[0].Architecture != a.Architecture {
				t.Errorf("algorithm %s, %d candidates", a.Algorithm, len(a.Candidates))
			}
			if neighborhoods := strings.HasPrefix(name, "na_"); (a.NeighborhoodScore != nil) != neighborhoods {
				t.Errorf("the score of the neighborhood is %v", a.NeighborhoodScore)
			}
			if n := res.Metrics["evaluations"]; n < 50 || n > 300 {
				t.Errorf("%v evaluations", n)
			}
			if (name == "local" || name == "evolution" || name == "tpe" || name == "na_gp_model") && *a.OwnScore < 68 {
				t.Errorf("%s finds %v of at most 71", name, *a.OwnScore)
			}
			rows, err := csv.NewReader(strings.NewReader(res.Bytes(t)["trajectory"])).ReadAll()
			if err != nil || len(rows) < 3 || rows[len(rows)-1][1] != a.Architecture {
				t.Errorf("%d rows, the last of %v: %v", len(rows), rows[len(rows)-1], err)
			}
			scores, err := result.ReadScores(res.Outputs["scores"])
			if err != nil || len(scores.Scores) == 0 || !strings.Contains(scores.Evaluator, "after 100 epochs") {
				t.Errorf("%+v: %v", scores, err)
			}
		})
	}
}

func TestWhatTheTableLacksFails(t *testing.T) {
	res := stagetest.Run{Kind: sample.Kind(stagetest.Opener(t)), Settings: "{algorithm: local, budget: 300, policy: all, neighborhood: {radius: 1, samples: 0}}", Inputs: input(t, true)}.Must(t)
	if n := res.Metrics["evaluations_failed"]; n < 20 || n > 200 {
		t.Errorf("%v of 300 evaluations failed, a third of the table is missing", n)
	}
	if !strings.Contains(res.Logged("warn"), "evaluations failed; those architectures were never chosen") {
		t.Error(res.Logged("warn"))
	}
}

func TestObjectivesOverColumns(t *testing.T) {
	in := input(t, false)
	bound := stagetest.Run{Kind: sample.Kind(stagetest.Opener(t)), Inputs: in, Settings: `
algorithm: evolution
budget: 400
neighborhood: {radius: 0}
metrics: [cost]
objective: {constraints: [{metric: cost, at_most: 9}]}`}.Must(t)
	sp := space.NASBench201()
	cost := func(text string) (sum int) {
		a, err := sp.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range a {
			sum += op
		}
		return sum
	}
	if c := cost(found(t, bound).Architecture); c > 9 {
		t.Errorf("the cost is %d, at most 9 is allowed", c)
	}
	if w := bound.Logged("warn"); w != "" {
		t.Errorf("a kept constraint is warned about: %s", w)
	}
	impossible := stagetest.Run{Kind: sample.Kind(stagetest.Opener(t)), Inputs: in, Settings: `
algorithm: random
budget: 30
neighborhood: {radius: 0}
metrics: [cost]
objective: {constraints: [{metric: cost, at_most: -1}]}`}.Must(t)
	if w := impossible.Logged("warn"); !strings.Contains(w, "no architecture that was evaluated keeps the constraints") || !strings.Contains(w, "at most -1 is allowed") {
		t.Errorf("what nothing keeps: %q", w)
	}
	front := stagetest.Run{Kind: sample.Kind(stagetest.Opener(t)), Inputs: in, Settings: `
algorithm: evolution
budget: 400
neighborhood: {radius: 0}
metrics: [cost]
objective: {combine: pareto, goals: [{metric: score}, {metric: cost, weight: -1, own: true}]}`}.Must(t)
	a := found(t, front)
	n := int(front.Metrics["front"])
	if n < 4 || len(a.Candidates) < n {
		t.Fatalf("%d on the front, %d candidates", n, len(a.Candidates))
	}
	for i := 1; i < n; i++ { // the first goal falls along the front, so the cost must, too
		if cost(a.Candidates[i].Architecture) >= cost(a.Candidates[i-1].Architecture) {
			t.Errorf("%v is no better than %v", a.Candidates[i], a.Candidates[i-1])
		}
	}
}

func TestMistakesAreNamed(t *testing.T) {
	in := input(t, false)
	for settings, want := range map[string]string{
		"{metrics: [latency]}": "metrics",
		"{algorithm: halving, neighborhood: {radius: 0}, fidelities: [{column: tiny, cost: 0.1}]}": "fidelities[0].column",
		"{algorithm: halving, neighborhood: {radius: 0}, fidelities: [{column: short}]}":           "short",
		"{neighborhood: {radius: 7, samples: 2}}":                                                  "neighborhood",
		"{objective: {goals: [{metric: energy}]}}":                                                 `no metric "energy"`,
		"{policy: all, budget: 10, neighborhood: {samples: 0}}":                                    "raise the budget",
	} {
		res := stagetest.Run{Kind: sample.Kind(stagetest.Opener(t)), Settings: settings, Inputs: in}.Do(t)
		if res.Err == nil || !strings.Contains(res.Err.Error(), want) {
			t.Errorf("%s: %v does not say %q", settings, res.Err, want)
		}
	}
	s := sample.DefaultSettings()
	s.Algorithm, s.Finalists = "halving", 0
	err := s.Validate()
	for _, want := range []string{"fidelities: halving needs", "finalists: 0"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

// What one stage has scored serves others, combined by ranks and under a bound on sizes.
func TestScoresOfAnEarlierStageAreSearched(t *testing.T) {
	in := input(t, false)
	open := sample.Kind(stagetest.Opener(t))
	first := stagetest.Run{Kind: open, Settings: "{algorithm: exhaustive, budget: 15625, metrics: [cost], neighborhood: {radius: 0}}", Inputs: in}.Must(t)
	earlier := map[string]pipeline.Artifact{
		"scores":  {Type: "scores", Path: first.Outputs["scores"], Stage: "first@1", Kind: "sample"},
		"dataset": stagetest.Inputs(t, stagetest.DefaultImages())["dataset"],
	}
	settings := "{algorithm: exhaustive, budget: 15625, policy: shared, neighborhood: {radius: 1, samples: 0, aggregate: mean}, evaluator: {kind: scores, network: {channels: 4, cells: 1}}, objective: {combine: ranks, goals: [{metric: score}, {metric: cost, weight: -1}], constraints: [{metric: multiply_adds_share, at_most: 0.5}]}}"
	res := stagetest.Run{Kind: open, Settings: settings, Inputs: earlier}.Must(t)
	a := found(t, res)
	if a.NeighborhoodScore == nil || *a.NeighborhoodScore < 0.5 || *a.NeighborhoodScore > 1 {
		t.Errorf("the neighborhood has %v", a.NeighborhoodScore)
	}
	if share := a.Candidates[0].Metrics["multiply_adds_share"]; !(share > 0 && share <= 0.5) {
		t.Errorf("the share is %v", share)
	}
	if res.Metrics["evaluations"] != 15625 {
		t.Errorf("%v evaluations", res.Metrics["evaluations"])
	}
	// The own score is in the units of the neighborhood's: without one it is what the search goes by.
	alone := found(t, stagetest.Run{Kind: open, Settings: strings.Replace(settings, "radius: 1", "radius: 0", 1), Inputs: earlier}.Must(t))
	for i, c := range alone.Candidates[1:] {
		if before := alone.Candidates[i].Score; c.Score > before || before > 1 || c.Score < 0.5 {
			t.Errorf("ranks of %v come before ranks of %v", before, c.Score)
		}
	}
	if own := res.Metrics["own_score"]; own != a.Candidates[0].Score || own > alone.Candidates[0].Score || own < 0 || !strings.Contains(res.Summary, "the ranks of score and small cost") {
		t.Errorf("the own score is %v, %v the best of all: %s", own, alone.Candidates[0].Score, res.Summary)
	}
	// Where only a part was scored, that part is searched, and its neighborhoods are what is known of them.
	part := stagetest.Run{Kind: open, Settings: "{algorithm: exhaustive, budget: 900, metrics: [cost], neighborhood: {radius: 0}}", Inputs: in}.Must(t)
	some := map[string]pipeline.Artifact{"scores": {Type: "scores", Path: part.Outputs["scores"], Stage: "first@1", Kind: "sample"}, "dataset": earlier["dataset"]}
	for budget, want := range map[string]float64{"15625": 900, "900": 900, "100": 100} {
		res := stagetest.Run{Kind: open, Settings: strings.Replace(settings, "15625", budget, 1), Inputs: some}.Must(t)
		if res.Metrics["evaluations"] != want || res.Metrics["evaluations_failed"] != 0 {
			t.Errorf("with a budget of %s there are %v evaluations, %v failed", budget, res.Metrics["evaluations"], res.Metrics["evaluations_failed"])
		}
	}
	// Held against the table that it comes from, the order is that of the table.
	earlier["truth"] = in["table"]
	res = stagetest.Run{Kind: open, Settings: "{algorithm: exhaustive, budget: 15625, neighborhood: {radius: 0}, evaluator: {kind: scores}}", Inputs: earlier}.Must(t)
	if res.Metrics["spearman_truth"] < 1-1e-12 || res.Metrics["architectures_truth"] != 15625 || !strings.Contains(res.Summary, "Spearman 1.0000") {
		t.Errorf("%v, %s", res.Metrics, res.Summary)
	}
	r := stagetest.Run{Kind: open, Settings: "{evaluator: {kind: scores}, neighborhood: {radius: 0}}", Inputs: in}.Do(t)
	if r.Err == nil || !strings.Contains(r.Err.Error(), "the input scores is not connected") {
		t.Errorf("%v", r.Err)
	}
}
