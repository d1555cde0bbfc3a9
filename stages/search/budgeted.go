package search

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/search/sampling"
)

// BudgetSettings say how a search by sampling spends a number of evaluations with the shared weights. What is left out or 0
// has the default of package sampling.
type BudgetSettings struct {
	Evaluations int                           `yaml:"evaluations" doc:"Evaluations, those of neighbors included; what is known already costs nothing."`
	Policy      string                        `yaml:"policy" enum:"all,sampled,staged,shared,model" doc:"Which neighbors are evaluated: all, sampled (neighborhood.samples of them), staged (only for the top share of the candidates), shared (none but neighborhood.samples; every score known within the radius counts) or model (none; a Gaussian process fills in what is not known of a neighborhood). Left out, all, or sampled where neighborhood.samples is set."`
	MergeEqual  bool                          `yaml:"merge_equal" doc:"Whether an architecture that computes the same function as one that was evaluated takes over its result, which costs nothing then. Shared weights score such architectures differently, since other weights of theirs are trained."`
	Share       float64                       `yaml:"share" doc:"For staged: the share of the candidates, best own score first, that get a neighborhood."`
	After       float64                       `yaml:"after" doc:"For staged: the share of the evaluations before the first neighborhood. For gp with the policy model: before neighbors of the best are evaluated to be sure of it."`
	Prior       float64                       `yaml:"prior" doc:"For shared: the weight, in scores, of the mean of all known scores in every aggregate."`
	Population  int                           `yaml:"population" doc:"For evolution: the architectures alive; left out, by the budget."`
	Tournament  int                           `yaml:"tournament" doc:"For evolution: how many are drawn, the best of which is mutated; left out, by the population."`
	Startup     int                           `yaml:"startup" doc:"For tpe and gp: uniform draws before the model leads; left out, 10 for tpe, and for gp a fifth of the evaluations, at least 10."`
	Explore     float64                       `yaml:"explore" doc:"For gp: how many standard deviations are added to the mean of what is not known."`
	Model       *neighborhood.ProcessSettings `yaml:"model,omitempty" doc:"The Gaussian process of gp and of the policy model."`
	Bracket     int                           `yaml:"bracket" doc:"For halving: the candidates that a bracket begins with."`
	Keep        float64                       `yaml:"keep" doc:"For halving: the share that climbs on."`
	Images      []int                         `yaml:"images" doc:"For halving: numbers of validation images to score on before all of score_images, ascending. An evaluation on fewer counts as less."`
}

// budgeted tells whether the search spends a budget of evaluations once the weights are trained.
func (s *Settings) budgeted() bool {
	return s.Budget != nil || slices.Contains([]string{sampling.Evolution, sampling.Local, sampling.Halving, sampling.TPE, sampling.GP}, s.Algorithm)
}

// sampling returns the settings of the search by sampling.
func (s *Settings) sampling() sampling.Settings {
	st := sampling.DefaultSettings()
	b := BudgetSettings{}
	if s.Budget != nil {
		b = *s.Budget
	}
	st.Algorithm, st.Neighborhood, st.Policy = s.Algorithm, s.Neighborhood, b.Policy
	st.MergeEqual = b.MergeEqual
	if st.Policy == "" {
		if st.Policy = sampling.All; s.Neighborhood.Samples > 0 {
			st.Policy = sampling.Sampled
		}
	}
	for _, f := range []struct {
		to   *float64
		from float64
	}{{&st.Share, b.Share}, {&st.After, b.After}, {&st.Prior, b.Prior}, {&st.Explore, b.Explore}, {&st.Keep, b.Keep}} {
		if f.from != 0 {
			*f.to = f.from
		}
	}
	for _, f := range []struct {
		to   *int
		from int
	}{{&st.Budget, b.Evaluations}, {&st.Population, b.Population}, {&st.Tournament, b.Tournament}, {&st.Startup, b.Startup}, {&st.Candidates, b.Bracket}} {
		if f.from != 0 {
			*f.to = f.from
		}
	}
	if b.Model != nil {
		st.Model = *b.Model
	}
	return st
}

// validateBudget reports what is wrong with the settings of a search that spends a budget.
func (s *Settings) validateBudget(check func(ok bool, path, format string, args ...any)) error {
	switch {
	case !slices.Contains(append(sampling.Algorithms(), GradientAlgorithms()...), s.Algorithm):
		return nil // reported already
	case s.gradient():
		check(false, "budget", "%s follows gradients and spends no budget of evaluations; remove it, or use random, evolution, local, halving, tpe or gp", s.Algorithm)
		return nil
	}
	check(s.Weights.At == AtPath || s.given(), "weights.at", "a search by sampling has no center to train the weights at; use %q", AtPath)
	check(s.Weights.Epochs <= 0 || s.Weights.Epochs >= s.Epochs, "weights.epochs", "%d leaves the search nothing to do in the later of the %d epochs; use 0, or fewer epochs", s.Weights.Epochs, s.Epochs)
	var images []int
	if s.Budget != nil {
		images = s.Budget.Images
	}
	check(s.Algorithm != sampling.Halving || len(images) > 0, "budget.images", "%s needs at least one smaller number of images to begin with", sampling.Halving)
	check(s.Algorithm == sampling.Halving || len(images) == 0, "budget.images", "%s scores on score_images only; use %s", s.Algorithm, sampling.Halving)
	for i, n := range images {
		at := fmt.Sprintf("budget.images[%d]", i)
		check(n >= 1 && (s.ScoreImages == 0 || n < s.ScoreImages), at, "%d images is not between 1 and the score_images %d", n, s.ScoreImages)
		check(i == 0 || n > images[i-1], at, "%d comes after %d; the numbers are ascending", n, images[max(0, i-1)])
	}
	if s.Neighborhood.Validate() != nil {
		return nil // reported already
	}
	return renamed(s.sampling().ValidateUnder("budget"), map[string]string{
		"budget.budget": "budget.evaluations", "budget.candidates": "budget.bracket", "budget.neighborhood.samples": "neighborhood.samples",
	})
}

// renamed gives setting errors the paths that the settings have here.
func renamed(err error, paths map[string]string) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, one := range many.Unwrap() {
			out = append(out, renamed(one, paths))
		}
		return errors.Join(out...)
	}
	if one, ok := err.(*pipeline.SettingError); ok && paths[one.Path] != "" {
		return &pipeline.SettingError{Path: paths[one.Path], Err: one.Err, Known: one.Known}
	}
	return err
}

// budget trains the shared weights on uniform single paths and then searches by sampling.
func (r *run) budget(ctx context.Context) (*result.Architecture, error) {
	if err := r.train(ctx, nil); err != nil {
		return nil, err
	}
	r.restore()
	st := r.sampling()
	fidelities, err := r.fidelities(ctx)
	if err != nil {
		return nil, err
	}
	began, saved := time.Now(), time.Now()
	out, err := sampling.Search(ctx, r.space, st, fidelities, sampling.Options{
		Seed: r.job.Seed,
		Progress: func(spent float64, best *sampling.Candidate) error {
			rate := spent / time.Since(began).Seconds()
			p := event.Progress{Phase: "score", Done: int(spent), Total: st.Budget, Unit: "evaluation", Rate: rate, Remaining: (float64(st.Budget) - spent) / rate}
			if best != nil {
				p.Note = r.space.Format(best.Architecture)
			}
			r.job.Progress(p)
			if time.Since(saved) < 2*time.Second {
				return nil
			}
			saved = time.Now()
			return r.cache.Keep(r.scratch(scoresFile), r.space, r.sharing.Sample())
		},
	})
	if err != nil {
		return nil, err
	}
	if out.Failed > 0 {
		r.job.Warn("%d of %d evaluations failed; those architectures were never chosen", out.Failed, out.Evaluations)
	}
	r.job.Metric("evaluations", float64(out.Evaluations))
	return r.chosen(out, st), nil
}

// fidelities returns the evaluators on ever more images; all but that for halving is the last one.
func (r *run) fidelities(ctx context.Context) ([]sampling.Fidelity, error) {
	all := sampling.Fidelity{Name: "all images", Cost: 1, Evaluator: r.cache}
	if r.Algorithm != sampling.Halving {
		return []sampling.Fidelity{all}, nil
	}
	model, err := os.ReadFile(r.path("path"))
	if err != nil {
		return nil, fmt.Errorf("loading the supernet: %w", err)
	}
	var out []sampling.Fidelity
	for _, images := range r.Budget.Images {
		w, err := score.NewWeightSharing(ctx, r.rt, model, r.space, r.weights, r.data.Valid, r.data.Mean, r.data.Std, score.SharingOptions{Images: images})
		if err != nil {
			return nil, err
		}
		r.closers = append(r.closers, w.Close)
		out = append(out, sampling.Fidelity{
			Name: fmt.Sprintf("%d images", w.Images()), Cost: float64(w.Images()) / float64(r.sharing.Images()), Evaluator: score.NewCache(w),
		})
	}
	return append(out, all), nil
}

// chosen describes what a search by sampling has found.
func (r *run) chosen(out *sampling.Outcome, st sampling.Settings) *result.Architecture {
	a := result.NewArchitecture(r.space, out.Best.Architecture)
	a.Algorithm, a.Seed, a.Settings = st.Name(), r.job.Seed, r.settings
	aggregate := func(c sampling.Candidate) *float64 {
		if !c.Aggregated {
			return nil
		}
		return &slices.Clone(c.Value.Numbers)[0]
	}
	a.OwnScore, a.NeighborhoodScore = &out.Best.Own.Score, aggregate(out.Best)
	for _, c := range out.Ranked[:min(r.Finalists, len(out.Ranked))] {
		a.Candidates = append(a.Candidates, result.Candidate{Architecture: r.space.Format(c.Architecture), Score: c.Own.Score, NeighborhoodScore: aggregate(c)})
	}
	return a
}
