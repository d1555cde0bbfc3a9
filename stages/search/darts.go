package search

import (
	"context"

	"github.com/plateau-nas/plateau/stages/result"
)

// darts moves alpha and the shared weights in turn (Liu, Simonyan, Yang, ICLR 2019, and kin; on the neighborhood's
// aggregated loss when the radius is not 0) and derives the architecture that it stands for.
// The finalists are that architecture and the next most probable ones; all are scored by weight sharing, for the
// record and for the stages after this one, but the choice is alpha's.
func (r *run) darts(ctx context.Context) (*result.Architecture, error) {
	a, err := r.newAlpha()
	if err != nil {
		return nil, err
	}
	if err := r.train(ctx, a); err != nil {
		return nil, err
	}
	r.job.Metric("alpha_steps", float64(a.steps))
	r.job.Metric("alpha_passes", float64(a.passes))
	p := a.at(a.theta())
	scored, err := r.score(ctx, r.space.MostProbable(p.weights(), r.Finalists))
	if err != nil {
		return nil, err
	}
	out := r.found(scored, r.name())
	out.Alpha, out.Probabilities, out.EdgeWeights = a.table(), p.probabilities, p.edges
	if skips, edges := r.space.CountOperation(scored[0].Center, "skip_connect"), len(r.space.Chosen(scored[0].Center)); skips*2 > edges {
		r.job.Warn("the search has gone to skip connections on %d of %d edges, a known collapse of differentiable search; compare with the neighborhood ranking", skips, edges)
	}
	return out, nil
}
