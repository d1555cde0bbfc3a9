package selection_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/selection"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/table"
)

func TestMain(m *testing.M) { stagetest.Main(m) }

// handed writes an architecture.json with these candidates, best first.
func handed(t *testing.T, name string, candidates ...string) pipeline.Artifact {
	t.Helper()
	sp := space.NASBench201()
	a, err := sp.Parse(candidates[0])
	if err != nil {
		t.Fatal(err)
	}
	out := result.NewArchitecture(sp, a)
	out.Algorithm = "made"
	for _, c := range candidates {
		out.Candidates = append(out.Candidates, result.Candidate{Architecture: c})
	}
	path := filepath.Join(t.TempDir(), name+".json")
	if err := result.WriteArchitecture(path, out); err != nil {
		t.Fatal(err)
	}
	return pipeline.Artifact{Type: "architecture", Path: path, Stage: name, Kind: "sample"}
}

// cells are architectures that differ from the first by one operation or two.
func cells(t *testing.T, n int) []string {
	t.Helper()
	sp := space.NASBench201()
	center := space.Architecture{3, 2, 3, 1, 3, 2}
	out := []string{sp.Format(center)}
	for _, a := range sp.Neighbors(center, 2) {
		if len(out) == n {
			break
		}
		out = append(out, sp.Format(a))
	}
	return out
}

// scores makes a table with the given scores, and the mirrored ones as a second column.
func scores(t *testing.T, of map[string]float64) pipeline.Artifact {
	t.Helper()
	var b strings.Builder
	b.WriteString("arch,score,mirrored\n")
	var names []string
	for name := range of {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "%s,%v,%v\n", name, of[name], 100-of[name])
	}
	path := filepath.Join(t.TempDir(), "mine.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	settings := fmt.Sprintf("{path: %s, column: score, quantity: accuracy, unit: percent, dataset: mine, split: valid, epochs: 100, partial: true}", path)
	res := stagetest.Run{Kind: table.Kind(), Settings: settings}.Must(t)
	return pipeline.Artifact{Type: "table", Path: res.Outputs["table"], Stage: "table", Kind: "table"}
}

func run(t *testing.T, settings string, in map[string]pipeline.Artifact, lists map[string][]pipeline.Artifact) *stagetest.Result {
	t.Helper()
	r := stagetest.Run{Kind: selection.Kind(stagetest.Opener(t)), Settings: settings, Inputs: in, Lists: lists, Seed: 3}
	res := r.Must(t)
	stagetest.SameBytes(t, res, r.Must(t))
	return res
}

func winner(t *testing.T, res *stagetest.Result) (*result.Architecture, *result.Funnel) {
	t.Helper()
	a, err := result.ReadArchitecture(res.Outputs["architecture"])
	if err != nil {
		t.Fatal(err)
	}
	f, err := result.ReadFunnel(res.Outputs["funnel"])
	if err != nil {
		t.Fatal(err)
	}
	return a, f
}

func TestTheBestByTheScoreIsChosen(t *testing.T) {
	names := cells(t, 6)
	of := map[string]float64{}
	for i, name := range names {
		of[name] = float64(10 + 7*i%40)
	}
	in := map[string]pipeline.Artifact{"architecture": handed(t, "sample", names...), "table": scores(t, of)}
	a, f := winner(t, run(t, "{evaluator: {kind: table}, finalists: 3}", in, nil))
	want := slices.Clone(names)
	slices.SortFunc(want, func(x, y string) int { return int(of[y] - of[x]) })
	if a.Architecture != want[0] || len(a.Candidates) != 3 || a.Candidates[2].Architecture != want[2] || a.NeighborhoodScore != nil {
		t.Errorf("%s is chosen of %v", a.Architecture, want)
	}
	if r := f.Rungs[0]; r.Candidates != 6 || r.Kept != 3 || !r.Ranked[2].Kept || r.Ranked[3].Kept || r.Ranked[0].Place != 1+slices.Index(names, want[0]) {
		t.Errorf("%+v", r)
	}
	// By the second column everything is the other way around.
	a, _ = winner(t, run(t, "{evaluator: {kind: table}, metrics: [mirrored], objective: {goals: [{metric: mirrored}]}}", in, nil))
	if a.Architecture != want[5] {
		t.Errorf("by the mirrored column %s", a.Architecture)
	}
}

// The place in the earlier stages' order is a voice like others: with all the weight it decides.
func TestPlacesCountAmongRanks(t *testing.T) {
	names := cells(t, 5)
	of := map[string]float64{}
	for i, name := range names {
		of[name] = float64(10 + 10*i) // the last one given is the best
	}
	in := map[string]pipeline.Artifact{"architecture": handed(t, "sample", names...), "table": scores(t, of)}
	for settings, want := range map[string]string{
		"{metric: score, weight: 1}, {metric: place, weight: -3}": names[0],
		"{metric: score, weight: 3}, {metric: place, weight: -1}": names[4],
	} {
		a, f := winner(t, run(t, "{evaluator: {kind: table}, objective: {combine: ranks, goals: ["+settings+"]}}", in, nil))
		if a.Architecture != want || f.Rungs[0].Ranked[0].Value != 0.75 {
			t.Errorf("%s: %s, %v", settings, a.Architecture, f.Rungs[0].Ranked[0].Value)
		}
	}
}

// One lucky score among poor neighbors does not win against a plateau.
func TestSmoothingPrefersPlateaus(t *testing.T) {
	sp := space.NASBench201()
	peak, plateau := space.Architecture{0, 0, 0, 0, 0, 0}, space.Architecture{3, 3, 3, 3, 3, 3}
	of := map[string]float64{sp.Format(peak): 80, sp.Format(plateau): 78}
	names := []string{sp.Format(peak), sp.Format(plateau)}
	for i := range 5 {
		low, high := peak.Clone(), plateau.Clone()
		low[i], high[i] = 1, 2
		of[sp.Format(low)], of[sp.Format(high)] = 40, 77
		names = append(names, sp.Format(low), sp.Format(high))
	}
	in := map[string]pipeline.Artifact{"architecture": handed(t, "sample", names...), "table": scores(t, of)}
	alone, _ := winner(t, run(t, "{evaluator: {kind: table}}", in, nil))
	if alone.Architecture != sp.Format(peak) {
		t.Fatalf("without smoothing %s", alone.Architecture)
	}
	for _, smooth := range []string{"{by: near, radius: 1, aggregate: mean}", "{by: near, radius: 1, aggregate: mean_std}", "{by: process}"} {
		a, f := winner(t, run(t, "{evaluator: {kind: table}, smooth: "+smooth+"}", in, nil))
		chosen, err := sp.Parse(a.Architecture)
		if err != nil || space.Distance(chosen, plateau) > 1 || a.NeighborhoodScore == nil {
			t.Errorf("%s: %s, %v", smooth, a.Architecture, err)
		}
		first := f.Rungs[0].Ranked[0]
		if first.Smoothed == nil || strings.Contains(smooth, "process") != (first.Uncertainty != nil) || first.Near < 1 {
			t.Errorf("%s: %+v", smooth, first)
		}
	}
}

func TestCandidatesOfSeveralStagesTakeTurns(t *testing.T) {
	names := cells(t, 6)
	of := map[string]float64{}
	for i, name := range names {
		of[name] = float64(50 - i)
	}
	lists := map[string][]pipeline.Artifact{"architecture": {handed(t, "one", names[0], names[1], names[2]), handed(t, "two", names[5], names[0], names[4])}}
	_, f := winner(t, run(t, "{evaluator: {kind: table}, candidates: 4}", map[string]pipeline.Artifact{"table": scores(t, of)}, lists))
	place := map[string]int{}
	for _, c := range f.Rungs[0].Ranked {
		place[c.Architecture] = c.Place
	}
	if want := map[string]int{names[0]: 1, names[5]: 2, names[1]: 3, names[2]: 4}; fmt.Sprint(want) != fmt.Sprint(place) {
		t.Errorf("places %v", place)
	}
}

// Rungs are training budgets; what leaves early is not trained on. A pool of one is chosen.
func TestShortTrainings(t *testing.T) {
	inputs := stagetest.Inputs(t, stagetest.DefaultImages())
	names := cells(t, 5)
	settings := "{keep: 0.4, evaluator: {training: {channels: 4, epochs: 3, budgets: [1, 2], continue: true, learning_rate: 0.05, training: {batch: 8}}}, objective: {goals: [{metric: train_loss, weight: -1}]}}"
	res := run(t, settings, map[string]pipeline.Artifact{"dataset": inputs["dataset"], "architecture": handed(t, "sample", names...)}, nil)
	a, f := winner(t, res)
	var counts []int
	for _, r := range f.Rungs {
		counts = append(counts, r.Candidates, r.Kept)
	}
	if fmt.Sprint(counts) != "[5 2 2 1 1 1]" || !slices.Contains(names, a.Architecture) {
		t.Errorf("%v, %s", counts, a.Architecture)
	}
	if cost := res.Metrics["evaluation_cost"]; math.Abs(cost-(5*1+2*2+3)/3.0) > 1e-12 {
		t.Errorf("the cost is %v", cost)
	}
	if loss := f.Rungs[2].Ranked[0]; loss.Value != -loss.Metrics["train_loss"] || !(loss.Value < 0) {
		t.Errorf("%+v", loss)
	}
	_, f = winner(t, run(t, "{evaluator: {training: {channels: 4, epochs: 1, learning_rate: 0.05, training: {batch: 8}}}, smooth: {by: process}}", map[string]pipeline.Artifact{"dataset": inputs["dataset"], "architecture": handed(t, "sample", names[0])}, nil))
	if r := f.Rungs[0]; r.Candidates != 1 || r.Kept != 1 {
		t.Errorf("%+v", r)
	}
}

// Candidates that a score has no number for are left out; where none has one, that is said with a reason.
func TestFailures(t *testing.T) {
	inputs := stagetest.Inputs(t, stagetest.DefaultImages())
	dead := "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
	settings := "{evaluator: {kind: proxy, network: {channels: 4, cells: 1}, proxy: {proxies: [jacob_cov], images: 4}}}"
	in := map[string]pipeline.Artifact{"dataset": inputs["dataset"], "architecture": handed(t, "sample", dead, cells(t, 1)[0])}
	res := run(t, settings, in, nil)
	if a, f := winner(t, res); a.Architecture == dead || f.Rungs[0].Failed != 1 || res.Metrics["evaluations_failed"] != 1 || !strings.Contains(res.Logged("warn"), "1 of 2 evaluations failed") {
		t.Errorf("%s, %+v", a.Architecture, f.Rungs[0])
	}
	in["architecture"] = handed(t, "sample", dead)
	r := stagetest.Run{Kind: selection.Kind(stagetest.Opener(t)), Settings: settings, Inputs: in}.Do(t)
	if r.Err == nil || !strings.Contains(r.Err.Error(), "none of the 1 candidates could be evaluated; the first, "+dead) {
		t.Errorf("%v", r.Err)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for settings, want := range map[string]string{
		"{keep: 0}":                                     "keep",
		"{candidates: -1}":                              "candidates",
		"{finalists: 0}":                                "finalists",
		"{smooth: {by: proces}}":                        "smooth.by",
		"{smooth: {by: near, radius: 0}}":               "smooth.radius",
		"{smooth: {by: process, process: {length: 0}}}": "smooth.process.length",
		"{objective: {goals: [{metric: plaice}]}}":      "objective.goals[0].metric",
		"{objective: {combine: pareto, goals: [{metric: score}, {metric: loss}]}}": "objective.combine",
	} {
		st := stagetest.Stage(t, selection.Kind(nil), settings)
		err := st.(pipeline.Validator).Validate()
		var setting *pipeline.SettingError
		if !errors.As(err, &setting) || setting.Path != want {
			t.Errorf("%s: %v", settings, err)
		}
	}
}
