package compare

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/stages/internal/words"
	"github.com/plateau-nas/plateau/stages/report/chart"
	"github.com/plateau-nas/plateau/stages/report/frame"
	"github.com/plateau-nas/plateau/stages/result"
)

//go:embed template
var templates embed.FS

// view is the page as finished text and pictures.
type view struct {
	frame.Page
	Lead          string
	Big, BigLabel string
	Facts         []measureView // the first few measures
	Measures      []measureView
	Tests         []testView
	Level         string
	Columns       []string // names of the measures
	Methods       []methodView
	Charts        []chartView
	Findings      []findingsView
	CostNames     []costView
	Costs         []costRow
	Ratios        []costRow
}

type measureView struct{ Name, Text, Best, From string }

// testView is the pairs on one measure.
type testView struct {
	Measure, Text string
	Pairs         []pairView
}

type pairView struct {
	Title, Gain, Interval, Record, P, Holm, RankBiserial, Cliff, Mark, Verdict string
	Significant                                                                bool
}

type methodView struct {
	Name, Algorithm, Count string
	Cells                  []cellView
}

type cellView struct {
	Mean   string
	Spread []string // standard deviation, and interval
	Best   bool     // the best mean of all methods
}

type chartView struct {
	Title, Note string
	SVG         template.HTML
}

type findingsView struct {
	Method string
	Rows   []findingView
}

type findingView struct {
	Seed, Index, Architecture string
	Values                    []string
}

type costView struct{ Name, Text string }

type costRow struct {
	Name  string
	Cells []string
}

// render writes the page. Equal results give equal bytes.
func (r *Result) render(w io.Writer) error {
	v := r.view()
	if err := frame.Write(w, templates, nil, &v.Page, &v); err != nil {
		return fmt.Errorf("make the page of the comparison: %w", err)
	}
	return nil
}

func (r *Result) view() view {
	v := view{
		Page: frame.Page{Title: fmt.Sprintf("%s, %s", words.Count(len(r.Methods), "method"), words.Count(len(r.Seeds), "seed"))},
		Lead: fmt.Sprintf("What each method found in the space %s with each seed, what that is worth by measures that the search has not seen, and what it cost.",
			r.Space),
		Level: fmt.Sprintf("%.0f%%", 100*r.Level),
	}
	for _, m := range r.Measures {
		v.Measures = append(v.Measures, measureView{Name: m.Name, Text: m.Text, From: from(m), Best: m.said(result.Value(m.Best))})
		v.Columns = append(v.Columns, m.Name)
		if m.Tested {
			if len(v.Facts) < 4 {
				v.Facts = append(v.Facts, v.Measures[len(v.Measures)-1])
			}
			v.Tests = append(v.Tests, r.testView(m))
			if c := r.chart(m); c.Differ() {
				v.Charts = append(v.Charts, chartView{Title: m.Name, Note: m.Text, SVG: template.HTML(c.SVG())})
			}
		}
	}
	v.Big, v.BigLabel = r.headline()
	for _, m := range r.Methods {
		v.Methods = append(v.Methods, r.methodView(m))
		v.Findings = append(v.Findings, r.findingsView(m))
		row := costRow{Name: m.Name}
		for _, c := range r.Costs {
			row.Cells = append(row.Cells, count(result.Value(m.Cost[c])))
		}
		v.Costs = append(v.Costs, row)
	}
	for _, c := range r.Costs {
		v.CostNames = append(v.CostNames, costView{strings.ReplaceAll(c, "_", " "), costText(c)})
	}
	v.Ratios = r.ratios()
	return v
}

func from(m Measure) string {
	switch m.From {
	case FromTable:
		return "column " + m.Column + " of " + m.File
	case FromMetrics:
		return "measured"
	case FromSearch:
		return "the search"
	}
	return "the architecture"
}

// headline is the first pair's gain, or without pairs the best mean.
func (r *Result) headline() (big, label string) {
	if len(r.Pairs) > 0 {
		p := r.Pairs[0]
		m := r.measure(p.Measure)
		big, unit, _ := strings.Cut(m.difference(result.Value(p.Gain)), " ")
		significance := "not significant"
		if p.Significant {
			significance = "significant"
		}
		if p.Wins+p.Losses == 0 {
			return big, fmt.Sprintf("%s and %s have found equals by %s with every seed", p.Other, p.Plain, m.Name)
		}
		return strings.Replace(big, "-", "−", 1), strings.TrimSpace(fmt.Sprintf("%s of %s, %s against %s, in the mean of %s; %s, p = %s%s",
			unit, m.Name, p.Other, p.Plain, words.Count(p.Seeds, "seed"), significance, probability(p.PHolm), r.correction(p)))
	}
	for _, m := range r.Measures {
		if i := r.best(m); m.Tested && i >= 0 {
			return m.said(result.Value(r.Methods[i].Summary[m.Name].Mean)), fmt.Sprintf("mean %s of %s, the best of %s", m.Name, r.Methods[i].Name, words.Count(len(r.Methods), "method"))
		}
	}
	return "–", "nothing to compare by"
}

// correction says what a corrected p was corrected for.
func (r *Result) correction(p Pair) string {
	n := 0
	for _, o := range r.Pairs {
		if o.Measure == p.Measure {
			n++
		}
	}
	return corrected(n)
}

func (r *Result) measure(name string) Measure {
	for _, m := range r.Measures {
		if m.Name == name {
			return m
		}
	}
	return Measure{Name: name}
}

// best returns the method with the best mean, or -1.
func (r *Result) best(m Measure) int {
	best := -1
	for i := range r.Methods {
		v := result.Value(r.Methods[i].Summary[m.Name].Mean)
		if math.IsNaN(v) {
			continue
		}
		if best < 0 {
			best = i
			continue
		}
		if b := result.Value(r.Methods[best].Summary[m.Name].Mean); v > b && !m.Lower || v < b && m.Lower {
			best = i
		}
	}
	return best
}

func (r *Result) testView(m Measure) testView {
	t := testView{Measure: m.Name, Text: m.Text}
	for _, p := range r.Pairs {
		if p.Measure != m.Name {
			continue
		}
		v := pairView{
			Title: p.Title(), Gain: minus(m.difference(result.Value(p.Gain))), Record: fmt.Sprintf("%d · %d · %d", p.Wins, p.Seeds-p.Wins-p.Losses, p.Losses),
			P: probability(p.P), Holm: probability(p.PHolm), RankBiserial: minus(fmt.Sprintf("%+.2f", p.RankBiserial)),
			Cliff: minus(fmt.Sprintf("%+.2f", result.Value(p.CliffsDelta))), Mark: "not significant", Significant: p.Significant, Verdict: minus(p.Verdict), Interval: "–",
		}
		if p.GainInterval.Low != nil {
			scale := 1.0
			if m.Unit == "share" {
				scale = 100
			}
			v.Interval = minus(fmt.Sprintf("%+.3g to %+.3g", scale**p.GainInterval.Low, scale**p.GainInterval.High))
		}
		if p.Significant {
			v.Mark = "significant"
		}
		t.Pairs = append(t.Pairs, v)
	}
	return t
}

func (r *Result) methodView(m Method) methodView {
	v := methodView{Name: m.Name, Algorithm: m.Algorithm, Count: words.Count(len(m.Found), "seed")}
	if m.Constant {
		v.Count = "no seed"
	}
	for _, measure := range r.Measures {
		s := m.Summary[measure.Name]
		c := cellView{Mean: minus(measure.said(result.Value(s.Mean)))}
		if s.StdDev != nil && s.Low != nil {
			c.Spread = []string{"± " + measure.said(*s.StdDev), minus(fmt.Sprintf("%s to %s", measure.said(*s.Low), measure.said(*s.High)))}
			if measure.Tested {
				c.Spread = append(c.Spread, minus("worst "+measure.said(result.Value(s.Worst))))
			}
		}
		if i := r.best(measure); measure.Tested && i >= 0 && result.Value(s.Mean) == result.Value(r.Methods[i].Summary[measure.Name].Mean) {
			c.Best = true
		}
		v.Cells = append(v.Cells, c)
	}
	return v
}

func (r *Result) findingsView(m Method) findingsView {
	v := findingsView{Method: m.Name}
	for _, f := range m.Found {
		row := findingView{Seed: f.Seed, Index: "–", Architecture: f.Architecture}
		if row.Seed == "" {
			row.Seed = "–"
		}
		if f.Index != nil {
			row.Index = fmt.Sprint(*f.Index)
		}
		for _, measure := range r.Measures {
			row.Values = append(row.Values, minus(measure.said(result.Value(f.Values[measure.Name]))))
		}
		v.Rows = append(v.Rows, row)
	}
	if n := len(v.Rows); m.Constant && n > 1 && !slices.ContainsFunc(v.Rows, func(o findingView) bool { return !slices.Equal(o.Values, v.Rows[0].Values) }) {
		v.Rows = v.Rows[:1]
		v.Rows[0].Seed = "every"
	}
	return v
}

// chart shows every seed by a measure: the pairs, two rows each, and then the methods that are in none.
func (r *Result) chart(m Measure) chart.Pairs {
	name, scale := m.Name, 1.0
	switch m.Unit {
	case "percent":
		name += ", %"
	case "share":
		name, scale = name+", %", 100
	case "":
	default:
		name += ", " + m.Unit
	}
	c := chart.Pairs{Label: m.Name + " of every seed of every method", XName: name, Seeds: r.Seeds, Lower: m.Lower}
	paired := map[string]bool{}
	add := func(name string, apart bool) {
		method := r.method(name)
		row := chart.PairsMethod{Name: name, Mean: scale * result.Value(method.Summary[m.Name].Mean), Apart: apart}
		for _, v := range r.values(method, m.Name) {
			row.Values = append(row.Values, scale*v)
		}
		c.Methods = append(c.Methods, row)
		paired[name] = true
	}
	for _, p := range r.Pairs {
		if p.Measure == m.Name {
			c.Joined = append(c.Joined, [2]int{len(c.Methods), len(c.Methods) + 1})
			add(p.Plain, true)
			add(p.Other, false)
		}
	}
	for _, method := range r.Methods {
		if !paired[method.Name] && method.Summary[m.Name].Count > 0 {
			add(method.Name, true)
		}
	}
	return c
}

// ratios are the costs of the pairs, the other method's by the plain one's.
func (r *Result) ratios() []costRow {
	var rows []costRow
	for _, p := range r.Pairs {
		row := costRow{Name: p.Other + " / " + p.Plain}
		for _, c := range r.Costs {
			text := "–"
			if v, ok := p.Cost[c]; ok {
				text = fmt.Sprintf("%.2f×", v)
			}
			row.Cells = append(row.Cells, text)
		}
		if !slices.ContainsFunc(rows, func(o costRow) bool { return o.Name == row.Name }) {
			rows = append(rows, row)
		}
	}
	return rows
}

// minus writes minus signs as such.
func minus(text string) string {
	out := strings.ReplaceAll(text, " -", " −")
	if strings.HasPrefix(out, "-") {
		out = "−" + out[1:]
	}
	return out
}

// count writes a mean cost, with commas between thousands.
func count(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	text := fmt.Sprintf("%.0f", v)
	if v < 10 {
		return trim(fmt.Sprintf("%.1f", v))
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
