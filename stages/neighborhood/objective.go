package neighborhood

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/space"
)

// Scored is an architecture with the scores of its neighborhood.
type Scored struct {
	Center    space.Architecture
	Own       score.Result
	Aggregate float64              // what the aggregator makes of Scores; at radius 0 the own score
	Members   []space.Architecture // the neighborhood as drawn, without those that failed; the center first when it is included
	Scores    []float64            // of the members, in order
	Failed    int                  // members that were drawn and could not be evaluated
	// Failure says why there is no aggregate: the center failed, or every neighbor did. Aggregate is the lowest there is
	// then, and the architecture must not be chosen.
	Failure string
}

// OK reports whether there is an aggregate.
func (s Scored) OK() bool { return s.Failure == "" }

// Spread returns the standard deviation (of the population), the smallest and the largest of the neighbors' scores; the
// center is none of them. Without a neighbor there is no deviation, and the two others are the own score.
func (s Scored) Spread() (std, least, largest float64) {
	var scores []float64
	for i, m := range s.Members {
		if !m.Equal(s.Center) {
			scores = append(scores, s.Scores[i])
		}
	}
	if len(scores) == 0 {
		return 0, s.Own.Score, s.Own.Score
	}
	_, std = moments(scores)
	return std, slices.Min(scores), slices.Max(scores)
}

// Objective is what a sampling-based search maximizes: the aggregate over the neighborhood. At radius 0 it is
// the evaluator's own score.
type Objective struct {
	Space      *space.Space
	Settings   Settings
	Evaluator  score.Evaluator
	aggregator Aggregator
	classes    *space.Classes
}

// NewObjective returns the objective over an evaluator. The evaluator should be a cache, since neighborhoods overlap.
func NewObjective(s *space.Space, st Settings, e score.Evaluator) (*Objective, error) {
	if err := st.CheckSpace(s); err != nil {
		return nil, err
	}
	agg, err := New(st.AggregatorSettings)
	if err != nil {
		return nil, err
	}
	return &Objective{Space: s, Settings: st, Evaluator: e, aggregator: agg, classes: space.NewClasses(s)}, nil
}

// Score draws the neighborhood of every center, scores all members at once and aggregates. A neighbor that failed does not
// count; a center that failed has no aggregate. rng is used only where neighbors are sampled.
func (o *Objective) Score(ctx context.Context, centers []space.Architecture, rng *rand.Rand) ([]Scored, error) {
	out := make([]Scored, len(centers))
	var all []space.Architecture
	for i, c := range centers {
		out[i].Center = c
		out[i].Members = DrawOf(o.classes, c, o.Settings, rng)
		all = append(append(all, c), out[i].Members...)
	}
	results, err := o.Evaluator.Evaluate(ctx, all)
	if err != nil {
		return nil, err
	}
	for i := range out {
		n := 1 + len(out[i].Members)
		out[i].aggregate(o.Space, o.aggregator, results[:n])
		results = results[n:]
	}
	return out, nil
}

// aggregate takes in the results of the center and of the members.
func (s *Scored) aggregate(sp *space.Space, a Aggregator, results []score.Result) {
	s.Own = results[0]
	drawn := s.Members
	s.Members = nil
	var distances []float64
	for j, r := range results[1:] {
		if !r.OK() {
			s.Failed++
			continue
		}
		s.Members = append(s.Members, drawn[j])
		s.Scores = append(s.Scores, r.Score)
		distances = append(distances, float64(sp.Distance(s.Center, drawn[j])))
	}
	switch {
	case !s.Own.OK():
		s.Failure = s.Own.Failure
	case len(s.Members) == 0:
		s.Failure = fmt.Sprintf("none of its %d neighbors could be evaluated; the first: %s", len(drawn), results[1].Failure)
	default:
		s.Aggregate = a.Aggregate(s.Scores, distances)
		return
	}
	s.Aggregate = math.Inf(-1)
}
