package table_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/publicdata"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/table"
)

// whole writes a table of NAS-Bench-201, listed backwards, whose value is 100 at the public index 1 and 50 anywhere else.
func whole(t *testing.T, name, column string) string {
	t.Helper()
	s := table.NASBench201().Space
	var b strings.Builder
	b.WriteString("arch,index," + column + "\n")
	index := s.Size()
	for a := range s.All() {
		index--
		value := 50
		if index == 1 {
			value = 100
		}
		fmt.Fprintf(&b, "%s,%d,%d\n", s.Format(a), index, value)
	}
	return write(t, name, b.String())
}

func settingError(t *testing.T, err error, path, says string) {
	t.Helper()
	var se *pipeline.SettingError
	if !errors.As(err, &se) || se.Path != path || !strings.Contains(err.Error(), says) {
		t.Errorf("error %v, want one about the setting %s that says %q", err, path, says)
	}
}

func TestStageSaysWhichEpochsAndSplitItsScoreIsOf(t *testing.T) {
	r := stagetest.Run{Kind: table.Kind(), Settings: "path: " + whole(t, "accuracy_12ep.csv", "cifar100_valid") + "\ncolumn: cifar100_valid"}.Must(t)
	// The metrics begin with the stage's id.
	for name, want := range map[string]float64{"architectures": 15625, "columns": 1, "epochs": 12, "min": 50, "max": 100, "best_index": 1} {
		if got, ok := r.Metrics["table_"+name]; !ok || got != want {
			t.Errorf("%s is %v (%v), want %v: %v", name, got, ok, want, r.Metrics)
		}
	}
	const says = "top-1 accuracy in percent on the valid split of cifar100 after 12 epochs of training"
	if !strings.Contains(r.Summary, says) || !strings.Contains(r.Logged("info"), says) {
		t.Errorf("neither summary %q nor log %q say: %s", r.Summary, r.Logged("info"), says)
	}
	tab, err := table.Open(r.Outputs["table"])
	if err != nil {
		t.Fatal(err)
	}
	if c, err := tab.Describe(""); err != nil || c.Meaning.String() != says {
		t.Errorf("the file says of its score: %v, %v", c, err)
	}
}

func TestStageSettingsAreChecked(t *testing.T) {
	for _, c := range []struct {
		change     func(*table.Settings)
		path, says string
	}{
		{func(s *table.Settings) { s.Path = "" }, "path", "no table is given"},
		{func(s *table.Settings) { s.Column = "" }, "column", "no column is named"},
		{func(s *table.Settings) { s.Epochs = -1 }, "epochs", "-1 epochs"},
		{func(s *table.Settings) { s.Join = []string{""} }, "join", "empty"},
		{func(s *table.Settings) { s.Benchmark = "nasbench101" }, "benchmark", "unknown value"},
		{func(s *table.Settings) { s.Split = "validation" }, "split", "unknown value"},
		{func(s *table.Settings) { s.Quantity = "top1" }, "quantity", "unknown value"},
	} {
		s := table.DefaultSettings()
		s.Path, s.Column = "a.csv", "v"
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		c.change(&s)
		settingError(t, s.Validate(), c.path, c.says)
	}
}

func TestStageBlamesTheSetting(t *testing.T) {
	known, unknown := whole(t, "accuracy_12ep.csv", "cifar100_valid"), whole(t, "mine.csv", "top1")
	for _, c := range []struct{ settings, path, says string }{
		{"{path: " + filepath.Join(t.TempDir(), "no.csv") + ", column: a}", "path", "github.com/D-X-Y/NAS-Bench-201"},
		{"{path: " + known + ", column: cifar100_vaild}", "column", "the numeric columns are cifar100_valid"},
		{"{path: " + known + ", column: cifar100_valid, columns: [x]}", "columns", "no such column"},
		{"{path: " + known + ", column: cifar100_valid, epochs: 200}", "epochs", "epochs is 12, not 200"},
		{"{path: " + unknown + ", column: top1}", "quantity", "quantity, dataset, split, epochs must be set"},
		{"{path: " + unknown + ", column: top1, dataset: d, split: test, quantity: accuracy}", "epochs", "epochs must be set"},
	} {
		r := stagetest.Run{Kind: table.Kind(), Settings: c.settings}.Do(t)
		settingError(t, r.Err, c.path, c.says)
		// It is found while the run is planned, before any stage runs.
		_, err := stagetest.Stage(t, table.Kind(), c.settings).(pipeline.Fingerprinter).Fingerprint(t.Context())
		settingError(t, err, c.path, c.says)
	}
	stagetest.Run{Kind: table.Kind(), Settings: "{path: " + unknown + ", column: top1, dataset: d, split: test, epochs: 7}"}.Must(t)
}

// The stage's key holds the bytes of the files and not where they lie.
func TestFingerprintIsOfTheBytes(t *testing.T) {
	fingerprint := func(path string) (map[string]string, error) {
		return stagetest.Stage(t, table.Kind(), "{path: "+path+", column: a}").(pipeline.Fingerprinter).Fingerprint(t.Context())
	}
	of := func(path string) string {
		got, err := fingerprint(path)
		if err != nil || got["a.csv"] == "" {
			t.Fatal(got, err)
		}
		return got["a.csv"]
	}
	one := of(write(t, "a.csv", "arch,a\n"))
	if one != of(write(t, "a.csv", "arch,a\n")) || one != of(write(t, "a.csv.gz", gzipped(t, "arch,a\n"))) {
		t.Error("the same bytes elsewhere have another fingerprint")
	}
	if one == of(write(t, "a.csv", "arch,b\n")) {
		t.Error("other bytes have the same fingerprint")
	}
	_, err := fingerprint("/no/such/file.csv")
	settingError(t, err, "path", "a column arch")
}

// The public files join to one table, and its figures are those of the published benchmark.
func TestPublicTables(t *testing.T) {
	tab := load(t, table.Options{}, publicdata.Path(t, "nasbench201"))
	if tab.Count() != 15625 || len(tab.Columns()) != 6+1+13+27 {
		t.Errorf("%d architectures, %d columns: %v", tab.Count(), len(tab.Columns()), tab.Columns())
	}
	// All skip connections is 1835 in the public index (Dong and Yang's code).
	a, err := tab.Space().Parse("|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|")
	if err != nil {
		t.Fatal(err)
	}
	if index, ok := tab.Index(tab.Rank(a)); !ok || index != 1835 {
		t.Errorf("all skip connections is %d, want 1835", index)
	}
	// Best of the space on CIFAR-100 after 200 epochs: 73.51 (the benchmark's paper).
	e, err := table.NewEvaluator(tab, "cifar100_test_mean")
	if err != nil {
		t.Fatal(err)
	}
	best := tab.Best(e.Scores())
	if index, _ := tab.Index(best); index != 9930 || e.Scores()[best] < 73.505 || e.Scores()[best] >= 73.515 {
		t.Errorf("best of the space: index %d with %v", index, e.Scores()[best])
	}
}
