package compare

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/plateau-nas/plateau/exporter/atomicfile"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/result"
)

// Kind returns the stage kind "compare".
//
// Its metrics, where METHOD is a method and MEASURE one of the ids of the stages on input tables, SPLIT_top1, SPLIT_loss,
// parameters and multiply_adds of input metrics, own_score, neighborhood_score and skip_connections:
//
//	mean_METHOD_MEASURE, std_METHOD_MEASURE     over the seeds
//	low_METHOD_MEASURE, high_METHOD_MEASURE     confidence interval of the mean
//	worst_METHOD_MEASURE                        with the worst seed
//	best_MEASURE                                the best value of any architecture in a table
//	gain_OTHER_vs_PLAIN_MEASURE                 by how much OTHER is better in the mean, for each of the pairs
//	p_holm_OTHER_vs_PLAIN_MEASURE               of the Wilcoxon signed-rank test, two-sided, corrected for the pairs on the measure
//	p_OTHER_vs_PLAIN_MEASURE                    the same, uncorrected
//	rank_biserial_..., cliffs_delta_...         effect sizes, above 0 where OTHER is better
//	seconds_METHOD, evaluations_METHOD, ...     mean cost
//	seeds                                       how many
func Kind() pipeline.Kind {
	return pipeline.Kind{
		Name:      "compare",
		Version:   3,
		Resources: pipeline.Resources{Cores: 1}, // it computes on one core, so others may run beside it
		Doc:       "Compares methods that ran with several seeds: what they found, by public tables or measured accuracies, with paired tests and costs.",
		Inputs: []pipeline.Port{
			{Name: "architectures", Type: "architecture", Many: true, Doc: "What the methods have found. Of several stages for one method, the last in the list is its outcome. A stage without a seed, such as the largest architecture, is compared with every seed of the others."},
			{Name: "metrics", Type: "metrics", Many: true, Optional: true, Doc: "What was measured on networks of these architectures."},
			{Name: "tables", Type: "table", Many: true, Optional: true, Doc: "Tables that every architecture is looked up in, by their score column."},
		},
		Outputs: []pipeline.Output{
			{Name: "comparison", Type: "comparison", File: "comparison.json", Doc: "Every finding, means with intervals, paired tests, effect sizes and costs."},
			{Name: "csv", Type: "comparison-csv", File: "comparison.csv", Doc: "Every finding, a row for each method and seed."},
			{Name: "page", Type: "page", File: "comparison.html", Doc: "The comparison with pictures, on one self-contained page."},
		},
		New: func() pipeline.Stage {
			s := DefaultSettings()
			return &s
		},
	}
}

// Run implements pipeline.Stage.
func (s *Settings) Run(ctx context.Context, job *pipeline.Job) error {
	found, err := s.findings(job.List("architectures"))
	if err != nil {
		return err
	}
	if err := s.checkPairs(names(found)); err != nil {
		return err
	}
	readings, err := s.readings(job, found)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r := s.analyze(job, found, readings)
	if err := r.WriteJSON(job.Output("comparison")); err != nil {
		return err
	}
	if err := r.WriteCSV(job.Output("csv")); err != nil {
		return err
	}
	if err := atomicfile.Write(job.Output("page"), func(w io.Writer) error { return r.render(w) }); err != nil {
		return err
	}
	r.report(job)
	return nil
}

// report tells the run what was found.
func (r *Result) report(job *pipeline.Job) {
	metric := func(name string, v *float64) {
		if v != nil {
			job.Metric(name, *v)
		}
	}
	job.Metric("seeds", float64(len(r.Seeds)))
	for _, m := range r.Measures {
		if m.From != FromCell {
			job.Info("%s: %s", m.Name, m.Text)
		}
		metric("best_"+m.Name, m.Best)
	}
	var lines []string
	for _, m := range r.Methods {
		for _, measure := range r.Measures {
			sum, name := m.Summary[measure.Name], m.Name+"_"+measure.Name
			metric("mean_"+name, sum.Mean)
			metric("std_"+name, sum.StdDev)
			metric("low_"+name, sum.Low)
			metric("high_"+name, sum.High)
			metric("worst_"+name, sum.Worst)
		}
		for _, c := range r.Costs {
			metric(c+"_"+m.Name, m.Cost[c])
		}
		if len(m.Found) < len(r.Seeds) {
			job.Warn("%s has architectures for %d of %d seeds", m.Name, len(m.Found), len(r.Seeds))
		}
		lines = append(lines, r.line(m))
	}
	for _, p := range r.Pairs {
		name := p.metric()
		metric("gain_"+name, p.Gain)
		job.Metric("p_"+name, p.P)
		job.Metric("p_holm_"+name, p.PHolm)
		job.Metric("p_least_"+name, p.PLeast)
		job.Metric("rank_biserial_"+name, p.RankBiserial)
		metric("cliffs_delta_"+name, p.CliffsDelta)
		lines = append(lines, fmt.Sprintf("%s: %s", p.Measure, p.Verdict))
	}
	job.Summary(strings.Join(lines, "\n"))
}

// line says what a method achieves, on the measures that are tested.
func (r *Result) line(m Method) string {
	var parts []string
	for _, measure := range r.Measures {
		if sum := m.Summary[measure.Name]; measure.Tested && sum.Count > 0 {
			text := fmt.Sprintf("%s %s", measure.Name, measure.said(result.Value(sum.Mean)))
			if sum.StdDev != nil {
				text += " ± " + measure.said(*sum.StdDev) + ", worst seed " + measure.said(result.Value(sum.Worst))
			}
			parts = append(parts, text)
		}
	}
	for _, c := range r.Costs {
		if v := m.Cost[c]; v != nil && (c == "seconds" || c == "evaluations") {
			parts = append(parts, fmt.Sprintf("%.0f %s", *v, c))
		}
	}
	return m.Name + ": " + strings.Join(parts, ", ")
}
