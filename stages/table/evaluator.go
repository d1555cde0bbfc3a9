package table

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/space"
)

// Evaluator answers from a table. An answer takes well under a microsecond. It may be used by several goroutines at once.
type Evaluator struct {
	table   *Table
	column  *Column
	sign    float64 // -1 where lower values are better
	metrics []*Column
}

var _ score.Evaluator = (*Evaluator)(nil)

// NewEvaluator returns the evaluator that scores by a column ("" for the table's score column) in the column's own unit, negated
// where lower is better. Each result also carries the columns named in metrics, as they stand in the table. The
// error is a *ColumnError, or a *MeaningError where it is not known what the column means.
func NewEvaluator(t *Table, column string, metrics ...string) (*Evaluator, error) {
	c, err := t.Describe(column)
	if err != nil {
		return nil, fmt.Errorf("evaluate by a table: %w", err)
	}
	if unknown := c.Meaning.Unknown(); unknown != nil {
		return nil, fmt.Errorf("evaluate by a table: %w", &MeaningError{File: c.File, Column: c.Name, Unknown: unknown})
	}
	e := &Evaluator{table: t, column: c, sign: 1}
	if c.Meaning.Lower {
		e.sign = -1
	}
	for _, name := range metrics {
		m, err := t.Describe(name)
		if err != nil {
			return nil, fmt.Errorf("evaluate by a table: %w", err)
		}
		e.metrics = append(e.metrics, m)
	}
	return e, nil
}

// Column returns the column that gives the score.
func (e *Evaluator) Column() *Column { return e.column }

// Scores returns the score of every architecture by rank, NaN where there is none. The slice is the caller's own.
func (e *Evaluator) Scores() []float64 {
	out := slices.Clone(e.column.Values)
	for i := range out {
		out[i] *= e.sign
	}
	return out
}

// Evaluate implements score.Evaluator. An architecture that the table does not list fails on its own.
func (e *Evaluator) Evaluate(ctx context.Context, architectures []space.Architecture) ([]score.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("evaluate by a table: %w", err)
	}
	out := make([]score.Result, len(architectures))
	for i, a := range architectures {
		if err := e.table.space.Check(a); err != nil {
			return nil, fmt.Errorf("evaluate by a table: %w", err)
		}
		out[i] = e.result(e.table.Rank(a))
	}
	return out, nil
}

func (e *Evaluator) result(rank int) score.Result {
	value := e.column.Values[rank]
	if math.IsNaN(value) {
		return e.failed(rank, e.column)
	}
	r := score.Result{Score: e.sign * value}
	switch e.column.Meaning.Quantity {
	case Loss:
		r.Loss = value
	case Accuracy:
		r.Accuracy = value
		if e.column.Meaning.Unit == "percent" {
			r.Accuracy /= 100
		}
	}
	if len(e.metrics) > 0 {
		r.Metrics = make(map[string]float64, len(e.metrics))
		for _, m := range e.metrics {
			if math.IsNaN(m.Values[rank]) {
				return e.failed(rank, m)
			}
			r.Metrics[m.Name] = m.Values[rank]
		}
	}
	return r
}

func (e *Evaluator) failed(rank int, c *Column) score.Result {
	return score.Failed(fmt.Errorf("the table has no %s of %s", c.Name, e.table.space.Format(e.table.Architecture(rank))))
}
