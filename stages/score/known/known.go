// Package known evaluates architectures by what earlier stages have said of them: the scores.json files that searches and selections
// leave. It costs nothing, so one scoring of a space serves many searches, and what several evaluators said can be combined.
//
// Its nouns: a Source is one such file and the stage that it is of. The metrics of a result are those of all sources by their names
// and, where there are several sources, as STAGE.NAME too; of a name that more than one of them has, the first source's counts.
package known

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/space"
)

// Source is what one stage has left.
type Source struct {
	Stage  string // its id, without the labels of a variant
	Scores *result.Scores
}

// Evaluator answers from sources. It may be used by several goroutines at once.
type Evaluator struct {
	space   *space.Space
	about   string
	results map[string]score.Result
	pool    []space.Architecture // of the first source, in its order
}

var _ score.Evaluator = (*Evaluator)(nil)

// New returns the evaluator of at least one source. All must be of one space. An architecture that one of the sources does not have,
// or that failed there, fails; its reason names the stage.
func New(sources []Source) (*Evaluator, error) {
	if len(sources) == 0 {
		return nil, errors.New("there are no scores to look architectures up in")
	}
	s, err := space.ByName(sources[0].Scores.Space)
	if err != nil {
		return nil, err
	}
	e := &Evaluator{space: s, results: map[string]score.Result{}}
	var names []string
	for i, src := range sources {
		names = append(names, src.Stage)
		if src.Scores.Space != s.Reference() {
			return nil, fmt.Errorf("the scores of stage %s are of another space than those of stage %s", src.Stage, sources[0].Stage)
		}
		seen := make(map[string]bool, len(src.Scores.Scores))
		for _, one := range src.Scores.Scores {
			a, err := s.Parse(one.Architecture)
			if err != nil {
				return nil, err
			}
			key := a.Key()
			seen[key] = true
			if i == 0 {
				e.pool = append(e.pool, a)
				e.results[key] = score.Result{Score: one.Score, Loss: one.Loss, Accuracy: one.Accuracy, Metrics: map[string]float64{}}
			}
			r, ok := e.results[key]
			if !ok || !r.OK() {
				continue
			}
			if one.Failure != "" {
				e.results[key] = score.Result{Failure: src.Stage + ": " + one.Failure}
				continue
			}
			if len(sources) > 1 {
				add(r.Metrics, src.Stage, one)
			}
			for name, v := range one.Metrics {
				if _, ok := r.Metrics[name]; !ok && finite(v) {
					r.Metrics[name] = v
				}
			}
		}
		for key, r := range e.results {
			if !seen[key] && r.OK() {
				e.results[key] = score.Result{Failure: "stage " + src.Stage + " has not scored it"}
			}
		}
	}
	e.about = "what " + strings.Join(names, " and ") + " scored"
	return e, nil
}

// add adds the numbers of a source by the names that tell the stage.
func add(to map[string]float64, stage string, one result.Score) {
	to[stage+".score"] = one.Score
	if one.Loss != 0 || one.Accuracy != 0 { // otherwise there are none
		to[stage+".loss"], to[stage+".accuracy"] = one.Loss, one.Accuracy
	}
	for name, v := range one.Metrics {
		if finite(v) {
			to[stage+"."+name] = v
		}
	}
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// Space returns the space of the sources.
func (e *Evaluator) Space() *space.Space { return e.space }

// Pool returns the architectures that the first source has, in its order; others have an answer at no source.
func (e *Evaluator) Pool() []space.Architecture { return e.pool }

// About says in words what the score is.
func (e *Evaluator) About() string { return e.about }

// Evaluate implements score.Evaluator.
func (e *Evaluator) Evaluate(ctx context.Context, architectures []space.Architecture) ([]score.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := make([]score.Result, len(architectures))
	for i, a := range architectures {
		if err := e.space.Check(a); err != nil {
			return nil, err
		}
		r, ok := e.results[a.Key()]
		if !ok {
			r = score.Result{Failure: "no earlier stage has scored it"}
		}
		out[i] = r
	}
	return out, nil
}
