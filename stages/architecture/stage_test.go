package architecture

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
)

// kind is the stage kind on the runtime of the tests.
func kind(t *testing.T) pipeline.Kind {
	return Kind(func(context.Context) (*runtime.Runtime, error) { return runtimetest.Open(t), nil })
}

// given runs the stage and returns what it found.
func given(t *testing.T, settings string) (*result.Architecture, *stagetest.Result) {
	t.Helper()
	res := stagetest.Run{Kind: kind(t), Settings: settings}.Must(t)
	a, err := result.ReadArchitecture(res.Outputs["architecture"])
	if err != nil {
		t.Fatal(err)
	}
	return a, res
}

// A name, Python's notation and the short one are one architecture.
func TestNotationsOfAGenotype(t *testing.T) {
	want, res := given(t, "genotype: DARTS_V2")
	g, err := space.GenotypeByName("DARTS_V2")
	if err != nil {
		t.Fatal(err)
	}
	if want.Space != "darts" || want.Algorithm != "given" || want.OwnScore != nil || !strings.Contains(res.Summary, "Genotype(normal=[(") {
		t.Errorf("%+v, summary %q", want, res.Summary)
	}
	for _, text := range []string{g.String(), want.Architecture} {
		if got, _ := given(t, "genotype: |\n  "+text); !cmp.Equal(want, got) {
			t.Errorf("%s is another architecture:\n%s", text, cmp.Diff(want, got))
		}
	}
	const cell = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
	if got, _ := given(t, "{space: nasbench201, genotype: '"+cell+"'}"); got.Space != "nasbench201" || got.Architecture != cell {
		t.Errorf("%+v", got)
	}
}

// What a search has left keeps its scores, and a change of the file is noticed.
func TestArchitectureOfAnEarlierRun(t *testing.T) {
	own := 0.7
	left := result.NewArchitecture(space.NASBench201(), space.Architecture{3, 1, 2, 0, 4, 3})
	left.Algorithm, left.OwnScore = "na_rs", &own
	path := filepath.Join(t.TempDir(), "architecture.json")
	if err := result.WriteArchitecture(path, left); err != nil {
		t.Fatal(err)
	}
	got, _ := given(t, "{genotype: DARTS_V1, path: "+path+"}")
	if diff := cmp.Diff(left, got); diff != "" {
		t.Errorf("another architecture (-file +got):\n%s", diff)
	}
	s := Settings{Path: path}
	before, err := s.Fingerprint(t.Context())
	if err != nil || len(before) != 1 {
		t.Fatal(before, err)
	}
	left.Algorithm = "rs"
	if err := result.WriteArchitecture(path, left); err != nil {
		t.Fatal(err)
	}
	if after, err := s.Fingerprint(t.Context()); err != nil || maps.Equal(before, after) {
		t.Errorf("%v, then %v: %v", before, after, err)
	}
	if none, err := (&Settings{Genotype: "DARTS_V1"}).Fingerprint(t.Context()); err != nil || len(none) != 0 {
		t.Error(none, err)
	}
}

func TestMistakesNameTheSetting(t *testing.T) {
	for _, c := range []struct {
		settings   Settings
		path, want string
	}{
		{Settings{Space: "darts"}, "genotype", "one of the names DARTS_V2, DARTS_V1, PC_DARTS_cifar, or give path, or choose (largest, published, random)"},
		{Settings{Space: "darts", Genotype: "DARTS_V3"}, "genotype", `did you mean "DARTS_V`},
		{Settings{Space: "darts", Genotype: "Genotype(normal=[('sep_conv_3x3', 9)"}, "genotype", "at character"},
		{Settings{Space: "nasbench201", Genotype: "|nor_conv_3x3~0|+"}, "genotype", "nor_conv_3x3"},
		{Settings{Space: "dart", Genotype: "DARTS_V2"}, "space", `unknown value "dart"`},
	} {
		var setting *pipeline.SettingError
		if err := c.settings.Validate(); !errors.As(err, &setting) || setting.Path != c.path || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one about %s with %q", err, c.path, c.want)
		}
	}
	s := Settings{Path: filepath.Join(t.TempDir(), "nowhere.json")}
	if _, err := s.Fingerprint(t.Context()); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "path: ") || !strings.Contains(err.Error(), "search/architecture.json") {
		t.Error(err)
	}
	if err := os.WriteFile(s.Path, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	res := stagetest.Run{Kind: kind(t), Settings: "path: " + s.Path}.Do(t)
	if res.Err == nil || !strings.Contains(res.Err.Error(), "path: reading an architecture") {
		t.Error(res.Err)
	}
}

// The neighborhood is handed on behind the architecture, each function once.
func TestNeighborsAreCandidates(t *testing.T) {
	for settings, most := range map[string]int{
		"{space: nasbench201, choose: published, neighbors: 1}":                              24,
		"{space: nasbench201, choose: largest, at_most: {multiply_adds: 0.5}, neighbors: 2}": 264,
		"{space: darts, genotype: DARTS_V2, neighbors: 1}":                                   120,
	} {
		found, res := given(t, settings)
		of, center, err := found.Parse()
		if err != nil {
			t.Fatal(err)
		}
		classes := map[string]bool{}
		for i, c := range found.Candidates {
			a, err := of.Parse(c.Architecture)
			if err != nil {
				t.Fatal(err)
			}
			if d := of.Distance(center, a); (d == 0) != (i == 0) || d > 2 {
				t.Errorf("%s: candidate %d lies at distance %d", settings, i, d)
			}
			if class := of.Class(a); classes[class] {
				t.Errorf("%s: %s computes what another one does", settings, c.Architecture)
			} else {
				classes[class] = true
			}
		}
		if n := len(found.Candidates) - 1; n != int(res.Metrics["neighbors"]) || n > most || n < most/3 {
			t.Errorf("%s: %d neighbors, metrics %v", settings, n, res.Metrics)
		}
	}
	alone, _ := given(t, "{space: nasbench201, choose: published}")
	if len(alone.Candidates) > 1 {
		t.Errorf("%d candidates without neighbors", len(alone.Candidates))
	}
	if res := (stagetest.Run{Kind: kind(t), Settings: "{genotype: DARTS_V2, neighbors: 5}"}).Do(t); res.Err == nil || !strings.Contains(res.Err.Error(), "smaller radius") {
		t.Errorf("radius 5: %v", res.Err)
	}
	s := DefaultSettings()
	s.Genotype, s.Neighbors = "DARTS_V2", -1
	if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "neighbors") {
		t.Errorf("radius -1: %v", err)
	}
}
