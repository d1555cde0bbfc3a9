package table_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/score/scoretest"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/table"
)

func TestMain(m *testing.M) { stagetest.Main(m) }

// tiny is a space of 27 architectures: small enough to write whole tables of.
func tiny() table.Benchmark {
	b := table.NASBench201()
	b.Name = "tiny"
	b.Space = &space.Space{
		Name: "tiny", Nodes: 3, Edges: []space.Edge{{From: 0, To: 1}, {From: 0, To: 2}, {From: 1, To: 2}},
		Operations: []string{"none", "skip", "conv"},
	}
	return b
}

// rankOfRow is the order in which a whole table of the tiny space lists the architectures.
func rankOfRow(i int) int { return (i*7 + 3) % 27 }

// lines returns a whole table of the tiny space as lines of CSV, the index counting them. The values of column v
// are 100 - rank.
func lines(b table.Benchmark) []string {
	out := []string{"index,arch,v,text"}
	archs := slices.Collect(b.Space.All())
	for i := range archs {
		out = append(out, fmt.Sprintf("%d,%s,%d,words", i, b.Space.Format(archs[rankOfRow(i)]), 100-rankOfRow(i)))
	}
	return out
}

// joined is a whole table of the tiny space as a file.
func joined() string { return strings.Join(lines(tiny()), "\n") }

func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t testing.TB, o table.Options, paths ...string) *table.Table {
	t.Helper()
	tab, err := table.Load(t.Context(), paths, o)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func column(t testing.TB, tab *table.Table, name string) []float64 {
	t.Helper()
	values, err := tab.Column(name)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// synthetic returns a table of NAS-Bench-201 with random percentages in a column of known meaning.
func synthetic(t testing.TB) *table.Table {
	t.Helper()
	s := space.NASBench201()
	rng := rand.New(rand.NewPCG(3, 4))
	var b strings.Builder
	b.WriteString("index,arch,cifar100_valid,cifar100_params\n")
	i := 0
	for a := range s.All() {
		fmt.Fprintf(&b, "%d,%s,%.2f,%d\n", i, s.Format(a), 100*rng.Float64(), rng.IntN(1e6))
		i++
	}
	return load(t, table.Options{}, write(t, "accuracy_12ep.csv", b.String()))
}

func TestRowsBecomeDenseColumnsByRank(t *testing.T) {
	b := tiny()
	tab := load(t, table.Options{Benchmark: b}, write(t, "a.csv", joined()+"\n"))
	if diff := cmp.Diff([]string{"v"}, tab.Columns()); diff != "" {
		t.Errorf("numeric columns (-want +got):\n%s", diff)
	}
	v := column(t, tab, "v")
	rank := 0
	for a := range b.Space.All() {
		if tab.Rank(a) != rank || !tab.Architecture(rank).Equal(a) {
			t.Fatalf("%s: rank %d, want %d, and back %v", b.Space.Format(a), tab.Rank(a), rank, tab.Architecture(rank))
		}
		if v[rank] != float64(100-rank) {
			t.Errorf("rank %d: v is %v, want %d", rank, v[rank], 100-rank)
		}
		index, ok := tab.Index(rank)
		if back, known := tab.RankOf(index); !ok || !known || back != rank || rankOfRow(index) != rank {
			t.Errorf("rank %d: public index %d (%v), which leads back to %d", rank, index, ok, back)
		}
		rank++
	}
	if tab.Count() != 27 || tab.Size() != 27 || !tab.Has(26) || tab.Has(27) || tab.Has(-1) {
		t.Errorf("%d of %d architectures are listed", tab.Count(), tab.Size())
	}
}

// Of equal scores the lowest public index wins, as when the table is read from the top.
func TestBestIsTheFirstOfEquals(t *testing.T) {
	tab := load(t, table.Options{Benchmark: tiny()}, write(t, "a.csv", joined()))
	scores := make([]float64, 27)
	scores[rankOfRow(5)], scores[rankOfRow(2)], scores[rankOfRow(9)] = 1, 1, 1
	if best := tab.Best(scores); best != rankOfRow(2) {
		t.Errorf("best is rank %d, want %d", best, rankOfRow(2))
	}
}

func TestEvaluatorKeepsThePromisesOfOne(t *testing.T) {
	tab := synthetic(t)
	scoretest.Run(t, scoretest.Suite{Space: tab.Space(), New: func(t *testing.T) score.Evaluator {
		e, err := table.NewEvaluator(tab, "cifar100_valid", "cifar100_params")
		if err != nil {
			t.Fatal(err)
		}
		return e
	}})
	b := tiny()
	b.Describe = func(string, string) table.Meaning {
		return table.Meaning{Quantity: table.Loss, Dataset: "d", Split: "valid", Epochs: 1, Lower: true}
	}
	partial := load(t, table.Options{Benchmark: b, Partial: true}, write(t, "a.csv", strings.Join(lines(b)[:20], "\n")))
	var failing []space.Architecture
	for rank := range partial.Size() {
		if !partial.Has(rank) {
			failing = append(failing, partial.Architecture(rank))
		}
	}
	scoretest.Run(t, scoretest.Suite{Space: b.Space, Failing: failing, New: func(t *testing.T) score.Evaluator {
		e, err := table.NewEvaluator(partial, "v")
		if err != nil {
			t.Fatal(err)
		}
		return e
	}})
}

func TestEvaluatorScoresHigherForBetter(t *testing.T) {
	tab := synthetic(t)
	a := space.NASBench201().Random(rand.New(rand.NewPCG(5, 6)))
	valid, params := column(t, tab, "cifar100_valid")[tab.Rank(a)], column(t, tab, "cifar100_params")[tab.Rank(a)]
	metrics := map[string]float64{"cifar100_params": params}
	for name, want := range map[string]score.Result{
		"cifar100_valid":  {Score: valid, Accuracy: valid / 100, Metrics: metrics},
		"cifar100_params": {Score: -params, Metrics: metrics},
	} {
		e, err := table.NewEvaluator(tab, name, "cifar100_params")
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Evaluate(t.Context(), []space.Architecture{a})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got[0]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if s := e.Scores()[tab.Rank(a)]; s != want.Score {
			t.Errorf("%s: Scores has %v, Evaluate %v", name, s, want.Score)
		}
	}
}

func TestSavedTablesAreTheSame(t *testing.T) {
	tab, err := synthetic(t).WithMeaning("cifar100_valid", table.Meaning{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	one, two := filepath.Join(dir, "1.json"), filepath.Join(dir, "2.json")
	if err := tab.Save(one); err != nil {
		t.Fatal(err)
	}
	back, err := table.Open(one)
	if err != nil {
		t.Fatal(err)
	}
	if err := back.Save(two); err != nil {
		t.Fatal(err)
	}
	a, _ := os.ReadFile(one)
	b, _ := os.ReadFile(two)
	if !bytes.Equal(a, b) {
		t.Error("a table that is read and written again has other bytes")
	}
	for _, name := range tab.Columns() {
		want, _ := tab.Describe(name)
		got, err := back.Describe(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if back.Score() != "cifar100_valid" || back.Count() != 15625 {
		t.Errorf("the score is %q, of %d architectures", back.Score(), back.Count())
	}
	for name, damage := range map[string][2]string{
		"format": {"plateau table 1", "plateau table 9"}, "count": {`"architectures":15625`, `"architectures":15624`},
		"score": {`"score":"cifar100_valid"`, `"score":"cifar100_test"`}, "index": {`"index":[0,1`, `"index":[0,0`},
		"values": {`"values":[`, `"values":[1,`}, "field": {`"space"`, `"spice"`}, "text": {`"index":[0`, `"index":["0"`},
		"benchmark": {`"benchmark":"nasbench201"`, `"benchmark":"nasbench101"`}, "end": {"}\n", ""},
	} {
		_, err := table.Open(write(t, "t.json", strings.Replace(string(a), damage[0], damage[1], 1)))
		if err == nil || !strings.Contains(err.Error(), "t.json") {
			t.Errorf("damaged %s: %v", name, err)
		}
	}
}
