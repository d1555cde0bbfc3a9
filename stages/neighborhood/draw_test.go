package neighborhood_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/space/spacetest"
)

func draws() *rapid.Generator[neighborhood.Settings] {
	return rapid.Custom(func(t *rapid.T) neighborhood.Settings {
		st := neighborhood.DefaultSettings()
		st.Radius = rapid.IntRange(0, 3).Draw(t, "radius")
		st.Samples = rapid.IntRange(0, 40).Draw(t, "samples")
		st.IncludeCenter = rapid.Bool().Draw(t, "include center")
		st.Kind = rapid.SampledFrom([]string{neighborhood.Swap, neighborhood.Shuffle}).Draw(t, "kind")
		return st
	})
}

func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

func TestDrawGivesDistinctNeighborsWithinTheRadius(t *testing.T) {
	s := space.NASBench201()
	rapid.Check(t, func(t *rapid.T) {
		center, st := spacetest.Architectures(s).Draw(t, "center"), draws().Draw(t, "settings")
		seed := rapid.Uint64().Draw(t, "seed")
		got := neighborhood.Draw(s, center, st, rng(seed))
		if diff := cmp.Diff(neighborhood.Draw(s, center, st, rng(seed)), got); diff != "" {
			t.Fatalf("the same seed draws others:\n%s", diff)
		}
		if len(got) != st.Size(s) {
			t.Fatalf("%d architectures, Size says %d", len(got), st.Size(s))
		}
		if st.Radius == 0 {
			if !got[0].Equal(center) {
				t.Fatalf("at radius 0 drew %v, want the center", got)
			}
			return
		}
		if st.IncludeCenter {
			if !got[0].Equal(center) {
				t.Fatalf("the first is %v, want the center", got[0])
			}
			got = got[1:]
		}
		all := s.Neighbors(center, st.Radius)
		want := len(all)
		if st.Samples > 0 {
			want = min(st.Samples, want)
		}
		if len(got) != want {
			t.Fatalf("%d neighbors, want %d", len(got), want)
		}
		// What is drawn is a subset of all neighbors in their order; so nothing comes twice and nothing is foreign.
		for _, a := range got {
			at := slices.IndexFunc(all, a.Equal)
			if at < 0 {
				t.Fatalf("%v is not a neighbor, comes twice or out of order", a)
			}
			all = all[at+1:]
		}
	})
}

func TestDrawTakesAllWithoutRandomness(t *testing.T) {
	s := space.NASBench201()
	center := space.Architecture{3, 3, 1, 0, 2, 4}
	st := neighborhood.Settings{Radius: 1, IncludeCenter: true}
	want := append([]space.Architecture{center}, s.Neighbors(center, 1)...)
	if diff := cmp.Diff(want, neighborhood.Draw(s, center, st, nil)); diff != "" {
		t.Errorf("neighborhood differs (-want +got):\n%s", diff)
	}
	st.Radius = 2
	if n := len(neighborhood.Draw(s, center, st, nil)); n != 1+24+240 {
		t.Errorf("%d architectures at radius 2, want 265", n)
	}
}

func TestDrawIsUniformOverTheNeighbors(t *testing.T) {
	s := space.NASBench201()
	center := space.Architecture{3, 3, 1, 0, 2, 4}
	for _, radius := range []int{1, 2} {
		all := s.Neighbors(center, radius)
		st := neighborhood.Settings{Radius: radius, Samples: 8}
		r := rng(7)
		counts := map[string]float64{}
		draws := 400 * len(all) / st.Samples
		for range draws {
			for _, a := range neighborhood.Draw(s, center, st, r) {
				counts[a.Key()]++
			}
		}
		if len(counts) != len(all) {
			t.Errorf("radius %d: %d neighbors were met, want %d", radius, len(counts), len(all))
		}
		checkUniform(t, counts, float64(draws*st.Samples)/float64(len(all)))
	}
}

// checkUniform fails when the counts scatter about their expectation more than five standard deviations of the
// chi-squared statistic.
func checkUniform(t *testing.T, counts map[string]float64, expected float64) {
	t.Helper()
	chi2 := 0.0
	for _, c := range counts {
		chi2 += (c - expected) * (c - expected) / expected
	}
	n := float64(len(counts) - 1)
	if chi2 > n+5*math.Sqrt(2*n) {
		t.Errorf("chi-squared %.1f with %.0f degrees of freedom: not uniform", chi2, n)
	}
}

func TestSwapsOfAOneHotAreTheDiscreteNeighbors(t *testing.T) {
	s := space.NASBench201()
	rapid.Check(t, func(t *rapid.T) {
		center, st := spacetest.Architectures(s).Draw(t, "center"), draws().Draw(t, "settings")
		st.Kind = neighborhood.Swap
		seed := rapid.Uint64().Draw(t, "seed")
		discrete := neighborhood.Draw(s, center, st, rng(seed))
		p := s.OneHot(center)
		relaxed := neighborhood.DrawRelaxed(p, st, rng(seed))
		if len(relaxed) != len(discrete) {
			t.Fatalf("%d relaxed neighbors, %d discrete ones", len(relaxed), len(discrete))
		}
		for i, r := range relaxed {
			if diff := cmp.Diff(s.OneHot(discrete[i]), r.Apply(p)); diff != "" {
				t.Fatalf("neighbor %d differs (-discrete +relaxed):\n%s", i, diff)
			}
			if d := space.Distance(center, discrete[i]); r.Changes() != d || r.Distance(p) != float64(d) {
				t.Fatalf("neighbor %d: distance %d, changes %d, total variation %v", i, d, r.Changes(), r.Distance(p))
			}
		}
	})
}

func TestRelaxedNeighborsAreWithinTheRadius(t *testing.T) {
	s := space.NASBench201()
	rapid.Check(t, func(t *rapid.T) {
		p, st := spacetest.Probabilities(s, 3).Draw(t, "p"), draws().Draw(t, "settings")
		got := neighborhood.DrawRelaxed(p, st, rng(rapid.Uint64().Draw(t, "seed")))
		if st.IncludeCenter || st.Radius == 0 {
			if got[0].Changes() != 0 || got[0].Distance(p) != 0 {
				t.Fatal("the first is not the center")
			}
			got = got[1:]
		}
		strongest := p.Argmax()
		for _, r := range got {
			if n := r.Changes(); n < 1 || n > st.Radius {
				t.Fatalf("%d edges change at radius %d", n, st.Radius)
			}
			if d := r.Distance(p); d > float64(r.Changes())+1e-12 {
				t.Fatalf("total variation %v with %d edges changed", d, r.Changes())
			}
			q := r.Apply(p)
			for e, row := range r.Permutation {
				if row == nil {
					continue
				}
				moved := 0
				for k, from := range row {
					if k != from {
						moved++
					}
				}
				switch {
				case moved == 0:
					t.Fatalf("edge %d is permuted by the identity", e)
				case st.Kind == neighborhood.Swap && (moved != 2 || row[strongest[e]] == strongest[e]):
					t.Fatalf("edge %d: %v is no swap of operation %d", e, row, strongest[e])
				}
				if diff := cmp.Diff(p[e], q[e], cmpopts.SortSlices(func(a, b float64) bool { return a < b })); diff != "" {
					t.Fatalf("edge %d is not permuted:\n%s", e, diff)
				}
			}
		}
	})
}

func TestShufflesMeetEveryPermutation(t *testing.T) {
	s := &space.Space{Name: "small", Nodes: 2, Edges: []space.Edge{{From: 0, To: 1}, {From: 0, To: 2}}, Operations: []string{"a", "b", "c"}}
	st := neighborhood.Settings{Radius: 2, Samples: 20000, Kind: neighborhood.Shuffle}
	// One edge changes in 4 of 8 discrete neighbors, both in the other 4; 5 permutations of 3 operations move one.
	single, both := map[string]float64{}, map[string]float64{}
	for _, r := range neighborhood.DrawRelaxed(s.OneHot(space.Architecture{0, 0}), st, rng(3)) {
		key := ""
		for _, row := range r.Permutation {
			key += space.Architecture(row).Key() + "/"
		}
		if r.Changes() == 1 {
			single[key]++
		} else {
			both[key]++
		}
	}
	if len(single) != 10 || len(both) != 25 {
		t.Errorf("%d ways to change one edge and %d to change both, want 10 and 25", len(single), len(both))
	}
	checkUniform(t, single, 1000)
	checkUniform(t, both, 400)
	st.Samples = 0
	if n := len(neighborhood.DrawRelaxed(s.OneHot(space.Architecture{0, 0}), st, rng(3))); n != 8 {
		t.Errorf("%d shuffles, want one for each of the 8 discrete neighbors", n)
	}
}

// The gradient at a neighbor, pulled back, is the gradient of the function seen from the center.
func TestPullbackIsTheGradientThroughApply(t *testing.T) {
	s := space.NASBench201()
	rapid.Check(t, func(t *rapid.T) {
		p, st := spacetest.Probabilities(s, 3).Draw(t, "p"), draws().Draw(t, "settings")
		weights := spacetest.Probabilities(s, 3).Draw(t, "weights")
		f := func(q space.Probabilities) float64 {
			sum := 0.0
			for e := range q {
				for k, v := range q[e] {
					sum += weights[e][k] * v * v
				}
			}
			return sum
		}
		neighbors := neighborhood.DrawRelaxed(p, st, rng(rapid.Uint64().Draw(t, "seed")))
		r := neighbors[len(neighbors)-1]
		dq := r.Apply(p)
		for e := range dq {
			for k := range dq[e] {
				dq[e][k] *= 2 * weights[e][k]
			}
		}
		dp := r.Pullback(dq)
		const h = 1e-6
		for e := range p {
			for k := range p[e] {
				up, down := p.Clone(), p.Clone()
				up[e][k] += h
				down[e][k] -= h
				if want := (f(r.Apply(up)) - f(r.Apply(down))) / (2 * h); !near(dp[e][k], want, 1e-7) {
					t.Fatalf("derivative by p[%d][%d] is %v, finite difference %v", e, k, dp[e][k], want)
				}
			}
		}
	})
}

func TestValidateReportsEveryMistake(t *testing.T) {
	if err := neighborhood.DefaultSettings().Validate(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
	bad := neighborhood.Settings{Radius: -1, Samples: -2, Kind: "rotate"}
	bad.Aggregate = "max"
	err := bad.ValidateUnder("neighborhood")
	if err == nil {
		t.Fatal("four mistakes pass")
	}
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{"neighborhood.radius: -1", "neighborhood.samples: -2", `neighborhood.kind: unknown kind of relaxed neighbor "rotate"`, `neighborhood.aggregate: unknown aggregator "max"`} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Errorf("message lacks %q:\n%v", want, err)
		}
	}
	var setting *pipeline.SettingError
	if !errors.As(bad.Validate(), &setting) || setting.Path != "radius" {
		t.Errorf("first mistake is %v, want that of radius", setting)
	}
}

func TestRadiusBeyondTheEdges(t *testing.T) {
	st := neighborhood.DefaultSettings()
	for st.Radius = 0; st.Radius <= 6; st.Radius++ {
		if err := st.CheckSpace(space.NASBench201()); err != nil {
			t.Error(err)
		}
	}
	err := st.CheckSpace(space.NASBench201())
	const want = "radius: radius 7 is larger than the 6 edges of space nasbench201; use at most 6"
	if err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
}

func TestSettingsStandInADocument(t *testing.T) {
	st := neighborhood.DefaultSettings()
	const document = "radius: 2\nsamples: 12\nkind: shuffle\ninclude_center: false\naggregate: quantile\nquantile: 0.1\n"
	if err := yaml.UnmarshalWithOptions([]byte(document), &st, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	want := neighborhood.DefaultSettings()
	want.Radius, want.Samples, want.Kind, want.IncludeCenter = 2, 12, neighborhood.Shuffle, false
	want.Aggregate, want.Quantile = "quantile", 0.1
	if diff := cmp.Diff(want, st); diff != "" {
		t.Errorf("settings differ (-want +got):\n%s", diff)
	}
}
