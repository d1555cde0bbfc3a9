package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/stages/internal/words"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/stat"
)

// analyze makes the result of the findings.
func (s *Settings) analyze(job *pipeline.Job, found []finding, readings []reading) *Result {
	r := &Result{
		Space: searched(found).Name, Seeds: seeds(found), Methods: []Method{}, Pairs: []Pair{}, Costs: []string{},
		Interval: s.Interval, Level: s.Level, Significance: s.Significance,
	}
	for _, one := range readings {
		r.Measures = append(r.Measures, one.Measure)
	}
	for _, name := range names(found) {
		m := Method{Name: name, Summary: map[string]Summary{}}
		for _, label := range r.Seeds {
			for _, f := range found {
				if f.name == name && f.seed == label {
					m.Stage, m.Algorithm, m.Constant = f.stage, f.content.Algorithm, f.constant
					m.Found = append(m.Found, s.found(job, f, readings))
				}
			}
		}
		r.Methods = append(r.Methods, m)
	}
	for _, cost := range append([]string{"seconds"}, countNames()...) {
		if slices.ContainsFunc(r.Methods, func(m Method) bool {
			return slices.ContainsFunc(m.Found, func(f Found) bool { return f.Cost[cost] > 0 })
		}) {
			r.Costs = append(r.Costs, cost)
		}
	}
	for i := range r.Methods {
		s.summarize(r, &r.Methods[i], job.Seed)
	}
	for _, m := range r.Measures {
		if m.Tested {
			r.Pairs = append(r.Pairs, s.pairs(r, m, job.Seed)...)
		}
	}
	return r
}

// found describes one finding.
func (s *Settings) found(job *pipeline.Job, f finding, readings []reading) Found {
	out := Found{
		Seed: f.seed, Stage: f.artifact.Stage, Architecture: f.space.Format(f.chosen),
		Values: map[string]*float64{}, Cost: s.cost(job.Lineage(f.artifact)),
	}
	for _, r := range readings {
		if v, ok := r.of(f); ok {
			out.Values[r.Name] = result.Number(v)
		} else {
			out.Values[r.Name] = nil
		}
		if r.index != nil && out.Index == nil {
			if index, ok := r.index(f); ok {
				out.Index = &index
			}
		}
	}
	return out
}

// summarize takes the means over the seeds.
func (s *Settings) summarize(r *Result, m *Method, root uint64) {
	for _, measure := range r.Measures {
		x := usable(r.values(m, measure.Name))
		if m.Constant && len(x) > 0 && slices.Max(x) == slices.Min(x) {
			x = x[:1] // one number, not as many as there are seeds
		}
		sum := Summary{Count: len(x), Mean: result.Number(stat.Mean(x)), StdDev: result.Number(stat.StdDev(x)), Interval: s.interval(x, root, m.Name, measure.Name)}
		if len(x) > 0 {
			sum.Min, sum.Max = result.Number(slices.Min(x)), result.Number(slices.Max(x))
			sum.Worst = sum.Min
			if measure.Lower {
				sum.Worst = sum.Max
			}
		}
		m.Summary[measure.Name] = sum
	}
	m.Cost = map[string]*float64{}
	for _, cost := range r.Costs {
		var x []float64
		for _, f := range m.Found {
			x = append(x, f.Cost[cost])
		}
		m.Cost[cost] = result.Number(stat.Mean(x))
	}
}

// interval returns the confidence interval of a mean.
func (s *Settings) interval(x []float64, root uint64, labels ...any) Interval {
	if len(x) < 2 {
		return Interval{}
	}
	i := stat.StudentCI(x, s.Level)
	if s.Interval == Bootstrap {
		i = stat.BootstrapCI(x, s.Level, s.Resamples, seed.New(root, "bootstrap", fmt.Sprint(labels...)))
	}
	return Interval{result.Number(i.Low), result.Number(i.High)}
}

func usable(x []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(x), math.IsNaN)
}

// pairs compares the pairs of the settings on a measure.
func (s *Settings) pairs(r *Result, m Measure, root uint64) []Pair {
	var out []Pair
	var p []float64
	for _, names := range s.Pairs {
		plain, other := r.method(names[0]), r.method(names[1])
		one := s.pair(m, r.values(plain, m.Name), r.values(other, m.Name), root, names)
		if one.Seeds == 0 {
			continue // such as scores that only one of them has
		}
		one.Cost = map[string]float64{}
		for _, c := range r.Costs {
			if a, b := result.Value(plain.Cost[c]), result.Value(other.Cost[c]); a > 0 {
				one.Cost[c] = b / a
			}
		}
		out, p = append(out, one), append(p, one.P)
	}
	for i, v := range stat.Holm(p) {
		out[i].PHolm = v
		out[i].Significant = v <= s.Significance
		out[i].Verdict = s.verdict(m, out[i], len(out)) + dearer(out[i])
	}
	return out
}

// pair compares two methods by their values for the same seeds.
func (s *Settings) pair(m Measure, plain, other []float64, root uint64, names []string) Pair {
	out := Pair{Plain: names[0], Other: names[1], Measure: m.Name}
	sign := 1.0
	if m.Lower {
		sign = -1
	}
	var a, b, gain []float64
	for i := range plain {
		if math.IsNaN(plain[i]) || math.IsNaN(other[i]) {
			continue
		}
		a, b = append(a, sign*plain[i]), append(b, sign*other[i])
		gain = append(gain, sign*(other[i]-plain[i]))
		switch g := gain[len(gain)-1]; {
		case g > 0:
			out.Wins++
		case g < 0:
			out.Losses++
		}
	}
	w := stat.WilcoxonExact(b, a)
	out.Seeds = len(gain)
	out.Gain, out.GainInterval = result.Number(stat.Mean(gain)), s.interval(gain, root, "gain", names[0], names[1], m.Name)
	out.P, out.Exact, out.PLeast = w.P, w.Exact, stat.LeastP(out.Seeds)
	out.RankBiserial, out.CliffsDelta = w.RankBiserial, result.Number(stat.CliffsDelta(b, a))
	return out
}

// verdict says what a pair shows, and when it shows nothing.
func (s *Settings) verdict(m Measure, p Pair, pairs int) string {
	equal := p.Seeds - p.Wins - p.Losses
	text := fmt.Sprintf("%s is %s %s in the mean (better with %d of %s, worse with %d, equal with %d).",
		p.Other, m.compared(result.Value(p.Gain)), p.Plain, p.Wins, words.Count(p.Seeds, "seed"), p.Losses, equal)
	if p.Wins+p.Losses == 0 {
		return text + " There is no difference to test."
	}
	raw := ""
	if pairs > 1 {
		raw = fmt.Sprintf("; uncorrected %s", probability(p.P))
	}
	how := "exact"
	if !p.Exact {
		how = "normal approximation"
	}
	test := fmt.Sprintf("p = %s%s (Wilcoxon signed-rank, two-sided, %s%s)", probability(p.PHolm), corrected(pairs), how, raw)
	if p.Significant {
		return fmt.Sprintf("%s The difference is significant at %v: %s.", text, s.Significance, test)
	}
	text = fmt.Sprintf("%s The difference is not significant at %v: %s.", text, s.Significance, test)
	if float64(pairs)*p.PLeast > s.Significance {
		together := ""
		if pairs > 1 {
			together = fmt.Sprintf(" with %d pairs", pairs)
		}
		text += fmt.Sprintf(" With %s the uncorrected p can not be smaller than %s, however clear the difference is; to reach %v%s takes %d seeds.",
			words.Count(p.Seeds, "seed"), probability(p.PLeast), s.Significance, together, needed(s.Significance/float64(pairs)))
	}
	return text
}

// corrected says for how many pairs on a measure p was corrected.
func corrected(pairs int) string {
	if pairs == 1 {
		return ", of one comparison, so without correction"
	}
	return fmt.Sprintf(", corrected after Holm for %d comparisons", pairs)
}

// tolerance is how far costs may differ and still count as equal.
const tolerance = 1.25

// dearer says so where a pair did not cost the same: in time, or in evaluations where these are what the methods spend. What
// follows gradients evaluates little and pays in passes, which the time has.
func dearer(p Pair) string {
	costs := []string{"seconds"}
	if _, gradients := p.Cost["alpha_passes"]; !gradients {
		costs = append(costs, "evaluations")
	}
	for _, c := range costs {
		if v, ok := p.Cost[c]; ok && (v > tolerance || v < 1/tolerance) {
			return fmt.Sprintf(" The cost is not equal: %s took %.2f times the %s of %s.", p.Other, v, c, p.Plain)
		}
	}
	return ""
}

// needed returns the number of seeds with which p can reach a level.
func needed(level float64) int {
	n := 1
	for stat.LeastP(n) > level && n < 1000 {
		n++
	}
	return n
}

func probability(p float64) string { return strings.TrimPrefix(fmt.Sprintf("%.3g", p), "+") }
