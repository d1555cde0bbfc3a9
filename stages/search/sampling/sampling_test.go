package sampling_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/score/objective"
	"github.com/plateau-nas/plateau/stages/score/scoretest"
	"github.com/plateau-nas/plateau/stages/search/sampling"
	"github.com/plateau-nas/plateau/stages/space"
)

// small is a space of 3^4 = 81 architectures, so that searches meet what they know and come to an end.
func small() *space.Space {
	return &space.Space{
		Name: "small", Nodes: 3, Edges: []space.Edge{{From: 0, To: 1}, {From: 0, To: 2}, {From: 1, To: 2}, {From: 1, To: 2}},
		Operations: []string{"a", "b", "c"},
	}
}

// counter notes in which order architectures were asked for.
type counter struct {
	*scoretest.Synthetic
	asked   []space.Architecture
	batches []int
	limit   int // answers after which the evaluator breaks; 0 means never
}

var errBroken = errors.New("the evaluator broke")

func (c *counter) Evaluate(ctx context.Context, archs []space.Architecture) ([]score.Result, error) {
	if c.limit > 0 && len(c.asked)+len(archs) > c.limit {
		return nil, errBroken
	}
	for _, a := range archs {
		c.asked = append(c.asked, a.Clone())
	}
	c.batches = append(c.batches, len(archs))
	return c.Synthetic.Evaluate(ctx, archs)
}

func (c *counter) distinct() int {
	seen := map[string]bool{}
	for _, a := range c.asked {
		seen[a.Key()] = true
	}
	return len(seen)
}

// setup is a drawn search.
type setup struct {
	space    *space.Space
	settings sampling.Settings
	seed     uint64
	fails    func(space.Architecture) bool
}

func (s setup) evaluator() *counter {
	return &counter{Synthetic: &scoretest.Synthetic{Space: s.space, Noise: 0.4, Fails: s.fails}}
}

// levels are two fidelities for halving, of which others use the last one.
func (s setup) levels() []*counter {
	low, high := s.evaluator(), s.evaluator()
	low.Noise = 0.8
	return []*counter{low, high}
}

func (s setup) run(t interface {
	Helper()
	Fatal(...any)
}, o sampling.Options, levels ...*counter) *sampling.Outcome {
	t.Helper()
	out, err := s.try(o, levels...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s setup) try(o sampling.Options, levels ...*counter) (*sampling.Outcome, error) {
	var f []sampling.Fidelity
	for i, l := range levels {
		cost := 1.0
		if i+1 < len(levels) {
			cost = 0.25
		}
		f = append(f, sampling.Fidelity{Name: fmt.Sprint("level ", i), Cost: cost, Evaluator: l})
	}
	o.Seed = s.seed
	return sampling.Search(context.Background(), s.space, s.settings, f, o)
}

func setups() *rapid.Generator[setup] {
	return rapid.Custom(func(t *rapid.T) setup {
		st := sampling.DefaultSettings()
		st.Algorithm = rapid.SampledFrom(sampling.Algorithms()).Draw(t, "algorithm")
		st.Policy = rapid.SampledFrom(sampling.Policies()).Draw(t, "policy")
		if st.Algorithm == sampling.Halving && st.Policy == sampling.Staged {
			st.Policy = sampling.All
		}
		st.Budget = rapid.IntRange(1, 120).Draw(t, "budget")
		st.Neighborhood.Radius = rapid.IntRange(0, 2).Draw(t, "radius")
		st.Neighborhood.IncludeCenter = rapid.Bool().Draw(t, "include_center")
		st.Neighborhood.Aggregate = rapid.SampledFrom(neighborhood.Aggregators()).Draw(t, "aggregate")
		st.Neighborhood.Samples = rapid.IntRange(0, 5).Draw(t, "samples")
		st.MergeEqual = rapid.Bool().Draw(t, "merge_equal")
		st.Neighborhood.Equivalents = rapid.SampledFrom(neighborhood.Equivalents()).Draw(t, "equivalents")
		switch {
		case st.Policy == sampling.All || st.Policy == sampling.Modeled:
			st.Neighborhood.Samples = 0
		case st.Policy == sampling.Sampled:
			st.Neighborhood.Samples++
		}
		st.Share = rapid.SampledFrom([]float64{0.05, 0.3, 1}).Draw(t, "share")
		st.After = rapid.SampledFrom([]float64{0, 0.5}).Draw(t, "after")
		st.Prior = rapid.SampledFrom([]float64{0, 2}).Draw(t, "prior")
		st.Population, st.Tournament = rapid.IntRange(2, 10).Draw(t, "population"), rapid.IntRange(1, 5).Draw(t, "tournament")
		st.Candidates = rapid.IntRange(1, 12).Draw(t, "candidates")
		return setup{space: small(), settings: st, seed: rapid.Uint64Range(0, 1000).Draw(t, "seed")}
	})
}

// some fails for one in four architectures.
func some(a space.Architecture) bool { return (a[0]+2*a[1]+a[2])%4 == 1 }

func TestBudgetIsNeverExceededAndRepeatsAreFree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := setups().Draw(t, "search")
		if rapid.Bool().Draw(t, "failures") {
			s.fails = some
		}
		levels := s.levels()
		out, err := s.try(sampling.Options{}, levels...)
		spent, count := 0.0, 0
		for i, l := range levels {
			if l.distinct() != len(l.asked) {
				t.Fatalf("%d evaluations of %d architectures: one was asked for twice", len(l.asked), l.distinct())
			}
			spent += float64(len(l.asked)) * []float64{0.25, 1}[i]
			count += len(l.asked)
		}
		if spent > float64(s.settings.Budget) {
			t.Fatalf("%v evaluations were made, the budget is %d", spent, s.settings.Budget)
		}
		if err != nil {
			if !errors.Is(err, sampling.ErrNone) {
				t.Fatal(err)
			}
			return
		}
		// What was evaluated ahead of a neighborhood that did not fit was not needed.
		if out.Spent > spent+1e-9 || out.Evaluations > count {
			t.Fatalf("%v are said to be spent, %v were", out.Spent, spent)
		}
		if steps := out.Trajectory; !slices.IsSortedFunc(steps, func(a, b sampling.Step) int { return int(math.Copysign(1, a.Spent-b.Spent)) }) || steps[len(steps)-1].Spent > out.Spent {
			t.Fatalf("the trajectory goes back: %v", steps)
		}
	})
}

func TestSearchDependsOnSeedAndAnswersOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := setups().Draw(t, "search")
		s.settings.Budget += 35 // so that a neighborhood fits
		one, two := s.run(t, sampling.Options{}, s.levels()...), s.run(t, sampling.Options{}, s.levels()...)
		if diff := cmp.Diff(one, two); diff != "" {
			t.Fatalf("two runs differ:\n%s", diff)
		}
	})
}

func TestAtRadiusZeroEveryPolicyIsThePlainSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := setups().Draw(t, "search")
		s.settings.Neighborhood.Radius = 0
		plain := s
		plain.settings.Policy, plain.settings.Neighborhood = sampling.All, neighborhood.Settings{Kind: neighborhood.Swap, AggregatorSettings: neighborhood.DefaultAggregatorSettings()}
		asked, want := s.levels(), plain.levels()
		got, err := s.try(sampling.Options{}, asked...)
		wanted, wantErr := plain.try(sampling.Options{}, want...)
		if (err == nil) != (wantErr == nil) {
			t.Fatal(err, wantErr)
		}
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Fatalf("not the plain search (-plain +got):\n%s", diff)
		}
		for i := range asked {
			if diff := cmp.Diff(want[i].asked, asked[i].asked); diff != "" {
				t.Fatalf("other architectures are evaluated (-plain +got):\n%s", diff)
			}
		}
	})
}

func TestFailuresAreNeverChosen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := setups().Draw(t, "search")
		s.settings.MergeEqual = false // so that results are their own
		s.fails = some
		out, err := s.try(sampling.Options{}, s.levels()...)
		if errors.Is(err, sampling.ErrNone) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range append(slices.Clone(out.Ranked), out.Best) {
			if some(c.Architecture) || !c.Own.OK() {
				t.Fatalf("%v was chosen and had failed", c)
			}
		}
		for _, step := range out.Trajectory {
			if some(step.Incumbent.Architecture) {
				t.Fatalf("%v was the incumbent and had failed", step.Incumbent)
			}
		}
	})
}

func TestAllCandidatesFail(t *testing.T) {
	for _, algorithm := range sampling.Algorithms() {
		s := setup{space: small(), settings: sampling.DefaultSettings(), fails: func(space.Architecture) bool { return true }}
		s.settings.Algorithm = algorithm
		_, err := s.try(sampling.Options{}, s.evaluator())
		if !errors.Is(err, sampling.ErrNone) || !strings.Contains(err.Error(), "failed; the first, ") || !strings.Contains(err.Error(), "it was meant to fail") {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}

// The incumbents at given budgets are those of the trajectory.
func TestIncumbentsAtBudgets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := setups().Draw(t, "search")
		s.settings.Budget += 35
		at := rapid.SliceOfNDistinct(rapid.IntRange(1, s.settings.Budget), 1, 5, rapid.ID[int]).Draw(t, "at")
		slices.Sort(at)
		whole, some := s.run(t, sampling.Options{}, s.levels()...), s.run(t, sampling.Options{At: at}, s.levels()...)
		if len(some.At) != len(at) {
			t.Fatalf("%d incumbents at %d budgets", len(some.At), len(at))
		}
		for i, budget := range at {
			want, _ := whole.Incumbent(float64(budget))
			if !some.At[i].Architecture.Equal(want.Architecture) {
				t.Fatalf("after %d evaluations the incumbent is %v, in the trajectory %v", budget, some.At[i].Architecture, want.Architecture)
			}
		}
		if diff := cmp.Diff(whole.Best, some.Best); diff != "" {
			t.Fatalf("what is found differs:\n%s", diff)
		}
	})
}

// truth computes the value of an architecture from the scores of everything in its neighborhood that counts.
func truth(t *rapid.T, s setup, center space.Architecture, counts []space.Architecture, mean float64) (value float64, n int) {
	e := s.evaluator()
	st := s.settings.Neighborhood
	agg, err := neighborhood.New(st.AggregatorSettings)
	if err != nil {
		t.Fatal(err)
	}
	alone := false
	if s.settings.Policy != sampling.Shared {
		st.Samples = 0
		counts = neighborhood.Draw(s.space, center, st, nil)
		alone = len(counts) == 1
	}
	counted := neighborhood.NewCounted(st, s.space.Class(center))
	var scores, distances []float64
	for _, a := range counts {
		d := space.Distance(a, center)
		if d > st.Radius || d == 0 && !st.IncludeCenter && !alone || s.fails != nil && s.fails(a) || d > 0 && !counted.Next(s.space.Class(a)) {
			continue
		}
		scores, distances = append(scores, e.Of(a).Score), append(distances, float64(d))
	}
	if len(scores) == 0 {
		return e.Of(center).Score, 0
	}
	value = agg.Aggregate(scores, distances)
	if s.settings.Policy == sampling.Shared {
		value = (float64(len(scores))*value + s.settings.Prior*mean) / (float64(len(scores)) + s.settings.Prior)
	}
	return value, len(scores)
}

// Of all that have the value of their neighborhood, the incumbent has the best.
func TestIncumbentIsTheArgmaxOfTheObjective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := setups().Draw(t, "search")
		s.settings.MergeEqual = false // so that results are their own
		if s.settings.Algorithm == sampling.Halving {
			s.settings.Algorithm = sampling.Random
		}
		if s.settings.Policy == sampling.Sampled || s.settings.Policy == sampling.Modeled { // that of model has a test of its own
			s.settings.Policy, s.settings.Neighborhood.Samples = sampling.All, 0
		}
		if s.settings.Policy == sampling.Staged {
			s.settings.Neighborhood.Samples = 0
		}
		s.settings.Neighborhood.Radius = max(1, s.settings.Neighborhood.Radius)
		s.settings.Budget += 35
		if rapid.Bool().Draw(t, "failures") {
			s.fails = some
		}
		e := s.evaluator()
		out, err := s.try(sampling.Options{}, e)
		if errors.Is(err, sampling.ErrNone) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		counts, mean, usable := slices.Collect(s.space.All()), 0.0, 0.0
		if s.settings.Policy == sampling.Shared {
			counts = e.asked[:out.Evaluations] // those that were evaluated ahead for nothing come last
			for _, a := range counts {
				if r := e.Of(a); r.OK() {
					mean, usable = mean+r.Score, usable+1
				}
			}
			mean /= usable
			if len(out.Ranked) > int(usable) {
				t.Fatalf("%d candidates, but only %v architectures are known", len(out.Ranked), usable)
			}
		}
		for _, c := range out.Ranked {
			if c.Aggregated != out.Best.Aggregated {
				t.Fatal("candidates of two kinds are ranked together")
			}
			if c.Value.Numbers[0] > out.Best.Value.Numbers[0] {
				t.Fatalf("%v is better than the best %v", c, out.Best)
			}
			want, n := truth(t, s, c.Architecture, counts, mean)
			if !c.Aggregated {
				want = e.Of(c.Architecture).Score
				if n > 0 && s.settings.Policy != sampling.Staged {
					t.Fatalf("%v has %d scores around it and is not aggregated", c, n)
				}
			}
			if math.Abs(c.Value.Numbers[0]-want) > 1e-9 {
				t.Fatalf("%v: the value should be %v", c, want)
			}
		}
	})
}

// A search that was killed and runs again in front of a cache takes the same way and asks only for what is not known.
func TestKilledSearchContinues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := setups().Draw(t, "search")
		s.settings.Budget += 35
		if s.settings.Algorithm == sampling.Halving {
			s.settings.Algorithm = sampling.Evolution
		}
		undisturbed := s.evaluator()
		want := s.run(t, sampling.Options{}, undisturbed)
		broken := s.evaluator()
		broken.limit = rapid.IntRange(1, len(undisturbed.asked)).Draw(t, "limit")
		cache := score.NewCache(broken)
		search := func(e score.Evaluator) (*sampling.Outcome, error) {
			return sampling.Search(context.Background(), s.space, s.settings, []sampling.Fidelity{{Evaluator: e}}, sampling.Options{Seed: s.seed})
		}
		if _, err := search(cache); err != nil && !errors.Is(err, errBroken) {
			t.Fatal(err)
		}
		known := len(cache.Known())
		broken.limit = 0
		got, err := search(cache)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("the continued search differs (-want +got):\n%s", diff)
		}
		if len(broken.asked) != len(undisturbed.asked) {
			t.Fatalf("%d evaluations with a break after %d, %d without", len(broken.asked), known, len(undisturbed.asked))
		}
	})
}

func TestSearchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s := setup{space: space.NASBench201(), settings: sampling.DefaultSettings()}
	o := sampling.Options{Progress: func(spent float64, _ *sampling.Candidate) error {
		if spent > 50 {
			cancel()
		}
		return nil
	}}
	if _, err := sampling.Search(ctx, s.space, s.settings, []sampling.Fidelity{{Evaluator: s.evaluator()}}, o); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestExhaustedSpaceEndsTheSearch(t *testing.T) {
	for _, algorithm := range []string{sampling.Random, sampling.Evolution, sampling.Local} {
		s := setup{space: small(), settings: sampling.DefaultSettings()}
		s.settings.Algorithm, s.settings.Budget, s.settings.Neighborhood.Radius = algorithm, 1000, 0
		e := s.evaluator()
		out := s.run(t, sampling.Options{}, e)
		if algorithm != sampling.Evolution && out.Evaluations != 81 {
			t.Errorf("%s evaluated %d of 81 architectures", algorithm, out.Evaluations)
		}
	}
}

// The plain algorithms as one would write them without any of this.
func TestPlainAlgorithmsByHand(t *testing.T) {
	sp := space.NASBench201()
	e := &scoretest.Synthetic{Space: sp, Noise: 0.3}
	const budget, at = 300, uint64(7)
	type seen struct {
		known map[string]bool
		best  space.Architecture
		path  []string
	}
	look := func(s *seen, a space.Architecture) bool {
		if !s.known[a.Key()] {
			if len(s.known) == budget {
				return false
			}
			s.known[a.Key()] = true
			if s.best == nil || e.Of(a).Score > e.Of(s.best).Score {
				s.best = a
				s.path = append(s.path, fmt.Sprint(len(s.known), sp.Format(a)))
			}
		}
		return true
	}
	byHand := map[string]func(*seen){
		sampling.Random: func(s *seen) {
			for rng := seed.New(at, "candidates"); look(s, sp.Random(rng)); {
			}
		},
		sampling.Evolution: func(s *seen) {
			draws, rng := seed.New(at, "candidates"), seed.New(at, "evolution")
			var population []space.Architecture
			for range 50 {
				population = append(population, sp.Random(draws))
				look(s, population[len(population)-1])
			}
			for {
				var parent space.Architecture
				for range 10 {
					if a := population[rng.IntN(50)]; parent == nil || e.Of(a).Score > e.Of(parent).Score {
						parent = a
					}
				}
				child := sp.Shell(parent, 1)[rng.IntN(24)]
				if !look(s, child) {
					return
				}
				population = append(population[1:], child)
			}
		},
		sampling.Local: func(s *seen) {
			for draws := seed.New(at, "candidates"); ; {
				current := sp.Random(draws)
				if !look(s, current) {
					return
				}
				for climbing := true; climbing; {
					climbing = false
					best := current
					for _, a := range sp.Shell(current, 1) {
						if !look(s, a) {
							return
						}
						if e.Of(a).Score > e.Of(best).Score {
							best, climbing = a, true
						}
					}
					current = best
				}
			}
		},
	}
	for algorithm, search := range byHand {
		t.Run(algorithm, func(t *testing.T) {
			want := seen{known: map[string]bool{}}
			search(&want)
			s := setup{space: sp, settings: sampling.DefaultSettings(), seed: at}
			s.settings.Algorithm, s.settings.Budget, s.settings.Neighborhood.Radius = algorithm, budget, 0
			c := &counter{Synthetic: e}
			out := s.run(t, sampling.Options{}, c)
			var got []string
			for _, step := range out.Trajectory {
				got = append(got, fmt.Sprint(step.Spent, sp.Format(step.Incumbent.Architecture)))
			}
			if diff := cmp.Diff(want.path, got); diff != "" {
				t.Errorf("the trajectory differs (-by hand +got):\n%s", diff)
			}
			if len(c.asked) != budget || out.Evaluations != budget {
				t.Errorf("%d architectures are evaluated of a budget of %d", len(c.asked), budget)
			}
			if algorithm != sampling.Evolution && len(c.batches) > budget/10 {
				t.Errorf("%d evaluations in %d batches", budget, len(c.batches))
			}
		})
	}
}

func TestHalvingClimbsTheFidelities(t *testing.T) {
	s := setup{space: space.NASBench201(), settings: sampling.DefaultSettings(), seed: 3}
	s.settings.Algorithm, s.settings.Neighborhood.Radius, s.settings.Candidates, s.settings.Keep, s.settings.Budget = sampling.Halving, 0, 16, 0.25, 8
	levels := s.levels()
	out := s.run(t, sampling.Options{}, levels...)
	// A bracket costs 16/4 + 4 = 8 evaluations at the highest training budget.
	if low, high := len(levels[0].asked), len(levels[1].asked); low != 16 || high != 4 || out.Spent != 8 || out.Evaluations != 20 {
		t.Errorf("%d and %d evaluations, %v spent", low, high, out.Spent)
	}
	best := slices.Clone(levels[0].asked)
	slices.SortStableFunc(best, func(a, b space.Architecture) int {
		return int(math.Copysign(1, levels[0].Of(b).Score-levels[0].Of(a).Score))
	})
	if diff := cmp.Diff(best[:4], levels[1].asked); diff != "" {
		t.Errorf("not the best climb (-best +climbed):\n%s", diff)
	}
	if out.Best.Fidelity != 1 || len(out.Ranked) != 4 {
		t.Errorf("the best is of fidelity %d, %d are ranked", out.Best.Fidelity, len(out.Ranked))
	}
}

func TestStagedSpendsNeighborhoodsOnTheTopShareLate(t *testing.T) {
	s := setup{space: space.NASBench201(), settings: sampling.DefaultSettings(), seed: 5}
	s.settings.Policy, s.settings.Neighborhood.Samples, s.settings.Budget, s.settings.After, s.settings.Share = sampling.Staged, 0, 200, 0.5, 0.02
	e := s.evaluator()
	out := s.run(t, sampling.Options{}, e)
	if !out.Best.Aggregated || out.Best.Neighbors != 24 {
		t.Fatalf("the best has no neighborhood: %+v", out.Best)
	}
	// The first two neighborhoods are those of the two best of the first hundred, and nothing else was evaluated in between.
	first := slices.Clone(e.asked[:100])
	slices.SortStableFunc(first, func(a, b space.Architecture) int { return int(math.Copysign(1, e.Of(b).Score-e.Of(a).Score)) })
	for _, a := range e.asked[100:140] {
		if space.Distance(a, first[0]) != 1 && space.Distance(a, first[1]) != 1 {
			t.Fatalf("%v is no neighbor of the two best", a)
		}
	}
	if c, _ := out.Incumbent(100); c.Aggregated || !c.Architecture.Equal(first[0]) {
		t.Errorf("before the first neighborhood the incumbent is %v, want the best by its own score", c)
	}
}

func TestSharedEvaluatesNoNeighbors(t *testing.T) {
	sp := space.NASBench201()
	plain := setup{space: sp, settings: sampling.DefaultSettings(), seed: 11}
	plain.settings.Neighborhood.Radius = 0
	shared := plain
	shared.settings.Policy, shared.settings.Neighborhood.Samples, shared.settings.Neighborhood.Radius = sampling.Shared, 0, 2
	a, b := plain.evaluator(), shared.evaluator()
	plain.run(t, sampling.Options{}, a)
	out := shared.run(t, sampling.Options{}, b)
	if diff := cmp.Diff(a.asked, b.asked); diff != "" {
		t.Errorf("random search with shared scores draws others (-plain +shared):\n%s", diff)
	}
	most := 0
	for _, c := range out.Ranked {
		most = max(most, c.Neighbors)
	}
	if len(out.Ranked) != 250 || most == 0 {
		t.Errorf("%d candidates, with at most %d neighbors", len(out.Ranked), most)
	}
}

func ptr(v float64) *float64 { return &v }

func TestConstraintsAndFronts(t *testing.T) {
	sp := space.NASBench201()
	for _, algorithm := range []string{sampling.Random, sampling.Evolution} {
		for _, policy := range []string{sampling.All, sampling.Shared} {
			s := setup{space: sp, settings: sampling.DefaultSettings(), seed: 2}
			s.settings.Algorithm, s.settings.Policy, s.settings.Neighborhood.Samples, s.settings.Budget = algorithm, policy, 0, 600
			bounded, err := objective.New(objective.Settings{Combine: objective.Sum, Constraints: []objective.Constraint{{Metric: "cost", AtMost: ptr(13)}}})
			if err != nil {
				t.Fatal(err)
			}
			out := s.run(t, sampling.Options{Objective: bounded}, s.evaluator())
			if out.Best.Own.Metrics["cost"] > 13 {
				t.Errorf("%s, %s: the best breaks the bound: %+v", algorithm, policy, out.Best)
			}
			front, err := objective.New(objective.Settings{Combine: objective.Pareto, Goals: []objective.Goal{{Metric: "score"}, {Metric: "cost", Weight: -1, Own: true}}})
			if err != nil {
				t.Fatal(err)
			}
			out = s.run(t, sampling.Options{Objective: front}, s.evaluator())
			var values []objective.Value
			for _, c := range out.Ranked {
				values = append(values, c.Value)
			}
			if n := len(objective.Fronts(values)[0]); n != len(out.Front) || n < 3 {
				t.Errorf("%s, %s: %d on the front, among the ranked %d", algorithm, policy, len(out.Front), n)
			}
			if !out.Ranked[0].Architecture.Equal(out.Best.Architecture) || !out.Front[0].Architecture.Equal(out.Best.Architecture) {
				t.Errorf("%s, %s: the best is not the first", algorithm, policy)
			}
		}
	}
	s := setup{space: sp, settings: sampling.DefaultSettings()}
	s.settings.Algorithm = sampling.Local
	front, err := objective.New(objective.Settings{Combine: objective.Pareto, Goals: []objective.Goal{{Metric: "score"}, {Metric: "cost"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.try(sampling.Options{Objective: front}, s.evaluator()); err == nil || !strings.Contains(err.Error(), "Pareto") {
		t.Error(err)
	}
}

func TestSettingsThatMakeNoSense(t *testing.T) {
	for want, change := range map[string]func(*sampling.Settings){
		`search.algorithm: unknown value "bayes"`:          func(s *sampling.Settings) { s.Algorithm = "bayes" },
		`search.policy: unknown value "some"`:              func(s *sampling.Settings) { s.Policy = "some" },
		"search.policy: all takes every neighbor":          func(s *sampling.Settings) { s.Policy, s.Neighborhood.Samples = sampling.All, 3 },
		"search.policy: model takes every neighbor":        func(s *sampling.Settings) { s.Policy, s.Neighborhood.Samples = sampling.Modeled, 3 },
		"search.startup: -1 draws":                         func(s *sampling.Settings) { s.Algorithm, s.Startup = sampling.TPE, -1 },
		"search.explore: -1":                               func(s *sampling.Settings) { s.Algorithm, s.Explore = sampling.GP, -1 },
		"search.model.length: 0; give a number of changes": func(s *sampling.Settings) { s.Algorithm, s.Model.Length = sampling.GP, 0 },
		"search.model.noise: -1": func(s *sampling.Settings) {
			s.Policy, s.Neighborhood.Samples, s.Model.Noise = sampling.Modeled, 0, -1
		},
		"search.neighborhood.samples: the policy": func(s *sampling.Settings) { s.Neighborhood.Samples = 0 },
		"search.share:":  func(s *sampling.Settings) { s.Policy, s.Share = sampling.Staged, 0 },
		"search.after:":  func(s *sampling.Settings) { s.Policy, s.After = sampling.Staged, 1 },
		"search.prior:":  func(s *sampling.Settings) { s.Policy, s.Prior = sampling.Shared, -1 },
		"search.budget:": func(s *sampling.Settings) { s.Budget = 0 },
		"search.population:": func(s *sampling.Settings) {
			s.Algorithm, s.Population = sampling.Evolution, 1
		},
		"search.keep:":                func(s *sampling.Settings) { s.Algorithm, s.Keep = sampling.Halving, 1 },
		"search.policy: halving":      func(s *sampling.Settings) { s.Algorithm, s.Policy = sampling.Halving, sampling.Staged },
		"search.neighborhood.radius:": func(s *sampling.Settings) { s.Neighborhood.Radius = -1 },
	} {
		st := sampling.DefaultSettings()
		change(&st)
		if err := st.ValidateUnder("search"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	if err := sampling.DefaultSettings().Validate(); err != nil {
		t.Error(err)
	}
}

// The neighbors that are drawn leave the stream of candidates alone, are the same whenever a center comes, and are others for
// other centers.
func TestDrawnNeighborsBelongToTheirCenter(t *testing.T) {
	sp := space.NASBench201()
	plain := setup{space: sp, settings: sampling.DefaultSettings(), seed: 21}
	plain.settings.Neighborhood.Radius, plain.settings.Budget = 0, 40
	sampled := plain
	sampled.settings.Neighborhood.Radius, sampled.settings.Budget = 1, 200
	a, b := plain.evaluator(), sampled.evaluator()
	plain.run(t, sampling.Options{}, a)
	out := sampled.run(t, sampling.Options{}, b)
	var assessed []string
	for _, c := range out.Ranked {
		assessed = append(assessed, sp.Format(c.Architecture))
	}
	slices.Sort(assessed)
	var drawn []string
	for _, arch := range a.asked[:len(assessed)] {
		drawn = append(drawn, sp.Format(arch))
	}
	slices.Sort(drawn)
	if diff := cmp.Diff(drawn, assessed); diff != "" {
		t.Errorf("the centers are not the draws of the plain search (-plain +sampled):\n%s", diff)
	}
	changes := map[string]bool{} // which edges the four neighbors of a center change
	for i := 0; i+5 <= len(b.asked); i += 5 {
		where := ""
		for _, n := range b.asked[i+1 : i+5] {
			if space.Distance(b.asked[i], n) != 1 {
				return // a neighbor was known; what follows is shifted
			}
			for e := range n {
				if n[e] != b.asked[i][e] {
					where += fmt.Sprint(e)
				}
			}
		}
		changes[where] = true
	}
	if len(changes) < 5 {
		t.Errorf("all centers have the same neighbors: edges %v", changes)
	}
}
