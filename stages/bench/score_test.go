package bench_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/stages/bench"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
)

func tinyScore() bench.ScoreOptions {
	return bench.ScoreOptions{Space: "nasbench201", Channels: 2, Cells: 1, Batch: 4, ImageSize: 8, Images: 9, Runs: 1}
}

func TestScoreReportIsFilled(t *testing.T) {
	rt := stagetest.Runtime(t)
	r, err := bench.Score(t.Context(), rt, tinyScore())
	if err != nil {
		t.Fatal(err)
	}
	if r.Images != 8 || r.Architectures != 25 || r.Distinct < 1 || r.Distinct > 25 || r.Runs != 1 || r.Threads != rt.Threads() || r.Library == "" || r.Provider != "cpu" {
		t.Errorf("the report says %+v", r)
	}
	for _, s := range []bench.Scoring{r.OneWorker, r.AllWorkers} {
		near := func(got, want float64) bool { return got > 0 && math.Abs(got-want) < 1e-9*want }
		if !near(s.Rate, 25_000/s.Neighborhood) || !near(s.Ratio, s.Neighborhood/s.StandAlone) || !near(s.ExportedRatio, s.Neighborhood/s.Exported) {
			t.Errorf("one neighborhood, and its figures do not follow from each other: %+v", s)
		}
	}
	if r.OneWorker.Workers != 1 || r.AllWorkers.Workers != rt.Threads() {
		t.Errorf("%d and %d workers on %d threads", r.OneWorker.Workers, r.AllWorkers.Workers, rt.Threads())
	}

	// The names that other programs read.
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one_worker", "all_workers"} {
		scoring, _ := got[name].(map[string]any)
		want := []string{"architectures_per_second", "exported_ms", "exported_ratio", "neighborhood_ms", "ratio", "stand_alone_ms", "workers"}
		if keys := slices.Sorted(maps.Keys(scoring)); !slices.Equal(keys, want) {
			t.Errorf("%s holds %v", name, keys)
		}
	}
}

func TestMistakesOfScoreAreErrors(t *testing.T) {
	rt := stagetest.Runtime(t)
	for _, c := range []struct {
		name   string
		change func(*bench.ScoreOptions)
		want   string
	}{
		{"an unknown space", func(o *bench.ScoreOptions) { o.Space = "nasbench" }, `unknown search space "nasbench"`},
		{"no runs", func(o *bench.ScoreOptions) { o.Runs = 0 }, "0 runs"},
		{"single images", func(o *bench.ScoreOptions) { o.Batch = 1 }, "two images a batch"},
		{"less than a batch", func(o *bench.ScoreOptions) { o.Images = 3 }, "3 images in batches of 4"},
		{"no channels", func(o *bench.ScoreOptions) { o.Channels = 0 }, "0 channels"},
	} {
		o := tinyScore()
		c.change(&o)
		if _, err := bench.Score(t.Context(), rt, o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v does not say %q", c.name, err, c.want)
		}
	}
}

func TestScoreBenchEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := bench.Score(ctx, stagetest.Runtime(t), tinyScore()); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "close a state") {
		t.Error(err)
	}
}
