package report_test

import (
	"html"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/report"
	"github.com/plateau-nas/plateau/stages/result"
)

// plain is a page as it is read.
func plain(page string) string { return html.UnescapeString(text(page)) }

// measured is a network that is right on the test images for which right says so.
func measured(images int, operations int64, right func(i int) bool) *result.Metrics {
	m := &result.Metrics{
		Model: "m", Dataset: "shapes", Split: "test", Count: images, Top5: 1, Parameters: operations / 50, MultiplyAdds: operations,
		Right: make([]byte, (images+7)/8), Latency: &result.Latency{P50: float64(operations) / 1e7},
	}
	hits := 0
	for i := range images {
		if right(i) {
			m.Right[i/8] |= 1 << (i % 8)
			hits++
		}
	}
	m.Top1 = float64(hits) / float64(images)
	return m
}

// wrongBelow is right on all images but the first n.
func wrongBelow(n int) func(int) bool { return func(i int) bool { return i >= n } }

// The sentence says what the numbers show: no more where images cannot tell networks apart, and what the accuracy costs.
func TestTheVerdictOnTheSearch(t *testing.T) {
	found := measured(2000, 10_000_000, wrongBelow(300)) // 85%
	for name, c := range map[string]struct {
		baselines []report.Trial
		want      string
	}{
		"better": {
			[]report.Trial{{Name: "resnet9", Metrics: measured(2000, 20_000_000, wrongBelow(360))}},
			"The search paid: the network it found is 3.0 points more accurate than resnet9 (p < 0.001) at 50% of its multiply-adds, 50% of its parameters and 50% of its latency.",
		},
		"better but dearer": {
			[]report.Trial{{Name: "resnet9", Metrics: measured(2000, 5_000_000, wrongBelow(360))}},
			"The search paid only if cost may be given for accuracy: the network it found is 3.0 points more accurate than resnet9 (p < 0.001) at 200% of its multiply-adds, 200% of its parameters and 200% of its latency.",
		},
		"equal and cheaper": {
			[]report.Trial{{Name: "largest", Metrics: measured(2000, 25_000_000, wrongBelow(298))}},
			"The search paid in what the network costs: the network it found is as accurate as largest, as far as 2,000 test images can show (−0.1 points, p = 0.500), at 40% of its multiply-adds, 40% of its parameters and 40% of its latency.",
		},
		"equal and no cheaper": {
			[]report.Trial{{Name: "resnet9", Metrics: measured(2000, 10_100_000, wrongBelow(302))}},
			"The search did not pay: the network it found is as accurate as resnet9, as far as 2,000 test images can show (+0.1 points, p = 0.500), at 99% of its multiply-adds, 99% of its parameters and 99% of its latency.",
		},
		"worse but cheaper": {
			[]report.Trial{{Name: "largest", Metrics: measured(2000, 40_000_000, wrongBelow(240))}},
			"The search paid only if accuracy may be given for cost: the network it found is 3.0 points less accurate than largest (p < 0.001) at 25% of its multiply-adds, 25% of its parameters and 25% of its latency.",
		},
		"one better, one worse and no cheaper": {
			[]report.Trial{
				{Name: "largest", Metrics: measured(2000, 40_000_000, wrongBelow(400))},
				{Name: "resnet9", Metrics: measured(2000, 9_000_000, wrongBelow(240))},
			},
			"The search did not pay: the network it found is 3.0 points less accurate than resnet9 (p < 0.001) at 111% of its multiply-adds, 111% of its parameters and 111% of its latency; it is 5.0 points more accurate than largest (p < 0.001) at 25% of its multiply-adds, 25% of its parameters and 25% of its latency.",
		},
		// 20 images differ one way and 4 the other: two shares of 2,000 would not tell.
		"a small difference on the same images": {
			[]report.Trial{{Name: "largest", Metrics: measured(2000, 40_000_000, func(i int) bool { return i >= 320 || i < 4 })}},
			"The search paid: the network it found is 0.8 points more accurate than largest (p = 0.002) at 25% of its multiply-adds, 25% of its parameters and 25% of its latency.",
		},
	} {
		page := plain(render(t, report.Content{Architecture: example(t).Architecture, Metrics: found, Found: &report.Trial{Name: "search", Metrics: found}, Baselines: c.baselines}))
		if !strings.Contains(page, c.want) {
			at := strings.Index(page, "Did the search pay?")
			t.Errorf("%s: %.400s", name, page[max(0, at):])
		}
	}
}

// Without the images that each has right, networks of few images count as no different.
func TestUnpairedNetworksAreTestedAsShares(t *testing.T) {
	found, other := measured(2000, 10_000_000, wrongBelow(300)), measured(2000, 20_000_000, wrongBelow(330))
	other.Right = nil
	page := plain(render(t, report.Content{Architecture: example(t).Architecture, Metrics: found, Found: &report.Trial{Name: "search", Metrics: found}, Baselines: []report.Trial{{Name: "old", Metrics: other}}}))
	for _, want := range []string{"as far as 2,000 test images can show (+1.5 points, p = 0.193)", "test of two shares", "83.4 to 86.5"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q: %s", want, page)
		}
	}
}

// The stage names baselines by what chose them and tells what trainings and the search took.
func TestStageHoldsANetworkAgainstBaselines(t *testing.T) {
	inputs := files(t)
	write := func(name string, m *result.Metrics) pipeline.Artifact {
		path := filepath.Join(t.TempDir(), "metrics.json")
		if err := result.WriteMetrics(path, m); err != nil {
			t.Fatal(err)
		}
		return pipeline.Artifact{Type: "metrics", Path: path, Stage: name, Kind: "evaluate", Digest: "sha256:" + strings.Repeat("0", 64)}
	}
	inputs["metrics"] = write("evaluate", measured(2000, 10_000_000, wrongBelow(300)))
	lists := []pipeline.Artifact{write("evaluate_largest", measured(2000, 25_000_000, wrongBelow(310))), write("evaluate_resnet9", measured(2000, 30_000_000, wrongBelow(500)))}
	lineage := func(stage string) []pipeline.Work {
		out := []pipeline.Work{{Stage: "data", Kind: "dataset", Seconds: 900}}
		switch stage {
		case "evaluate":
			out = append(out, pipeline.Work{Stage: "supernet", Kind: "supernet", Seconds: 1}, pipeline.Work{Stage: "search", Kind: "search", Seconds: 480}, pipeline.Work{Stage: "neighborhood", Kind: "neighborhood", Seconds: 19}, pipeline.Work{Stage: "train", Kind: "train", Seconds: 1000})
		default:
			name := strings.TrimPrefix(stage, "evaluate_")
			out = append(out, pipeline.Work{Stage: name, Kind: "architecture"}, pipeline.Work{Stage: "train_" + name, Kind: "train", Seconds: 1500})
		}
		return append(out, pipeline.Work{Kind: "export", Seconds: 2}, pipeline.Work{Kind: "evaluate", Seconds: 2})
	}
	run := func(settings string) (string, string, error) {
		stage := report.Kind().New()
		stage.(*report.Settings).Seconds = settings != "no seconds"
		out := filepath.Join(t.TempDir(), "report.html")
		all := maps.Clone(inputs)
		all["baselines"] = lists[0]
		job := pipeline.NewJob(pipeline.JobConfig{ID: "report", Scratch: t.TempDir(), Inputs: all, Lists: map[string][]pipeline.Artifact{"baselines": lists}, Lineage: lineage, Outputs: map[string]string{"report": out}})
		if err := stage.Run(t.Context(), job); err != nil {
			return "", "", err
		}
		page, err := os.ReadFile(out)
		wellFormed(t, string(page))
		return plain(string(page)), job.SummaryText(), err
	}
	page, summary, err := run("")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"neighborhood found 85.00%", "largest 84.50%", "resnet9 75.00%", "16 min 40 s", "25 min 00 s", "8 min 20 s",
		"The trainings did not take equally long: 16 min 40 s for the found network, largest 25 min 00 s, resnet9 25 min 00 s.",
		"The search itself took 8 min 20 s", "corrected for 2 baselines (Holm)",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q: %s", want, page)
		}
	}
	if want := "The search paid: the network it found is 0.5 points more accurate than largest (p = 0.002) at 40% of its multiply-adds, 40% of its parameters and 40% of its latency; it is 10.0 points more accurate than resnet9 (p < 0.001) at 33% of its multiply-adds, 33% of its parameters and 33% of its latency."; summary != want {
		t.Errorf("%s\nwant %s", summary, want)
	}
	if page, _, err := run("no seconds"); err != nil || strings.Contains(page, "min 40 s") {
		t.Errorf("seconds are told: %v", err)
	}
	lists = slices.Clone(lists)
	lists[1] = write("evaluate_other", measured(500, 1, wrongBelow(3)))
	if _, _, err := run(""); err == nil || !strings.Contains(err.Error(), "stage evaluate_other measures on 500 test images of shapes") {
		t.Error(err)
	}
	delete(inputs, "metrics")
	if _, _, err := run(""); err == nil || !strings.Contains(err.Error(), "the input metrics") {
		t.Error(err)
	}
}
