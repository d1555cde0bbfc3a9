package regret_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/publicdata"
	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/regret"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/table"
)

// write makes a table of all architectures: the truth falls with the distance from one architecture, and the score is the
// truth with noise, so that neighborhoods are worth more than scores.
func write(t *testing.T) string {
	t.Helper()
	sp := space.NASBench201()
	peak, err := sp.Parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("index,arch,cifar100_valid,cifar100_test\n")
	i := 0
	for a := range sp.All() {
		truth := 70 - 5*float64(space.Distance(a, peak))
		noise := 12 * math.Mod(float64(i)*0.6180339887, 1)
		fmt.Fprintf(&b, "%d,%s,%.4f,%.4f\n", i, sp.Format(a), truth+noise-6, truth)
		i++
	}
	path := filepath.Join(t.TempDir(), "accuracy_12ep.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// artifact makes one of a stage's output.
func artifact(res *stagetest.Result, output, stage string) pipeline.Artifact {
	return pipeline.Artifact{Type: "table", Path: res.Outputs[output], Stage: stage}
}

const searches = `
seeds: 20
budgets: [40, 120]
resamples: 200
searches:
  - {name: random, algorithm: random}
  - {name: staged, algorithm: random, radius: 1, policy: staged}
  - {name: all, algorithm: random, radius: 1, policy: all, aggregate: median}
  - {name: local, algorithm: local}
  - {name: climb, algorithm: local, radius: 1, policy: shared}
`

// inputs are the tables that both ports read, made by the stages that make them.
func inputs(t *testing.T, path, truthPath string) map[string]pipeline.Artifact {
	t.Helper()
	seen := stagetest.Run{Kind: table.Kind(), Settings: "path: " + path + "\ncolumn: cifar100_valid"}.Must(t)
	in := map[string]pipeline.Artifact{"table": artifact(seen, "table", "table")}
	settings := "columns: [cifar100_test_mean, cifar100_test]"
	if truthPath != "" {
		settings += "\npath: " + truthPath
	}
	truth := stagetest.Run{Kind: regret.TruthKind(), Settings: settings, Inputs: in}.Must(t)
	in["truth"] = artifact(truth, "table", "truth")
	return in
}

func read(t *testing.T, res *stagetest.Result) (r regret.Result) {
	t.Helper()
	data, err := os.ReadFile(res.Outputs["regret"])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSearchesAreCompared(t *testing.T) {
	in := inputs(t, write(t), "")
	run := stagetest.Run{Kind: regret.Kind(), Settings: searches + "workers: 1", Inputs: in, Seed: 4}
	one := run.Must(t)
	run.Settings = searches + "workers: 3"
	stagetest.SameBytes(t, one, run.Must(t))

	r := read(t, one)
	if r.BestTruth != 70 || r.Seeds != 20 || r.Score.Name != "cifar100_valid" || r.Truth.Name != "cifar100_test" || r.Truth.Meaning.Epochs != 12 {
		t.Errorf("the result is of %+v, %+v, best %v", r.Score, r.Truth, r.BestTruth)
	}
	byName := map[string]regret.SearchResult{}
	for _, s := range r.Searches {
		byName[s.Search.Name] = s
		for i, g := range s.Regret {
			if g.Found != 20 || *g.Mean < 0 || *g.Low > *g.Mean || *g.High < *g.Mean {
				t.Errorf("%s: %+v", s.Search.Name, g)
			}
			if i > 0 && *g.Mean > *s.Regret[0].Mean {
				t.Errorf("%s finds less with more evaluations", s.Search.Name)
			}
		}
		if got := one.Metrics["regret_"+s.Search.Name]; got != *s.Regret[1].Mean {
			t.Errorf("the metric of %s is %v, in the file it is %v", s.Search.Name, got, *s.Regret[1].Mean)
		}
		for _, g := range s.Regret {
			if got := one.Metrics[fmt.Sprintf("truth_%s_%d", s.Search.Name, g.Budget)]; got != *g.Truth || math.Abs(*g.Truth+*g.Mean-70) > 1e-9 || *g.Worst > *g.Truth {
				t.Errorf("the truth of %s after %d evaluations is %v, the regret %v, the worst %v, the metric %v", s.Search.Name, g.Budget, *g.Truth, *g.Mean, *g.Worst, got)
			}
		}
		if got := one.Metrics["regret_"+s.Search.Name+"_at_40"]; got != *s.Regret[0].Mean {
			t.Errorf("the metric of %s at 40 is %v, in the file it is %v", s.Search.Name, got, *s.Regret[0].Mean)
		}
	}
	if len(r.Pairs) != 6 {
		t.Fatalf("%d pairs, want 3 searches at 2 budgets", len(r.Pairs))
	}
	for _, p := range r.Pairs {
		at := map[int]int{40: 0, 120: 1}[p.Budget]
		gain := *byName[p.Plain].Regret[at].Mean - *byName[p.Search].Regret[at].Mean
		if math.Abs(gain-*p.Gain) > 1e-9 || p.Seeds != 20 || p.PHolm < p.P || p.P <= 0 || p.P > 1 || p.Wins+p.Losses > 20 || math.Abs(p.RankBiserial) > 1 {
			t.Errorf("%+v, the means differ by %v", p, gain)
		}
		if want := map[string]string{"staged": "random", "all": "random", "climb": "local"}[p.Search]; p.Plain != want {
			t.Errorf("%s is compared with %s, want %s", p.Search, p.Plain, want)
		}
	}
	var names []string
	for _, c := range r.Correlations {
		names = append(names, c.Name)
		if *c.Spearman <= 0 || *c.Spearman > 1 || c.BestRank < 1 {
			t.Errorf("%+v", c)
		}
	}
	if diff := cmp.Diff([]string{"own", "mean_r1", "median_r1"}, names); diff != "" {
		t.Errorf("correlations (-want +got):\n%s", diff)
	}
	if own, mean := one.Metrics["spearman_own"], one.Metrics["spearman_mean_r1"]; mean <= own {
		t.Errorf("where a score is the truth with noise, its correlation is %v and that of the neighborhood's mean %v", own, mean)
	}
	rows, err := csv.NewReader(strings.NewReader(one.Bytes(t)["csv"])).ReadAll()
	if err != nil || len(rows) != 1+5*2 {
		t.Errorf("%d rows: %v", len(rows), err)
	}
	page := one.Bytes(t)["page"]
	for _, want := range []string{fmt.Sprintf(">%.2f<", *r.Searches[1].Regret[1].Truth), "the best there is has 70.00", "staged ·", "local, mean over radius 1, shared", "<svg", "mean r1"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "random ·") {
		t.Error("random search is said to begin anew for every budget")
	}
	if svg := one.Bytes(t)["chart"]; !strings.Contains(svg, "on the test split of cifar100 after 12 epochs") || strings.Count(svg, ">evaluations<") != 2 {
		t.Error("the chart has not two parts, or does not say what the truth is")
	}
}

// What random search has found after so many evaluations, looked up by hand.
func TestRegretOfRandomSearchByHand(t *testing.T) {
	in := inputs(t, write(t), "")
	res := stagetest.Run{Kind: regret.Kind(), Inputs: in, Seed: 9, Settings: "{seeds: 3, budgets: [10, 60], interval: normal, searches: [{name: random, algorithm: random}]}"}.Must(t)
	tb, err := table.Open(in["table"].Path)
	if err != nil {
		t.Fatal(err)
	}
	scores, _ := tb.Column("cifar100_valid")
	truth, _ := tb.Column("cifar100_test")
	for at, budget := range []int{10, 60} {
		sum := 0.0
		for n := range 3 {
			rng := seed.New(seed.Derive(9, "seed", fmt.Sprint(n)), "candidates")
			known, best := map[int]bool{}, -1
			for len(known) < budget {
				rank := tb.Rank(tb.Space().Random(rng))
				known[rank] = true
				if best < 0 || scores[rank] > scores[best] {
					best = rank
				}
			}
			sum += 70 - truth[best]
		}
		if got := *read(t, res).Searches[0].Regret[at].Mean; math.Abs(got-sum/3) > 1e-9 {
			t.Errorf("after %d evaluations the mean regret is %v, by hand %v", budget, got, sum/3)
		}
	}
}

// A search whose first neighborhood is larger than the budget has found nothing, and says so.
func TestNothingFoundYet(t *testing.T) {
	in := inputs(t, write(t), "")
	res := stagetest.Run{Kind: regret.Kind(), Inputs: in, Settings: "{seeds: 2, budgets: [10, 30], searches: [{name: random, algorithm: random}, {name: all, algorithm: random, radius: 1, policy: all}]}"}.Must(t)
	r := read(t, res)
	if g := r.Searches[1].Regret[0]; g.Found != 0 || g.Mean != nil || g.Low != nil {
		t.Errorf("%+v", g)
	}
	if g := r.Searches[1].Regret[1]; g.Found != 2 || g.Mean == nil {
		t.Errorf("%+v", g)
	}
	if _, ok := res.Metrics["regret_all_at_10"]; ok {
		t.Error("there is a metric for nothing")
	}
}

func TestTruthOfItsOwn(t *testing.T) {
	path := write(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(t.TempDir(), "accuracy_200ep_cifar100.csv")
	if err := os.WriteFile(long, []byte(strings.Replace(string(whole), "cifar100_valid,cifar100_test", "other,cifar100_test_mean", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	in := inputs(t, path, long)
	tb, err := table.Open(in["truth"].Path)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := tb.Describe(""); err != nil || c.Name != "cifar100_test_mean" || c.Meaning.Epochs != 200 || c.Meaning.Split != "test" {
		t.Errorf("the truth is %+v: %v", c, err)
	}
	for settings, want := range map[string]string{
		"column: svhn_valid":                    "the table has none of svhn_valid",
		"columns: [svhn_test]":                  "the table has none of svhn_test; it has cifar100_valid, cifar100_test",
		"{columns: [a, b], path: " + long + "}": `"a"`,
	} {
		res := stagetest.Run{Kind: regret.TruthKind(), Settings: settings, Inputs: in}.Do(t)
		if res.Err == nil || !strings.Contains(res.Err.Error(), want) {
			t.Errorf("%v does not say %q", res.Err, want)
		}
	}
}

func TestTruthIsTheColumnThatIsNamed(t *testing.T) {
	in := inputs(t, write(t), "")
	res := stagetest.Run{Kind: regret.TruthKind(), Settings: "{column: cifar100_valid, columns: [cifar100_test]}", Inputs: in}.Must(t)
	tb, err := table.Open(res.Outputs["table"])
	if err != nil || tb.Score() != "cifar100_valid" {
		t.Errorf("the truth is %v: %v", tb, err)
	}
	if err := (&regret.TruthSettings{}).Validate(); err == nil || !strings.Contains(err.Error(), "column: name the column") {
		t.Error(err)
	}
}

func TestSettingsThatMakeNoSense(t *testing.T) {
	s := regret.Settings{
		Seeds: 1, Budgets: []int{50, 20}, Interval: "exact", Level: 2, Resamples: 5,
		Searches: []regret.Search{
			{Name: "a b", Algorithm: "random"}, {Name: "x", Algorithm: "random"}, {Name: "x", Algorithm: "bayes"},
			{Name: "y", Algorithm: "local", Radius: 1}, {Name: "z", Algorithm: "local", Radius: 1, Policy: "sampled"}, {Name: "q", Algorithm: "local", Radius: 9, Policy: "all"},
		},
	}
	err := s.Validate()
	for _, want := range []string{
		"seeds: 1 seeds", "budgets[1]: 20 comes after 50", `interval: unknown value "exact"`, "level: 2", `searches[0].name: "a b"`,
		"searches[1]: there is a plain random search already", `searches[2].name: "x" is there twice`, `searches[2].algorithm: unknown value "bayes"`,
		"searches[3].policy: a search with a neighborhood", "searches[4].neighborhood.samples", "searches[5].radius: 9",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	d := regret.DefaultSettings()
	if err := d.Validate(); err != nil {
		t.Error(err)
	}
}

// A search is compared with the plain one that merges equal functions as it does, and that with the plain one that does not.
func TestSearchesThatMergeEqualFunctions(t *testing.T) {
	in := inputs(t, write(t), "")
	res := stagetest.Run{Kind: regret.Kind(), Inputs: in, Settings: `{seeds: 40, budgets: [300], searches: [
		{name: plain, algorithm: random}, {name: merged, algorithm: random, merge_equal: true},
		{name: staged, algorithm: random, radius: 1, policy: staged}, {name: staged_merged, algorithm: random, radius: 1, policy: staged, merge_equal: true},
		{name: once, algorithm: random, radius: 1, policy: staged, equivalents: once}]}`}.Must(t)
	text, err := os.ReadFile(res.Outputs["regret"])
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Pairs []struct{ Search, Plain string }
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	pairs := map[string]string{}
	for _, p := range got.Pairs {
		pairs[p.Search] = p.Plain
	}
	want := map[string]string{"merged": "plain", "staged": "plain", "staged_merged": "merged", "once": "plain"}
	if diff := cmp.Diff(want, pairs); diff != "" {
		t.Errorf("pairs (-want +got):\n%s", diff)
	}
	if _, ok := res.Metrics["spearman_mean_r1_once"]; !ok {
		t.Errorf("there is no correlation of the mean that counts each function once: %v", res.Metrics)
	}
}

// On the public tables, with 12-epoch validation accuracy as the score: the correlations that were measured apart.
func TestPublicTables(t *testing.T) {
	for _, c := range []struct {
		truth             string
		own, mean, median float64
	}{{"", 0.9971, 0.9524, 0.9782}, {"accuracy_200ep_cifar100.csv", 0.8248, 0.8712, 0.8372}} {
		truth := c.truth
		if truth != "" {
			truth = publicdata.Path(t, "nasbench201", truth)
		}
		in := inputs(t, publicdata.Path(t, "nasbench201", "accuracy_12ep.csv"), truth)
		res := stagetest.Run{Kind: regret.Kind(), Inputs: in, Settings: `{seeds: 2, budgets: [60], searches: [
			{name: a, algorithm: random, radius: 1, policy: staged}, {name: b, algorithm: random, radius: 1, policy: staged, aggregate: median}]}`}.Must(t)
		for name, want := range map[string]float64{"spearman_own": c.own, "spearman_mean_r1": c.mean, "spearman_median_r1": c.median} {
			if got := res.Metrics[name]; math.Abs(got-want) > 5e-5 {
				t.Errorf("truth %q: %s is %.4f, want %.4f", c.truth, name, got, want)
			}
		}
	}
}

// A search whose way depends on its budget runs anew for each: what it has at one is what it finds with that alone.
func TestSearchesByTheirBudgets(t *testing.T) {
	in := inputs(t, write(t), "")
	const list = `searches: [{name: gp, algorithm: gp}, {name: na_gp, algorithm: gp, radius: 1, policy: model}, {name: tpe, algorithm: tpe}, {name: na_tpe, algorithm: tpe, radius: 1, policy: model}, {name: evolution, algorithm: evolution}]}`
	both := stagetest.Run{Kind: regret.Kind(), Inputs: in, Seed: 3, Settings: `{seeds: 4, budgets: [15, 45], ` + list}.Must(t)
	alone := stagetest.Run{Kind: regret.Kind(), Inputs: in, Seed: 3, Settings: `{seeds: 4, budgets: [15], ` + list}.Must(t)
	for _, name := range []string{"gp", "na_gp", "tpe", "na_tpe", "evolution"} {
		metric := "truth_" + name + "_15"
		if both.Metrics[metric] != alone.Metrics[metric] {
			t.Errorf("%s is %v, and %v where there is no other budget", metric, both.Metrics[metric], alone.Metrics[metric])
		}
	}
	for _, want := range []string{"Mean truth of what was found", "      15      45\n", fmt.Sprintf("na_gp    %8.2f%8.2f\n", both.Metrics["truth_na_gp_15"], both.Metrics["truth_na_gp_45"])} {
		if !strings.Contains(both.Summary, want) {
			t.Errorf("the summary does not say %q:\n%s", want, both.Summary)
		}
	}
}
