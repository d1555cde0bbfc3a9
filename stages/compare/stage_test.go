package compare_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/stages/compare"
	"github.com/plateau-nas/plateau/stages/internal/browsertest"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/table"
)

// found is what a stage of a document has found: its variant seed-method, or just the stage where there is no seed.
type found struct {
	stage, method, seed, architecture string
	own                               float64
}

func (f found) labels() []pipeline.Label {
	if f.seed == "" {
		return nil
	}
	return []pipeline.Label{{Axis: "seed", Value: f.seed}, {Axis: "method", Value: f.method}}
}

func (f found) id() string {
	if f.seed == "" {
		return f.stage
	}
	return f.stage + "@" + f.seed + "-" + f.method
}

// cell writes an architecture with n skip connections, and 3x3 convolutions otherwise.
func cell(n int) string {
	sp := space.NASBench201()
	a := make(space.Architecture, 6)
	for e := range a {
		if a[e] = 3; e < n {
			a[e] = 1
		}
	}
	return sp.Format(a)
}

func architecture(t *testing.T, f found) pipeline.Artifact {
	t.Helper()
	sp := space.NASBench201()
	a, err := sp.Parse(f.architecture)
	if err != nil {
		t.Fatal(err)
	}
	content := result.NewArchitecture(sp, a)
	content.Algorithm, content.OwnScore = f.method, &f.own
	path := filepath.Join(t.TempDir(), "architecture.json")
	if err := result.WriteArchitecture(path, content); err != nil {
		t.Fatal(err)
	}
	return pipeline.Artifact{Type: "architecture", Path: path, Stage: f.id(), Kind: f.stage, Labels: f.labels()}
}

// truth makes a table in which every skip connection costs 10 points; only the cells of the test are listed.
func truth(t *testing.T, id string) pipeline.Artifact {
	t.Helper()
	var b strings.Builder
	b.WriteString("index,arch,cifar100_test_mean\n")
	for n := range 6 {
		fmt.Fprintf(&b, "%d,%s,%d\n", 100+n, cell(n), 73-10*n)
	}
	path := filepath.Join(t.TempDir(), "accuracy_200ep_cifar100.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	res := stagetest.Run{Kind: table.Kind(), Settings: "path: " + path + "\ncolumn: cifar100_test_mean\npartial: true"}.Must(t)
	return pipeline.Artifact{Type: "table", Path: res.Outputs["table"], Stage: id}
}

// job is a run of the stage with lists of inputs.
type job struct {
	settings      string
	architectures []pipeline.Artifact
	metrics       []pipeline.Artifact
	tables        []pipeline.Artifact
	lineage       func(stage string) []pipeline.Work
}

type outcome struct {
	compare.Result
	metrics map[string]float64
	summary string
	paths   map[string]string
}

func (j job) run(t *testing.T) (*outcome, error) {
	t.Helper()
	stage := stagetest.Stage(t, compare.Kind(), j.settings)
	if err := stage.(pipeline.Validator).Validate(); err != nil {
		return nil, err
	}
	dir, o := t.TempDir(), &outcome{metrics: map[string]float64{}, paths: map[string]string{}}
	for _, out := range compare.Kind().Outputs {
		o.paths[out.Name] = filepath.Join(dir, out.File)
	}
	pj := pipeline.NewJob(pipeline.JobConfig{
		ID: "compare", Seed: 1, Scratch: dir, Outputs: o.paths, Lineage: j.lineage, Events: event.Discard,
		Lists: map[string][]pipeline.Artifact{"architectures": j.architectures, "metrics": j.metrics, "tables": j.tables},
	})
	if err := stage.Run(t.Context(), pj); err != nil {
		return nil, err
	}
	for _, m := range pj.Metrics() {
		o.metrics[m.Name] = m.Value
	}
	o.summary = pj.SummaryText()
	data, err := os.ReadFile(o.paths["comparison"])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &o.Result); err != nil {
		t.Fatal(err)
	}
	return o, nil
}

func (j job) must(t *testing.T) *outcome {
	t.Helper()
	o, err := j.run(t)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// five gives architectures of two methods with five seeds, by their numbers of skip connections.
func five(t *testing.T, darts, na [5]int) []pipeline.Artifact {
	t.Helper()
	var out []pipeline.Artifact
	for i := range darts {
		seed := fmt.Sprint(i + 1)
		out = append(out,
			architecture(t, found{"search", "darts", seed, cell(darts[i]), -1}),
			architecture(t, found{"search", "na_darts", seed, cell(na[i]), -2}))
	}
	return out
}

const pairs = "pairs: [[darts, na_darts]]"

// Five seeds that all agree are not enough for 0.05, and that is said with what would be.
func TestFiveSeedsThatAgreeAreNotSignificant(t *testing.T) {
	o := job{settings: pairs, architectures: five(t, [5]int{1, 2, 3, 4, 5}, [5]int{0, 0, 0, 0, 0}), tables: []pipeline.Artifact{truth(t, "truth")}}.must(t)
	for name, want := range map[string]float64{
		"mean_darts_truth": 43, "mean_na_darts_truth": 73, "std_na_darts_truth": 0, "std_darts_truth": 15.8113883,
		"best_truth": 73, "gain_na_darts_vs_darts_truth": 30, "p_na_darts_vs_darts_truth": 0.0625, "p_least_na_darts_vs_darts_truth": 0.0625,
		"rank_biserial_na_darts_vs_darts_truth": 1, "cliffs_delta_na_darts_vs_darts_truth": 1,
		"mean_darts_skip_connections": 3, "seeds": 5, "low_darts_truth": 43 - 2.7764451*15.8113883/math.Sqrt(5),
	} {
		if got, ok := o.metrics[name]; !ok || math.Abs(got-want) > 1e-6 {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	p := o.Pairs[0]
	if p.Significant || p.Wins != 5 || !p.Exact {
		t.Errorf("%+v", p)
	}
	for _, want := range []string{"30.00 points better than darts", "not significant at 0.05", "can not be smaller than 0.0625", "takes 6 seeds"} {
		if !strings.Contains(p.Verdict, want) || !strings.Contains(o.summary, want) {
			t.Errorf("the verdict lacks %q: %s", want, p.Verdict)
		}
	}
	page, err := os.ReadFile(o.paths["page"])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"top-1 accuracy in percent on the test split of cifar100 after 200 epochs", "30.00 points", "not significant", cell(0)[:10]} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// Equal findings in many seeds leave few pairs with ties among them; the test stays exact.
func TestTiesStayExact(t *testing.T) {
	o := job{settings: pairs, architectures: five(t, [5]int{1, 1, 2, 0, 0}, [5]int{0, 0, 3, 0, 0}), tables: []pipeline.Artifact{truth(t, "truth")}}.must(t)
	p := o.Pairs[0]
	if p.Wins != 2 || p.Losses != 1 || !p.Exact || p.P != 1 {
		t.Errorf("%+v", p)
	}
	same := job{settings: pairs, architectures: five(t, [5]int{1, 2, 3, 0, 0}, [5]int{1, 2, 3, 0, 0}), tables: []pipeline.Artifact{truth(t, "truth")}}.must(t)
	if v := same.Pairs[0].Verdict; !strings.Contains(v, "equal to darts") || !strings.Contains(v, "no difference to test") {
		t.Error(v)
	}
}

// A ranking after a search gives the method's outcome; the search alone is a method of its own, with its own cost.
func TestTheLastStageOfAMethodIsItsOutcome(t *testing.T) {
	arch := five(t, [5]int{1, 2, 3, 4, 5}, [5]int{1, 1, 1, 1, 1})
	for i := range 5 {
		arch = append(arch, architecture(t, found{"neighborhood", "na_darts", fmt.Sprint(i + 1), cell(0), -3}))
	}
	lineage := func(stage string) []pipeline.Work {
		evaluations := func(n float64) []event.Value {
			return []event.Value{{Name: "evaluations", Value: n}, {Name: "own_score", Value: 9}}
		}
		out := []pipeline.Work{{Stage: "data", Kind: "dataset", Seconds: 1000}, {Kind: "search", Seconds: 10, Metrics: evaluations(100)}}
		if strings.HasPrefix(stage, "neighborhood") {
			out = append(out, pipeline.Work{Kind: "neighborhood", Seconds: 5, Metrics: evaluations(40)})
		}
		return out
	}
	o := job{settings: pairs, architectures: arch, tables: []pipeline.Artifact{truth(t, "truth")}, lineage: lineage}.must(t)
	for name, want := range map[string]float64{
		"mean_na_darts_truth": 73, "mean_na_darts_search_truth": 63,
		"seconds_na_darts": 15, "seconds_na_darts_search": 10, "evaluations_na_darts": 140, "evaluations_darts": 100,
	} {
		if o.metrics[name] != want {
			t.Errorf("%s is %v, want %v", name, o.metrics[name], want)
		}
	}
	if got := o.Pairs[0].Cost["seconds"]; got != 1.5 {
		t.Errorf("na_darts costs %v times the seconds", got)
	}
	if v := o.Pairs[0].Verdict; !strings.Contains(v, "not equal: na_darts took 1.50 times the seconds of darts") {
		t.Error(v)
	}
	f, err := os.Open(o.paths["csv"])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) != 16 || strings.Join(rows[0], ",") != "method,seed,stage,architecture,index,truth,own_score,skip_connections,seconds,evaluations" {
		t.Errorf("%d rows of %v: %v", len(rows), rows[0], err)
	}
	if got := strings.Join(rows[11], ","); got != "na_darts,1,neighborhood@1-na_darts,"+cell(0)+",100,73,-3,0,15,140" {
		t.Error(got)
	}
}

// What needs no seed, such as the largest architecture, is paired with every seed of the others: by tables, and by what was
// measured on its networks, which lineage tells. A plain network stands beside the space that was searched.
func TestBaselinesWithoutASeed(t *testing.T) {
	plain := result.NewArchitecture(space.Plain(), space.Architecture{0})
	path := filepath.Join(t.TempDir(), "architecture.json")
	if err := result.WriteArchitecture(path, plain); err != nil {
		t.Fatal(err)
	}
	arch := append(five(t, [5]int{1, 2, 3, 4, 5}, [5]int{0, 0, 1, 0, 2}),
		pipeline.Artifact{Type: "architecture", Path: path, Stage: "resnet9", Kind: "architecture"},
		architecture(t, found{stage: "largest", method: "largest", architecture: cell(1)}))
	settings := "pairs: [[largest, na_darts], [darts, na_darts], [resnet9, na_darts]]"
	o := job{settings: settings, architectures: arch, tables: []pipeline.Artifact{truth(t, "truth")}}.must(t)
	for name, want := range map[string]float64{
		"seeds": 5, "mean_largest_truth": 63, "worst_largest_truth": 63, "worst_na_darts_truth": 53, "worst_darts_truth": 23,
		"gain_na_darts_vs_largest_truth": 4, "p_na_darts_vs_largest_truth": 0.625, "p_holm_na_darts_vs_darts_truth": 0.125,
	} {
		if got, ok := o.metrics[name]; !ok || math.Abs(got-want) > 1e-9 {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if s := o.Methods[3].Summary["truth"]; !o.Methods[3].Constant || s.Count != 1 || s.StdDev != nil || s.Low != nil {
		t.Errorf("%+v", o.Methods[3])
	}
	if _, ok := o.metrics["p_na_darts_vs_resnet9_truth"]; ok {
		t.Error("a plain network has a truth in the table of a space")
	}

	var measured []pipeline.Artifact
	measure := func(stage string, labels []pipeline.Label, top1 float64) {
		path := filepath.Join(t.TempDir(), "metrics.json")
		if err := result.WriteMetrics(path, &result.Metrics{Model: "m", Dataset: "cifar10", Split: "test", Count: 1000, Top1: top1, Top5: 0.9, Loss: 2 - top1}); err != nil {
			t.Fatal(err)
		}
		measured = append(measured, pipeline.Artifact{Type: "metrics", Path: path, Stage: stage, Labels: labels})
	}
	measure("evaluate_resnet9", nil, 0.65) // before those with labels
	for i, a := range arch[:10] {
		measure(strings.Replace(a.Stage, "search", "evaluate", 1), a.Labels, 0.6+0.1*float64(i%2))
	}
	for i := range 5 { // trained with every seed
		seed := fmt.Sprint(i + 1)
		measure("evaluate_largest@"+seed, []pipeline.Label{{Axis: "seed", Value: seed}}, 0.68+0.01*float64(i))
	}
	lineage := func(stage string) []pipeline.Work {
		out := []pipeline.Work{{Stage: "data", Kind: "dataset"}}
		switch {
		case strings.HasPrefix(stage, "evaluate_largest"):
			out = append(out, pipeline.Work{Stage: "largest", Kind: "architecture"})
		case stage == "evaluate_resnet9":
			out = append(out, pipeline.Work{Stage: "resnet9", Kind: "architecture"})
		case strings.HasPrefix(stage, "evaluate"):
			out = append(out, pipeline.Work{Stage: strings.Replace(stage, "evaluate", "search", 1), Kind: "search"})
		}
		return append(out, pipeline.Work{Stage: strings.Replace(stage, "evaluate", "train", 1), Kind: "train", Seconds: 10})
	}
	o = job{settings: settings, architectures: arch, metrics: measured, lineage: lineage}.must(t)
	for name, want := range map[string]float64{
		"mean_resnet9_test_top1": 0.65, "mean_largest_test_top1": 0.7, "worst_largest_test_top1": 0.68, "mean_na_darts_test_top1": 0.7,
		"gain_na_darts_vs_resnet9_test_top1": 0.05, "gain_na_darts_vs_largest_test_top1": 0,
	} {
		if got, ok := o.metrics[name]; !ok || math.Abs(got-want) > 1e-9 {
			t.Errorf("%s is %v, want %v; %v", name, got, want, o.metrics)
		}
	}
	page, err := os.ReadFile(o.paths["page"])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"no seed", "worst 68.00%", "<td>every</td>"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// Without tables methods are compared by the scores of the searches; with metrics, by what was measured.
func TestMeasuresWithoutTables(t *testing.T) {
	arch := five(t, [5]int{1, 2, 3, 4, 5}, [5]int{0, 0, 0, 0, 0})
	o := job{settings: pairs, architectures: arch}.must(t)
	if g := o.metrics["gain_na_darts_vs_darts_own_score"]; g != -1 {
		t.Errorf("the gain in own score is %v", g)
	}
	var measured []pipeline.Artifact
	for i, a := range arch {
		top1 := 0.5
		if i%2 == 1 {
			top1 = 0.6
		}
		path := filepath.Join(t.TempDir(), "metrics.json")
		m := &result.Metrics{Model: "m", Dataset: "cifar10", Split: "test", Count: 1000, Top1: top1, Top5: 0.9, Loss: 2 - top1, Parameters: 10, MultiplyAdds: 100}
		if err := result.WriteMetrics(path, m); err != nil {
			t.Fatal(err)
		}
		measured = append(measured, pipeline.Artifact{Type: "metrics", Path: path, Stage: strings.Replace(a.Stage, "search", "evaluate", 1), Labels: a.Labels})
	}
	o = job{settings: pairs, architectures: arch, metrics: measured}.must(t)
	for name, want := range map[string]float64{"mean_na_darts_test_top1": 0.6, "gain_na_darts_vs_darts_test_top1": 0.1, "gain_na_darts_vs_darts_test_loss": 0.1} {
		if math.Abs(o.metrics[name]-want) > 1e-9 {
			t.Errorf("%s is %v, want %v", name, o.metrics[name], want)
		}
	}
	if _, tested := o.metrics["p_na_darts_vs_darts_own_score"]; tested {
		t.Error("own scores of different weights are tested although there are measured accuracies")
	}
}

// The page's first sentence, the summary and the verdicts give the p that decides, and say for how many comparisons it was corrected.
func TestPIsCorrected(t *testing.T) {
	arch := five(t, [5]int{1, 2, 3, 4, 5}, [5]int{0, 0, 0, 0, 0})
	for _, a := range five(t, [5]int{1, 2, 3, 4, 5}, [5]int{1, 1, 1, 1, 1}) {
		if a.Labels[1].Value == "na_darts" {
			a.Labels = []pipeline.Label{a.Labels[0], {Axis: "method", Value: "third"}}
			arch = append(arch, a)
		}
	}
	o := job{settings: "pairs: [[darts, na_darts], [darts, third]]", architectures: arch, tables: []pipeline.Artifact{truth(t, "truth")}}.must(t)
	page, err := os.ReadFile(o.paths["page"])
	if err != nil {
		t.Fatal(err)
	}
	p := o.Pairs[0]
	if p.PHolm <= p.P {
		t.Fatalf("%v is not corrected: %v", p.P, p.PHolm)
	}
	said := fmt.Sprintf("p = %.3g, corrected after Holm for 2 comparisons", p.PHolm)
	if big, _, _ := strings.Cut(string(page), "<section id=\"methods\">"); !strings.Contains(big, said) {
		t.Errorf("the first sentence lacks %q: %s", said, big[strings.Index(big, "<h1>"):])
	}
	if !strings.Contains(o.summary, said) || !strings.Contains(p.Verdict, fmt.Sprintf("uncorrected %.3g", p.P)) {
		t.Errorf("the summary lacks %q: %s", said, o.summary)
	}
	one := job{settings: pairs, architectures: arch[:10], tables: []pipeline.Artifact{truth(t, "truth")}}.must(t)
	if !strings.Contains(one.summary, "p = 0.0625, of one comparison, so without correction") {
		t.Errorf("of one comparison it says: %s", one.summary)
	}

	b := browsertest.Open(t)
	b.Visit("file://" + o.paths["page"])
	b.Await(said)
	b.Look("compare")
}

// Seeds that only one method has take no part in a test; an architecture that no table lists has no truth.
func TestIncompleteFindings(t *testing.T) {
	arch := five(t, [5]int{1, 2, 3, 4, 5}, [5]int{0, 0, 0, 0, 6})[:9]
	o := job{settings: pairs, architectures: arch, tables: []pipeline.Artifact{truth(t, "truth")}}.must(t)
	if p := o.Pairs[0]; p.Seeds != 4 || p.PLeast != 0.125 {
		t.Errorf("%+v", p)
	}
	arch = five(t, [5]int{1, 2, 3, 4, 5}, [5]int{0, 0, 0, 0, 6})
	o = job{settings: pairs, architectures: arch, tables: []pipeline.Artifact{truth(t, "truth")}}.must(t)
	if s := o.Methods[1].Summary["truth"]; s.Count != 4 || o.Pairs[0].Seeds != 4 {
		t.Errorf("%+v", s)
	}
	// One architecture without a matrix is a method named after its stage.
	o = job{architectures: []pipeline.Artifact{architecture(t, found{stage: "search", architecture: cell(1)})}}.must(t)
	if len(o.Methods) != 1 || o.Methods[0].Name != "search" || o.Methods[0].Summary["own_score"].Low != nil {
		t.Errorf("%+v", o.Methods)
	}
}

func TestMistakes(t *testing.T) {
	arch := five(t, [5]int{}, [5]int{})
	for name, tt := range map[string]struct {
		job
		want string
	}{
		"an unknown method":      {job{settings: "pairs: [[darts, na_dart]]", architectures: arch}, `no method is named "na_dart"; the methods are darts, na_darts`},
		"a pair of three":        {job{settings: "pairs: [[a, b, c]]", architectures: arch}, "a pair is two methods"},
		"a method with itself":   {job{settings: "pairs: [[darts, darts]]", architectures: arch}, "paired with itself"},
		"a level of 1":           {job{settings: "level: 1", architectures: arch}, "level"},
		"axes that are left out": {job{settings: "method: other", architectures: arch}, "name the axes that tell them apart"},
		"equal names of tables":  {job{architectures: arch, tables: []pipeline.Artifact{truth(t, "a"), truth(t, "a")}}, "two tables are named a"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := tt.run(t); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v, want %q", err, tt.want)
			}
		})
	}
}

// Equal inputs give equal bytes where no seconds are asked for.
func TestSameBytes(t *testing.T) {
	tables, arch := []pipeline.Artifact{truth(t, "truth")}, five(t, [5]int{1, 2, 3, 4, 5}, [5]int{0, 1, 0, 2, 0})
	var first map[string]string
	for i := range 2 {
		lineage := func(string) []pipeline.Work { return []pipeline.Work{{Kind: "search", Seconds: float64(i + 1)}} }
		o := job{settings: pairs + "\nseconds: false\ninterval: bootstrap", architectures: arch, tables: tables, lineage: lineage}.must(t)
		got := map[string]string{}
		for name, path := range o.paths {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got[name] = string(data)
		}
		if first == nil {
			first = got
		}
		for name := range got {
			if got[name] != first[name] {
				t.Errorf("%s differs", name)
			}
		}
	}
}
