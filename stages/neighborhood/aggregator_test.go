package neighborhood_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/neighborhood"
)

// settings draws any valid choice of aggregator.
func settings() *rapid.Generator[neighborhood.AggregatorSettings] {
	return rapid.Custom(func(t *rapid.T) neighborhood.AggregatorSettings {
		return neighborhood.AggregatorSettings{
			Aggregate:   rapid.SampledFrom(neighborhood.Aggregators()).Draw(t, "aggregate"),
			Quantile:    rapid.Float64Range(0, 1).Draw(t, "quantile"),
			Lambda:      rapid.Float64Range(0, 3).Draw(t, "lambda"),
			Temperature: rapid.Float64Range(0.05, 5).Draw(t, "temperature"),
			Trim:        rapid.Float64Range(0, 0.49).Draw(t, "trim"),
			Decay:       rapid.Float64Range(0.05, 1).Draw(t, "decay"),
		}
	})
}

// sample is the scores of a neighborhood and the distances of its members.
type sample struct{ scores, distances []float64 }

// samples draws scores that lie at least 0.01 apart, so that small changes leave their order as it is.
func samples() *rapid.Generator[sample] {
	return rapid.Custom(func(t *rapid.T) sample {
		n := rapid.IntRange(1, 12).Draw(t, "n")
		steps := rapid.SliceOfNDistinct(rapid.IntRange(-300, 300), n, n, rapid.ID[int]).Draw(t, "scores")
		var s sample
		for _, v := range steps {
			s.scores = append(s.scores, float64(v)/100)
			s.distances = append(s.distances, float64(rapid.IntRange(0, 4).Draw(t, "distance")))
		}
		return s
	})
}

func aggregator(t interface{ Fatal(...any) }, st neighborhood.AggregatorSettings) neighborhood.Aggregator {
	a, err := neighborhood.New(st)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

func TestAggregatorsByHand(t *testing.T) {
	scores, distances := []float64{5, 1, 4, 2, 8}, []float64{0, 1, 1, 2, 2}
	tests := []struct {
		settings neighborhood.AggregatorSettings
		want     float64
		gradient []float64
	}{
		{neighborhood.AggregatorSettings{Aggregate: "mean"}, 4, []float64{0.2, 0.2, 0.2, 0.2, 0.2}},
		{neighborhood.AggregatorSettings{Aggregate: "median"}, 4, []float64{0, 0, 1, 0, 0}},
		{neighborhood.AggregatorSettings{Aggregate: "min"}, 1, []float64{0, 1, 0, 0, 0}},
		{neighborhood.AggregatorSettings{Aggregate: "quantile", Quantile: 1}, 8, []float64{0, 0, 0, 0, 1}},
		{neighborhood.AggregatorSettings{Aggregate: "quantile", Quantile: 0.3}, 2.4, []float64{0, 0, 0.2, 0.8, 0}},
		{neighborhood.AggregatorSettings{Aggregate: "trimmed_mean", Trim: 0.2}, 11.0 / 3, []float64{1. / 3, 0, 1. / 3, 1. / 3, 0}},
		{neighborhood.AggregatorSettings{Aggregate: "trimmed_mean", Trim: 0.1}, 4, []float64{0.2, 0.2, 0.2, 0.2, 0.2}},
		{neighborhood.AggregatorSettings{Aggregate: "weighted_mean", Decay: 0.5}, 4, []float64{0.4, 0.2, 0.2, 0.1, 0.1}},
		{neighborhood.AggregatorSettings{Aggregate: "mean_std", Lambda: 2}, 4 - 2*math.Sqrt(6), nil},
		{neighborhood.AggregatorSettings{Aggregate: "soft_min", Temperature: 2}, -2 * math.Log((math.Exp(-2.5)+math.Exp(-0.5)+math.Exp(-2)+math.Exp(-1)+math.Exp(-4))/5), nil},
	}
	for _, tt := range tests {
		a := aggregator(t, tt.settings)
		if a.Name() != tt.settings.Aggregate {
			t.Errorf("Name() = %q, want %q", a.Name(), tt.settings.Aggregate)
		}
		if got := a.Aggregate(scores, distances); !near(got, tt.want, 1e-12) {
			t.Errorf("%s = %v, want %v", a.Name(), got, tt.want)
		}
		if tt.gradient == nil {
			continue
		}
		if diff := cmp.Diff(tt.gradient, a.Gradient(scores, distances), cmpopts.EquateApprox(0, 1e-12)); diff != "" {
			t.Errorf("gradient of %s differs (-want +got):\n%s", a.Name(), diff)
		}
	}
}

func TestGradientIsTheFiniteDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, s := aggregator(t, settings().Draw(t, "settings")), samples().Draw(t, "sample")
		gradient := a.Gradient(s.scores, s.distances)
		const h = 1e-5
		for i := range s.scores {
			moved := slices.Clone(s.scores)
			moved[i] = s.scores[i] + h
			up := a.Aggregate(moved, s.distances)
			moved[i] = s.scores[i] - h
			down := a.Aggregate(moved, s.distances)
			// Lambda times a small deviation curves the most; 1e-5 covers its third derivative.
			if want := (up - down) / (2 * h); !near(gradient[i], want, 1e-5*(1+math.Abs(want))) {
				t.Fatalf("%s: derivative by score %d is %v, finite difference %v", a.Name(), i, gradient[i], want)
			}
		}
	})
}

func TestEqualScoresAggregateToThemselves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := aggregator(t, settings().Draw(t, "settings"))
		value, n := rapid.Float64Range(-10, 10).Draw(t, "value"), rapid.IntRange(1, 30).Draw(t, "n")
		scores := slices.Repeat([]float64{value}, n)
		if got := a.Aggregate(scores, nil); !near(got, value, 1e-12) {
			t.Fatalf("%s of %d times %v = %v", a.Name(), n, value, got)
		}
		for i, g := range a.Gradient(scores, nil) {
			if !near(g, 1/float64(n), 1e-12) {
				t.Fatalf("%s: equal scores do not share the gradient: %v for score %d of %d", a.Name(), g, i, n)
			}
		}
	})
}

func TestAggregateMovesWithItsScores(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, s := aggregator(t, settings().Draw(t, "settings")), samples().Draw(t, "sample")
		shift := rapid.Float64Range(-5, 5).Draw(t, "shift")
		moved := slices.Clone(s.scores)
		for i := range moved {
			moved[i] += shift
		}
		if was, is := a.Aggregate(s.scores, s.distances), a.Aggregate(moved, s.distances); !near(is, was+shift, 1e-9) {
			t.Fatalf("%s: %v plus %v became %v", a.Name(), was, shift, is)
		}
		sum := 0.0
		for _, g := range a.Gradient(s.scores, s.distances) {
			sum += g
		}
		if !near(sum, 1, 1e-9) {
			t.Fatalf("%s: the gradient sums to %v, want 1", a.Name(), sum)
		}
	})
}

func TestAggregateDoesNotDependOnTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, s := aggregator(t, settings().Draw(t, "settings")), samples().Draw(t, "sample")
		if len(s.scores) > 1 && rapid.Bool().Draw(t, "tie") {
			s.scores[0] = s.scores[len(s.scores)-1]
		}
		order := rapid.Permutation(indices(len(s.scores))).Draw(t, "order")
		var p sample
		for _, i := range order {
			p.scores, p.distances = append(p.scores, s.scores[i]), append(p.distances, s.distances[i])
		}
		if was, is := a.Aggregate(s.scores, s.distances), a.Aggregate(p.scores, p.distances); !near(was, is, 1e-12) {
			t.Fatalf("%s: %v became %v", a.Name(), was, is)
		}
		was, is := a.Gradient(s.scores, s.distances), a.Gradient(p.scores, p.distances)
		for to, from := range order {
			if !near(is[to], was[from], 1e-9) {
				t.Fatalf("%s: the derivative by the score now at %d was %v and is %v", a.Name(), to, was[from], is[to])
			}
		}
	})
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestQuantilesRiseFromWorstToBest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := samples().Draw(t, "sample")
		at := func(q float64) float64 {
			return aggregator(t, neighborhood.AggregatorSettings{Aggregate: "quantile", Quantile: q}).Aggregate(s.scores, nil)
		}
		low, high := rapid.Float64Range(0, 1).Draw(t, "low"), rapid.Float64Range(0, 1).Draw(t, "high")
		low, high = min(low, high), max(low, high)
		const rounding = 1e-12
		if !(slices.Min(s.scores) <= at(low)+rounding && at(low) <= at(high)+rounding && at(high) <= slices.Max(s.scores)+rounding) {
			t.Fatalf("min %v, quantile %v is %v, quantile %v is %v, max %v", slices.Min(s.scores), low, at(low), high, at(high), slices.Max(s.scores))
		}
		if at(0) != slices.Min(s.scores) || at(1) != slices.Max(s.scores) {
			t.Fatalf("quantiles 0 and 1 are %v and %v", at(0), at(1))
		}
		median := aggregator(t, neighborhood.AggregatorSettings{Aggregate: "median"}).Aggregate(s.scores, nil)
		if median != at(0.5) {
			t.Fatalf("median %v, quantile 0.5 %v", median, at(0.5))
		}
	})
}

func TestSoftMinLiesBetweenMinAndMean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := samples().Draw(t, "sample")
		at := func(temperature float64) float64 {
			return aggregator(t, neighborhood.AggregatorSettings{Aggregate: "soft_min", Temperature: temperature}).Aggregate(s.scores, nil)
		}
		mean := aggregator(t, neighborhood.AggregatorSettings{Aggregate: "mean"}).Aggregate(s.scores, nil)
		worst := slices.Min(s.scores)
		const rounding = 1e-9
		if v := at(0.5); v < worst-rounding || v > mean+rounding {
			t.Fatalf("min %v, soft_min %v, mean %v", worst, v, mean)
		}
		if v := at(1e-6); !near(v, worst, 1e-4) {
			t.Fatalf("at a temperature near 0 soft_min is %v, min %v", v, worst)
		}
		if v := at(1e7); !near(v, mean, 1e-4) {
			t.Fatalf("at a very high temperature soft_min is %v, mean %v", v, mean)
		}
	})
}

// The softmax-max of losses is what gradient-based searches minimize; on scores it is the soft minimum.
func TestSoftMinIsTheSoftmaxMaxOfLosses(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	losses, scores := make([]float64, 8), make([]float64, 8)
	for i := range losses {
		losses[i] = 3 * rng.Float64()
		scores[i] = -losses[i]
	}
	const temperature = 0.25
	sum := 0.0
	for _, l := range losses {
		sum += math.Exp(l / temperature)
	}
	a := aggregator(t, neighborhood.AggregatorSettings{Aggregate: "soft_min", Temperature: temperature})
	if got, want := -a.Aggregate(scores, nil), temperature*math.Log(sum/8); !near(got, want, 1e-12) {
		t.Errorf("softmax-max = %v, want %v", got, want)
	}
	for i, g := range a.Gradient(scores, nil) {
		if want := math.Exp(losses[i]/temperature) / sum; !near(g, want, 1e-12) {
			t.Errorf("weight of loss %v is %v, want %v", losses[i], g, want)
		}
	}
}

func TestWeightsOfFarNeighborsDoNotVanish(t *testing.T) {
	a := aggregator(t, neighborhood.AggregatorSettings{Aggregate: "weighted_mean", Decay: 1e-200})
	if got := a.Aggregate([]float64{1, 3}, []float64{2, 2}); got != 2 {
		t.Errorf("weighted mean of two equally far scores = %v, want 2", got)
	}
}

func TestNoScoresGiveNoNumber(t *testing.T) {
	for _, name := range neighborhood.Aggregators() {
		st := neighborhood.DefaultAggregatorSettings()
		st.Aggregate = name
		a := aggregator(t, st)
		if got := a.Aggregate(nil, nil); !math.IsNaN(got) {
			t.Errorf("%s of nothing = %v", name, got)
		}
		if got := a.Gradient(nil, nil); len(got) != 0 {
			t.Errorf("gradient of %s of nothing = %v", name, got)
		}
	}
}

func TestNewRefusesWhatMakesNoSense(t *testing.T) {
	nan := math.NaN()
	tests := []struct {
		settings neighborhood.AggregatorSettings
		path     string
		want     string
	}{
		{neighborhood.AggregatorSettings{Aggregate: "average"}, "aggregate", `unknown aggregator "average": known are mean, weighted_mean`},
		{neighborhood.AggregatorSettings{Aggregate: "quantile", Quantile: 1.5}, "quantile", "quantile for quantile must be between 0 and 1, not 1.5"},
		{neighborhood.AggregatorSettings{Aggregate: "quantile", Quantile: nan}, "quantile", "not NaN"},
		{neighborhood.AggregatorSettings{Aggregate: "mean_std", Lambda: -1}, "lambda", "0 or more"},
		{neighborhood.AggregatorSettings{Aggregate: "mean_std", Lambda: math.Inf(1)}, "lambda", "not +Inf"},
		{neighborhood.AggregatorSettings{Aggregate: "soft_min"}, "temperature", "above 0"},
		{neighborhood.AggregatorSettings{Aggregate: "trimmed_mean", Trim: 0.5}, "trim", "below 0.5"},
		{neighborhood.AggregatorSettings{Aggregate: "weighted_mean", Decay: 0}, "decay", "above 0"},
	}
	for _, tt := range tests {
		_, err := neighborhood.New(tt.settings)
		var setting *pipeline.SettingError
		if !errors.As(err, &setting) || setting.Path != tt.path || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("New(%+v): error %v, want one for %s with %q", tt.settings, err, tt.path, tt.want)
		}
	}
	// A parameter that the chosen aggregator does not use is nobody's business.
	if _, err := neighborhood.New(neighborhood.AggregatorSettings{Aggregate: "mean", Temperature: -1}); err != nil {
		t.Error(err)
	}
}
