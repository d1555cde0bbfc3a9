package search

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
)

// random trains the shared weights on uniform single paths (Guo et al., ECCV 2020; Li and Talwalkar, UAI 2019), then
// draws candidates and scores each one's neighborhood.
func (r *run) random(ctx context.Context) (*result.Architecture, error) {
	if err := r.train(ctx, nil); err != nil {
		return nil, err
	}
	return r.choose(ctx, r.draw(), r.name())
}

// draw returns distinct architectures, uniformly drawn.
func (r *run) draw() []space.Architecture {
	rng := seed.New(r.job.Seed, "candidates")
	seen := map[string]bool{}
	var out []space.Architecture
	for len(out) < min(r.Candidates, r.space.Size()) {
		a := r.space.Random(rng)
		if !seen[a.Key()] {
			seen[a.Key()] = true
			out = append(out, a)
		}
	}
	return out
}

// score scores the neighborhoods of the candidates, in order. What was scored before a kill is not scored again.
func (r *run) score(ctx context.Context, candidates []space.Architecture) ([]neighborhood.Scored, error) {
	r.restore()
	objective, err := neighborhood.NewObjective(r.space, r.Neighborhood, r.cache)
	if err != nil {
		return nil, err
	}
	began, before := time.Now(), len(r.cache.Known())
	saved := began
	r.cache.Answered = func(done, total int) error {
		rate := float64(len(r.cache.Known())-before) / time.Since(began).Seconds()
		r.job.Progress(event.Progress{Phase: "score", Done: done, Total: total, Unit: "architecture", Rate: rate, Remaining: float64(total-done) / rate, Final: done == total})
		if time.Since(saved) < 2*time.Second && done < total {
			return nil
		}
		saved = time.Now()
		return r.cache.Keep(r.scratch(scoresFile), r.space, r.sharing.Sample())
	}
	return objective.Score(ctx, candidates, seed.New(r.job.Seed, "neighbors"))
}

// restore makes known what an earlier, killed run has scored with the same weights.
func (r *run) restore() {
	n, err := r.cache.Restore(r.scratch(scoresFile), r.space, r.sharing.Sample())
	switch {
	case err != nil:
		r.job.Warn("%v; all architectures are scored again", err)
	case n > 0:
		r.job.Info("continuing with %d architectures scored", n)
	}
}

// choose scores the candidates, ranks them by the aggregate and takes the best; of equals, the first drawn.
func (r *run) choose(ctx context.Context, candidates []space.Architecture, algorithm string) (*result.Architecture, error) {
	scored, err := r.score(ctx, candidates)
	if err != nil {
		return nil, err
	}
	if scored, err = r.usable(scored); err != nil {
		return nil, err
	}
	slices.SortStableFunc(scored, func(a, b neighborhood.Scored) int { return cmp.Compare(b.Aggregate, a.Aggregate) })
	return r.found(scored, algorithm), nil
}

// usable leaves out the candidates that failed, and says so. That all of them fail is an error.
func (r *run) usable(scored []neighborhood.Scored) ([]neighborhood.Scored, error) {
	var failed []neighborhood.Scored
	var out []neighborhood.Scored
	for _, s := range scored {
		if s.OK() {
			out = append(out, s)
		} else {
			failed = append(failed, s)
		}
	}
	if len(failed) == 0 {
		return out, nil
	}
	first := fmt.Sprintf("%s: %s", r.space.Format(failed[0].Center), failed[0].Failure)
	if len(out) == 0 {
		return nil, fmt.Errorf("none of the %d candidates could be evaluated; the first, %s", len(scored), first)
	}
	r.job.Warn("%d of %d candidates could not be evaluated and are left out; the first, %s", len(failed), len(scored), first)
	return out, nil
}

// found describes the result: the first of the scored architectures, and the finalists.
func (r *run) found(scored []neighborhood.Scored, algorithm string) *result.Architecture {
	out := result.NewArchitecture(r.space, scored[0].Center)
	out.Algorithm, out.Seed, out.Settings = algorithm, r.job.Seed, r.settings
	out.OwnScore = &scored[0].Own.Score
	if r.Neighborhood.Radius > 0 {
		out.NeighborhoodScore = &scored[0].Aggregate
	}
	for i := range scored[:min(r.Finalists, len(scored))] {
		s := &scored[i]
		c := result.Candidate{Architecture: r.space.Format(s.Center), Score: s.Own.Score}
		if r.Neighborhood.Radius > 0 {
			c.NeighborhoodScore = &s.Aggregate
		}
		out.Candidates = append(out.Candidates, c)
	}
	return out
}
