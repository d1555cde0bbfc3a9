package neighborhood_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/space/spacetest"
)

func TestDrawsNeighborsOfGenotypes(t *testing.T) {
	s := space.DARTS()
	rapid.Check(t, func(t *rapid.T) {
		center, st := spacetest.Genotypes(space.DARTS()).Draw(t, "center"), draws().Draw(t, "settings")
		st.Radius = min(st.Radius, 2) // at radius 3 there are some 300,000
		if st.Samples == 0 {
			st.Radius = min(st.Radius, 1)
		}
		st.Kind = neighborhood.Swap
		seed := rapid.Uint64().Draw(t, "seed")
		got := neighborhood.Draw(s, center, st, rng(seed))
		want := st.Size(s)
		if len(got) != want {
			t.Fatalf("%d neighbors, want %d", len(got), want)
		}
		keys := map[string]bool{}
		for _, a := range got {
			if s.Check(a) != nil || s.Distance(center, a) > st.Radius || keys[a.Key()] {
				t.Fatalf("%s is no neighbor, or comes twice", s.Format(a))
			}
			keys[a.Key()] = true
		}
		// What is drawn of the one-hot probabilities is the same.
		p := s.OneHot(center)
		for i, r := range neighborhood.DrawRelaxedIn(s, p, st, rng(seed)) {
			if diff := cmp.Diff(s.OneHot(got[i]), r.Apply(p)); diff != "" {
				t.Fatalf("neighbor %d differs (-discrete +relaxed):\n%s", i, diff)
			}
			if d := s.Distance(center, got[i]); r.Changes() < d || r.Changes() > 2*d || r.Distance(p) != float64(r.Changes()) {
				t.Fatalf("neighbor %d at distance %d changes %d rows, total variation %v", i, d, r.Changes(), r.Distance(p))
			}
		}
	})
}

// Relaxed neighbors permute rows of the 28 edges, and a gradient comes back through them.
func TestRelaxedNeighborsOfTheDARTSSpace(t *testing.T) {
	s := space.DARTS()
	rapid.Check(t, func(t *rapid.T) {
		p, st := spacetest.Probabilities(s, 3).Draw(t, "p"), draws().Draw(t, "settings")
		st.Samples = max(1, st.Samples)
		for _, r := range neighborhood.DrawRelaxedIn(s, p, st, rng(rapid.Uint64().Draw(t, "seed"))) {
			q := r.Apply(p)
			if len(r.Permutation) != 28 || len(q) != 28 || r.Changes() > 2*st.Radius || r.Distance(p) > float64(r.Changes())+1e-9 {
				t.Fatalf("%d rows, %d changed at radius %d", len(r.Permutation), r.Changes(), st.Radius)
			}
			inner := func(a, b [][]float64) (sum float64) {
				for e := range a {
					for k := range a[e] {
						sum += a[e][k] * b[e][k]
					}
				}
				return sum
			}
			// The transpose: <P p, d> = <p, P^T d>.
			if d := spacetest.Probabilities(s, 3).Draw(t, "gradient"); !near(inner(q, d), inner(p, r.Pullback(d)), 1e-9) {
				t.Fatal("the pullback is not the transpose")
			}
			for e := range q {
				slices.Sort(q[e])
				row := slices.Sorted(slices.Values(p[e]))
				if !slices.Equal(q[e], row) {
					t.Fatalf("edge %d is not permuted", e)
				}
			}
		}
	})
}

// skips scores by the number of skip connections.
type skips struct{ s *space.Space }

func (e skips) Evaluate(_ context.Context, list []space.Architecture) ([]score.Result, error) {
	var out []score.Result
	for _, a := range list {
		out = append(out, score.Result{Score: -float64(e.s.CountOperation(a, "skip_connect"))})
	}
	return out, nil
}

func TestObjectiveOfGenotypes(t *testing.T) {
	s := space.DARTS()
	a, err := s.Parse("DARTS_V2")
	if err != nil {
		t.Fatal(err)
	}
	o, err := neighborhood.NewObjective(s, neighborhood.DefaultSettings(), skips{s})
	if err != nil {
		t.Fatal(err)
	}
	scored, err := o.Score(context.Background(), []space.Architecture{a}, nil)
	if err != nil {
		t.Fatal(err)
	}
	// 5 of 16 edges are skips: 30 changes of an operation lose one, 11 gain one, and inputs change nothing.
	want := -(5.0*121 - 30 + 11) / 121
	if got := scored[0].Aggregate; scored[0].Own.Score != -5 || len(scored[0].Members) != 121 || !near(got, want, 1e-12) {
		t.Errorf("own score %v, aggregate %v over %d, want %v", scored[0].Own.Score, got, len(scored[0].Members), want)
	}
	st := neighborhood.DefaultSettings()
	st.Radius = 27
	if _, err := neighborhood.NewObjective(s, st, skips{s}); err == nil || !strings.Contains(err.Error(), "radius 27 is larger than any distance in space darts; use at most 26") {
		t.Error(err)
	}
}
