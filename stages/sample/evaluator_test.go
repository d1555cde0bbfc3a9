package sample_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/sample"
	"github.com/plateau-nas/plateau/stages/score/command"
	"github.com/plateau-nas/plateau/stages/search"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// TestMain also makes this binary a command for the evaluator exec: it answers with the number of nodes of a model, and fails on
// those without a pool.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "-as-command" {
		model, err := onnx.Load(os.Args[3])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		pools := 0
		for _, n := range model.Graph.Node {
			if n.OpType == "AveragePool" {
				pools++
			}
		}
		switch {
		case os.Args[2] == "fail":
			fmt.Fprintln(os.Stderr, "no such device")
			os.Exit(1)
		case os.Args[2] == "pools" && pools <= 2: // the residual blocks have two
			fmt.Println(`{"nodes": NaN}`)
		default:
			fmt.Printf("{\"nodes\": %d, \"pools\": %d}\n", len(model.Graph.Node), pools)
		}
		os.Exit(0)
	}
	stagetest.Main(m)
}

// images makes the inputs of a search on images: a dataset, a supernet and shared weights at their first values.
func images(t *testing.T) map[string]pipeline.Artifact {
	t.Helper()
	in := stagetest.Inputs(t, stagetest.DefaultImages())
	index, err := params.Load(in["parameters"].Path)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "weights.safetensors")
	flat := make([]float32, index.Total())
	for i := range flat {
		flat[i] = float32((i*7919)%101)/101 - 0.5
	}
	if err := supernet.SaveWeights(path, nil, supernet.Vector{Index: index, Data: flat}); err != nil {
		t.Fatal(err)
	}
	in["weights"] = pipeline.Artifact{Type: "shared-weights", Path: path, Stage: "search", Kind: "search"}
	return in
}

func exec(mode, more string) string {
	return fmt.Sprintf(`{kind: exec, network: {channels: 2, cells: 1}, exec: {command: [%q, -as-command, %s, "{model}"], score: nodes, lower: true, metrics: [pools], retries: 0%s}}`, os.Args[0], mode, more)
}

func TestEveryEvaluatorSearches(t *testing.T) {
	all := images(t)
	only := map[string]pipeline.Artifact{"dataset": all["dataset"]}
	trained := maps.Clone(all)
	trained["trained"] = pipeline.Artifact{Type: search.TrainedWeights, Path: all["weights"].Path, Stage: "weights", Kind: "weights"}
	delete(trained, "weights")
	for _, c := range []struct {
		name, settings string
		in             map[string]pipeline.Artifact
		metrics        []string
	}{
		{"sharing", "{algorithm: random, budget: 20, policy: sampled, neighborhood: {radius: 1, samples: 2}, evaluator: {kind: sharing, network: {channels: 2, cells: 1}, sharing: {images: 8}, costs: {metrics: [parameters]}}}", all, []string{"parameters", "neighborhood_score"}},
		{"sharing of trained weights", "{algorithm: random, budget: 4, neighborhood: {radius: 0}, evaluator: {kind: sharing, network: {channels: 2, cells: 1}, sharing: {images: 8}}}", trained, nil},
		{"proxy", "{algorithm: evolution, budget: 5, population: 3, tournament: 2, neighborhood: {radius: 0}, evaluator: {kind: proxy, network: {channels: 2, cells: 1}, proxy: {proxies: [synflow, grad_norm], images: 4}}}", only, []string{"synflow", "grad_norm"}},
		{"training", "{algorithm: halving, budget: 4, candidates: 3, keep: 0.4, neighborhood: {radius: 0}, evaluator: {kind: training, training: {channels: 2, cells: 1, epochs: 2, budgets: [1], continue: true, training: {batch: 8}}}}", only, []string{"train_loss", "valid_top1"}},
		{"exec", "{algorithm: random, budget: 4, neighborhood: {radius: 0}, evaluator: " + exec("count", "") + "}", only, []string{"nodes", "pools"}},
		{"exec on inherited weights", "{algorithm: random, budget: 2, neighborhood: {radius: 0}, evaluator: " + exec("count", ", weights: inherited") + "}", all, []string{"nodes"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := stagetest.Run{Kind: sample.Kind(stagetest.Opener(t)), Settings: c.settings, Inputs: c.in, Seed: 5}
			res := run.Must(t)
			for _, name := range c.metrics {
				if _, ok := res.Metrics[name]; !ok {
					t.Errorf("there is no metric %s among %v", name, res.Metrics)
				}
			}
			if !strings.HasPrefix(c.name, "exec") { // whose log has times
				stagetest.SameBytes(t, res, run.Must(t))
			}
			a := found(t, res)
			if len(a.Candidates) == 0 || a.Candidates[0].Architecture != a.Architecture {
				t.Errorf("%+v", a.Candidates)
			}
		})
	}
}

// Where the command fails, candidates are marked, others are chosen, and what it said is kept.
func TestCandidatesOnWhichTheCommandFails(t *testing.T) {
	in := map[string]pipeline.Artifact{"dataset": images(t)["dataset"]}
	res := stagetest.Run{Kind: sample.Kind(stagetest.Opener(t)), Inputs: in, Seed: 5, Settings: "{algorithm: random, budget: 10, neighborhood: {radius: 0}, evaluator: " + exec("pools", ", parallel: 2") + "}"}.Must(t)
	failed := res.Metrics["evaluations_failed"]
	if failed < 1 || failed > 9 {
		t.Errorf("%v failed", failed)
	}
	if a := found(t, res); !strings.Contains(a.Architecture, "avg_pool") {
		t.Errorf("%s was chosen", a.Architecture)
	}
	scores, err := result.ReadScores(res.Outputs["scores"])
	if err != nil || len(scores.Scores) != 10 || float64(len(slices.DeleteFunc(scores.Scores, func(s result.Score) bool { return s.Failure == "" }))) != failed {
		t.Errorf("%+v: %v", scores, err)
	}
	lines := strings.Split(strings.TrimSpace(res.Bytes(t)["attempts"]), "\n")
	if len(lines) != 10 {
		t.Errorf("%d attempts are logged", len(lines))
	}
	for _, line := range lines {
		var a command.Attempt
		if err := json.Unmarshal([]byte(line), &a); err != nil || a.Stdout == "" || a.Architecture == "" {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestParetoFrontOfScoreAndCosts(t *testing.T) {
	in := map[string]pipeline.Artifact{"dataset": images(t)["dataset"]}
	res := stagetest.Run{Kind: sample.Kind(stagetest.Opener(t)), Inputs: in, Seed: 5, Settings: `
algorithm: random
budget: 12
neighborhood: {radius: 0}
evaluator: {kind: proxy, network: {channels: 2, cells: 1}, proxy: {images: 4}, costs: {latency_runs: 1}}
objective: {combine: pareto, goals: [{metric: score}, {metric: parameters, weight: -1, own: true}], constraints: [{metric: latency_ms, at_most: 10000}]}`}.Must(t)
	a := found(t, res)
	n := int(res.Metrics["front"])
	if n < 1 || len(a.Candidates) < n {
		t.Fatalf("%d on the front, %d candidates", n, len(a.Candidates))
	}
	for i, c := range a.Candidates {
		if c.Front != (i < n) || c.Metrics["latency_ms"] <= 0 {
			t.Errorf("candidate %d: %+v", i, c)
		}
		if 0 < i && i < n && c.Metrics["parameters"] >= a.Candidates[i-1].Metrics["parameters"] {
			t.Errorf("candidate %d has a lower score and no fewer parameters: %+v", i, c)
		}
	}
}

func TestWhatIsNotConnectedIsSaid(t *testing.T) {
	all := images(t)
	for settings, want := range map[string]string{
		"{}":                         "the input table is not connected",
		"{evaluator: {kind: proxy}}": "the input dataset is not connected",
	} {
		res := stagetest.Run{Kind: sample.Kind(stagetest.Opener(t)), Settings: settings}.Do(t)
		if res.Err == nil || !strings.Contains(res.Err.Error(), want) {
			t.Errorf("%s: %v does not say %q", settings, res.Err, want)
		}
	}
	for settings, want := range map[string]string{
		"{evaluator: {kind: sharing}}": "not all of the inputs path, parameters and weights are connected",
		"{neighborhood: {radius: 0}, evaluator: " + exec("fail", ", give_up: 2") + "}":            "failed on each of the first 2 architectures",
		`{evaluator: {kind: exec, exec: {command: [no-such-program-here, "{model}"], score: x}}}`: `the program "no-such-program-here" cannot be run`,
	} {
		res := stagetest.Run{Kind: sample.Kind(stagetest.Opener(t)), Settings: settings, Inputs: map[string]pipeline.Artifact{"dataset": all["dataset"]}}.Do(t)
		if res.Err == nil || !strings.Contains(res.Err.Error(), want) {
			t.Errorf("%s: %v does not say %q", settings, res.Err, want)
		}
	}
}

func TestEvaluatorSettingsAreStrict(t *testing.T) {
	for settings, want := range map[string]string{
		"{evaluator: {kind: proxi}}":                                                                                    "evaluator.kind",
		"{evaluator: {kind: proxy, proxy: {proxies: [sinflow], images: 4}}}":                                            "evaluator.proxy.proxies[0]",
		"{evaluator: {kind: exec, exec: {command: [], score: x}}}":                                                      "evaluator.exec.command: the command is empty",
		"{evaluator: {kind: proxy, exec: {retries: 4}}}":                                                                "evaluator.exec: the evaluator is proxy, which does not use these settings",
		"{evaluator: {kind: proxy}, objective: {constraints: [{metric: latency, at_most: 3}]}}":                         "objective.constraints[0].metric",
		"{algorithm: halving, neighborhood: {radius: 0}, evaluator: {kind: training}}":                                  "evaluator.training.budgets",
		"{algorithm: halving, neighborhood: {radius: 0}, evaluator: {kind: proxy}}":                                     "algorithm: halving needs training budgets",
		"{evaluator: {kind: proxy}, metrics: [x]}":                                                                      "metrics: the evaluator proxy has no columns",
		"{evaluator: {kind: exec, exec: {command: [a, '{model}'], score: latency_ms}, costs: {metrics: [latency_ms]}}}": "the evaluator itself gives latency_ms",
	} {
		err := stagetest.Stage(t, sample.Kind(nil), settings).(pipeline.Validator).Validate()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v does not say %q", settings, err, want)
		}
	}
	err := stagetest.Stage(t, sample.Kind(nil), "{evaluator: {kind: proxy}, objective: {constraints: [{metric: latency, at_most: 3}]}}").(pipeline.Validator).Validate()
	if one := new(pipeline.SettingError); !errors.As(err, &one) || !slices.Contains(one.Known, "latency_ms") {
		t.Errorf("%v does not lead to latency_ms", err)
	}
}

// A search that was interrupted asks the command only for what it had not answered.
func TestAnInterruptedSearchGoesOn(t *testing.T) {
	in := map[string]pipeline.Artifact{"dataset": images(t)["dataset"]}
	run := stagetest.Run{Kind: sample.Kind(stagetest.Opener(t)), Inputs: in, Seed: 5, Scratch: t.TempDir(), Settings: "{algorithm: random, budget: 6, neighborhood: {radius: 0}, evaluator: " + exec("count", "") + "}"}
	whole := run
	whole.Scratch = ""
	want := whole.Must(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first := run
	first.Context = ctx
	first.Watch = func(e event.Event) {
		if e.Progress != nil && e.Progress.Phase == "evaluate" && e.Progress.Done == 3 {
			cancel()
		}
	}
	if res := first.Do(t); !errors.Is(res.Err, context.Canceled) {
		t.Fatal(res.Err)
	}
	got := run.Must(t)
	if a, b := want.Bytes(t), got.Bytes(t); a["architecture"] != b["architecture"] || a["scores"] != b["scores"] || a["trajectory"] != b["trajectory"] {
		t.Error("the result is another one than that of an uninterrupted search")
	}
	if n := strings.Count(got.Bytes(t)["attempts"], "\n"); n != 6 {
		t.Errorf("the command has run %d times for 6 architectures", n)
	}
	if !strings.Contains(got.Logged("info"), "continuing with 3 architectures evaluated") {
		t.Error(got.Logged("info"))
	}
}
