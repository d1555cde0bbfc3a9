package search

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// search is a run of the stage on small inputs.
func search(t *testing.T, in map[string]pipeline.Artifact, settings string) stagetest.Run {
	t.Helper()
	return stagetest.Run{Kind: Kind(stagetest.Opener(t)), Settings: settings, Inputs: in, Seed: 7}
}

// found reads what a search has chosen, and checks what holds for every search.
func found(t *testing.T, res *stagetest.Result) (*result.Architecture, *space.Space, space.Architecture) {
	t.Helper()
	a, err := result.ReadArchitecture(res.Outputs["architecture"])
	if err != nil {
		t.Fatal(err)
	}
	sp, arch, err := a.Parse()
	if err != nil {
		t.Fatal(err)
	}
	if a.Seed != 7 || a.OwnScore == nil || len(a.Candidates) == 0 || a.Candidates[0].Architecture != a.Architecture || a.Candidates[0].Score != *a.OwnScore {
		t.Errorf("%s has seed %d, own score %v and candidates %+v", a.Architecture, a.Seed, a.OwnScore, a.Candidates)
	}
	if !strings.Contains(res.Summary, a.Architecture) || res.Metrics["own_score"] != *a.OwnScore {
		t.Errorf("the summary is %q and the metrics are %v", res.Summary, res.Metrics)
	}
	return a, sp, arch
}

// checkScores compares the scores in architecture.json with scores.json, and those with the shared weights that were handed on.
func checkScores(t *testing.T, in map[string]pipeline.Artifact, res *stagetest.Result, a *result.Architecture, sp *space.Space, st neighborhood.Settings) {
	t.Helper()
	scores, err := result.ReadScores(res.Outputs["scores"])
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]score.Result{}
	for _, s := range scores.Scores {
		known[s.Architecture] = score.Result{Score: s.Score, Loss: s.Loss, Accuracy: s.Accuracy}
	}
	for _, c := range a.Candidates {
		if own, ok := known[c.Architecture]; !ok || own.Score != c.Score {
			t.Errorf("candidate %s has score %v, the table says %v", c.Architecture, c.Score, own)
		}
		if st.Radius == 0 {
			if c.NeighborhoodScore != nil {
				t.Errorf("candidate %s has a neighborhood score without a neighborhood", c.Architecture)
			}
			continue
		}
		// All neighbors at distance 1 and the center: then the mean is a matter of the table alone.
		center, err := sp.Parse(c.Architecture)
		if err != nil {
			t.Fatal(err)
		}
		mean := known[c.Architecture].Score / 25
		for _, n := range sp.Neighbors(center, 1) {
			one, ok := known[sp.Format(n)]
			if !ok {
				t.Fatalf("neighbor %s was not scored", sp.Format(n))
			}
			mean += one.Score / 25
		}
		if c.NeighborhoodScore == nil || math.Abs(*c.NeighborhoodScore-mean) > 1e-12 {
			t.Errorf("candidate %s has neighborhood score %v, the table says %v", c.Architecture, c.NeighborhoodScore, mean)
		}
	}

	index, err := params.Load(in["parameters"].Path)
	if err != nil {
		t.Fatal(err)
	}
	flat, err := supernet.LoadWeights(res.Outputs["weights"], index)
	if err != nil {
		t.Fatal(err)
	}
	data, err := dataset.Load(in["dataset"].Path)
	if err != nil {
		t.Fatal(err)
	}
	model, err := os.ReadFile(in["path"].Path)
	if err != nil {
		t.Fatal(err)
	}
	weights, err := stagetest.Runtime(t).NewState(len(flat))
	if err != nil {
		t.Fatal(err)
	}
	defer weights.Close()
	if err := weights.Write(flat); err != nil {
		t.Fatal(err)
	}
	sharing, err := score.NewWeightSharing(t.Context(), stagetest.Runtime(t), model, sp, weights, data.Valid, data.Mean, data.Std, score.SharingOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer sharing.Close()
	if sharing.Images() != scores.Images {
		t.Errorf("scored on %d images, the file says %d", sharing.Images(), scores.Images)
	}
	_, arch, err := a.Parse()
	if err != nil {
		t.Fatal(err)
	}
	again, err := sharing.Evaluate(t.Context(), []space.Architecture{arch})
	if err != nil {
		t.Fatal(err)
	}
	if !cmp.Equal(again[0], known[a.Architecture]) {
		t.Errorf("with the weights that were written %s has %+v, in the search it had %+v", a.Architecture, again[0], known[a.Architecture])
	}
}

// history reads the epochs, and checks their numbers.
func history(t *testing.T, res *stagetest.Result) (rows []result.SearchEpoch, phases []string) {
	t.Helper()
	rows, err := result.ReadSearchHistory(res.Outputs["history"])
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		phases = append(phases, row.Phase)
		if row.Epoch != i+1 || !(row.ValidLoss > 0) || !(row.ValidAccuracy >= 0 && row.ValidAccuracy <= 1) {
			t.Errorf("row %d is %+v", i, row)
		}
		if moved := row.Phase != "alpha"; moved != (row.TrainLoss > 0) || moved != (row.TrainAccuracy >= 0) {
			t.Errorf("row %d is %+v", i, row)
		}
	}
	return rows, phases
}

func TestEverySearchWritesItsResults(t *testing.T) {
	in := stagetest.Inputs(t, stagetest.DefaultImages())
	for _, c := range []struct {
		name, settings string
		algorithm      string
		phases         []string
	}{
		{"random", "algorithm: random\ncandidates: 3\nfinalists: 2\nneighborhood: {radius: 0}", "random_search", []string{"weights", "weights"}},
		{"random on neighborhoods after a warm-up", "algorithm: random\ncandidates: 2\nfinalists: 2\nweights: {warm_up: 1}", "na_rs", []string{"warm-up", "weights"}},
		{"center softmax", "weights: {at: center}\nneighborhood: {samples: 0}", "na_darts", []string{"search", "search"}},
		{"center gumbel", "weights: {at: center}\nalpha: {relaxation: gumbel}\nneighborhood: {radius: 0}", "darts", []string{"search", "search"}},
		{"neighbor softmax", "weights: {at: neighbor}\nneighborhood: {kind: shuffle}", "na_darts", []string{"search", "search"}},
		{"neighbor gumbel", "weights: {at: neighbor}\nalpha: {relaxation: gumbel}", "na_darts", []string{"search", "search"}},
		{"path softmax", "weights: {at: path}\nneighborhood: {radius: 0}", "darts", []string{"search", "search"}},
		{"path gumbel in phases", "weights: {at: path, warm_up: 1, epochs: 3}\nalpha: {relaxation: gumbel, start: 2}\nepochs: 4\nneighborhood: {radius: 0}",
			"darts", []string{"warm-up", "weights", "search", "alpha"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			settings := c.settings
			if !strings.Contains(settings, "algorithm") {
				settings += "\nalgorithm: darts\nfinalists: 2"
			}
			if !strings.Contains(settings, "\nepochs") {
				settings += "\nepochs: 2"
			}
			if testing.Short() && c.name != "center softmax" {
				t.Skip("one is enough in a short test")
			}
			run := search(t, in, settings)
			st := stagetest.Stage(t, run.Kind, settings).(*stage).Settings
			res := run.Must(t)
			a, sp, arch := found(t, res)
			if a.Algorithm != c.algorithm || len(a.Candidates) != 2 {
				t.Errorf("the algorithm is %q, with %d candidates", a.Algorithm, len(a.Candidates))
			}
			checkScores(t, in, res, a, sp, st.Neighborhood)
			rows, phases := history(t, res)
			if diff := cmp.Diff(c.phases, phases); diff != "" {
				t.Errorf("phases differ (-want +got):\n%s", diff)
			}
			last := rows[len(rows)-1]
			if st.Algorithm == Random {
				better := slices.IsSortedFunc(a.Candidates, func(x, y result.Candidate) int {
					if x.NeighborhoodScore != nil {
						return -cmpFloat(*x.NeighborhoodScore, *y.NeighborhoodScore)
					}
					return -cmpFloat(x.Score, y.Score)
				})
				if !better || a.Alpha != nil || last.Architecture != "" || !math.IsNaN(last.AlphaEntropy) {
					t.Errorf("candidates %+v, alpha %v, last epoch %+v", a.Candidates, a.Alpha, last)
				}
				return
			}
			p := space.Probabilities(a.Probabilities)
			if diff := cmp.Diff(space.Softmax(a.Alpha), p); diff != "" {
				t.Errorf("the probabilities are not those of alpha:\n%s", diff)
			}
			if !p.Argmax().Equal(arch) || last.Architecture != a.Architecture || last.AlphaEntropy != p.Entropy() {
				t.Errorf("%v is derived from %v; the last epoch is %+v", arch, p, last)
			}
		})
	}
}

func cmpFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// withoutSettings blanks what architecture.json says of the settings.
func withoutSettings(t *testing.T, files map[string]string) map[string]string {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(files["architecture"]), &v); err != nil {
		t.Fatal(err)
	}
	delete(v, "settings")
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	files["architecture"] = string(text)
	return files
}

// A plain search is the neighborhood search at radius 0: then nothing else that is said of neighborhoods matters.
func TestAtRadiusZeroNoOtherNeighborhoodSettingMatters(t *testing.T) {
	if testing.Short() {
		t.Skip("two searches of each kind")
	}
	in := stagetest.Inputs(t, stagetest.DefaultImages())
	for _, base := range []string{
		"algorithm: darts\nepochs: 2\nfinalists: 2\nweights: {at: center}",
		"algorithm: random\nepochs: 1\nfinalists: 2\ncandidates: 3",
	} {
		t.Run(base[:17], func(t *testing.T) {
			t.Parallel()
			plain := search(t, in, base+"\nneighborhood: {radius: 0}").Must(t)
			other := search(t, in, base+"\nneighborhood: {radius: 0, samples: 3, kind: shuffle, include_center: false, aggregate: soft_min, temperature: 0.1}").Must(t)
			if diff := cmp.Diff(withoutSettings(t, plain.Bytes(t)), withoutSettings(t, other.Bytes(t))); diff != "" {
				t.Error("the results differ")
			}
		})
	}
}

func TestMistakesThatShowAtRunTime(t *testing.T) {
	in := stagetest.Inputs(t, stagetest.DefaultImages())
	other := stagetest.DefaultImages()
	other.Batch = 4
	foreign := stagetest.Inputs(t, other)
	with := func(port string, a pipeline.Artifact) map[string]pipeline.Artifact {
		out := map[string]pipeline.Artifact{}
		for name, one := range in {
			out[name] = one
		}
		out[port] = a
		return out
	}
	few := stagetest.DefaultImages()
	few.Valid = 7
	const darts = "algorithm: darts\nepochs: 1\nfinalists: 1\nneighborhood: {radius: 0}\n"
	for _, c := range []struct {
		name, settings string
		in             map[string]pipeline.Artifact
		want           []string
	}{
		{"a learning rate that is far too large", darts + "weights: {at: center, learning_rate: 1.0e+30}", in, []string{"lower weights.learning_rate (now 1e+30)"}},
		{"a radius beyond the space", "epochs: 1\nneighborhood: {radius: 7}", in, []string{"neighborhood: radius", "at most 6"}},
		{"too few images to score on", darts, with("dataset", stagetest.Inputs(t, few)["dataset"]), []string{"7 validation images do not fill one batch of 8"}},
		{"steps of different batches", darts + "weights: {at: center}", with("architecture_step", foreign["architecture_step"]), []string{"batches of 4 images", "batches of 8", "one supernet"}},
		{"a crop larger than the images", "epochs: 1\naugment: {crop: 12}", in, []string{"crop"}},
		{"no supernet", "epochs: 1", with("path", in["dataset"]), []string{"ONNX model"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := search(t, c.in, c.settings).Do(t)
			if res.Err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(res.Err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, res.Err)
				}
			}
			failedCleanly(t, res)
		})
	}
}

// failedCleanly checks that a failed search wrote no output and closed everything: a state that a step still used would have
// said so.
func failedCleanly(t *testing.T, res *stagetest.Result) {
	t.Helper()
	if strings.Contains(res.Err.Error(), "close a state") {
		t.Errorf("something was left open: %v", res.Err)
	}
	for _, path := range res.Outputs {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s was written", filepath.Base(path))
		}
	}
}
