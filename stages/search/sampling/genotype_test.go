package sampling_test

import (
	"math/rand/v2"
	"testing"

	"github.com/plateau-nas/plateau/stages/search/sampling"
	"github.com/plateau-nas/plateau/stages/space"
)

// genotypes is a search of the DARTS space with little noise, and its evaluators.
func genotypes(algorithm, policy string, radius int) (setup, []*counter) {
	s := space.DARTS()
	st := sampling.DefaultSettings()
	st.Algorithm, st.Policy, st.Budget, st.Candidates, st.Neighborhood.Radius = algorithm, policy, 300, 30, radius
	st.Neighborhood.Samples = 6
	if policy == sampling.All || policy == sampling.Modeled {
		st.Neighborhood.Samples = 0
	}
	run := setup{space: s, settings: st, seed: 1}
	levels := run.levels()
	for _, l := range levels {
		l.Peak, l.Noise = s.Random(rand.New(rand.NewPCG(7, 7))), 0.01
	}
	if algorithm != sampling.Halving {
		levels = levels[1:]
	}
	return run, levels
}

func TestGenotypesAreFound(t *testing.T) {
	for _, algorithm := range sampling.Algorithms() {
		run, levels := genotypes(algorithm, sampling.All, 0)
		out := run.run(t, sampling.Options{}, levels...)
		smooth := func(a space.Architecture) float64 { return levels[0].Of(a).Metrics["smooth"] }
		mean, rng := 0.0, rand.New(rand.NewPCG(8, 8))
		for range 200 {
			mean += smooth(run.space.Random(rng)) / 200
		}
		if got := smooth(out.Best.Architecture); got <= mean {
			t.Errorf("%s finds %.2f, the mean of the space is %.2f", algorithm, got, mean)
		}
	}
}

// Whatever the policy, only genotypes are asked for, and the budget is kept.
func TestNeighborhoodsOfGenotypesAreSearched(t *testing.T) {
	for _, algorithm := range sampling.Algorithms() {
		for _, policy := range sampling.Policies() {
			if algorithm == sampling.Halving && policy == sampling.Staged {
				continue
			}
			run, levels := genotypes(algorithm, policy, 1)
			if policy == sampling.Modeled { // needs no whole neighborhood, and looks at each after every evaluation
				run.settings.Budget = 80
			}
			out := run.run(t, sampling.Options{}, levels...)
			for _, l := range levels {
				for _, a := range l.asked {
					if err := run.space.Check(a); err != nil {
						t.Fatalf("%s, %s asks for what is no genotype: %v", algorithm, policy, err)
					}
				}
			}
			if out.Spent > float64(run.settings.Budget) || out.Best.Neighbors == 0 && out.Best.Aggregated && policy != sampling.Modeled {
				t.Errorf("%s, %s: %v of %d evaluations are spent; the best has %d neighbors", algorithm, policy, out.Spent, run.settings.Budget, out.Best.Neighbors)
			}
		}
	}
}
