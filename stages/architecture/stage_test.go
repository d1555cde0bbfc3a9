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
