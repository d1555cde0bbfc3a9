package sampling_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/score/objective"
	"github.com/plateau-nas/plateau/stages/search/sampling"
	"github.com/plateau-nas/plateau/stages/space"
)

// modeled is a search of the small space with the policy model.
func modeled(algorithm string, budget int) setup {
	s := setup{space: small(), settings: sampling.DefaultSettings(), seed: 3}
	s.settings.Algorithm, s.settings.Budget, s.settings.Policy, s.settings.Neighborhood.Samples = algorithm, budget, sampling.Modeled, 0
	return s
}

// The value of a candidate is the aggregate of the scores that are known of its neighborhood and of what a Gaussian process
// fitted to all scores says of the rest.
func TestModelFillsNeighborhoods(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := setups().Draw(t, "search")
		if s.settings.Algorithm == sampling.Halving {
			s.settings.Algorithm = sampling.GP
		}
		s.settings.Policy, s.settings.Neighborhood.Samples = sampling.Modeled, 0
		s.settings.Neighborhood.Radius = max(1, s.settings.Neighborhood.Radius)
		s.settings.Neighborhood.Equivalents, s.settings.MergeEqual = neighborhood.EquivalentsAll, false // every neighbor counts below
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
		process, err := neighborhood.NewProcess(s.settings.Model)
		if err != nil {
			t.Fatal(err)
		}
		agg, err := neighborhood.New(s.settings.Neighborhood.AggregatorSettings)
		if err != nil {
			t.Fatal(err)
		}
		asked := map[string]bool{}
		var known []space.Architecture
		var scores []float64
		for _, a := range e.asked[:out.Evaluations] {
			asked[a.Key()] = true
			if r := e.Of(a); r.OK() {
				known, scores = append(known, a), append(scores, r.Score)
			}
		}
		sorted := slices.Sorted(slices.Values(scores))
		floor := 2*sorted[len(sorted)/2] - sorted[len(sorted)-1]
		if sorted[len(sorted)/2] == sorted[len(sorted)-1] {
			floor = sorted[0]
		}
		for i := range scores {
			scores[i] = max(scores[i], floor)
		}
		post, err := process.Fit(s.space, known, scores)
		if err != nil {
			t.Fatal(err)
		}
		best := math.Inf(-1)
		for _, c := range out.Ranked {
			var numbers, distances []float64
			n := 0
			for a := range s.space.All() {
				d := space.Distance(a, c.Architecture)
				if d > s.settings.Neighborhood.Radius || d == 0 && !s.settings.Neighborhood.IncludeCenter {
					continue
				}
				v, _ := post.At(a)
				if asked[a.Key()] {
					r := e.Of(a)
					if !r.OK() {
						continue
					}
					if v = max(r.Score, floor); d > 0 {
						n++
					}
				}
				numbers, distances = append(numbers, v), append(distances, float64(d))
			}
			want := agg.Aggregate(numbers, distances)
			if got := c.Value.Numbers[0]; math.Abs(got-want) > 1e-6 || !c.Aggregated || c.Neighbors != n {
				t.Fatalf("%v has the value %v of %d neighbors, want %v of %d", c.Architecture, got, c.Neighbors, want, n)
			}
			best = max(best, c.Value.Numbers[0])
		}
		if out.Best.Value.Numbers[0] < best {
			t.Fatalf("the best has %v, another %v", out.Best.Value.Numbers[0], best)
		}
	})
}

// same scores everything alike.
type same struct{}

func (same) Evaluate(_ context.Context, archs []space.Architecture) ([]score.Result, error) {
	return slices.Repeat([]score.Result{{Score: -0.5}}, len(archs)), nil
}

// Where every score is the same, so that every neighborhood equals its center, a search spends its budget on different
// architectures and says what it has found.
func TestTiesEverywhere(t *testing.T) {
	for _, algorithm := range []string{sampling.Evolution, sampling.TPE, sampling.GP} {
		for _, policy := range []string{sampling.All, sampling.Shared, sampling.Modeled} {
			s := modeled(algorithm, 60)
			s.settings.Policy = policy
			out, err := sampling.Search(context.Background(), s.space, s.settings, []sampling.Fidelity{{Evaluator: same{}}}, sampling.Options{Seed: 1})
			if err != nil {
				t.Fatal(algorithm, policy, err)
			}
			if math.Abs(out.Best.Value.Numbers[0]+0.5) > 1e-12 || out.Evaluations < 52 {
				t.Errorf("%s, %s: %d evaluations, the best has %v", algorithm, policy, out.Evaluations, out.Best.Value)
			}
		}
	}
}

func TestModelBasedSearchesAtTheEdges(t *testing.T) {
	for _, algorithm := range []string{sampling.TPE, sampling.GP, sampling.Evolution, sampling.Random} {
		t.Run(algorithm, func(t *testing.T) {
			s := modeled(algorithm, 1)
			if out := s.run(t, sampling.Options{}, s.evaluator()); out.Evaluations != 1 || !out.Best.Aggregated {
				t.Errorf("with a budget of one: %+v", out)
			}
			s.settings.Policy = sampling.All // of which one neighborhood does not fit
			if _, err := s.try(sampling.Options{}, s.evaluator()); !errors.Is(err, sampling.ErrNone) || !strings.Contains(err.Error(), "raise the budget") {
				t.Errorf("a budget too small for a neighborhood: %v", err)
			}
			s = modeled(algorithm, 40)
			s.fails = func(space.Architecture) bool { return true }
			if _, err := s.try(sampling.Options{}, s.evaluator()); !errors.Is(err, sampling.ErrNone) || !strings.Contains(err.Error(), "40 failed; the first, ") {
				t.Errorf("everything fails: %v", err)
			}
			// Only one can be evaluated: without the center in its neighborhood, nothing can be said of it.
			only := space.Architecture{1, 1, 1, 1}
			s = modeled(algorithm, 81)
			s.fails = func(a space.Architecture) bool { return !a.Equal(only) }
			e := s.evaluator()
			out, err := s.try(sampling.Options{}, e)
			if err != nil && !(algorithm == sampling.Evolution && errors.Is(err, sampling.ErrNone)) { // which may not have met it
				t.Fatal(err)
			}
			if err == nil && !out.Best.Architecture.Equal(only) {
				t.Errorf("%v is chosen, all but %v fail", out.Best.Architecture, only)
			}
		})
	}
}

// What computes the same does not count twice with leave_out, which leaves an architecture with no neighbor but its equals alone.
func TestNeighborhoodsOfEqualsAreFilled(t *testing.T) {
	s := setup{space: space.NASBench201(), settings: sampling.DefaultSettings(), seed: 5}
	s.settings.Algorithm, s.settings.Budget, s.settings.Policy, s.settings.Neighborhood.Samples = sampling.GP, 60, sampling.Modeled, 0
	s.settings.Neighborhood.Equivalents, s.settings.MergeEqual = neighborhood.EquivalentsLeftOut, true
	e := s.evaluator()
	out := s.run(t, sampling.Options{}, e)
	if out.Evaluations != 60 || !out.Best.Aggregated || math.IsNaN(out.Best.Value.Numbers[0]) {
		t.Errorf("%+v", out.Best)
	}
}

// A space that a search can evaluate as a whole is, and then the search ends.
func TestModelBasedSearchesExhaustASpace(t *testing.T) {
	for _, algorithm := range []string{sampling.TPE, sampling.GP} {
		for _, policy := range sampling.Policies() {
			s := modeled(algorithm, 1000)
			s.settings.Policy, s.settings.Neighborhood.Samples = policy, 0
			if policy == sampling.Sampled {
				s.settings.Neighborhood.Samples = 2
			}
			if out := s.run(t, sampling.Options{}, s.evaluator()); out.Evaluations != 81 {
				t.Errorf("%s, %s evaluated %d of 81 architectures", algorithm, policy, out.Evaluations)
			}
		}
	}
}

// A model leads to better architectures than chance does, and around what breaks a constraint.
func TestModelsLead(t *testing.T) {
	smooth := func(out *sampling.Outcome) float64 { return out.Best.Own.Metrics["smooth"] }
	limit := 14.0
	bounded := objective.DefaultSettings()
	bounded.Constraints = []objective.Constraint{{Metric: "cost", AtMost: &limit}}
	within, err := objective.New(bounded)
	if err != nil {
		t.Fatal(err)
	}
	mean := map[string]float64{}
	for _, algorithm := range []string{sampling.Random, sampling.TPE, sampling.GP} {
		for at := range uint64(4) {
			s := setup{space: space.NASBench201(), settings: sampling.DefaultSettings(), seed: at}
			s.settings.Algorithm, s.settings.Budget, s.settings.Policy, s.settings.Neighborhood.Samples = algorithm, 60, sampling.Modeled, 0
			mean[algorithm] += smooth(s.run(t, sampling.Options{}, s.evaluator())) / 4
			out := s.run(t, sampling.Options{Objective: within}, s.evaluator())
			mean[algorithm+" within"] += smooth(out) / 4
			if cost := out.Best.Own.Metrics["cost"]; cost > limit {
				t.Errorf("%s chooses what costs %v, at most %v is allowed", algorithm, cost, limit)
			}
		}
	}
	for _, within := range []string{"", " within"} {
		for _, algorithm := range []string{sampling.TPE, sampling.GP} {
			if mean[algorithm+within] <= mean[sampling.Random+within]+0.02 {
				t.Errorf("%s%s finds %.3f, random search %.3f", algorithm, within, mean[algorithm+within], mean[sampling.Random+within])
			}
		}
	}
}

// Evolution's population goes by the budget unless it is given.
func TestPopulationByBudget(t *testing.T) {
	for _, c := range []struct{ budget, population, tournament int }{{1, 2, 1}, {50, 20, 5}, {100, 40, 10}, {125, 50, 10}, {1000, 50, 10}} {
		s := setup{space: small(), settings: sampling.DefaultSettings(), seed: 2}
		s.settings.Algorithm, s.settings.Budget, s.settings.Neighborhood.Radius = sampling.Evolution, c.budget, 0
		given := s
		given.settings.Population, given.settings.Tournament = c.population, c.tournament
		a, b := s.evaluator(), given.evaluator()
		s.run(t, sampling.Options{}, a)
		given.run(t, sampling.Options{}, b)
		if fmt.Sprint(a.asked) != fmt.Sprint(b.asked) {
			t.Errorf("with a budget of %d the way is not that of a population of %d and a tournament of %d", c.budget, c.population, c.tournament)
		}
	}
}
