package watch

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/history"
	"github.com/plateau-nas/plateau/stages/report/chart"
	"github.com/plateau-nas/plateau/stages/report/frame"
)

//go:embed page
var files embed.FS

// partNames are the parts of the page that change on their own, in their order. Each is a template, and an element's id.
var partNames = [...]string{"head", "graph", "curves", "cell", "neighborhood", "log"}

// view is what the templates lay out.
type view struct {
	Title string
	Style template.CSS
	Parts []part

	Head         headView
	Graph        template.HTML
	Stages       []stageView
	Curves       []curvesView
	Cell         []cellView
	Neighborhood []rankingView
	Log          []logView
}

// part is a rendered part of the page. An empty one is hidden.
type part struct {
	ID   string        `json:"id"`
	HTML template.HTML `json:"html"`
}

type headView struct{ Run, Status, Dir, Since, Error string }

type stageView struct {
	ID, Kind, Status, Time, Text, Values, Left string
	Percent                                    int // of the units; -1 when unknown
}

type curvesView struct {
	Stage   string
	Figures []figure
}

type figure struct {
	Title   string
	Legend  []legend
	Picture template.HTML
}

type legend struct {
	Name, Value string
	Color       template.CSS
}

type logView struct{ Time, Stage, Level, Text string }

// newView turns the state and run.json, which may be nil, into a view.
func newView(dir string, s *state, f *pipeline.RunFile) view {
	v := view{Title: s.run, Head: headView{Run: s.run, Status: string(s.status), Dir: dir}}
	if f != nil {
		v.Head.Error = f.Error
	}
	if s.run == "" {
		v.Title, v.Head.Run, v.Head.Status = filepath.Base(dir), filepath.Base(dir), "waiting for its first event"
	}
	if s.status == pipeline.StatusRunning && !pipeline.Running(dir) {
		v.Head.Status = string(history.StatusKilled)
	}
	if !s.started.IsZero() {
		seconds := s.seconds
		if seconds == 0 {
			seconds = s.last.Sub(s.started).Seconds()
		}
		v.Head.Since = fmt.Sprintf("started %s, %s", s.started.Local().Format(time.DateTime), event.FormatSeconds(seconds))
	}
	nodes := graphNodes(s, f)
	v.Graph = drawGraph(nodes)
	for _, n := range nodes {
		v.Stages = append(v.Stages, newStage(s, n))
	}
	for _, n := range nodes {
		if n.stage == nil {
			continue
		}
		var figures []figure
		for _, unit := range n.stage.curves.units() {
			figures = append(figures, newFigures(n.stage, unit)...)
		}
		if len(figures) > 0 {
			v.Curves = append(v.Curves, curvesView{n.id, figures})
		}
	}
	v.Cell = newCells(dir, s, f)
	v.Neighborhood = newRankings(dir, f)
	for i := len(s.log) - 1; i >= 0 && len(v.Log) < logLines; i-- {
		e := s.log[i]
		v.Log = append(v.Log, logView{e.Time.Local().Format(time.TimeOnly), e.Stage, e.Level, e.Message})
	}
	return v
}

func newStage(s *state, n *node) stageView {
	v := stageView{ID: n.id, Kind: n.kind, Status: n.status, Percent: -1}
	st := n.stage
	if st == nil {
		return v
	}
	v.Text = st.reason
	if st.seconds > 0 {
		v.Time = event.FormatSeconds(st.seconds)
	}
	switch {
	case st.failure != "":
		v.Text = st.failure
	case st.status == pipeline.StatusDone && st.summary != "":
		v.Text, _, _ = strings.Cut(st.summary, "\n")
	}
	var values []event.Value
	if p := st.progress; p != nil && st.status == pipeline.StatusRunning {
		v.Text = strings.TrimSpace(fmt.Sprintf("%s %s %d", p.Phase, p.Unit, p.Done))
		if p.Total > 0 {
			v.Text += fmt.Sprintf(" of %d", p.Total)
			v.Percent = min(100, max(0, 100*p.Done/p.Total))
		}
		if p.Rate > 0 {
			v.Text += fmt.Sprintf(", %.3g steps/s", p.Rate)
		}
		if p.Remaining > 0 {
			v.Left = event.FormatSeconds(p.Remaining) + " left"
		}
		v.Time = event.FormatSeconds(s.last.Sub(st.started).Seconds())
		values = p.Values
	} else {
		values = st.metrics
	}
	texts := make([]string, len(values))
	for i, m := range values {
		texts[i] = strings.ReplaceAll(m.Name, "_", " ") + " " + event.FormatValue(m.Value)
	}
	v.Values = strings.Join(texts, " · ")
	return v
}

// newFigures makes the charts of a stage over units of one name: one for losses, one for accuracies, one for each other value.
func newFigures(st *stage, unit string) []figure {
	var points []point
	for _, p := range st.curves.points {
		if p.unit == unit && len(p.values) > 0 {
			points = append(points, p)
		}
	}
	groups := map[string][]string{}
	var order []string
	phases := []chart.Mark{}
	var x []float64
	phase := ""
	for _, p := range points {
		x = append(x, float64(p.step))
		if p.phase != phase && phase != "" {
			phases = append(phases, chart.Mark{X: float64(p.step), Name: p.phase})
		}
		phase = p.phase
		for _, v := range p.values {
			g := group(v.Name)
			if groups[g] == nil {
				order = append(order, g)
			}
			if !contains(groups[g], v.Name) {
				groups[g] = append(groups[g], v.Name)
			}
		}
	}
	var out []figure
	for _, g := range order {
		line := chart.Line{Label: g + " of stage " + st.id, XName: unit, X: x, Percent: g == "Accuracy", Marks: phases}
		fig := figure{Title: g}
		finite := false
		for i, name := range groups[g] {
			series := chart.Series{Name: strings.ReplaceAll(name, "_", " ")}
			for _, p := range points {
				v := valueOf(p.values, name)
				series.Values = append(series.Values, v)
				finite = finite || !math.IsNaN(v)
			}
			line.Series = append(line.Series, series)
			last := series.Values[len(series.Values)-1]
			text := ""
			if !math.IsNaN(last) {
				text = line.Value(last)
			}
			fig.Legend = append(fig.Legend, legend{series.Name, text, template.CSS(chart.SeriesColor(i))})
		}
		if finite {
			fig.Picture = template.HTML(line.SVG())
			out = append(out, fig)
		}
	}
	return out
}

// group names the chart that a value belongs to.
func group(name string) string {
	switch {
	case strings.Contains(name, "loss"):
		return "Loss"
	case strings.Contains(name, "accuracy"), strings.HasSuffix(name, "top1"):
		return "Accuracy"
	}
	words := strings.ReplaceAll(name, "_", " ")
	return strings.ToUpper(words[:min(1, len(words))]) + words[min(1, len(words)):]
}

func contains(list []string, name string) bool {
	for _, l := range list {
		if l == name {
			return true
		}
	}
	return false
}

// valueOf returns the value with the name, NaN where there is none that can be drawn.
func valueOf(values []event.Value, name string) float64 {
	for _, v := range values {
		if v.Name == name && !math.IsInf(v.Value, 0) {
			return v.Value
		}
	}
	return math.NaN()
}

// render makes the parts of a view.
func render(t *template.Template, v view) ([]part, error) {
	var out []part
	for _, name := range partNames {
		var b bytes.Buffer
		if err := t.ExecuteTemplate(&b, name, v); err != nil {
			return nil, fmt.Errorf("rendering the live page: %w", err)
		}
		out = append(out, part{name, template.HTML(strings.TrimSpace(b.String()))})
	}
	return out, nil
}

// templates reads the templates and the style of the page.
func templates() (*template.Template, template.CSS, error) {
	t, err := frame.Parse(files, nil, "page/*.html")
	if err != nil {
		return nil, "", err
	}
	style, err := frame.Style()
	if err != nil {
		return nil, "", err
	}
	own, err := files.ReadFile("page/watch.css")
	if err != nil {
		return nil, "", fmt.Errorf("reading the style of the live page: %w", err)
	}
	return t, style + template.CSS(own), nil
}
