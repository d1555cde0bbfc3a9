package regret

import (
	"context"
	"errors"
	"fmt"
	"math"
	goruntime "runtime"
	"strconv"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/search/sampling"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/table"
)

// problem is what the searches work on: the score that they see and the truth that they are judged by, both by rank and
// higher being better. An architecture without a number has NaN.
type problem struct {
	table         *table.Table
	scores, truth []float64
	best          float64 // the largest truth
	answers       []score.Result
	classes       *space.Classes
}

// newProblem joins the score column of one table and a column of another.
func newProblem(scores, truth *table.Table, truthColumn string) (*problem, error) {
	if a, b := scores.Space().Name, truth.Space().Name; a != b {
		return nil, fmt.Errorf("the table is of the space %s and the truth of %s; take both from one benchmark", a, b)
	}
	seen, err := table.NewEvaluator(scores, "")
	if err != nil {
		return nil, err
	}
	unseen, err := table.NewEvaluator(truth, truthColumn)
	if err != nil {
		return nil, fmt.Errorf("the truth: %w", err)
	}
	p := &problem{table: scores, scores: seen.Scores(), truth: unseen.Scores(), best: math.Inf(-1), classes: space.NewClasses(scores.Space())}
	for rank, v := range p.scores {
		r := score.Result{Score: v}
		switch {
		case math.IsNaN(v):
			r = score.Failed(fmt.Errorf("the table has no %s of it", seen.Column().Name))
		case math.IsNaN(p.truth[rank]):
			r = score.Failed(errors.New("there is no truth to judge it by"))
		default:
			p.best = max(p.best, p.truth[rank])
		}
		p.answers = append(p.answers, r)
	}
	if math.IsInf(p.best, -1) {
		return nil, errors.New("the table and the truth have no architecture in common")
	}
	return p, nil
}

// Evaluate implements score.Evaluator. What has no truth fails: a search that chose it could not be judged.
func (p *problem) Evaluate(ctx context.Context, architectures []space.Architecture) ([]score.Result, error) {
	out := make([]score.Result, len(architectures))
	for i, a := range architectures {
		if err := p.table.Space().Check(a); err != nil {
			return nil, fmt.Errorf("looking up a score: %w", err)
		}
		out[i] = p.answers[p.table.Rank(a)]
	}
	return out, ctx.Err()
}

// regret returns by how much a candidate falls short of the best; NaN when there is none yet.
func (p *problem) regret(c sampling.Candidate) float64 {
	if c.Architecture == nil {
		return math.NaN()
	}
	return p.best - p.truth[p.table.Rank(c.Architecture)]
}

// outcomes are the regrets of one search, by budget and seed.
type outcomes [][]float64

// searchAll runs every search with every seed and returns the regrets, by search.
func (s *Settings) searchAll(ctx context.Context, p *problem, root uint64, progress func(done, total int)) ([]outcomes, error) {
	out := make([]outcomes, len(s.Searches))
	for i := range out {
		for range s.Budgets {
			out[i] = append(out[i], make([]float64, s.Seeds))
		}
	}
	workers := s.Workers
	if workers == 0 {
		workers = goruntime.GOMAXPROCS(0)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	var done atomic.Int64
	total := s.Seeds * len(s.Searches)
	for n := range s.Seeds {
		at := seed.Derive(root, "seed", strconv.Itoa(n)) // the same for all searches: they are compared seed by seed
		for i, search := range s.Searches {
			group.Go(func() error {
				regrets, err := s.one(ctx, p, search, at)
				if err != nil {
					return fmt.Errorf("search %s with seed %d: %w", search.Name, n, err)
				}
				for b, v := range regrets {
					out[i][b][n] = v
				}
				progress(int(done.Add(1)), total)
				return nil
			})
		}
	}
	return out, group.Wait()
}

// one runs a search with one seed and returns its regret at each budget.
func (s *Settings) one(ctx context.Context, p *problem, search Search, at uint64) ([]float64, error) {
	fidelity := []sampling.Fidelity{{Name: "the table", Evaluator: p}}
	find := func(budget int, at []int, key uint64) ([]float64, error) {
		out, err := sampling.Search(ctx, p.table.Space(), search.settings(budget), fidelity, sampling.Options{Seed: key, At: at, Classes: p.classes})
		if errors.Is(err, sampling.ErrNone) { // no neighborhood fits the budget
			none := make([]float64, len(at))
			for i := range none {
				none[i] = math.NaN()
			}
			return none, nil
		}
		if err != nil {
			return nil, err
		}
		var regrets []float64
		for _, c := range out.At {
			regrets = append(regrets, p.regret(c))
		}
		return regrets, nil
	}
	if !search.settings(1).DependsOnBudget() {
		return find(last(s.Budgets), s.Budgets, at)
	}
	// What the search does depends on the budget that it has in the end, so there is one search for each.
	var regrets []float64
	for _, b := range s.Budgets {
		one, err := find(b, []int{b}, at)
		if err != nil {
			return nil, err
		}
		regrets = append(regrets, one...)
	}
	return regrets, nil
}
