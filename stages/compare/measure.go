package compare

import (
	"fmt"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/table"
)

// skip is the operation that a collapsed search is full of.
const skip = "skip_connect"

// reading is a measure with a function that gives its value for a finding, and whether it has one.
type reading struct {
	Measure
	of    func(f finding) (float64, bool)
	index func(f finding) (int, bool) // public index, of tables
}

// readings returns all measures, what the searches have not seen first.
func (s *Settings) readings(job *pipeline.Job, found []finding) ([]reading, error) {
	var out []reading
	for _, a := range job.List("tables") {
		r, err := tableReading(a, searched(found))
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(o reading) bool { return o.Name == r.Name }) {
			return nil, fmt.Errorf("compare: two tables are named %s; give their stages different ids", r.Name)
		}
		out = append(out, r)
	}
	measured, err := s.metricReadings(job, found)
	if err != nil {
		return nil, err
	}
	out = append(out, measured...)
	judged := len(out) > 0
	for _, r := range searchReadings(!judged) {
		if slices.ContainsFunc(found, func(f finding) bool { _, ok := r.of(f); return ok }) {
			out = append(out, r)
		}
	}
	if _, ok := searched(found).Operation(skip); ok {
		out = append(out, reading{
			Measure: Measure{Name: "skip_connections", From: FromCell, Text: "number of skip connections"},
			of: func(f finding) (float64, bool) {
				return float64(f.space.CountOperation(f.chosen, skip)), !f.space.Whole
			},
		})
	}
	return out, nil
}

// tableReading looks architectures up in a table. Its name is that of the stage that offers the table.
func tableReading(a pipeline.Artifact, sp *space.Space) (reading, error) {
	t, err := table.Open(a.Path)
	if err != nil {
		return reading{}, fmt.Errorf("compare: the table of stage %s: %w", a.Stage, err)
	}
	if t.Space().Name != sp.Name {
		return reading{}, fmt.Errorf("compare: the table of stage %s is of space %s, the architectures are of %s; leave the table out, or give one of that space",
			a.Stage, t.Space().Name, sp.Name)
	}
	e, err := table.NewEvaluator(t, "")
	if err != nil {
		return reading{}, fmt.Errorf("compare: the table of stage %s: %w", a.Stage, err)
	}
	c := e.Column()
	meaning := c.Meaning
	r := reading{
		Measure: Measure{
			Name: unfit.ReplaceAllString(a.Stage, "_"), From: FromTable, Text: c.Meaning.String(), Unit: c.Meaning.Unit, Lower: c.Meaning.Lower,
			Tested: true, Column: c.Name, File: c.File, Meaning: &meaning,
		},
		of: func(f finding) (float64, bool) {
			if f.space.Name != sp.Name {
				return 0, false // a plain network
			}
			v := c.Values[t.Rank(f.chosen)]
			return v, v == v
		},
		index: func(f finding) (int, bool) {
			if f.space.Name != sp.Name {
				return 0, false
			}
			return t.Index(t.Rank(f.chosen))
		},
	}
	if best := t.Best(e.Scores()); best >= 0 {
		r.Best = result.Number(c.Values[best])
	}
	return r, nil
}

// metricReadings give what was measured on the networks of the architectures, where that is connected.
//
// A stage that measures an architecture without a seed has no labels that name its method: it is told by what it was made from, and
// counts as a variant of the first measuring stage that has such labels.
func (s *Settings) metricReadings(job *pipeline.Job, found []finding) ([]reading, error) {
	type key struct{ method, seed string }
	type group struct {
		stage  string
		values map[key]*result.Metrics
		first  *result.Metrics
	}
	var groups []*group
	var apart []pipeline.Artifact // of methods without labels
	for _, a := range job.List("metrics") {
		if constantOf(job, a, found) != nil {
			apart = append(apart, a)
			continue
		}
		m, err := result.ReadMetrics(a.Path)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(groups, func(g *group) bool { return g.stage == base(a.Stage) })
		if i < 0 {
			i = len(groups)
			groups = append(groups, &group{stage: base(a.Stage), values: map[key]*result.Metrics{}, first: m})
		}
		g := groups[i]
		if m.Dataset != g.first.Dataset || m.Split != g.first.Split || m.Count != g.first.Count {
			return nil, fmt.Errorf("compare: stage %s measured on %d images of the %s split of %s, others of %s on %d of the %s split of %s; compare what is measured on the same images",
				a.Stage, m.Count, m.Split, m.Dataset, g.stage, g.first.Count, g.first.Split, g.first.Dataset)
		}
		method, seed := s.place(a)
		if g.values[key{method, seed}] != nil {
			return nil, &pipeline.SettingError{Path: "method", Err: fmt.Errorf("two variants of %s have metrics for method %s and %s %q", g.stage, method, s.PairBy, seed)}
		}
		g.values[key{method, seed}] = m
	}
	for _, a := range apart {
		m, err := result.ReadMetrics(a.Path)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(groups, func(g *group) bool {
			return m.Dataset == g.first.Dataset && m.Split == g.first.Split && m.Count == g.first.Count
		})
		if i < 0 {
			i = len(groups)
			groups = append(groups, &group{stage: base(a.Stage), values: map[key]*result.Metrics{}, first: m})
		}
		method := constantOf(job, a, found).method
		_, seed := s.place(a)
		for _, one := range seeds(found) {
			k := key{method, one}
			if seed != "" && seed != one {
				continue
			}
			if groups[i].values[k] != nil {
				return nil, &pipeline.SettingError{Path: "method", Err: fmt.Errorf("stage %s and another have metrics for method %s and %s %q", a.Stage, method, s.PairBy, one)}
			}
			groups[i].values[k] = m
		}
	}
	var out []reading
	for _, g := range groups {
		prefix := ""
		if len(groups) > 1 {
			prefix = unfit.ReplaceAllString(g.stage, "_") + "_"
		}
		on := fmt.Sprintf("on %d images of the %s split of %s, measured by stage %s", g.first.Count, g.first.Split, g.first.Dataset, g.stage)
		for _, one := range []struct {
			Measure
			of func(*result.Metrics) float64
		}{
			{Measure{Name: g.first.Split + "_top1", Text: "top-1 accuracy " + on, Unit: "share", Tested: true}, func(m *result.Metrics) float64 { return m.Top1 }},
			{Measure{Name: g.first.Split + "_loss", Text: "mean cross-entropy " + on, Unit: "nats", Lower: true, Tested: true}, func(m *result.Metrics) float64 { return m.Loss }},
			{Measure{Name: "parameters", Text: "trainable parameters of the network", Lower: true}, func(m *result.Metrics) float64 { return float64(m.Parameters) }},
			{Measure{Name: "multiply_adds", Text: "multiply-adds of the network for one image", Lower: true}, func(m *result.Metrics) float64 { return float64(m.MultiplyAdds) }},
		} {
			one.Name, one.From = prefix+one.Name, FromMetrics
			out = append(out, reading{Measure: one.Measure, of: func(f finding) (float64, bool) {
				// An earlier step of a method was not measured; its name is longer.
				m := g.values[key{f.method, f.seed}]
				if m == nil || f.name != f.method {
					return 0, false
				}
				return one.of(m), true
			}})
		}
	}
	return out, nil
}

// constantOf returns the finding without a seed that metrics are about, nil where they are about one with labels.
func constantOf(job *pipeline.Job, a pipeline.Artifact, found []finding) *finding {
	work := job.Lineage(a)
	for i := len(work) - 1; i >= 0; i-- { // what was made last is nearest
		for k := range found {
			if found[k].artifact.Stage == work[i].Stage {
				if found[k].constant {
					return &found[k]
				}
				return nil
			}
		}
	}
	return nil
}

// searchReadings give the scores by which searches chose.
func searchReadings(tested bool) []reading {
	const caution = "as the search itself scored it, higher is better; methods can be compared by it only where they share weights and images"
	of := func(name, text string, p func(*result.Architecture) *float64) reading {
		return reading{
			Measure: Measure{Name: name, From: FromSearch, Text: text + ", " + caution, Tested: tested},
			of: func(f finding) (float64, bool) {
				v := p(f.content)
				return result.Value(v), v != nil
			},
		}
	}
	return []reading{
		of("own_score", "score of the architecture alone", func(a *result.Architecture) *float64 { return a.OwnScore }),
		of("neighborhood_score", "score of the neighborhood", func(a *result.Architecture) *float64 { return a.NeighborhoodScore }),
	}
}

// countNames are the metrics of stages that add up to a cost, beside seconds.
func countNames() []string {
	return []string{"evaluations", "weight_steps", "alpha_steps", "alpha_passes"}
}

// costText says what a cost counts.
func costText(name string) string {
	switch name {
	case "seconds":
		return "time of its stages; of those that were killed and continued, of the last part only"
	case "evaluations":
		return "architectures that were scored, neighbors included"
	case "weight_steps":
		return "batches that the shared weights were trained on"
	case "alpha_steps":
		return "steps of the architecture parameters"
	case "alpha_passes":
		return "batches differentiated by the architecture, neighbors included"
	}
	return ""
}

// cost adds up what the stages of the given kinds took that led to an architecture.
func (s *Settings) cost(work []pipeline.Work) map[string]float64 {
	out := map[string]float64{}
	for _, w := range work {
		if !slices.Contains(s.Cost, w.Kind) {
			continue
		}
		if s.Seconds {
			out["seconds"] += w.Seconds
		}
		for _, m := range w.Metrics {
			if slices.Contains(countNames(), m.Name) {
				out[m.Name] += m.Value
			}
		}
	}
	return out
}

// said writes a number in the unit of a measure.
func (m Measure) said(v float64) string {
	if v != v {
		return "–"
	}
	switch {
	case m.From == FromCell:
		return trim(fmt.Sprintf("%.1f", v))
	case m.Unit == "percent":
		return fmt.Sprintf("%.2f", v)
	case m.Unit == "share":
		return fmt.Sprintf("%.2f%%", 100*v)
	case v >= 10_000:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// difference writes a difference of two numbers with its sign and unit.
func (m Measure) difference(v float64) string {
	switch {
	case m.Unit == "percent":
		return fmt.Sprintf("%+.2f points", v)
	case m.Unit == "share":
		return fmt.Sprintf("%+.2f points", 100*v)
	case m.Unit != "":
		return fmt.Sprintf("%+.4g %s", v, m.Unit)
	}
	return fmt.Sprintf("%+.4g", v)
}

// compared says a gain in words that another method's name can follow.
func (m Measure) compared(gain float64) string {
	size := strings.TrimLeft(m.difference(gain), "+-")
	switch {
	case gain > 0:
		return size + " better than"
	case gain < 0:
		return size + " worse than"
	}
	return "equal to"
}

func trim(v string) string { return strings.TrimSuffix(v, ".0") }
