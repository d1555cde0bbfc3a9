package search

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/space"
)

// The moments at which runs are interrupted.
func inSecondEpoch(p event.Progress) bool { return p.Phase != "score" && p.Done == 1 && !p.Final }
func inScoring(p event.Progress) bool     { return p.Phase == "score" && !p.Final }

// interrupted starts the run and ends its context at the given moment.
func interrupted(t *testing.T, run stagetest.Run, at func(event.Progress) bool) *stagetest.Result {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	run.Context, run.Watch = ctx, func(e event.Event) {
		if e.Type == event.StageProgress && at(*e.Progress) {
			cancel()
		}
	}
	res := run.Do(t)
	if !errors.Is(res.Err, context.Canceled) {
		t.Fatalf("the interrupted run ended with %v", res.Err)
	}
	failedCleanly(t, res)
	return res
}

// logged fails the test when a run has not said something.
func logged(t *testing.T, res *stagetest.Result, level, want string) {
	t.Helper()
	if got := res.Logged(level); !strings.Contains(got, want) {
		t.Errorf("%q is not among what was said:\n%s", want, got)
	}
}

// copyOf returns a folder with the files of another one.
func copyOf(t *testing.T, folder string) string {
	t.Helper()
	out := t.TempDir()
	if err := os.CopyFS(out, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	return out
}

// change rewrites a file.
func change(t *testing.T, path string, f func(data []byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, f(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

const (
	gradientSearch = "{algorithm: darts, epochs: 2, finalists: 9, weights: {at: neighbor}, neighborhood: {samples: 3, kind: shuffle}}"
	pathSearch     = "{algorithm: random, epochs: 2, finalists: 3, candidates: 9, neighborhood: {samples: 3}}"
)

func TestInterruptedSearches(t *testing.T) {
	if testing.Short() {
		t.Skip("many searches")
	}
	in := stagetest.Inputs(t, stagetest.DefaultImages())
	for _, c := range []struct {
		name, settings string
		further        func(t *testing.T, c *cut)
	}{
		{"gradient-based", gradientSearch, damagedCheckpoints},
		{"random", pathSearch, func(t *testing.T, c *cut) {
			anotherSeed(t, c)
			keptScores(t, c)
		}},
		{"sampled, in phases", "{algorithm: darts, epochs: 3, finalists: 2, weights: {at: path, warm_up: 1, epochs: 2}, alpha: {relaxation: gumbel, start: 1}, neighborhood: {samples: 3}}", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := &cut{run: search(t, in, c.settings)}
			k.want = k.run.Must(t)
			k.inEpoch = interrupted(t, k.run, inSecondEpoch).Scratch
			again := k.run
			again.Scratch = copyOf(t, k.inEpoch)
			if c.further != nil {
				res := interrupted(t, again, inScoring)
				logged(t, res, "info", "continuing in epoch 2 of ")
				k.inScoring = copyOf(t, res.Scratch)
			}
			last := again.Must(t)
			logged(t, last, "info", "continuing ")
			if said := last.Logged("warn"); strings.Contains(said, "over") {
				t.Error(said)
			}
			stagetest.SameBytes(t, k.want, last)
			if k.want.Metrics["own_score"] != last.Metrics["own_score"] || k.want.Summary != last.Summary {
				t.Errorf("metrics %v and summary %q; without an interruption %v and %q", last.Metrics, last.Summary, k.want.Metrics, k.want.Summary)
			}
			if c.further != nil {
				c.further(t, k)
			}
		})
	}
}

// An interrupt finishes the step and leaves a checkpoint behind it: a search that is interrupted in every step makes one step each
// time, and ends like one that never was.
func TestSearchInterruptedInEveryStep(t *testing.T) {
	if testing.Short() {
		t.Skip("many searches")
	}
	images := stagetest.DefaultImages()
	images.Valid = 24 // the loaders of training and validation images go apart
	in := stagetest.Inputs(t, images)
	for _, c := range []struct {
		name, settings string
		steps          int
	}{
		{"gradients", gradientSearch, 2 * 2},
		{"phases", "{algorithm: darts, epochs: 3, finalists: 2, weights: {at: path, warm_up: 1, epochs: 2}, alpha: {relaxation: gumbel, start: 1, hessian: 1}, neighborhood: {samples: 1}}", 2 + 2 + 3},
		{"second order", "{algorithm: darts, epochs: 2, finalists: 2, weights: {at: center}, alpha: {order: 2}, neighborhood: {radius: 0}}", 2 * 2},
		{"dirichlet", "{algorithm: drnas, epochs: 2, finalists: 2, weights: {at: center}, alpha: {anchor: 0.001}, neighborhood: {samples: 1}}", 2 * 2},
		{"paths", pathSearch, 2 * 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			run := search(t, in, c.settings)
			want := run.Must(t)
			run.Scratch = t.TempDir()
			times := 0
			for ; ; times++ {
				ctx, cancel := context.WithCancel(context.Background())
				run.Context, run.Watch = ctx, func(e event.Event) {
					if e.Type == event.StageProgress && e.Progress.Phase != "score" && !e.Progress.Final {
						cancel()
					}
				}
				res := run.Do(t)
				cancel()
				if res.Err == nil {
					stagetest.SameBytes(t, want, res)
					if diff := cmp.Diff(want.Metrics, res.Metrics); diff != "" {
						t.Errorf("metrics differ (-undisturbed +interrupted):\n%s", diff)
					}
					break
				}
				if !errors.Is(res.Err, context.Canceled) {
					t.Fatal(res.Err)
				}
			}
			if times != c.steps {
				t.Errorf("interrupted %d times in %d steps", times, c.steps)
			}
		})
	}
}

// cut is a search, what it ends with undisturbed, and the folders that two interruptions have left.
type cut struct {
	run                stagetest.Run
	want               *stagetest.Result
	inEpoch, inScoring string
}

func anotherSeed(t *testing.T, c *cut) {
	run := c.run
	run.Seed++
	one, two := c.want.Bytes(t), run.Must(t).Bytes(t)
	for name := range one {
		if one[name] == two[name] {
			t.Errorf("%s is the same with another seed", name)
		}
	}
}

// A checkpoint that cannot be trusted is reported, and the search starts over.
func damagedCheckpoints(t *testing.T, c *cut) {
	for _, d := range []struct {
		name, file, said string
		damage           func([]byte) []byte
	}{
		{"a bit of the weights", checkpointFile, "is damaged", func(data []byte) []byte { data[len(data)-100] ^= 4; return data }},
		{"a digit of the history", historyFile, "history", func(data []byte) []byte {
			return []byte(strings.Replace(string(data), ",2.", ",3.", 1))
		}},
	} {
		t.Run(d.name, func(t *testing.T) {
			run := c.run
			run.Scratch = copyOf(t, c.inEpoch)
			change(t, filepath.Join(run.Scratch, d.file), d.damage)
			res := run.Must(t)
			logged(t, res, "warn", d.said)
			logged(t, res, "warn", "the search starts over")
			stagetest.SameBytes(t, c.want, res)
		})
	}
}

// What was scored before a kill is not scored again, and what cannot be trusted is.
func keptScores(t *testing.T, c *cut) {
	all, err := result.ReadScores(c.want.Outputs["scores"])
	if err != nil {
		t.Fatal(err)
	}
	// Leave what a run would have left that was killed after eleven architectures.
	part := *all
	part.Scores = part.Scores[:11]
	cache := score.NewCache(nil)
	on := score.Sample{Images: part.Images, Batch: part.Batch}
	cache.Recall(space.NASBench201(), on, &part)
	if err := cache.Keep(filepath.Join(c.inScoring, scoresFile), space.NASBench201(), on); err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		name        string
		alter       func(t *testing.T, path string)
		level, said string
		asked       int
	}{
		{"as they were left", func(*testing.T, string) {}, "info", "continuing with 11 architectures scored", len(all.Scores) - 11},
		{"with a wrong digit", func(t *testing.T, path string) {
			change(t, path, func(data []byte) []byte { return []byte(strings.Replace(string(data), "2.", "1.", 1)) })
		}, "warn", "all architectures are scored again", len(all.Scores)},
	} {
		t.Run("scores "+k.name, func(t *testing.T) {
			run := c.run
			run.Scratch = copyOf(t, c.inScoring)
			k.alter(t, filepath.Join(run.Scratch, scoresFile))
			asked := 0
			run.Watch = func(e event.Event) {
				if e.Type == event.StageProgress && e.Progress.Phase == "score" {
					asked = e.Progress.Total
				}
			}
			res := run.Must(t)
			logged(t, res, k.level, k.said)
			if asked != k.asked {
				t.Errorf("%d architectures were scored instead of %d", asked, k.asked)
			}
			stagetest.SameBytes(t, c.want, res)
		})
	}
}
