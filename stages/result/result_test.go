package result

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plateau-nas/plateau/stages/space"
)

const (
	allSkip = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
	allConv = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
)

func number64(v float64) *float64 { return &v }

func exampleArchitecture() *Architecture {
	a := NewArchitecture(space.NASBench201(), space.Architecture{3, 3, 3, 3, 3, 3})
	a.Algorithm, a.Seed, a.OwnScore = "darts", 1<<63+5, number64(-1.25)
	a.Candidates = []Candidate{{Architecture: allConv, Score: -1.25, NeighborhoodScore: number64(-1.5)}, {Architecture: allSkip, Score: -2}}
	a.Alpha = [][]float64{{0, 0, 0, 1, 0}, {0, 0, 0, 1, 0}, {0, 0, 0, 1, 0}, {0, 0, 0, 1, 0}, {0, 0, 0, 1, 0}, {0, 0, 0, 1, 1e-9}}
	a.Settings = Settings{"algorithm": "darts", "weights": Settings{"schedule": "cosine"}}
	return a
}

func TestArchitectureNamesItsClass(t *testing.T) {
	if got := exampleArchitecture(); !strings.HasPrefix(got.Class, "t1 = nor_conv_3x3(x); ") || got.ClassMembers != 1 {
		t.Errorf("class %q with %d members", got.Class, got.ClassMembers)
	}
	// Nothing arrives at the output where no way from the input has an operation on all edges: counted by hand, in
	// 9 * 25 + 4 * (25 + 4) choices of the five edges other than 3<-0.
	if got := NewArchitecture(space.NASBench201(), space.Architecture{0, 0, 3, 0, 1, 2}); got.Class != "0" || got.ClassMembers != 341 {
		t.Errorf("class %q with %d members", got.Class, got.ClassMembers)
	}
	darts := NewArchitecture(space.DARTS(), space.DARTS().Published()[0].Architecture)
	if darts.Class == "" || darts.ClassMembers != 0 {
		t.Errorf("class %q with %d members, want one in a space that is not counted", darts.Class, darts.ClassMembers)
	}
}

func exampleRanking() *Ranking {
	table := make([][]*float64, 6)
	for e := range table {
		table[e] = []*float64{number64(-3), number64(-2), nil, number64(-1.25), number64(-1.5)}
	}
	return &Ranking{
		Space: "nasbench201", Aggregate: Settings{"aggregate": "mean"}, Radius: 1, NeighborsScored: 18, Winner: 0,
		Finalists: []Finalist{{
			Architecture: allConv, OwnScore: -1.25, OwnAccuracy: 0.5, Aggregate: -1.9, Std: 0.3, Min: -3, Max: -1.25,
			Worst: Neighbor{Architecture: strings.Replace(allConv, "nor_conv_3x3", "none", 1), Score: -3}, RankOwn: 1, RankNeighborhood: 1, Neighbors: 18, Table: table,
		}},
	}
}

func exampleMetrics() *Metrics {
	return &Metrics{
		Model: "quickstart", Dataset: "shapes", Split: "test", Count: 4, Top1: 0.75, Top5: 1, Loss: 0.4, Parameters: 1000, MultiplyAdds: 100000, SizeBytes: 4321,
		Latency: &Latency{Mean: 0.5, P50: 0.4}, PerClass: []ClassTop1{{"disc", 2, 1}, {"ring", 2, 0.5}}, Confusion: [][]int{{2, 0}, {1, 1}}, Provider: "cpu", Threads: 2, Library: "1.27.0",
	}
}

func exampleChecks() *Checks {
	return &Checks{Library: "ONNX Runtime 1.27.0", Opset: 17, Checks: []Check{
		{Name: "parity", Passed: true, Detail: "largest difference 3e-6"}, {Name: "topology", Detail: "2 nodes differ"}, {Name: "decoder", Skipped: true, Detail: "it does not know int8"},
	}}
}

func roundTrip[T any](t *testing.T, want *T, write func(string, *T) error, read func(string) (*T, error)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.json")
	if err := write(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.AcyclicTransformer("plain", func(s Settings) map[string]any { return plain(s) })); diff != "" {
		t.Errorf("what is read differs from what was written (-written +read):\n%s", diff)
	}
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := write(path, got); err != nil {
		t.Fatal(err)
	}
	again, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(first), string(again)); diff != "" {
		t.Errorf("written again, the file differs:\n%s", diff)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v, want the file alone", entries, err)
	}
}

// plain makes nested Settings comparable to what JSON gives.
func plain(s Settings) map[string]any {
	out := map[string]any{}
	for k, v := range s {
		if nested, ok := v.(Settings); ok {
			v = plain(nested)
		}
		out[k] = v
	}
	return out
}

func TestFilesReadAsTheyWereWritten(t *testing.T) {
	t.Run("architecture", func(t *testing.T) { roundTrip(t, exampleArchitecture(), WriteArchitecture, ReadArchitecture) })
	t.Run("ranking", func(t *testing.T) { roundTrip(t, exampleRanking(), WriteRanking, ReadRanking) })
	t.Run("metrics", func(t *testing.T) { roundTrip(t, exampleMetrics(), WriteMetrics, ReadMetrics) })
	t.Run("checks", func(t *testing.T) { roundTrip(t, exampleChecks(), WriteChecks, ReadChecks) })
}

func TestNewArchitectureNamesItsOperations(t *testing.T) {
	a := NewArchitecture(space.NASBench201(), space.Architecture{4, 2, 1, 2, 1, 0})
	if diff := cmp.Diff([]string{"avg_pool_3x3", "nor_conv_1x1", "skip_connect", "nor_conv_1x1", "skip_connect", "none"}, a.Operations); diff != "" {
		t.Error(diff)
	}
	s, arch, err := a.Parse()
	if err != nil || s.Name != "nasbench201" || !arch.Equal(space.Architecture{4, 2, 1, 2, 1, 0}) {
		t.Errorf("Parse = %v, %v, %v", s, arch, err)
	}
}

func TestFailedListsWhatDidNotPass(t *testing.T) {
	if diff := cmp.Diff([]Check{{Name: "topology", Detail: "2 nodes differ"}}, exampleChecks().Failed()); diff != "" {
		t.Error(diff)
	}
	if n := exampleChecks().Made(); n != 2 {
		t.Errorf("%d checks were made", n)
	}
}

func TestReadingSaysWhatIsWrongAndWhere(t *testing.T) {
	architecture := func(path string) error { _, err := ReadArchitecture(path); return err }
	ranking := func(path string) error { _, err := ReadRanking(path); return err }
	metrics := func(path string) error { _, err := ReadMetrics(path); return err }
	checks := func(path string) error { _, err := ReadChecks(path); return err }
	valid := func(write func(string) error) string {
		path := filepath.Join(t.TempDir(), "file.json")
		if err := write(path); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	arch := valid(func(p string) error { return WriteArchitecture(p, exampleArchitecture()) })
	rank := valid(func(p string) error { return WriteRanking(p, exampleRanking()) })
	tests := []struct {
		name, text, want string
		read             func(string) error
	}{
		{"empty", "", "line 1: the file ends early", architecture},
		{"cut short", arch[:strings.Index(arch, `"algorithm"`)], "line 14: the file ends early", architecture},
		{"no JSON", "{\n\"space\": nasbench201\n}", "line 2: invalid character", architecture},
		{"wrong type", "{\n\"space\":\n 3}", "line 3: json: cannot unmarshal number", architecture},
		{"unknown field", "{\n\"speed\": 3}", `unknown field "speed"`, architecture},
		{"two values", arch + "{}", "something follows the end", architecture},
		{"null", "null", `unknown search space ""`, architecture},
		{"unknown space", strings.Replace(arch, "nasbench201", "nasbench301", 1), `unknown search space "nasbench301"`, architecture},
		{"no architecture", strings.Replace(arch, "nor_conv_3x3~0", "nor_conv_3x4~0", 1), `did you mean "nor_conv_3x3"`, architecture},
		{"operations of another", strings.Replace(arch, `"nor_conv_3x3",`, `"none",`, 1), "operations are", architecture},
		{"candidate is none", strings.Replace(arch, "|skip_connect~2|", "|", 1), "candidate 1: architecture", architecture},
		{"number missing", strings.Replace(arch, "1e-9", "", 1), "invalid character", architecture},
		{"winner beyond", strings.Replace(rank, `"winner": 0`, `"winner": 1`, 1), "winner is 1, but there are 1 finalists", ranking},
		{"no finalists", `{"space": "nasbench201"}`, "winner is 0, but there are 0 finalists", ranking},
		{"metrics of nothing", "{}", "must say what was measured on", metrics},
		{"no checks", "{}", "there is no check in it", checks},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file.json")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			err := tt.read(path)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error is %v, want one with %q and the file's name", err, tt.want)
			}
		})
	}
	if _, err := ReadMetrics(filepath.Join(t.TempDir(), "absent.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error for an absent file is %v", err)
	}
}

func TestWritingRefusesWhatReadingWould(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file.json")
	for name, spoil := range map[string]func() error{
		"architecture": func() error { return WriteArchitecture(path, &Architecture{Space: "nasbench201", Architecture: "|"}) },
		"table": func() error {
			r := exampleRanking()
			r.Finalists[0].Table[2] = r.Finalists[0].Table[2][:4]
			return WriteRanking(path, r)
		},
		"not a number": func() error {
			r := exampleRanking()
			r.Finalists[0].Std = math.NaN()
			return WriteRanking(path, r)
		},
		"alpha": func() error {
			a := exampleArchitecture()
			a.Alpha = a.Alpha[:5]
			return WriteArchitecture(path, a)
		},
		"confusion": func() error {
			m := exampleMetrics()
			m.Confusion[1] = []int{1}
			return WriteMetrics(path, m)
		},
		"share": func() error {
			m := exampleMetrics()
			m.Top1 = 93
			return WriteMetrics(path, m)
		},
		"a check that passed and was not made": func() error {
			return WriteChecks(path, &Checks{Checks: []Check{{Name: "parity", Passed: true, Skipped: true}}})
		},
		"more changed than there are": func() error {
			return WritePrecisions(path, &Precisions{Images: 2, Models: []Precision{{Name: "int8", File: "x", Changed: 3}}})
		},
		"no precision":   func() error { return WritePrecisions(path, &Precisions{Images: 2}) },
		"nameless check": func() error { return WriteChecks(path, &Checks{Checks: []Check{{}}}) },
	} {
		if err := spoil(); err == nil {
			t.Errorf("%s: a file was written", name)
		}
		if _, err := os.Stat(path); err == nil {
			t.Fatalf("%s: something was left behind", name)
		}
	}
}

func TestSettingsOfUsesTheNamesOfTheDocument(t *testing.T) {
	type weights struct {
		Rate float64 `yaml:"rate"`
	}
	type inline struct {
		Radius int `yaml:"radius"`
	}
	got, err := SettingsOf(&struct {
		Epochs  int     `yaml:"epochs"`
		Name    string  `yaml:"name"`
		Weights weights `yaml:"weights"`
		inline  `yaml:",inline"`
		Flip    bool `yaml:"flip"`
	}{Epochs: 3, Name: "darts", Weights: weights{0.025}, Flip: true})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "file.json")
	a := exampleArchitecture()
	a.Settings = got
	if err := WriteArchitecture(path, a); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const want = `"settings": {
    "epochs": 3,
    "flip": true,
    "name": "darts",
    "radius": 0,
    "weights": {
      "rate": 0.025
    }
  }`
	if !strings.Contains(string(data), want) {
		t.Errorf("the file lacks %s:\n%s", want, data)
	}
}

func FuzzDecode(f *testing.F) {
	for _, write := range []func(string) error{
		func(p string) error { return WriteArchitecture(p, exampleArchitecture()) },
		func(p string) error { return WriteRanking(p, exampleRanking()) },
		func(p string) error { return WriteMetrics(p, exampleMetrics()) },
		func(p string) error { return WriteChecks(p, exampleChecks()) },
	} {
		path := filepath.Join(f.TempDir(), "file.json")
		if err := write(path); err != nil {
			f.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, v := range []checker{new(Architecture), new(Ranking), new(Metrics), new(Checks)} {
			if decode(data, v) != nil {
				continue
			}
			if err := writeJSON(filepath.Join(t.TempDir(), "file.json"), "it", v); err != nil {
				t.Errorf("was read but cannot be written: %v", err)
			}
		}
	})
}
