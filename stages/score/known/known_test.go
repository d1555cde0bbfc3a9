package known_test

import (
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/score/known"
	"github.com/plateau-nas/plateau/stages/space"
)

const (
	skips = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
	convs = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
	zeros = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
)

func scores(of ...result.Score) *result.Scores {
	return &result.Scores{Space: "nasbench201", Evaluator: "made", Scores: of}
}

func TestMetricsOfSeveralStages(t *testing.T) {
	e, err := known.New([]known.Source{
		{Stage: "one", Scores: scores(
			result.Score{Architecture: skips, Score: 1, Metrics: map[string]float64{"a": 2, "b": 3}},
			result.Score{Architecture: convs, Score: 4, Metrics: map[string]float64{"a": 5, "b": 6}},
			result.Score{Architecture: zeros, Failure: "nothing flows"},
		)},
		{Stage: "two", Scores: scores(
			result.Score{Architecture: skips, Score: 7, Accuracy: 0.5, Metrics: map[string]float64{"b": 8, "c": 9}},
			result.Score{Architecture: zeros, Score: 1},
		)},
	})
	if err != nil {
		t.Fatal(err)
	}
	sp := space.NASBench201()
	var archs []space.Architecture
	for _, text := range []string{skips, convs, zeros, skips} {
		a, err := sp.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		archs = append(archs, a)
	}
	r, err := e.Evaluate(t.Context(), append(archs, space.Architecture{1, 2, 3, 4, 0, 1}))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{"score": 1, "a": 2, "b": 3, "c": 9, "one.score": 1, "two.score": 7, "one.b": 3, "two.b": 8, "two.accuracy": 0.5} {
		for _, i := range []int{0, 3} {
			if v, ok := r[i].Metric(name); !ok || v != want {
				t.Errorf("%s is %v, want %v", name, v, want)
			}
		}
	}
	for i, want := range map[int]string{1: "stage two has not scored it", 2: "nothing flows", 4: "no earlier stage has scored it"} {
		if !strings.Contains(r[i].Failure, want) {
			t.Errorf("%d: %q", i, r[i].Failure)
		}
	}
}

func TestSourcesOfDifferentSpaces(t *testing.T) {
	other := scores()
	other.Space = "darts"
	if _, err := known.New([]known.Source{{Stage: "one", Scores: scores()}, {Stage: "two", Scores: other}}); err == nil || !strings.Contains(err.Error(), "stage two are of another space") {
		t.Errorf("%v", err)
	}
	if _, err := known.New(nil); err == nil {
		t.Error("no scores are accepted")
	}
}
