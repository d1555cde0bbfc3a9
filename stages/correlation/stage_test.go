package correlation_test

import (
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/publicdata"
	"github.com/plateau-nas/plateau/stages/correlation"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/stat"
	"github.com/plateau-nas/plateau/stages/table"
)

func TestMain(m *testing.M) { stagetest.Main(m) }

// artifact runs the stage kind "table" over a file.
func artifact(t *testing.T, path, column, further string) pipeline.Artifact {
	t.Helper()
	r := stagetest.Run{Kind: table.Kind(), Settings: fmt.Sprintf("{path: %q, column: %s%s}", path, column, further)}.Must(t)
	return pipeline.Artifact{Type: "table", Path: r.Outputs["table"], Stage: "table", Kind: "table"}
}

// write writes a table of NAS-Bench-201 by a function of rank; the index is 15624 - rank.
func write(t *testing.T, name, column string, value func(rank int) float64) string {
	t.Helper()
	s := space.NASBench201()
	var b strings.Builder
	b.WriteString("index,arch," + column + "\n")
	rank := 0
	for a := range s.All() {
		fmt.Fprintf(&b, "%d,%s,%v\n", 15624-rank, s.Format(a), value(rank))
		rank++
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// The figures of random tables are those that the definitions give over the neighbors of package space.
func TestFiguresAreWhatTheirDefinitionsSay(t *testing.T) {
	s := space.NASBench201()
	rng := rand.New(rand.NewPCG(1, 1))
	truths, scores := make([]float64, s.Size()), make([]float64, s.Size())
	for rank := range truths {
		// One digit only, so that there are many ties.
		truths[rank] = math.Round(1000*rng.Float64()) / 10
		scores[rank] = math.Round(10*(truths[rank]/2+30*rng.Float64())) / 10
	}
	r := stagetest.Run{Kind: correlation.Kind(), Settings: "{aggregates: [mean, min], top: [7]}", Inputs: map[string]pipeline.Artifact{
		"score": artifact(t, write(t, "a_12ep.csv", "cifar10_valid", func(rank int) float64 { return scores[rank] }), "cifar10_valid", ""),
		"truth": artifact(t, write(t, "a_200ep.csv", "cifar10_test", func(rank int) float64 { return truths[rank] }), "cifar10_test", ""),
	}}.Must(t)

	rankOf := map[string]int{}
	for a := range s.All() {
		rankOf[a.Key()] = len(rankOf)
	}
	mean, least := make([]float64, s.Size()), make([]float64, s.Size())
	for a := range s.All() {
		rank := rankOf[a.Key()]
		sum, low := scores[rank], scores[rank]
		for _, n := range s.Neighbors(a, 1) {
			sum, low = sum+scores[rankOf[n.Key()]], min(low, scores[rankOf[n.Key()]])
		}
		mean[rank], least[rank] = math.Round(sum/25*1e9)/1e9, low
	}
	for name, by := range map[string][]float64{"own": scores, "mean": mean, "min": least} {
		// From the best to the worst; of equals first the one with the lower index, which here is the higher rank.
		order := func(v []float64) []int {
			var out []int
			for rank := range v {
				out = append(out, len(v)-1-rank)
			}
			slices.SortStableFunc(out, func(a, b int) int {
				switch {
				case v[a] > v[b]:
					return -1
				case v[a] < v[b]:
					return 1
				}
				return 0
			})
			return out
		}
		best, truly := order(by)[0], order(truths)
		place, common := 1, 0
		for _, v := range truths {
			if v > truths[best] {
				place++
			}
		}
		for _, rank := range order(by)[:7] {
			if slices.Contains(truly[:7], rank) {
				common++
			}
		}
		for metric, want := range map[string]float64{
			"spearman_" + name: stat.Spearman(by, truths), "kendall_" + name: stat.KendallTau(by, truths), "pearson_" + name: stat.Pearson(by, truths),
			"best_" + name + "_index": float64(15624 - best), "best_" + name + "_score": by[best], "best_" + name + "_own": scores[best],
			"best_" + name + "_truth": truths[best], "best_" + name + "_rank": float64(place), "regret_" + name: truths[truly[0]] - truths[best],
			"top7_" + name: float64(common) / 7, "architectures": 15625, "score_epochs": 12, "truth_epochs": 200,
		} {
			if got, ok := r.Metrics[metric]; !ok || math.Abs(got-want) > 1e-9 {
				t.Errorf("%s is %v (%v), want %v", metric, got, ok, want)
			}
		}
	}
	checkFiles(t, r)
}

// checkFiles holds the three files of a run against its metrics.
func checkFiles(t *testing.T, r *stagetest.Result) {
	t.Helper()
	var content struct {
		Score, Truth struct{ Column, File, Says string }
		Methods      []struct {
			Name     string
			Spearman float64
			Best     struct {
				Index        int
				Architecture string
				Truth        float64
			}
		}
	}
	data, err := os.ReadFile(r.Outputs["correlation"])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &content); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(content.Score.Says, "valid split") || !strings.Contains(content.Score.Says, "12 epochs") || !strings.Contains(content.Truth.Says, "200 epochs") {
		t.Errorf("the file says of the score: %s; of the truth: %s", content.Score.Says, content.Truth.Says)
	}
	file, err := os.Open(r.Outputs["scores"])
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // only read from
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil || len(rows) != 15626 || rows[1][0] != "0" || rows[15625][0] != "15624" {
		t.Fatalf("%d rows in scores.csv (%v), from index %s to %s", len(rows), err, rows[1][0], rows[15625][0])
	}
	page, err := os.ReadFile(r.Outputs["page"])
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(strings.NewReader(strings.Replace(string(page), "<!doctype html>", "", 1))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
	}
	for _, m := range content.Methods {
		if m.Spearman != r.Metrics["spearman_"+m.Name] || float64(m.Best.Index) != r.Metrics["best_"+m.Name+"_index"] {
			t.Errorf("correlation.json says of %s: %v", m.Name, m)
		}
		if row := rows[m.Best.Index+1]; row[1] != m.Best.Architecture || row[2] != fmt.Sprint(m.Best.Truth) {
			t.Errorf("scores.csv says of the best by %s: %v, correlation.json %v", m.Name, row, m.Best)
		}
		if !strings.Contains(string(page), fmt.Sprintf("%.4f", m.Spearman)) || !strings.Contains(string(page), m.Best.Architecture[:5]) {
			t.Errorf("the page does not have the figures of %s", m.Name)
		}
	}
	if external := regexp.MustCompile(`(src|href)="https?:`).Find(page); external != nil {
		t.Errorf("the page needs the network: %s", external)
	}
}

// The public tables give the figures that were measured when the method was chosen for this project.
func TestPublicTables(t *testing.T) {
	short := publicdata.Path(t, "nasbench201", "accuracy_12ep.csv")
	score := artifact(t, short, "cifar100_valid", "")
	run := func(truth pipeline.Artifact) *stagetest.Result {
		return stagetest.Run{Kind: correlation.Kind(), Inputs: map[string]pipeline.Artifact{"score": score, "truth": truth}}.Must(t)
	}
	check := func(r *stagetest.Result, want map[string]string) {
		t.Helper()
		for metric, text := range want {
			decimals := 0
			if _, after, ok := strings.Cut(text, "."); ok {
				decimals = len(after)
			}
			if got := fmt.Sprintf("%.*f", decimals, r.Metrics[metric]); got != text {
				t.Errorf("%s is %s, want %s", metric, got, text)
			}
		}
	}
	long := run(artifact(t, publicdata.Path(t, "nasbench201", "accuracy_200ep_cifar100.csv"), "cifar100_test_mean", ", epochs: 200, split: test"))
	check(long, map[string]string{
		"spearman_own": "0.8248", "spearman_mean": "0.8712", "spearman_median": "0.8372",
		"best_own_index": "10165", "best_own_truth": "72.28", "best_own_rank": "34",
		"best_mean_index": "9930", "best_mean_truth": "73.51", "best_mean_rank": "1", "regret_mean": "0",
		"best_median_index": "5292", "best_median_truth": "72.67", "best_median_rank": "18",
		"score_epochs": "12", "truth_epochs": "200", "architectures": "15625",
	})
	checkFiles(t, long)
	if w := long.Logged("warn"); w != "" {
		t.Errorf("warned: %s", w)
	}
	same := run(artifact(t, short, "cifar100_test", ""))
	check(same, map[string]string{"spearman_own": "0.9971", "spearman_mean": "0.9524", "spearman_median": "0.9782"})
	if w := same.Logged("warn"); !strings.Contains(w, "12 epochs") {
		t.Errorf("nothing is said about a truth of the same short training: %q", w)
	}
	again := run(artifact(t, short, "cifar100_test", ""))
	stagetest.SameBytes(t, same, again)
}

// A partial table takes part with what it has.
func TestArchitecturesWithoutATruthAreLeftOut(t *testing.T) {
	path := write(t, "a_12ep.csv", "cifar10_valid", func(rank int) float64 { return float64(rank % 100) })
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	part := filepath.Join(t.TempDir(), "b_200ep.csv")
	lines := strings.SplitAfter(string(data), "\n")
	if err := os.WriteFile(part, []byte(strings.Replace(strings.Join(lines[:1001], ""), "valid", "test", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	r := stagetest.Run{Kind: correlation.Kind(), Inputs: map[string]pipeline.Artifact{
		"score": artifact(t, path, "cifar10_valid", ""), "truth": artifact(t, part, "cifar10_test", ", partial: true"),
	}}.Must(t)
	if r.Metrics["architectures"] != 1000 || math.Abs(r.Metrics["spearman_own"]-1) > 1e-12 {
		t.Errorf("%v architectures, correlation %v; want 1000 and 1", r.Metrics["architectures"], r.Metrics["spearman_own"])
	}
}

// Lower is better for costs: the best has the lowest, and figures keep their unit.
func TestCostsAreBetterWhenLower(t *testing.T) {
	value := func(rank int) float64 { return float64(1 + rank) }
	r := stagetest.Run{Kind: correlation.Kind(), Settings: "{aggregates: [], top: [5]}", Inputs: map[string]pipeline.Artifact{
		"score": artifact(t, write(t, "a.csv", "cifar10_params", value), "cifar10_params", ""),
		"truth": artifact(t, write(t, "latency_ms.csv", "phone", value), "phone", ""),
	}}.Must(t)
	for metric, want := range map[string]float64{"spearman_own": 1, "best_own_index": 15624, "best_own_truth": 1, "best_own_score": 1, "best_own_rank": 1, "regret_own": 0, "top5_own": 1, "truth_epochs": 0} {
		if got := r.Metrics[metric]; math.Abs(got-want) > 1e-9 {
			t.Errorf("%s is %v, want %v", metric, got, want)
		}
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, c := range []struct {
		change     func(*correlation.Settings)
		path, says string
	}{
		{func(s *correlation.Settings) { s.Aggregates = []string{"mean", "mode"} }, "aggregates[1]", "unknown value"},
		{func(s *correlation.Settings) { s.Aggregates = []string{"mean", "mean"} }, "aggregates[1]", "named twice"},
		{func(s *correlation.Settings) { s.Radii = []int{0} }, "radii[0]", "1 or more"},
		{func(s *correlation.Settings) { s.Radii = nil }, "radii", "at least one radius"},
		{func(s *correlation.Settings) { s.Equivalents = []string{"all", "twice"} }, "equivalents[1]", "unknown value"},
		{func(s *correlation.Settings) { s.Equivalents = []string{"once", "once"} }, "equivalents[1]", "named twice"},
		{func(s *correlation.Settings) { s.Equivalents = nil }, "equivalents", "at least one of all, once, leave_out"},
		{func(s *correlation.Settings) { s.Top = []int{10, 10} }, "top[1]", "named twice"},
		{func(s *correlation.Settings) { s.Aggregates, s.Quantile = []string{"quantile"}, 2 }, "quantile", "between 0 and 1"},
	} {
		s := correlation.DefaultSettings()
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		c.change(&s)
		err := s.Validate()
		var se *pipeline.SettingError
		if !errors.As(err, &se) || se.Path != c.path || !strings.Contains(err.Error(), c.says) {
			t.Errorf("error %v, want one about %s that says %q", err, c.path, c.says)
		}
	}
	constant := artifact(t, write(t, "a_12ep.csv", "cifar10_valid", func(int) float64 { return 1 }), "cifar10_valid", "")
	inputs := map[string]pipeline.Artifact{"score": constant, "truth": constant}
	r := stagetest.Run{Kind: correlation.Kind(), Settings: "{radii: [7]}", Inputs: inputs}.Do(t)
	var se *pipeline.SettingError
	if !errors.As(r.Err, &se) || se.Path != "radii[0]" {
		t.Errorf("an impossible radius: %v", r.Err)
	}
	// Where every score is the same there is no correlation, and no failure either.
	if r := (stagetest.Run{Kind: correlation.Kind(), Inputs: inputs}).Must(t); !math.IsNaN(r.Metrics["spearman_own"]) {
		t.Errorf("a constant score correlates: %v", r.Metrics["spearman_own"])
	}
}
