// Package sampling searches by scoring architectures one after the other: random search, regularized evolution, local
// search and successive halving, each on the score of an architecture or on that of its neighborhood.
//
// Its nouns: a Candidate is an architecture that the search may choose; assessing one evaluates it and those of its
// neighbors that the Policy asks for; the incumbent is the best candidate so far, by the objective; the Trajectory is the
// incumbent after every evaluation. The budget counts evaluations: neighbors count like everything else, and an
// architecture that the search has evaluated before costs nothing; with MergeEqual neither does one that computes the same.
//
// A search depends on its settings, its seed and the evaluator's answers alone. One that was killed is continued by
// running it again in front of a score.Cache that remembers the answers: it takes the same way, and asks only for what is
// not known. At radius 0 every search is the plain algorithm, whatever the policy.
package sampling

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/score/objective"
	"github.com/plateau-nas/plateau/stages/space"
)

// Fidelity is an evaluator at one training budget.
type Fidelity struct {
	Name      string  // for messages: "12 epochs"
	Cost      float64 // of one evaluation, as a share of one at the highest training budget; 0 means 1
	Evaluator score.Evaluator
}

// Options are what a search needs beside its settings.
type Options struct {
	Seed uint64
	// Objective says what is maximized; nil means the score.
	Objective *objective.Objective
	// Classes are those of the space, so that many searches need not find them anew; nil finds them as they are needed.
	Classes *space.Classes
	// Pool is the part of the space that the evaluator can answer for, which the algorithm exhaustive then goes through instead of the
	// space; nil where it answers for all.
	Pool []space.Architecture
	// At are budgets, ascending. Then Outcome.At has the incumbent at each of them and there is no trajectory. It makes
	// many searches on a table cheaper.
	At []int
	// Progress, when set, is called after each candidate with what has been spent. An error ends the search.
	Progress func(spent float64, incumbent *Candidate) error
}

// Candidate is an architecture that the search has assessed.
type Candidate struct {
	Architecture space.Architecture
	Own          score.Result
	Alone        objective.Value // what the objective makes of the architecture itself; where ranks are combined, its rank among all that is known
	Value        objective.Value // by which it is compared
	// Aggregated tells whether the value is that of a neighborhood; false for all at radius 0, and with the policy staged for
	// those that are not, or not yet, in the top share. Such a one is never preferred to one whose value is aggregated.
	Aggregated bool
	Neighbors  int // scores that the value is made of, the own one not counted
	Fidelity   int // index of the training budget
}

// Step is the incumbent from a number of evaluations on.
type Step struct {
	Spent     float64 // evaluations, each counting its fidelity's cost
	Incumbent Candidate
}

// Outcome is what a search has found.
type Outcome struct {
	Best        Candidate   // the incumbent at the end
	Ranked      []Candidate // all that were assessed as far as the best one, best first; the best is the first. With MergeEqual, one of each class
	Front       []Candidate // for a Pareto objective, those that no other dominates, by the first goal; nil otherwise
	Trajectory  []Step      // whenever the incumbent changed
	At          []Candidate // for Options.At, the incumbent at each
	Spent       float64     // evaluations, each counting its fidelity's cost
	Evaluations int         // evaluations, each counting 1
	Failed      int         // of them
}

// Incumbent returns the incumbent after the given number of evaluations; ok is false when there was none yet.
func (o *Outcome) Incumbent(spent float64) (c Candidate, ok bool) {
	for _, s := range o.Trajectory {
		if s.Spent > spent {
			break
		}
		c, ok = s.Incumbent, true
	}
	return c, ok
}

// ErrNone is wrapped by the error of a search none of whose candidates could be evaluated.
var ErrNone = errors.New("no candidate could be evaluated")

// errSpent ends a search: the next assessment does not fit the budget, or there is nothing left to assess.
var errSpent = errors.New("the budget is spent")

// search is one run.
type search struct {
	Settings
	space     *space.Space
	objective *objective.Objective
	options   Options
	classes   *space.Classes
	choices   *choices
	pools     []*pool // one a fidelity, ascending
	policy    string
	spent     float64
	count     int
	failed    int
	reason    string // the first failure
	idle      int    // assessments in a row that cost nothing
	recorded  int    // of options.At
	look      int    // where ranks are combined: the count at which the incumbent is looked for again
	out       Outcome
}

// Search runs a search of the space. Successive halving climbs the fidelities, which are in the order of their
// training budgets; all other algorithms evaluate at the last one only.
func Search(ctx context.Context, s *space.Space, st Settings, fidelities []Fidelity, o Options) (*Outcome, error) {
	if err := st.Validate(); err != nil {
		return nil, err
	}
	if err := st.Neighborhood.CheckSpace(s); err != nil {
		return nil, err
	}
	if len(fidelities) == 0 {
		return nil, errors.New("searching: there is no evaluator")
	}
	if st.Algorithm != Halving {
		fidelities = fidelities[len(fidelities)-1:]
	}
	if o.Objective == nil {
		var err error
		if o.Objective, err = objective.New(objective.DefaultSettings()); err != nil {
			return nil, err
		}
	}
	if o.Objective.Width() > 1 && (st.Algorithm == Local || st.Algorithm == GP || (st.Policy == Staged || st.Policy == Modeled) && st.Neighborhood.Radius > 0) {
		return nil, fmt.Errorf("searching for a Pareto front: %s with the policy %s needs one number to compare by; use random, evolution or tpe with the policy %s, %s or %s, or add the goals up", st.Algorithm, st.Policy, All, Sampled, Shared)
	}
	aggregator, err := neighborhood.New(st.Neighborhood.AggregatorSettings)
	if err != nil {
		return nil, err
	}
	x := &search{Settings: st.byBudget(), choices: newChoices(s), space: s, objective: o.Objective, options: o, classes: o.Classes, policy: st.Policy}
	if x.classes == nil {
		x.classes = space.NewClasses(s)
	}
	if st.Neighborhood.Radius == 0 {
		x.policy = All // of no neighbors
	}
	for i, f := range fidelities {
		if f.Cost == 0 {
			f.Cost = 1
		}
		if !(f.Cost > 0) || math.IsInf(f.Cost, 0) {
			return nil, fmt.Errorf("searching: an evaluation at %s costs %v; the cost is a share of one at the highest training budget", f.Name, f.Cost)
		}
		x.pools = append(x.pools, newPool(x, f, i, aggregator))
	}
	if err := x.run(ctx); err != nil {
		return nil, err
	}
	return x.finish()
}

func (x *search) run(ctx context.Context) (err error) {
	switch x.Algorithm {
	case Evolution:
		err = x.evolution(ctx)
	case Local:
		err = x.local(ctx)
	case Halving:
		err = x.halving(ctx)
	case TPE:
		err = x.tpe(ctx)
	case GP:
		err = x.gp(ctx)
	case Exhaustive:
		err = x.exhaustive(ctx)
	default:
		err = x.random(ctx)
	}
	if errors.Is(err, errSpent) {
		err = nil
	}
	return err
}

// fits reports whether n more evaluations at the cost do not exceed the budget. Costs are sums of floats, so the last
// digits do not count.
func (x *search) fits(n int, cost float64) bool {
	return x.spent+float64(n)*cost <= float64(x.Budget)*(1+1e-12)
}

// charge takes n evaluations from the budget. Before one of Options.At is passed, the incumbent there is written down.
func (x *search) charge(n int, cost float64) {
	for x.recorded < len(x.options.At) && x.spent+float64(n)*cost > float64(x.options.At[x.recorded])*(1+1e-12) {
		x.recordAt()
	}
	x.spent += float64(n) * cost
	x.count += n
	if n > 0 {
		x.idle = 0
	}
}

func (x *search) recordAt() {
	var c Candidate
	if best := x.incumbent(); best != nil {
		c = best.export()
	}
	x.out.At = append(x.out.At, c)
	x.recorded++
}

// incumbent returns the best candidate of the highest fidelity that has one.
func (x *search) incumbent() *entry {
	for i := len(x.pools) - 1; i >= 0; i-- {
		if best := x.pools[i].best(); best != nil {
			return best
		}
	}
	return nil
}

// assessed takes note of a candidate: it extends the trajectory and reports.
func (x *search) assessed() error {
	if x.pools[0].ranking != nil && x.options.At == nil {
		// Every rank changes with every evaluation, so that the incumbent has to be looked for among all candidates. It is looked
		// for again whenever a twentieth more is known.
		if x.count < x.look {
			return x.report(nil)
		}
		x.look = x.count + x.count/20 + 1
	}
	if x.options.At == nil {
		if best := x.incumbent(); best != nil {
			t := x.out.Trajectory
			if len(t) == 0 || !t[len(t)-1].Incumbent.Architecture.Equal(best.arch) || t[len(t)-1].Incumbent.Fidelity != best.pool.level {
				x.out.Trajectory = append(t, Step{Spent: x.spent, Incumbent: best.export()})
			}
		}
	}
	if x.options.Progress == nil {
		return nil
	}
	return x.report(x.incumbent())
}

// report tells of what was spent, and of the incumbent unless it is nil.
func (x *search) report(best *entry) error {
	if x.options.Progress == nil {
		return nil
	}
	var c *Candidate
	if best != nil {
		e := best.export()
		c = &e
	}
	return x.options.Progress(x.spent, c)
}

// finish makes the outcome.
func (x *search) finish() (*Outcome, error) {
	best := x.incumbent()
	if best == nil {
		if x.count == 0 {
			return nil, fmt.Errorf("searching with a budget of %d evaluations: %w; the first candidate with its neighborhood needs more, so raise the budget", x.Budget, ErrNone)
		}
		return nil, fmt.Errorf("searching with a budget of %d evaluations: %w: %d failed; the first, %s", x.Budget, ErrNone, x.failed, x.reason)
	}
	for x.recorded < len(x.options.At) {
		x.recordAt()
	}
	o := &x.out
	o.Best, o.Spent, o.Evaluations, o.Failed = best.export(), x.spent, x.count, x.failed
	met := map[string]bool{}
	for _, e := range best.pool.ranked() {
		if id := e.pool.identity(e.arch, e.arch.Key()); !met[id] {
			met[id] = true
			o.Ranked = append(o.Ranked, e.export())
		}
	}
	if x.objective.Width() > 1 {
		for _, e := range best.pool.front() {
			o.Front = append(o.Front, e.export())
		}
	}
	return o, nil
}

// stream returns what draws candidates; it is the same for every policy.
func (x *search) stream() func() space.Architecture {
	rng := seed.New(x.options.Seed, "candidates")
	return func() space.Architecture { return x.space.Random(rng) }
}
