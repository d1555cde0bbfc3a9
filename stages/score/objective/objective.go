// Package objective says which of two architectures a search prefers when several numbers of them count.
//
// Its nouns: a Goal is a metric that should be large or small; a Constraint is a bound on a metric; an Objective makes a
// Value of a result and puts values in order. Goals are added up, each with its weight, or compared as they are: then the
// order is that of NSGA-II (Deb, Pratap, Agarwal and Meyarivan, IEEE Transactions on Evolutionary Computation 2002),
// by non-dominated fronts and, within one, by crowding distance. Or each goal is replaced by its rank in the pool of everything
// scored so far (Ranking), and the ranks are averaged: numbers of any unit and spread then count alike, and one outlier among
// neighbors cannot decide over all others. Values that keep every constraint come before all that break one; those come in
// the order of their violation.
package objective

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/score"
)

// The ways in which several goals make one order.
const (
	Sum    = "sum"    // the weighted sum of the goals
	Pareto = "pareto" // non-dominated fronts with crowding distance
	Ranks  = "ranks"  // the weighted mean of the goals' ranks in the pool of everything scored so far
)

// Combinations returns the names of all ways.
func Combinations() []string { return []string{Sum, Pareto, Ranks} }

// Settings choose an objective. They can stand in the settings of a stage. Without goals the score is maximized.
type Settings struct {
	Goals       []Goal       `yaml:"goals" doc:"What is optimized, as a list of metrics with weights; empty maximizes the score."`
	Combine     string       `yaml:"combine" enum:"sum,pareto,ranks" doc:"sum (the weighted goals are added up), pareto (by non-dominated fronts and crowding distance) or ranks (each goal's rank among everything scored so far, 0 the worst and 1 the best, averaged by weight; failed ones are the worst). Aggregates over a neighborhood are then those of its members' ranks."`
	Constraints []Constraint `yaml:"constraints" doc:"Bounds that the chosen architecture keeps itself; what breaks one comes after all that do not."`
}

// Goal is one metric that counts.
type Goal struct {
	Metric string  `yaml:"metric" doc:"Name of the metric: score, loss, accuracy or one that the evaluator gives."`
	Weight float64 `yaml:"weight" doc:"Factor of the metric, negative for what should be small; left out, 1."`
	Own    bool    `yaml:"own" doc:"Whether the number of the architecture itself counts instead of the aggregate over its neighborhood, as for costs."`
}

// Constraint is a bound on a metric of the architecture itself, whatever its neighborhood does.
type Constraint struct {
	Metric  string   `yaml:"metric" doc:"Name of the metric."`
	AtMost  *float64 `yaml:"at_most" doc:"Largest value allowed."`
	AtLeast *float64 `yaml:"at_least" doc:"Smallest value allowed."`
}

// DefaultSettings returns the objective that maximizes the score.
func DefaultSettings() Settings { return Settings{Combine: Sum} }

// Validate reports every mistake, each as a *pipeline.SettingError whose path begins with path.
func (st Settings) Validate(path string) error {
	var errs []error
	check := func(ok bool, at, format string, args ...any) {
		if !ok {
			errs = append(errs, &pipeline.SettingError{Path: strings.TrimPrefix(path+"."+at, "."), Err: fmt.Errorf(format, args...)})
		}
	}
	finite := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
	if !slices.Contains(Combinations(), st.Combine) {
		errs = append(errs, pipeline.UnknownValue(strings.TrimPrefix(path+".combine", "."), st.Combine, Combinations()))
	}
	check(st.Combine != Pareto || len(st.Goals) >= 2, "combine", "a Pareto front needs at least 2 goals, there are %d; use %s for one", len(st.Goals), Sum)
	for i, g := range st.Goals {
		at := fmt.Sprintf("goals[%d]", i)
		check(g.Metric != "", at+".metric", "the name of a metric is missing, such as score")
		check(finite(g.Weight), at+".weight", "%v is not a number", g.Weight)
	}
	for i, c := range st.Constraints {
		at := fmt.Sprintf("constraints[%d]", i)
		check(c.Metric != "", at+".metric", "the name of a metric is missing, such as latency_ms")
		check(c.AtMost != nil || c.AtLeast != nil, at, "a bound is missing; give at_most or at_least")
		if c.AtMost != nil && c.AtLeast != nil {
			check(*c.AtLeast <= *c.AtMost, at, "nothing is at least %v and at most %v", *c.AtLeast, *c.AtMost)
		}
	}
	return errors.Join(errs...)
}

// Objective makes values of results. It is safe for use by several goroutines.
type Objective struct {
	settings Settings
	width    int
	parts    int  // numbers of Parts; for ranks one a goal, although the value is one number
	plain    bool // the score alone
}

// New returns the objective of the settings, which must be valid.
func New(st Settings) (*Objective, error) {
	if err := st.Validate(""); err != nil {
		return nil, err
	}
	st.Goals = slices.Clone(st.Goals)
	for i := range st.Goals {
		if st.Goals[i].Weight == 0 {
			st.Goals[i].Weight = 1
		}
	}
	o := &Objective{settings: st, width: 1, plain: len(st.Goals) == 0 && len(st.Constraints) == 0}
	if len(st.Goals) == 0 {
		o.settings.Goals = []Goal{{Metric: "score", Weight: 1}}
	}
	o.parts = 1
	switch st.Combine {
	case Pareto:
		o.width, o.parts = len(st.Goals), len(st.Goals)
	case Ranks:
		o.plain, o.parts = false, len(o.settings.Goals)
	}
	return o, nil
}

// Width returns how many numbers a value has: 1, or the number of goals of a Pareto front.
func (o *Objective) Width() int { return o.width }

// Parts is what an objective takes from one result.
type Parts struct {
	// Shared are the numbers that are aggregated over a neighborhood, Own those of the architecture itself. The value is
	// the aggregate of the first plus the second. Both have Width numbers, higher being better. Where ranks are combined they
	// have one number a goal, the metric with the sign of its weight, and only a Ranking makes a value of them.
	Shared, Own []float64
	// Violation is by how much the architecture breaks its constraints: the sum over them of the distance from the bound,
	// relative to the bound where that is not 0. 0 when it keeps them all.
	Violation float64
}

// Of returns the parts of a result that has not failed. The error names a metric that the evaluator does not give.
func (o *Objective) Of(r score.Result) (Parts, error) {
	if o.plain {
		return Parts{Shared: []float64{r.Score}, Own: []float64{0}}, nil
	}
	numbers := make([]float64, 2*o.parts)
	p := Parts{Shared: numbers[:o.parts], Own: numbers[o.parts:]}
	for i, g := range o.settings.Goals {
		v, err := metric(r, g.Metric)
		if err != nil {
			return Parts{}, err
		}
		into := p.Shared
		if g.Own {
			into = p.Own
		}
		if o.settings.Combine == Ranks {
			into[i] = math.Copysign(1, g.Weight) * v
			continue
		}
		into[min(i, o.parts-1)] += g.Weight * v
	}
	for _, c := range o.settings.Constraints {
		v, err := metric(r, c.Metric)
		if err != nil {
			return Parts{}, err
		}
		if c.AtMost != nil {
			p.Violation += excess(v-*c.AtMost, *c.AtMost)
		}
		if c.AtLeast != nil {
			p.Violation += excess(*c.AtLeast-v, *c.AtLeast)
		}
	}
	return p, nil
}

// Broken says in words which constraints a result breaks, as "parameters is 73306, at most 60000 is allowed"; empty when none.
func (s Settings) Broken(r score.Result) string {
	var said []string
	for _, c := range s.Constraints {
		v, err := metric(r, c.Metric)
		switch {
		case err != nil:
		case c.AtMost != nil && v > *c.AtMost:
			said = append(said, fmt.Sprintf("%s is %.6g, at most %.6g is allowed", c.Metric, v, *c.AtMost))
		case c.AtLeast != nil && v < *c.AtLeast:
			said = append(said, fmt.Sprintf("%s is %.6g, at least %.6g is asked", c.Metric, v, *c.AtLeast))
		}
	}
	return strings.Join(said, "; ")
}

func metric(r score.Result, name string) (float64, error) {
	v, ok := r.Metric(name)
	if !ok {
		known := []string{"score", "loss", "accuracy"}
		for k := range r.Metrics {
			known = append(known, k)
		}
		slices.Sort(known[3:])
		hint := ""
		if near := pipeline.Nearest(name, known); near != "" {
			hint = "; did you mean " + near + "?"
		}
		return 0, fmt.Errorf("the evaluator gives no metric %q; it gives %s%s", name, strings.Join(known, ", "), hint)
	}
	return v, nil
}

func excess(by, bound float64) float64 {
	if by <= 0 {
		return 0
	}
	if bound != 0 {
		by /= math.Abs(bound)
	}
	return by
}

// Value is how good an architecture is.
type Value struct {
	Numbers   []float64 // Objective.Width of them, higher being better
	Violation float64   // 0 when every constraint is kept
}

// Value returns the value of an architecture that stands alone: its neighborhood is itself.
func (p Parts) Value() Value { return p.Aggregated(p.Shared) }

// Aggregated returns the value of an architecture over whose neighborhood the shared numbers aggregate to these.
func (p Parts) Aggregated(shared []float64) Value {
	v := Value{Numbers: make([]float64, len(p.Own)), Violation: p.Violation}
	for i, own := range p.Own {
		v.Numbers[i] = shared[i] + own
	}
	return v
}

// Compare compares values of one number: it is negative when a is worse than b, positive when it is better. Values that
// break constraints are worse than all that break none. Of values with more numbers only the first one is looked at;
// Order is for those.
func Compare(a, b Value) int {
	if a.Violation > 0 || b.Violation > 0 {
		if c := cmp.Compare(b.Violation, a.Violation); c != 0 {
			return c
		}
	}
	return cmp.Compare(a.Numbers[0], b.Numbers[0])
}

// Order returns the indices of the values, best first. Of equal values the earlier one comes first.
func Order(values []Value) []int {
	order := make([]int, 0, len(values))
	if len(values) == 0 {
		return order
	}
	if len(values[0].Numbers) == 1 {
		for i := range values {
			order = append(order, i)
		}
		slices.SortStableFunc(order, func(i, j int) int { return Compare(values[j], values[i]) })
		return order
	}
	for _, front := range Fronts(values) {
		crowding := Crowding(values, front)
		rank := make([]int, len(front))
		for i := range rank {
			rank[i] = i
		}
		slices.SortStableFunc(rank, func(i, j int) int { return cmp.Compare(crowding[j], crowding[i]) })
		for _, i := range rank {
			order = append(order, front[i])
		}
	}
	return order
}

// Best returns the index of the best value, -1 when there is none. On a Pareto front, where all are best in some way,
// it is the one with the largest first number.
func Best(values []Value) int {
	candidates := make([]int, len(values))
	for i := range candidates {
		candidates[i] = i
	}
	if len(values) > 0 && len(values[0].Numbers) > 1 {
		candidates = Fronts(values)[0]
	}
	best := -1
	for _, i := range candidates {
		if best < 0 || Compare(values[i], values[best]) > 0 {
			best = i
		}
	}
	return best
}
