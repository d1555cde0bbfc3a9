package objective_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/score/objective"
)

func ptr(v float64) *float64 { return &v }

func value(t *testing.T, st objective.Settings, r score.Result) objective.Value {
	t.Helper()
	o, err := objective.New(st)
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.Of(r)
	if err != nil {
		t.Fatal(err)
	}
	return p.Value()
}

var phone = score.Result{Score: -0.8, Loss: 0.8, Accuracy: 0.7, Metrics: map[string]float64{"latency_ms": 12, "parameters": 400}}

func TestValuesByHand(t *testing.T) {
	for name, tt := range map[string]struct {
		settings objective.Settings
		want     objective.Value
	}{
		"the score, where nothing is said": {objective.DefaultSettings(), objective.Value{Numbers: []float64{-0.8}}},
		"a weighted sum": {
			objective.Settings{Combine: objective.Sum, Goals: []objective.Goal{{Metric: "accuracy", Weight: 100}, {Metric: "latency_ms", Weight: -0.5}}},
			objective.Value{Numbers: []float64{64}},
		},
		"a bound that is kept": {
			objective.Settings{Combine: objective.Sum, Constraints: []objective.Constraint{{Metric: "latency_ms", AtMost: ptr(12)}}},
			objective.Value{Numbers: []float64{-0.8}},
		},
		"bounds that are broken": {
			objective.Settings{Combine: objective.Sum, Constraints: []objective.Constraint{{Metric: "latency_ms", AtMost: ptr(8)}, {Metric: "accuracy", AtLeast: ptr(0.8)}}},
			objective.Value{Numbers: []float64{-0.8}, Violation: 0.5 + 0.125},
		},
		"two goals beside each other": {
			objective.Settings{Combine: objective.Pareto, Goals: []objective.Goal{{Metric: "score"}, {Metric: "latency_ms", Weight: -1, Own: true}}},
			objective.Value{Numbers: []float64{-0.8, -12}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, value(t, tt.settings, phone), cmpopts.EquateApprox(0, 1e-12)); diff != "" {
				t.Errorf("value differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCostsAreTheArchitecturesOwn(t *testing.T) {
	o, err := objective.New(objective.Settings{Combine: objective.Sum, Goals: []objective.Goal{{Metric: "accuracy"}, {Metric: "latency_ms", Weight: -0.01, Own: true}}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.Of(phone)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Aggregated([]float64{0.6}).Numbers[0]; math.Abs(got-0.48) > 1e-12 {
		t.Errorf("with a neighborhood's accuracy of 0.6 the value is %v, want 0.6 less its own 0.12", got)
	}
}

func TestUnknownMetricsAreNamed(t *testing.T) {
	o, err := objective.New(objective.Settings{Combine: objective.Sum, Goals: []objective.Goal{{Metric: "energy"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Of(phone); err == nil || !strings.Contains(err.Error(), `no metric "energy"; it gives score, loss, accuracy, latency_ms, parameters`) {
		t.Error(err)
	}
}

func TestSettingsThatMakeNoSense(t *testing.T) {
	err := objective.Settings{
		Combine: "best", Goals: []objective.Goal{{}},
		Constraints: []objective.Constraint{{Metric: "a"}, {Metric: "b", AtLeast: ptr(2), AtMost: ptr(1)}},
	}.Validate("objective")
	for _, want := range []string{`objective.combine: unknown value "best"`, "objective.goals[0].metric", "objective.constraints[0]: a bound is missing", "objective.constraints[1]: nothing is at least 2 and at most 1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	if err := (objective.Settings{Combine: objective.Pareto, Goals: []objective.Goal{{Metric: "score"}}}).Validate(""); err == nil {
		t.Error("a front of one goal")
	}
}

// The points of one front by hand, and what lies behind it.
func TestFrontsAndCrowdingByHand(t *testing.T) {
	points := [][]float64{{1, 5}, {2, 3}, {4, 2}, {5, 1}, {1, 4}, {2, 3}, {0, 0}}
	var values []objective.Value
	for _, p := range points {
		values = append(values, objective.Value{Numbers: p})
	}
	values = append(values, objective.Value{Numbers: []float64{9, 9}, Violation: 0.1}, objective.Value{Numbers: []float64{8, 8}, Violation: 0.05})
	fronts := objective.Fronts(values)
	if diff := cmp.Diff([][]int{{0, 1, 2, 3, 5}, {4}, {6}, {8}, {7}}, fronts); diff != "" {
		t.Fatalf("fronts differ (-want +got):\n%s", diff)
	}
	inf := math.Inf(1)
	// By the first number: 1, 2, 2, 4, 5 on a range of 4; by the second: 1, 2, 3, 3, 5 on a range of 4. Points 1 and 5 are equal.
	want := []float64{inf, 1.0/4 + 1.0/4, 3.0/4 + 2.0/4, inf, 2.0/4 + 2.0/4}
	if diff := cmp.Diff(want, objective.Crowding(values, fronts[0]), cmpopts.EquateApprox(0, 1e-12)); diff != "" {
		t.Errorf("crowding distances differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{0, 3, 2, 5, 1, 4, 6, 8, 7}, objective.Order(values)); diff != "" {
		t.Errorf("order differs (-want +got):\n%s", diff)
	}
	if best := objective.Best(values); best != 3 {
		t.Errorf("the best is %d, want the one of the front with the largest first number, 3", best)
	}
}

func drawn(width int) *rapid.Generator[[]objective.Value] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) objective.Value {
		v := objective.Value{}
		for range width {
			v.Numbers = append(v.Numbers, float64(rapid.IntRange(0, 4).Draw(t, "number")))
		}
		if rapid.IntRange(0, 3).Draw(t, "breaks") == 0 {
			v.Violation = float64(rapid.IntRange(1, 3).Draw(t, "violation"))
		}
		return v
	}), 1, 14)
}

func TestFrontsAreWhatTheyAreMeantToBe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := drawn(rapid.IntRange(1, 3).Draw(t, "width")).Draw(t, "values")
		front := make([]int, len(values))
		met := 0
		for f, members := range objective.Fronts(values) {
			for _, i := range members {
				front[i] = f
				met++
			}
		}
		if met != len(values) {
			t.Fatalf("%d of %d values are in fronts", met, len(values))
		}
		for i, a := range values {
			before := -1 // the last front that holds one which dominates a
			for j, b := range values {
				if objective.Dominates(b, a) {
					before = max(before, front[j])
				}
			}
			if front[i] != before+1 {
				t.Fatalf("value %d is in front %d, what dominates it in %d", i, front[i], before)
			}
		}
		order := objective.Order(values)
		seen := map[int]bool{}
		for n, i := range order {
			seen[i] = true
			if n > 0 && front[i] < front[order[n-1]] {
				t.Fatal("a later front comes first")
			}
			if n > 0 && values[order[n-1]].Violation > values[i].Violation {
				t.Fatal("what breaks constraints comes before what breaks them less")
			}
		}
		if len(seen) != len(values) {
			t.Fatal("the order leaves values out")
		}
		if best := objective.Best(values); front[best] != 0 {
			t.Fatal("the best is dominated")
		}
	})
}

func TestOneNumberIsOrderedByIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := drawn(1).Draw(t, "values")
		order := objective.Order(values)
		for n := 1; n < len(order); n++ {
			a, b := order[n-1], order[n]
			if c := objective.Compare(values[a], values[b]); c < 0 || c == 0 && a > b {
				t.Fatalf("%v before %v", values[a], values[b])
			}
		}
		if objective.Best(values) != order[0] {
			t.Fatal("the best is not the first")
		}
	})
}
