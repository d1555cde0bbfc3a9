package regret

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/search/sampling"
)

// The confidence intervals of a mean.
const (
	Bootstrap = "bootstrap" // percentile bootstrap (Efron 1979)
	Normal    = "normal"    // mean +- z s / sqrt(n)
)

// Settings are the settings of the stage kind "regret".
type Settings struct {
	Seeds       int      `yaml:"seeds" doc:"How often every search runs, each time with another seed."`
	Budgets     []int    `yaml:"budgets" doc:"Numbers of evaluations after which the regret is taken, ascending. A search whose way depends on its budget runs anew for each, all others once to the last."`
	Searches    []Search `yaml:"searches" doc:"What is compared."`
	TruthColumn string   `yaml:"truth_column" doc:"Column of the truth table that is the truth; empty takes the one that serves as its score."`
	Interval    string   `yaml:"interval" enum:"bootstrap,normal" doc:"Confidence interval of a mean regret: bootstrap (percentiles of resampled means) or normal."`
	Level       float64  `yaml:"level" doc:"Confidence level of the intervals."`
	Resamples   int      `yaml:"resamples" doc:"Resamples of the bootstrap."`
	Workers     int      `yaml:"workers" key:"-" doc:"Searches that run at once; 0 takes one a core. Results do not depend on it."`
}

// Search is one of the searches that are compared. What is left out has the default of the search itself.
type Search struct {
	Name        string  `yaml:"name" json:"name" doc:"Names the search in results: letters, digits and _."`
	Algorithm   string  `yaml:"algorithm" json:"algorithm" enum:"random,evolution,local,tpe,gp" doc:"random, evolution, local, tpe or gp."`
	Radius      int     `yaml:"radius" json:"radius" doc:"Radius of the neighborhood; 0 is the plain search."`
	Policy      string  `yaml:"policy" json:"policy,omitempty" enum:"all,sampled,staged,shared,model" doc:"Which neighbors are evaluated; needed where there is a radius."`
	Samples     int     `yaml:"samples" json:"samples,omitempty" doc:"Neighbors drawn for a center; 0 takes all, or for shared none."`
	Aggregate   string  `yaml:"aggregate" json:"aggregate,omitempty" enum:"mean,weighted_mean,median,trimmed_mean,min,quantile,soft_min,mean_std" doc:"What is made of the scores of a neighborhood; the mean if left out."`
	Equivalents string  `yaml:"equivalents" json:"equivalents,omitempty" enum:"all,once,leave_out" doc:"How neighbors count that compute the same function: all, once or leave_out; all if left out."`
	MergeEqual  bool    `yaml:"merge_equal" json:"merge_equal,omitempty" doc:"Whether an architecture takes over the result of one that computes the same, which costs nothing then."`
	Quantile    float64 `yaml:"quantile" json:"quantile,omitempty" doc:"For quantile: which one."`
	Lambda      float64 `yaml:"lambda" json:"lambda,omitempty" doc:"For mean_std: how many standard deviations are taken from the mean."`
	Decay       float64 `yaml:"decay" json:"decay,omitempty" doc:"For weighted_mean: the factor by which a weight falls with each step away."`
	Share       float64 `yaml:"share" json:"share,omitempty" doc:"For staged: the share of the candidates that get a neighborhood."`
	After       float64 `yaml:"after" json:"after,omitempty" doc:"For staged: the share of the budget before the first neighborhood. For gp with the policy model: before neighbors of the best are evaluated."`
	Prior       float64 `yaml:"prior" json:"prior,omitempty" doc:"For shared: the weight, in scores, of the mean of all known scores."`
	Population  int     `yaml:"population" json:"population,omitempty" doc:"For evolution: the architectures alive; left out, by the budget."`
	Tournament  int     `yaml:"tournament" json:"tournament,omitempty" doc:"For evolution: how many are drawn, the best of which is mutated; left out, by the population."`
	Startup     int     `yaml:"startup" json:"startup,omitempty" doc:"For tpe and gp: uniform draws before the model leads; left out, by the budget."`
	Explore     float64 `yaml:"explore" json:"explore,omitempty" doc:"For gp: how many standard deviations are added to the mean."`
	Length      float64 `yaml:"length" json:"length,omitempty" doc:"For gp and the policy model: the length of the Gaussian process."`
	Noise       float64 `yaml:"noise" json:"noise,omitempty" doc:"For gp and the policy model: its noise."`
}

// settings returns the search's settings at a budget.
func (s Search) settings(budget int) sampling.Settings {
	st := sampling.DefaultSettings()
	st.Algorithm, st.Budget = s.Algorithm, budget
	st.Neighborhood.Radius, st.Neighborhood.Samples = s.Radius, s.Samples
	text := func(to *string, from string) {
		if from != "" {
			*to = from
		}
	}
	number := func(to *float64, from float64) {
		if from != 0 {
			*to = from
		}
	}
	st.Policy = sampling.All
	text(&st.Policy, s.Policy)
	text(&st.Neighborhood.Aggregate, s.Aggregate)
	text(&st.Neighborhood.Equivalents, s.Equivalents)
	st.MergeEqual = s.MergeEqual
	number(&st.Neighborhood.Quantile, s.Quantile)
	number(&st.Neighborhood.Lambda, s.Lambda)
	number(&st.Neighborhood.Decay, s.Decay)
	number(&st.Share, s.Share)
	number(&st.After, s.After)
	number(&st.Prior, s.Prior)
	number(&st.Explore, s.Explore)
	number(&st.Model.Length, s.Length)
	number(&st.Model.Noise, s.Noise)
	st.Population, st.Tournament, st.Startup = s.Population, s.Tournament, s.Startup
	return st
}

// plain tells whether the search has no neighborhood.
func (s Search) plain() bool { return s.Radius == 0 }

// DefaultSettings returns random search with and without neighborhoods.
func DefaultSettings() Settings {
	return Settings{
		Seeds: 500, Budgets: []int{50, 100, 250, 500}, Interval: Bootstrap, Level: 0.95, Resamples: 1000,
		Searches: []Search{
			{Name: "random", Algorithm: sampling.Random},
			{Name: "na_random_all", Algorithm: sampling.Random, Radius: 1, Policy: sampling.All},
			{Name: "na_random_staged", Algorithm: sampling.Random, Radius: 1, Policy: sampling.Staged},
		},
	}
}

var (
	_         pipeline.Stage     = (*Settings)(nil)
	_         pipeline.Validator = (*Settings)(nil)
	validName                    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)
)

// Validate implements pipeline.Validator. It reports every mistake.
func (s *Settings) Validate() error {
	var errs []error
	check := func(ok bool, path, format string, args ...any) {
		if !ok {
			errs = append(errs, &pipeline.SettingError{Path: path, Err: fmt.Errorf(format, args...)})
		}
	}
	check(s.Seeds >= 2, "seeds", "%d seeds; at least 2 are needed to compare", s.Seeds)
	check(len(s.Budgets) > 0, "budgets", "no budget is given")
	for i, b := range s.Budgets {
		at := fmt.Sprintf("budgets[%d]", i)
		check(b >= 1, at, "%d evaluations; at least 1 is needed", b)
		check(i == 0 || b > s.Budgets[i-1], at, "%d comes after %d; budgets are ascending", b, s.Budgets[max(0, i-1)])
	}
	if s.Interval != Bootstrap && s.Interval != Normal {
		errs = append(errs, pipeline.UnknownValue("interval", s.Interval, []string{Bootstrap, Normal}))
	}
	check(s.Level > 0 && s.Level < 1, "level", "%v is not between 0 and 1", s.Level)
	check(s.Interval != Bootstrap || s.Resamples >= 100, "resamples", "%d resamples; at least 100 are needed", s.Resamples)
	check(s.Workers >= 0, "workers", "%d; give a number of at least 0", s.Workers)
	check(len(s.Searches) > 0, "searches", "no search is given")
	known := []string{sampling.Random, sampling.Evolution, sampling.Local, sampling.TPE, sampling.GP}
	for i, one := range s.Searches {
		at := fmt.Sprintf("searches[%d]", i)
		check(validName.MatchString(one.Name), at+".name", "%q; a name has letters, digits and _ and begins with a letter", one.Name)
		check(!slices.ContainsFunc(s.Searches[:i], func(o Search) bool { return o.Name == one.Name }), at+".name", "%q is there twice", one.Name)
		check(!slices.ContainsFunc(s.Searches[:i], func(o Search) bool {
			return o.plain() && one.plain() && o.Algorithm == one.Algorithm && o.MergeEqual == one.MergeEqual
		}), at, "there is a plain %s search already, with which the others are paired", one.Algorithm)
		if !slices.Contains(known, one.Algorithm) {
			errs = append(errs, pipeline.UnknownValue(at+".algorithm", one.Algorithm, known))
			continue
		}
		check(one.plain() || one.Policy != "", at+".policy", "a search with a neighborhood needs one of %s", strings.Join(sampling.Policies(), ", "))
		check(one.Radius <= 3, at+".radius", "%d; use at most 3, within which 1544 of the neighbors lie in NAS-Bench-201", one.Radius)
		if one.plain() || one.Policy != "" {
			errs = append(errs, one.settings(max(1, last(s.Budgets))).ValidateUnder(at))
		}
	}
	return errors.Join(errs...)
}

func last(v []int) int {
	if len(v) == 0 {
		return 0
	}
	return v[len(v)-1]
}
