package sampling_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/score/scoretest"
	"github.com/plateau-nas/plateau/stages/search/sampling"
	"github.com/plateau-nas/plateau/stages/space"
)

// dead is a space of 64 architectures, many of which compute nothing.
func dead(t testing.TB) *space.Space {
	t.Helper()
	s, err := space.Declaration{Name: "dead", Nodes: 3, Operations: []string{"none", "skip_connect", "max_pool_3x3", "nor_conv_3x3"}}.Space()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Of every class one architecture is evaluated, and every other has its result for nothing.
func TestMergeEqualPaysForEveryFunctionOnce(t *testing.T) {
	s := dead(t)
	classes := space.NewClasses(s)
	rapid.Check(t, func(t *rapid.T) {
		x := setups().Draw(t, "search")
		x.space, x.settings.MergeEqual = s, true
		if rapid.Bool().Draw(t, "failures") {
			x.fails = some
		}
		levels := x.levels()
		out, err := x.try(sampling.Options{Classes: classes}, levels...)
		if err != nil {
			return // a budget too small for one candidate, or everything failed
		}
		first := map[string]space.Architecture{}
		asked := levels[len(levels)-1].asked
		for _, a := range asked {
			if other, ok := first[classes.Of(a)]; ok {
				t.Fatalf("%s is asked for after %s, which computes the same", s.Format(a), s.Format(other))
			}
			first[classes.Of(a)] = a
		}
		if x.settings.Algorithm != sampling.Halving && out.Evaluations > len(asked) {
			t.Fatalf("%d evaluations are paid for, %d were made", out.Evaluations, len(asked))
		}
		listed := map[string]bool{}
		level := levels[out.Best.Fidelity%len(levels)]
		if x.settings.Algorithm != sampling.Halving {
			level = levels[1]
		}
		for _, c := range out.Ranked {
			class := classes.Of(c.Architecture)
			if listed[class] {
				t.Fatalf("%s is ranked twice", class)
			}
			listed[class] = true
			paid := first[class]
			if level != levels[len(levels)-1] {
				continue
			}
			results, err := level.Synthetic.Evaluate(t.Context(), []space.Architecture{paid})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(results[0], c.Own); diff != "" {
				t.Fatalf("%s has another result than %s:\n%s", s.Format(c.Architecture), s.Format(paid), diff)
			}
		}
		again, err := x.try(sampling.Options{}, x.levels()...)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(out, again); diff != "" {
			t.Fatalf("the same search again, its classes found anew:\n%s", diff)
		}
	})
}

// A search that pays for classes comes to the end of a space for the price of its classes.
func TestMergeEqualExhaustsTheClasses(t *testing.T) {
	s := dead(t)
	classes, err := s.CountClasses()
	if err != nil {
		t.Fatal(err)
	}
	st := sampling.DefaultSettings()
	st.Budget, st.Neighborhood.Radius = 1000, 0
	for merge, want := range map[bool]int{false: s.Size(), true: len(classes)} {
		st.MergeEqual = merge
		x := setup{space: s, settings: st}
		if out := x.run(t, sampling.Options{}, x.levels()...); out.Evaluations != want {
			t.Errorf("merge_equal %v: %d evaluations, want %d", merge, out.Evaluations, want)
		}
	}
}

// The whole space is assessed where the budget covers its classes, and draws where it does not.
func TestMergeEqualExhaustive(t *testing.T) {
	s := dead(t)
	classes, err := s.CountClasses()
	if err != nil {
		t.Fatal(err)
	}
	st := sampling.DefaultSettings()
	st.Algorithm, st.MergeEqual, st.Neighborhood.Radius = sampling.Exhaustive, true, 0
	for _, budget := range []int{len(classes), len(classes) - 1} {
		st.Budget = budget
		x := setup{space: s, settings: st}
		evaluator := x.evaluator()
		out := x.run(t, sampling.Options{}, evaluator)
		if out.Evaluations != budget {
			t.Errorf("%d evaluations of %d", out.Evaluations, budget)
		}
		if inOrder := evaluator.asked[0].Equal(classes[0].Representative) && evaluator.asked[1].Equal(classes[1].Representative); inOrder != (budget == len(classes)) {
			t.Errorf("with %d evaluations the search begins with %v and %v", budget, evaluator.asked[0], evaluator.asked[1])
		}
	}
}

// A candidate of whose neighbors none counts is compared by its own score. With the policy shared, where all that is known may be
// chosen, those are preferred that have a score around them.
func TestCandidateWithoutOtherFunctionsAround(t *testing.T) {
	s, err := space.Declaration{Name: "row", Nodes: 3, Edges: []string{"1<-0", "2<-1"}, Operations: []string{"none", "nor_conv_3x3"}}.Space()
	if err != nil {
		t.Fatal(err)
	}
	for _, policy := range []string{sampling.All, sampling.Sampled, sampling.Staged, sampling.Shared} {
		st := sampling.DefaultSettings()
		st.Policy, st.Share, st.After = policy, 1, 0
		st.Neighborhood.IncludeCenter, st.Neighborhood.Equivalents = false, neighborhood.EquivalentsLeftOut
		st.Neighborhood.Samples = 0
		if policy == sampling.Sampled {
			st.Neighborhood.Samples = 2
		}
		x := setup{space: s, settings: st}
		evaluator := &counter{Synthetic: &scoretest.Synthetic{Space: s}}
		out := x.run(t, sampling.Options{}, evaluator)
		if policy == sampling.Shared {
			if len(out.Ranked) != s.Size()-1 || !out.Best.Aggregated {
				t.Fatalf("%s: %d of %d are ranked", policy, len(out.Ranked), s.Size())
			}
		} else if len(out.Ranked) != s.Size() {
			t.Fatalf("%s: %d of %d are ranked", policy, len(out.Ranked), s.Size())
		}
		for _, c := range out.Ranked {
			if c.Architecture.Equal(space.Architecture{0, 0}) && (c.Neighbors != 0 || c.Value.Numbers[0] != c.Own.Score) {
				t.Errorf("%s: the empty cell is compared by %v of %d neighbors, want its own score %v", policy, c.Value.Numbers[0], c.Neighbors, c.Own.Score)
			}
		}
	}
}
