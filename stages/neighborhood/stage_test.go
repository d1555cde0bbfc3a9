package neighborhood_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

func TestMain(m *testing.M) { stagetest.Main(m) }

// ranked is what the stage is tested with: a search's result, random shared weights, and the truth about every score.
type ranked struct {
	t         *testing.T
	sp        *space.Space
	in        map[string]pipeline.Artifact
	finalists []space.Architecture
	sharing   *score.WeightSharing
	cache     *score.Cache
}

func newRanked(t *testing.T) *ranked {
	t.Helper()
	r := &ranked{t: t, sp: space.NASBench201(), in: stagetest.Inputs(t, stagetest.DefaultImages())}
	// The first two are neighbors of each other, the third is far from both.
	r.finalists = []space.Architecture{{3, 1, 2, 0, 4, 3}, {3, 1, 2, 0, 4, 2}, {1, 1, 1, 3, 1, 1}}
	index, err := params.Load(r.in["parameters"].Path)
	r.check(err)
	flat := index.Initialize(rand.New(rand.NewPCG(6, 6)))
	r.input("weights", "shared-weights", "search", func(path string) error {
		return supernet.SaveWeights(path, nil, supernet.Vector{Index: index, Data: flat})
	})
	r.found(r.finalists...)

	data, err := dataset.Load(r.in["dataset"].Path)
	r.check(err)
	model, err := os.ReadFile(r.in["path"].Path)
	r.check(err)
	weights, err := stagetest.Runtime(t).NewState(len(flat))
	r.check(err)
	r.check(weights.Write(flat))
	r.sharing, err = score.NewWeightSharing(t.Context(), stagetest.Runtime(t), model, r.sp, weights, data.Valid, data.Mean, data.Std, score.SharingOptions{})
	r.check(err)
	t.Cleanup(func() {
		if err := errors.Join(r.sharing.Close(), weights.Close()); err != nil {
			t.Error(err)
		}
	})
	r.cache = score.NewCache(r.sharing)
	return r
}

func (r *ranked) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// input makes a file an input of the stage.
func (r *ranked) input(port string, typ pipeline.Type, stage string, write func(path string) error) {
	r.t.Helper()
	path := filepath.Join(r.t.TempDir(), port)
	r.check(write(path))
	r.in[port] = pipeline.Artifact{Type: typ, Path: path, Stage: stage}
}

// found makes a search's result of the finalists, the choice first and again among the candidates.
func (r *ranked) found(finalists ...space.Architecture) {
	r.t.Helper()
	a := result.NewArchitecture(r.sp, finalists[0])
	a.Algorithm = "darts"
	for _, f := range finalists {
		a.Candidates = append(a.Candidates, result.Candidate{Architecture: r.sp.Format(f), Score: -1})
	}
	r.input("architecture", "architecture", "search", func(path string) error { return result.WriteArchitecture(path, a) })
}

// scores makes scores of a stage an input.
func (r *ranked) scores(stage string, images int, known map[string]float64) {
	r.t.Helper()
	s := &result.Scores{Space: r.sp.Name, Evaluator: "weight_sharing", Images: images, Batch: r.sharing.Sample().Batch}
	for _, name := range slices.Sorted(mapKeys(known)) {
		s.Scores = append(s.Scores, result.Score{Architecture: name, Score: known[name], Loss: -known[name], Accuracy: 0.5})
	}
	r.input("scores", "scores", stage, func(path string) error { return result.WriteScores(path, s) })
}

func mapKeys(m map[string]float64) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func (r *ranked) run(settings string) stagetest.Run {
	return stagetest.Run{Kind: neighborhood.Kind(stagetest.Opener(r.t)), Settings: settings, Inputs: r.in, Seed: 3}
}

// truth is the score that an architecture has.
func (r *ranked) truth(a space.Architecture) score.Result {
	r.t.Helper()
	out, err := r.cache.Evaluate(context.Background(), []space.Architecture{a})
	r.check(err)
	return out[0]
}

func (r *ranked) ranking(res *stagetest.Result) *result.Ranking {
	r.t.Helper()
	out, err := result.ReadRanking(res.Outputs["ranking"])
	r.check(err)
	return out
}

func close12(a, b float64) bool { return math.Abs(a-b) < 1e-12 }

func TestRankingSaysWhatEveryFinalistAndItsNeighborsScore(t *testing.T) {
	r := newRanked(t)
	res := r.run("").Must(t)
	got := r.ranking(res)
	if got.Space != r.sp.Name || got.Radius != 1 || got.Winner != 0 || len(got.Finalists) != 3 || got.Aggregate["aggregate"] != "mean" {
		t.Errorf("the ranking is %+v", got)
	}
	all := map[string]bool{}
	for _, f := range r.finalists {
		all[f.Key()] = true
		for _, n := range r.sp.Neighbors(f, 1) {
			all[n.Key()] = true
		}
	}
	if got.NeighborsScored != len(all) {
		t.Errorf("%d architectures were scored, the neighborhoods have %d", got.NeighborsScored, len(all))
	}
	for i, f := range got.Finalists {
		center, err := r.sp.Parse(f.Architecture)
		r.check(err)
		own := r.truth(center)
		var scores []float64
		worst := result.Neighbor{Score: math.Inf(1)}
		for e := range r.sp.Edges {
			for op := range r.sp.Operations {
				changed := center.Clone()
				changed[e] = op
				s := r.truth(changed).Score
				if f.Table[e][op] == nil || *f.Table[e][op] != s {
					t.Fatalf("%s: the table has %v for operation %d on edge %d, the score is %v", f.Architecture, f.Table[e][op], op, e, s)
				}
				if op == center[e] {
					continue
				}
				scores = append(scores, s)
				if s < worst.Score {
					worst = result.Neighbor{Architecture: r.sp.Format(changed), Score: s}
				}
			}
		}
		var mean, variance float64
		for _, s := range scores {
			mean += s / 24
		}
		for _, s := range scores {
			variance += (s - mean) * (s - mean) / 24
		}
		want := result.Finalist{
			Architecture: f.Architecture, OwnScore: own.Score, OwnAccuracy: own.Accuracy,
			Aggregate: (mean*24 + own.Score) / 25, Std: math.Sqrt(variance), Min: slices.Min(scores), Max: slices.Max(scores),
			Worst: worst, RankNeighborhood: i + 1, RankOwn: 1, Neighbors: 24,
		}
		for _, other := range r.finalists {
			if r.truth(other).Score > own.Score {
				want.RankOwn++
			}
		}
		want.Class = r.sp.Class(center)
		for a := range r.sp.All() {
			if r.sp.Class(a) == want.Class {
				want.ClassMembers++
			}
		}
		f.Table = nil
		if diff := cmp.Diff(want, f, cmp.Comparer(close12)); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", f.Architecture, diff)
		}
		if i > 0 && f.Aggregate > got.Finalists[i-1].Aggregate {
			t.Errorf("number %d has a better aggregate than the one before", i)
		}
	}

	a, err := result.ReadArchitecture(res.Outputs["architecture"])
	r.check(err)
	winner := got.Finalists[0]
	if a.Architecture != winner.Architecture || a.Algorithm != "neighborhood" || a.Seed != 3 || *a.OwnScore != winner.OwnScore || *a.NeighborhoodScore != winner.Aggregate {
		t.Errorf("the choice is %+v, the winner %+v", a, winner)
	}
	for i, c := range a.Candidates {
		if f := got.Finalists[i]; c.Architecture != f.Architecture || c.Score != f.OwnScore || *c.NeighborhoodScore != f.Aggregate {
			t.Errorf("candidate %d is %+v, the finalist %+v", i, c, f)
		}
	}
	if m := res.Metrics; m["own_score"] != winner.OwnScore || m["neighborhood_score"] != winner.Aggregate || m["neighborhood_std"] != winner.Std {
		t.Errorf("metrics are %v", m)
	}
	if !strings.Contains(res.Summary, winner.Architecture) || !strings.Contains(res.Summary, "24 neighbors") {
		t.Errorf("the summary is %q", res.Summary)
	}
	stagetest.SameBytes(t, res, r.run("").Must(t))
}

func TestTheBestNeighborhoodWins(t *testing.T) {
	r := newRanked(t)
	r.found(r.finalists[0], r.finalists[2])
	// Scores that are known are taken as they are, so the neighborhoods can be as one likes: a peak and a plateau.
	known := map[string]float64{}
	for i, f := range []space.Architecture{r.finalists[0], r.finalists[2]} {
		for _, n := range r.sp.Neighbors(f, 1) {
			known[r.sp.Format(n)] = -2 + float64(i)/2
		}
		known[r.sp.Format(f)] = -1 - float64(i)/4
	}
	r.scores("search", 16, known)
	run := r.run("")
	run.Watch = func(e event.Event) {
		if e.Type == event.StageProgress {
			t.Errorf("%d architectures are scored although all are known", e.Progress.Total)
		}
	}
	res := run.Must(t)
	got := r.ranking(res)
	if got.NeighborsScored != 0 || got.Finalists[0].Architecture != r.sp.Format(r.finalists[2]) ||
		got.Finalists[0].RankOwn != 2 || got.Finalists[1].RankOwn != 1 {
		t.Errorf("the ranking is %+v", got)
	}
	if said := res.Logged("info"); !strings.Contains(said, "prefers another architecture") {
		t.Errorf("nothing is said of the search's own choice: %s", said)
	}
}

// Known scores are not asked for again.
func TestKnownScoresAreNotComputedAgain(t *testing.T) {
	r := newRanked(t)
	neighbors := r.sp.Neighbors(r.finalists[2], 1)
	known := map[string]float64{r.sp.Format(neighbors[3]): -7.5, r.sp.Format(neighbors[20]): -8.5, r.sp.Format(space.Architecture{0, 0, 0, 0, 0, 0}): -9}
	r.scores("search", 16, known)
	r.found(r.finalists[2])
	asked := 0
	run := r.run("")
	run.Watch = func(e event.Event) {
		if e.Type == event.StageProgress {
			asked = e.Progress.Total
		}
	}
	res := run.Must(t)
	f := r.ranking(res).Finalists[0]
	if got := r.ranking(res).NeighborsScored; got != 23 || asked != 23 {
		t.Errorf("%d were scored and %d asked for; two of 25 were known", got, asked)
	}
	if f.Min != -8.5 || f.Worst.Architecture != r.sp.Format(neighbors[20]) {
		t.Errorf("the worst neighbor is %+v", f.Worst)
	}
}

func TestScoresThatDoNotFitAreNotUsed(t *testing.T) {
	r := newRanked(t)
	r.found(r.finalists[0])
	want := r.run("{samples: 5}").Must(t)
	fake := map[string]float64{r.sp.Format(r.finalists[0]): -1e-3}
	for _, c := range []struct {
		name, stage string
		images      int
		level, said string
	}{
		{"of other weights", "second_search", 16, "warn", "the scores come from stage second_search and the weights from search; the scores are not used"},
		{"on other images", "search", 8, "info", "the search scored on 8 images in batches of 8, this stage scores on 16 in batches of 8"},
	} {
		r.scores(c.stage, c.images, fake)
		res := r.run("{samples: 5}").Must(t)
		if said := res.Logged(c.level); !strings.Contains(said, c.said) {
			t.Errorf("%s: not said: %q; but: %s", c.name, c.said, said)
		}
		stagetest.SameBytes(t, want, res)
	}
}

func TestAtRadiusZeroFinalistsStandForThemselves(t *testing.T) {
	r := newRanked(t)
	got := r.ranking(r.run("{radius: 0, samples: 4, kind: shuffle, aggregate: min}").Must(t))
	if got.NeighborsScored != 3 {
		t.Errorf("%d were scored instead of the three finalists", got.NeighborsScored)
	}
	for i, f := range got.Finalists {
		center, err := r.sp.Parse(f.Architecture)
		r.check(err)
		own := r.truth(center).Score
		if f.Aggregate != own || f.OwnScore != own || f.Neighbors != 0 || f.Std != 0 || f.Min != own || f.Max != own || f.RankOwn != i+1 || f.Worst != (result.Neighbor{}) {
			t.Errorf("%+v, own score %v", f, own)
		}
		for e, row := range f.Table {
			for op, v := range row {
				if (v != nil) != (op == center[e]) {
					t.Errorf("edge %d, operation %d: the table has %v", e, op, v)
				}
			}
		}
	}
}

func TestSampledNeighborsLeaveHolesInTheTable(t *testing.T) {
	r := newRanked(t)
	got := r.ranking(r.run("{samples: 7, include_center: false}").Must(t))
	for _, f := range got.Finalists {
		center, err := r.sp.Parse(f.Architecture)
		r.check(err)
		filled, sum := 0, 0.0
		for e, row := range f.Table {
			for op, v := range row {
				if v == nil {
					continue
				}
				if op == center[e] {
					if *v != f.OwnScore {
						t.Errorf("edge %d: %v in place of the own score %v", e, *v, f.OwnScore)
					}
					continue
				}
				filled++
				sum += *v
			}
		}
		if filled != 7 || f.Neighbors != 7 {
			t.Errorf("%d entries and %d neighbors instead of 7", filled, f.Neighbors)
		}
		if !close12(f.Aggregate, sum/7) {
			t.Errorf("the aggregate %v is not the mean %v of the neighbors without the center", f.Aggregate, sum/7)
		}
	}
	run := r.run("{samples: 7, include_center: false}")
	run.Seed++
	if other := r.ranking(run.Must(t)); cmp.Equal(got, other) {
		t.Error("another seed draws the same neighbors")
	}
}

func TestNeighborsFartherAwayAreNotInTheTable(t *testing.T) {
	r := newRanked(t)
	r.found(r.finalists[1])
	f := r.ranking(r.run("{radius: 2, samples: 40, aggregate: weighted_mean}").Must(t)).Finalists[0]
	near := 0
	for _, row := range f.Table {
		for _, v := range row {
			if v != nil {
				near++
			}
		}
	}
	if f.Neighbors != 40 || near <= 6 || near >= 40 {
		t.Errorf("%d neighbors, %d entries of the table", f.Neighbors, near)
	}
}

func TestFinalistsAreTakenFromTheBest(t *testing.T) {
	r := newRanked(t)
	for n, want := range map[string][]space.Architecture{"1": r.finalists[:1], "2": r.finalists[:2], "9": r.finalists} {
		var got []string
		for _, f := range r.ranking(r.run("{radius: 0, finalists: " + n + "}").Must(t)).Finalists {
			got = append(got, f.Architecture)
		}
		var names []string
		for _, a := range want {
			names = append(names, r.sp.Format(a))
		}
		slices.Sort(got)
		slices.Sort(names)
		if diff := cmp.Diff(names, got); diff != "" {
			t.Errorf("finalists: %s (-want +got):\n%s", n, diff)
		}
	}
}

// A run that was killed half-way leaves its scores; the run after it uses them, and its ranking does not show it.
func TestInterruptedRankingEndsWithTheSameBytes(t *testing.T) {
	r := newRanked(t)
	r.scores("search", 16, map[string]float64{r.sp.Format(r.finalists[0]): r.truth(r.finalists[0]).Score})
	want := r.run("").Must(t)

	ctx, cancel := context.WithCancel(context.Background())
	cut := r.run("")
	cut.Context, cut.Watch = ctx, func(e event.Event) {
		if e.Type == event.StageProgress {
			cancel()
		}
	}
	res := cut.Do(t)
	if !errors.Is(res.Err, context.Canceled) || strings.Contains(res.Err.Error(), "close a state") {
		t.Fatal(res.Err)
	}
	again := r.run("")
	again.Scratch = res.Scratch
	stagetest.SameBytes(t, want, again.Must(t))

	// As if it had been killed later, with some scores on the disk.
	kept := score.NewCache(r.sharing)
	given, err := result.ReadScores(r.in["scores"].Path)
	r.check(err)
	kept.Recall(r.sp, r.sharing.Sample(), given)
	_, err = kept.Evaluate(t.Context(), append(r.sp.Neighbors(r.finalists[0], 1), r.finalists[0]))
	r.check(err)
	again.Scratch = t.TempDir()
	path := filepath.Join(again.Scratch, "scores.safetensors")
	r.check(kept.Keep(path, r.sp, r.sharing.Sample()))
	res = again.Must(t)
	if said := res.Logged("info"); !strings.Contains(said, "continuing with 24 architectures scored") {
		t.Errorf("not said: that the run continues; but: %s", said)
	}
	stagetest.SameBytes(t, want, res)

	data, err := os.ReadFile(path)
	r.check(err)
	data[len(data)/2] ^= 1
	r.check(os.WriteFile(path, data, 0o644))
	res = again.Must(t)
	if said := res.Logged("warn"); !strings.Contains(said, "is damaged") || !strings.Contains(said, "scored again") {
		t.Errorf("damaged scores: %q", said)
	}
	stagetest.SameBytes(t, want, res)
}

func TestStageSaysWhatIsWrong(t *testing.T) {
	write := func(content string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(content), 0o644) }
	}
	for _, c := range []struct {
		name, settings string
		alter          func(r *ranked)
		want           []string
	}{
		{"a radius beyond the space", "radius: 7", func(*ranked) {}, []string{"radius 7", "at most 6"}},
		{"an architecture file that is none", "", func(r *ranked) { r.input("architecture", "architecture", "search", write("{}")) }, []string{"reading an architecture"}},
		{"scores that are none", "", func(r *ranked) { r.input("scores", "scores", "search", write("7")) }, []string{"reading scores"}},
		{"weights that are none", "", func(r *ranked) { r.input("weights", "shared-weights", "search", write("7")) }, []string{"loading weights"}},
		{"a supernet that is none", "", func(r *ranked) { r.input("path", "path-supernet", "supernet", write("7")) }, []string{"ONNX"}},
		{"too few images", "score_images: 5", func(*ranked) {}, []string{"5 validation images do not fill one batch of 8"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRanked(t)
			c.alter(r)
			res := r.run(c.settings).Do(t)
			if res.Err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(res.Err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, res.Err)
				}
			}
			if strings.Contains(res.Err.Error(), "close a state") {
				t.Errorf("something was left open: %v", res.Err)
			}
		})
	}
}

func TestStageValidatesItsSettings(t *testing.T) {
	for settings, want := range map[string]string{
		"finalists: -1":                 "finalists",
		"score_images: -2":              "score_images",
		"radius: -1":                    "radius",
		"kind: turn":                    "kind",
		"aggregate: best":               "aggregate",
		"{aggregate: min, samples: -1}": "samples",
	} {
		s := stagetest.Stage(t, neighborhood.Kind(nil), settings)
		var one *pipeline.SettingError
		if err := s.(pipeline.Validator).Validate(); !errors.As(err, &one) || one.Path != want {
			t.Errorf("%s: %v", settings, err)
		}
	}
}
