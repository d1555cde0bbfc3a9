package sampling

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/neighborhood"
)

// The algorithms.
const (
	Random    = "random"    // uniform draws
	Evolution = "evolution" // regularized evolution (Real, Aggarwal, Huang and Le, AAAI 2019)
	Local     = "local"     // hill climbing over all neighbors at distance 1 with restarts (White, Nolen and Savani, UAI 2021)
	// Exhaustive takes every architecture of the space, or as many uniform draws as there is budget: for scores so cheap that choosing
	// what to score would gain nothing.
	Exhaustive = "exhaustive"
	Halving    = "halving" // successive halving over training budgets (Jamieson and Talwalkar, AISTATS 2016)
	TPE        = "tpe"     // tree-structured Parzen estimator (Bergstra, Bardenet, Bengio and Kégl, NeurIPS 2011)
	GP         = "gp"      // Bayesian optimization by a Gaussian process' upper confidence bound (Srinivas et al., ICML 2010)
)

// Algorithms returns the names of all algorithms.
func Algorithms() []string { return []string{Random, Evolution, Local, Halving, Exhaustive, TPE, GP} }

// The neighbor policies.
const (
	All     = "all"     // every neighbor of every candidate is evaluated
	Sampled = "sampled" // so many drawn neighbors of every candidate
	Staged  = "staged"  // candidates are evaluated alone, and only the top share of them gets a neighborhood
	Modeled = "model"   // what is not known of a neighborhood is filled in by a Gaussian process, and no neighbor is evaluated for it
	Shared  = "shared"  // whatever is known within the radius is aggregated, and no neighbor is evaluated for it, or few
)

// Policies returns the names of all neighbor policies.
func Policies() []string { return []string{All, Sampled, Staged, Shared, Modeled} }

// Settings say how to search.
type Settings struct {
	Algorithm    string                       `yaml:"algorithm" enum:"random,evolution,local,halving,exhaustive,tpe,gp" doc:"random, evolution (regularized), local (hill climbing with restarts), halving (successive halving over training budgets), exhaustive (every architecture of the space, with the evaluator scores all that was scored, or as many uniform draws as the budget allows where it does not cover them all), tpe (tree-structured Parzen estimator) or gp (Bayesian optimization with a Gaussian process)."`
	Budget       int                          `yaml:"budget" doc:"Evaluations, those of neighbors included; what is known already costs nothing."`
	Neighborhood neighborhood.Settings        `yaml:"neighborhood" doc:"The neighborhood whose scores are aggregated; radius 0 is the plain search."`
	MergeEqual   bool                         `yaml:"merge_equal" doc:"Whether an architecture that computes the same function as one that was evaluated takes over its result, which costs nothing then. On NAS-Bench-201's table, where such architectures differ by little, searches find more with it; shared weights and trainings score them a little differently, as other weights are trained, and costs that are counted by operations, dead ones included, are those of the first."`
	Policy       string                       `yaml:"policy" enum:"all,sampled,staged,shared,model" doc:"Which neighbors are evaluated: all, sampled (neighborhood.samples of them), staged (only for the top share of the candidates), shared (none but neighborhood.samples; every score known within the radius counts) or model (none; a Gaussian process fills in what is not known of a neighborhood)."`
	Share        float64                      `yaml:"share" doc:"For staged: the share of the candidates, best own score first, that get a neighborhood."`
	After        float64                      `yaml:"after" doc:"For staged: the share of the budget that is spent before the first neighborhood. For gp with the policy model: before neighbors of the best are evaluated to be sure of it."`
	Prior        float64                      `yaml:"prior" doc:"For shared: the weight, in scores, of the mean of all known scores in every aggregate, so that a few lucky scores do not decide; 0 leaves it out."`
	Population   int                          `yaml:"population" doc:"For evolution: the architectures alive; 0 takes two fifths of the budget, at most 50."`
	Tournament   int                          `yaml:"tournament" doc:"For evolution: how many are drawn, the best of which is mutated; 0 takes a quarter of the population, at most 10."`
	Startup      int                          `yaml:"startup" doc:"For tpe and gp: uniform draws before the model leads; 0 takes 10 for tpe, and for gp a fifth of the budget, at least 10."`
	Explore      float64                      `yaml:"explore" doc:"For gp: how many standard deviations are added to the mean of what is not known; the more, the further away is looked."`
	Model        neighborhood.ProcessSettings `yaml:"model" doc:"The Gaussian process of gp and of the policy model."`
	Candidates   int                          `yaml:"candidates" doc:"For halving: the candidates that a bracket begins with at the lowest training budget."`
	Keep         float64                      `yaml:"keep" doc:"For halving: the share that climbs to the next training budget."`
}

// DefaultSettings returns random search with 250 evaluations on the mean over sampled neighbors, and for the other
// algorithms the parameters of their papers.
func DefaultSettings() Settings {
	n := neighborhood.DefaultSettings()
	n.Samples = 4
	return Settings{
		Algorithm: Random, Budget: 250, Neighborhood: n, Policy: Sampled,
		Share: 0.05, After: 0.5, Candidates: 27, Keep: 1.0 / 3,
		Explore: 3, Model: neighborhood.ProcessSettings{Length: 3, Noise: 0.2},
	}
}

// Validate reports every mistake, each as a *pipeline.SettingError with a path relative to the settings.
func (st Settings) Validate() error { return st.ValidateUnder("") }

// ValidateUnder is Validate with paths below the setting that holds these settings.
func (st Settings) ValidateUnder(path string) error {
	var errs []error
	at := func(setting string) string { return strings.TrimPrefix(path+"."+setting, ".") }
	check := func(ok bool, setting, format string, args ...any) {
		if !ok {
			errs = append(errs, &pipeline.SettingError{Path: at(setting), Err: fmt.Errorf(format, args...)})
		}
	}
	if !slices.Contains(Algorithms(), st.Algorithm) {
		errs = append(errs, pipeline.UnknownValue(at("algorithm"), st.Algorithm, Algorithms()))
	}
	if !slices.Contains(Policies(), st.Policy) {
		errs = append(errs, pipeline.UnknownValue(at("policy"), st.Policy, Policies()))
	}
	errs = append(errs, st.Neighborhood.ValidateUnder(at("neighborhood")))
	check(st.Budget >= 1, "budget", "%d evaluations; at least 1 is needed", st.Budget)
	if st.Neighborhood.Radius > 0 {
		switch st.Policy {
		case All, Modeled:
			check(st.Neighborhood.Samples == 0, "policy", "%s takes every neighbor, but neighborhood.samples is %d; set that to 0, or use %s", st.Policy, st.Neighborhood.Samples, Sampled)
			check(st.Policy == All || st.Algorithm != GP || st.After >= 0 && st.After <= 1, "after", "%v is not at least 0 and at most 1", st.After)
		case Sampled:
			check(st.Neighborhood.Samples > 0, "neighborhood.samples", "the policy %s needs the number of neighbors to draw", Sampled)
		case Staged:
			check(st.Share > 0 && st.Share <= 1, "share", "%v is not above 0 and at most 1", st.Share)
			check(st.After >= 0 && st.After < 1, "after", "%v is not at least 0 and below 1", st.After)
			check(st.Algorithm != Halving, "policy", "%s is staged already, by training budgets; use %s, %s or %s", Halving, All, Sampled, Shared)
		case Shared:
			check(st.Prior >= 0 && st.Prior < 1e9, "prior", "%v is not a number of scores", st.Prior)
		}
	}
	if st.Algorithm == GP || st.Policy == Modeled && st.Neighborhood.Radius > 0 {
		errs = append(errs, st.Model.ValidateUnder(at("model")))
	}
	switch st.Algorithm {
	case Evolution:
		check(st.Population == 0 || st.Population >= 2, "population", "%d architectures; at least 2 are needed, or 0 to go by the budget", st.Population)
		check(st.Tournament >= 0, "tournament", "%d architectures are drawn; at least 1 is needed, or 0 to go by the population", st.Tournament)
	case TPE, GP:
		check(st.Startup >= 0, "startup", "%d draws; give 1 or more, or 0 to go by the budget", st.Startup)
		check(st.Explore >= 0 && !math.IsInf(st.Explore, 0), "explore", "%v is not a number of standard deviations", st.Explore)
	case Halving:
		check(st.Candidates >= 1, "candidates", "%d candidates; at least 1 is needed", st.Candidates)
		check(st.Keep > 0 && st.Keep < 1, "keep", "%v is not above 0 and below 1", st.Keep)
	}
	return errors.Join(errs...)
}

// byBudget fills in what goes by the budget.
func (st Settings) byBudget() Settings {
	if st.Population == 0 {
		st.Population = max(2, min(50, (2*st.Budget+4)/5))
	}
	if st.Tournament == 0 {
		st.Tournament = min(10, (st.Population+3)/4)
	}
	if st.Startup == 0 {
		if st.Startup = parzenOpened; st.Algorithm == GP {
			st.Startup = max(openedLeast, int(math.Ceil(openedShare*float64(st.Budget))))
		}
	}
	return st
}

// DependsOnBudget tells whether the way of a search depends on the budget that it has in the end, so that what it has after fewer
// evaluations is not what it finds with a smaller budget.
func (st Settings) DependsOnBudget() bool {
	around := st.Neighborhood.Radius > 0
	return around && st.Policy == Staged || st.Algorithm == Evolution && st.Population == 0 ||
		st.Algorithm == GP && (st.Startup == 0 || around && st.Policy == Modeled)
}

// Name returns what the search calls itself in results: "random", and with a neighborhood "na_random" and the policy.
func (st Settings) Name() string {
	if st.Neighborhood.Radius == 0 {
		return st.Algorithm
	}
	return "na_" + st.Algorithm + "_" + st.Policy
}
