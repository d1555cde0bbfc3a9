package sampling_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/score/objective"
	"github.com/plateau-nas/plateau/stages/search/sampling"
	"github.com/plateau-nas/plateau/stages/space"
)

// ranks is an objective of two metrics with opposite signs, by their ranks.
func ranks(t interface {
	Helper()
	Fatal(...any)
}, own bool) *objective.Objective {
	t.Helper()
	o, err := objective.New(objective.Settings{Combine: objective.Ranks, Goals: []objective.Goal{
		{Metric: "smooth", Weight: 2}, {Metric: "cost", Weight: -1, Own: own},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// byHand is what a ranking is by its definition: over all architectures, one metric at a time.
func byHand(e *counter, all []space.Architecture, own bool, a neighborhood.Aggregator, radius int) map[string]float64 {
	results := make([]score.Result, len(all))
	for i, x := range all {
		results[i] = e.Of(x)
	}
	rank := func(i int, metric string, sign float64) float64 {
		if !results[i].OK() {
			return 0
		}
		better, tied := 0, 0
		for j, r := range results {
			switch {
			case j == i:
			case !r.OK() || sign*r.Metrics[metric] < sign*results[i].Metrics[metric]:
				better++
			case r.Metrics[metric] == results[i].Metrics[metric]:
				tied++
			}
		}
		return (float64(better) + float64(tied)/2) / float64(len(all)-1)
	}
	out := map[string]float64{}
	for i, x := range all {
		if !results[i].OK() {
			continue
		}
		var members, distances []float64
		for j, y := range all {
			if d := e.Space.Distance(x, y); d <= radius {
				v := 2 * rank(j, "smooth", 1) / 3
				if !own {
					v += rank(j, "cost", -1) / 3
				}
				if !results[j].OK() {
					v = 0
				}
				members, distances = append(members, v), append(distances, float64(d))
			}
		}
		out[x.Key()] = a.Aggregate(members, distances)
		if own {
			out[x.Key()] += rank(i, "cost", -1) / 3
		}
	}
	return out
}

// Whatever the order in which a space comes to be known, what is known of it whole is ranked as the definition says.
func TestRanksOfAWholeSpace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		own := rapid.Bool().Draw(t, "own")
		st := sampling.DefaultSettings()
		st.Algorithm, st.Budget = sampling.Exhaustive, 81
		st.Policy = rapid.SampledFrom([]string{sampling.All, sampling.Shared}).Draw(t, "policy")
		st.Neighborhood.Radius, st.Neighborhood.Samples = rapid.IntRange(0, 2).Draw(t, "radius"), 0
		st.Neighborhood.Aggregate = rapid.SampledFrom([]string{"mean", "mean_std", "min"}).Draw(t, "aggregate")
		aggregator, err := neighborhood.New(st.Neighborhood.AggregatorSettings)
		if err != nil {
			t.Fatal(err)
		}
		x := setup{space: small(), settings: st, seed: 3}
		if rapid.Bool().Draw(t, "failures") {
			x.fails = func(a space.Architecture) bool { return a[0] == 0 && a[1] != 2 }
		}
		e := x.evaluator()
		out := x.run(t, sampling.Options{Objective: ranks(t, own)}, e)
		var all []space.Architecture
		for a := range small().All() {
			all = append(all, a.Clone())
		}
		want := byHand(e, all, own, aggregator, st.Neighborhood.Radius)
		if out.Evaluations != 81 || len(out.Ranked) != len(want) {
			t.Fatalf("%d evaluations, %d of %d ranked", out.Evaluations, len(out.Ranked), len(want))
		}
		for i, c := range out.Ranked {
			v := c.Value.Numbers[0]
			if math.Abs(v-want[c.Architecture.Key()]) > 1e-12 {
				t.Fatalf("%v has %v, by its definition %v", c.Architecture, v, want[c.Architecture.Key()])
			}
			if i > 0 && v > out.Ranked[i-1].Value.Numbers[0]+1e-12 {
				t.Fatalf("number %d is better than the one before", i)
			}
		}
	})
}

// Only the order of the metrics counts: one that is bent changes nothing.
func TestRanksDependOnTheOrderAlone(t *testing.T) {
	for _, algorithm := range []string{sampling.Evolution, sampling.Random, sampling.Local} {
		for _, policy := range sampling.Policies() {
			st := sampling.DefaultSettings()
			st.Algorithm, st.Policy, st.Budget, st.Population, st.Tournament = algorithm, policy, 60, 8, 3
			if st.Neighborhood.Samples = 0; policy == sampling.Sampled {
				st.Neighborhood.Samples = 2
			}
			o, err := objective.New(objective.Settings{Combine: objective.Ranks, Goals: []objective.Goal{{Metric: "score"}}})
			if err != nil {
				t.Fatal(err)
			}
			x := setup{space: small(), settings: st, seed: 5}
			plain := x.run(t, sampling.Options{Objective: o}, x.evaluator())
			o, err = objective.New(objective.Settings{Combine: objective.Ranks, Goals: []objective.Goal{{Metric: "accuracy"}}}) // falls as the loss rises
			if err != nil {
				t.Fatal(err)
			}
			bent := x.run(t, sampling.Options{Objective: o}, x.evaluator())
			if !bent.Best.Architecture.Equal(plain.Best.Architecture) || bent.Best.Value.Numbers[0] != plain.Best.Value.Numbers[0] {
				t.Errorf("%s %s: %v and %v", algorithm, policy, plain.Best, bent.Best)
			}
		}
	}
}

// A pool of one, and one in which everything ties, has nothing to tell apart.
func TestRanksWithoutDifferences(t *testing.T) {
	o, err := objective.New(objective.Settings{Combine: objective.Ranks, Goals: []objective.Goal{{Metric: "same"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 2, 7} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			r := o.NewRanking()
			p, err := o.Of(score.Result{Metrics: map[string]float64{"same": 3}})
			if err != nil {
				t.Fatal(err)
			}
			for range n {
				r.Add(p)
			}
			if v := r.Shared(p); v != 0.5 || r.Mean() != 0.5 {
				t.Errorf("the rank is %v, the mean %v", v, r.Mean())
			}
		})
	}
	st := sampling.DefaultSettings()
	st.Budget, st.Neighborhood.Radius = 1, 0
	x := setup{space: small(), settings: st}
	if out := x.run(t, sampling.Options{Objective: ranks(t, false)}, x.evaluator()); out.Evaluations != 1 || out.Best.Value.Numbers[0] != 0.5 {
		t.Errorf("%+v", out.Best)
	}
}

// A neighbor that failed is the worst of its neighborhood.
func TestFailedNeighborsCountAmongRanks(t *testing.T) {
	st := sampling.DefaultSettings()
	st.Algorithm, st.Budget, st.Policy, st.Neighborhood.Samples = sampling.Exhaustive, 81, sampling.Shared, 0
	x := setup{space: small(), settings: st}
	whole := x.run(t, sampling.Options{Objective: ranks(t, false)}, x.evaluator())
	best := whole.Best.Architecture
	x.fails = func(a space.Architecture) bool { return small().Distance(a, best) == 1 }
	out := x.run(t, sampling.Options{Objective: ranks(t, false)}, x.evaluator())
	at := slices.IndexFunc(out.Ranked, func(c sampling.Candidate) bool { return c.Architecture.Equal(best) })
	if at < 1 || out.Ranked[at].Value.Numbers[0] > whole.Best.Value.Numbers[0]/2 {
		t.Errorf("place %d, %+v", at, out.Ranked[at])
	}
}
