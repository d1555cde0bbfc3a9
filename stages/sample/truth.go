package sample

import (
	"context"
	"fmt"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/search/sampling"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/stat"
	"github.com/plateau-nas/plateau/stages/table"
)

// judge holds the order in which the search puts what it has assessed against a table that the search has not seen, as metrics of
// the job and in words. What failed is worse than all else; what the table lacks is left out. Without such a table it says nothing.
func (s *stage) judge(ctx context.Context, job *pipeline.Job, o *opened, out *sampling.Outcome) (string, error) {
	in, ok := job.Input("truth")
	if !ok {
		return "", nil
	}
	t, err := table.Open(in.Path)
	if err != nil {
		return "", err
	}
	if t.Space().Reference() != o.space.Reference() {
		return "", fmt.Errorf("the search is of space %s, and the truth of %s", o.space.Name, t.Space().Name)
	}
	truth, err := table.NewEvaluator(t, "")
	if err != nil {
		return "", err
	}
	var archs []space.Architecture
	var values []float64 // by place, so that values of several numbers and constraints count as the search has them
	for i, c := range out.Ranked {
		archs = append(archs, c.Architecture)
		values = append(values, float64(len(out.Ranked)-i))
		if i > 0 && equal(c, out.Ranked[i-1]) {
			values[i] = values[i-1]
		}
	}
	for _, a := range o.main().Known() {
		if r, _ := o.main().Lookup(a); !r.OK() {
			archs, values = append(archs, a), append(values, 0)
		}
	}
	results, err := truth.Evaluate(ctx, archs)
	if err != nil {
		return "", err
	}
	var x, y []float64
	for i, r := range results {
		if r.OK() {
			x, y = append(x, values[i]), append(y, r.Score)
		}
	}
	spearman, kendall := stat.Spearman(x, y), stat.KendallTau(x, y)
	job.Metric("spearman_truth", spearman)
	job.Metric("kendall_truth", kendall)
	job.Metric("architectures_truth", float64(len(x)))
	text := fmt.Sprintf("against %s: Spearman %.4f, Kendall %.4f over %d architectures", truth.Column().Meaning, spearman, kendall, len(x))
	if r := results[0]; r.OK() {
		job.Metric("truth", r.Score)
		text += fmt.Sprintf("; that of the architecture found is %.6g", r.Score)
	}
	return text, nil
}

// equal tells candidates that the search cannot order.
func equal(a, b sampling.Candidate) bool {
	if a.Value.Violation != b.Value.Violation || len(a.Value.Numbers) != len(b.Value.Numbers) {
		return false
	}
	for k, v := range a.Value.Numbers {
		if v != b.Value.Numbers[k] {
			return false
		}
	}
	return true
}
