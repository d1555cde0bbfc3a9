package search

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
)

// darts moves alpha and the shared weights in turn (Liu, Simonyan, Yang, ICLR 2019, first order; on the neighborhood's
// aggregated loss when the radius is not 0) and derives the architecture with the most probable operation on each edge.
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
	p := space.Softmax(a.table())
	scored, err := r.score(ctx, mostProbable(r.space, p, r.Finalists))
	if err != nil {
		return nil, err
	}
	out := r.found(scored, r.name())
	out.Alpha, out.Probabilities = a.table(), p
	if skips := r.space.CountOperation(scored[0].Center, "skip_connect"); skips*2 > len(r.space.Edges) {
		r.job.Warn("the search has gone to skip connections on %d of %d edges, a known collapse of differentiable search; compare with the neighborhood ranking", skips, len(r.space.Edges))
	}
	return out, nil
}

// mostProbable returns the k architectures with the largest product of probabilities, largest first; the first is the
// most probable operation on every edge, the first one where several are. It widens a beam edge by edge, which is exact:
// a part of one of the k best is itself among the k best parts.
func mostProbable(s *space.Space, p space.Probabilities, k int) []space.Architecture {
	type part struct {
		a   space.Architecture
		log float64
	}
	beam := []part{{}}
	for e := range s.Edges {
		// Likelier operations come first, so that where rounding makes sums of logarithms equal, the order is right still.
		order := make([]int, len(s.Operations))
		for op := range order {
			order[op] = op
		}
		slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(p[e][y], p[e][x]) })
		var wider []part
		for _, b := range beam {
			for _, op := range order {
				wider = append(wider, part{append(b.a.Clone(), op), b.log + math.Log(p[e][op])})
			}
		}
		slices.SortStableFunc(wider, func(x, y part) int { return cmp.Compare(y.log, x.log) })
		beam = wider[:min(k, len(wider))]
	}
	out := make([]space.Architecture, len(beam))
	for i, b := range beam {
		out[i] = b.a
	}
	return out
}
