package watch

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"math"
	"path"
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

// sectionNames are the sections of the page, in their order.
var sectionNames = [...]section{
	{ID: "run"}, {ID: "stages", Title: "Stages"}, {ID: "variants", Title: "Variants", Many: true}, {ID: "metrics", Title: "Metrics", Many: true},
	{ID: "curves", Title: "Curves", Many: true}, {ID: "cell", Title: "Architecture", Many: true}, {ID: "neighborhood", Title: "Neighborhood"}, {ID: "log", Title: "Log"},
}

// section is a section of the page: a part, or many under a heading. One with nothing in it is hidden.
type section struct {
	ID, Title string
	Many      bool
	Parts     []part // of one with many
	HTML      template.HTML
}

// Empty tells whether there is nothing to show. Tables come later.
func (s section) Empty() bool { return s.HTML == "" && len(s.Parts) == 0 }

// view is what the templates lay out.
type view struct {
	Title    string
	Style    template.CSS
	Sections []section

	Run          runView
	Graph        template.HTML
	Stages       []stageView
	Neighborhood []rankingView
	Log          []logView
}

// part is a rendered part of the page, in a section with many.
type part struct {
	ID   string        `json:"id"`
	In   string        `json:"in,omitempty"` // the section, where it is one of many
	HTML template.HTML `json:"html"`
}

type runView struct{ Run, Status, Dir, Since, Error string }

type stageView struct {
	ID, Kind, Status, Time, Text, Values, Left string
	More                                       int // metrics that are in the table below
	Pages                                      []link
	Percent                                    int // of the units; -1 when unknown
}

type curvesView struct {
	Stage   string
	Figures []figure
	More    []string // values that have no figure
}

type figure struct {
	Title   string
	Legend  []legend
	Picture template.HTML
}

type legend struct {
	Name, Value string
	Color       template.CSS
	Dash        string // of the line, "" for a whole one
}

type logView struct{ Time, Stage, Level, Text string }

// newView turns the state and run.json, which may be nil, into a view of what is small; curves and tables are made apart. all are the
// stages, nodes the same with variants joined.
func newView(dir string, s *state, f *pipeline.RunFile, all, nodes []*node, alive bool) view {
	v := view{Title: s.run, Run: runView{Run: s.run, Status: string(s.status), Dir: dir}}
	if f != nil {
		v.Run.Error = f.Error
	}
	if s.run == "" {
		v.Title, v.Run.Run, v.Run.Status = filepath.Base(dir), filepath.Base(dir), "waiting for its first event"
	}
	if s.status == pipeline.StatusRunning && !alive {
		v.Run.Status = string(history.StatusKilled)
	}
	if !s.started.IsZero() {
		seconds := s.seconds
		if seconds == 0 {
			seconds = s.last.Sub(s.started).Seconds()
		}
		v.Run.Since = fmt.Sprintf("started %s, %s", s.started.Local().Format(time.DateTime), event.FormatSeconds(seconds))
	}
	v.Graph = drawGraph(nodes)
	for _, n := range nodes {
		v.Stages = append(v.Stages, newStage(s, n))
	}
	v.Neighborhood = newRankings(dir, all)
	for i := len(s.log) - 1; i >= 0 && len(v.Log) < logLines; i-- {
		e := s.log[i]
		v.Log = append(v.Log, logView{e.Time.Local().Format(time.TimeOnly), e.Stage, e.Level, e.Message})
	}
	return v
}

func newStage(s *state, n *node) stageView {
	v := stageView{ID: n.id, Kind: n.kind, Status: n.status, Percent: -1}
	if len(n.variants) > 0 {
		v.Text = tally(n.variants)
		done, seconds := 0, 0.0
		for _, o := range n.variants {
			seconds += o.seconds(s.last)
			if o.finished() {
				done++
			}
		}
		if v.Status == "running" || v.Status == "begun" {
			v.Percent = 100 * done / len(n.variants)
		}
		if seconds > 0 {
			v.Time = event.FormatSeconds(seconds)
		}
		return v
	}
	for _, href := range n.pages() {
		v.Pages = append(v.Pages, link{path.Base(href), href})
	}
	if seconds := n.seconds(s.last); seconds > 0 {
		v.Time = event.FormatSeconds(seconds)
	}
	st := n.stage
	values := n.metrics()
	switch {
	case n.finished():
		v.Text = n.did()
	case st == nil:
	case st.failure != "":
		v.Text = st.failure
	case st.progress != nil && st.status != pipeline.StatusNotRun:
		p := st.progress
		v.Text = strings.TrimSpace(fmt.Sprintf("%s %s %d", p.Phase, p.Unit, p.Done))
		if p.Total > 0 {
			v.Text += fmt.Sprintf(" of %d", p.Total)
			v.Percent = min(100, max(0, 100*p.Done/p.Total))
		}
		values = p.Values
		if n.status != "running" {
			break
		}
		if p.Rate > 0 {
			v.Text += fmt.Sprintf(", %.3g steps/s", p.Rate)
		}
		if p.Remaining > 0 {
			v.Left = event.FormatSeconds(p.Remaining) + " left"
		}
	default:
		v.Text = st.reason
	}
	if v.More = len(values) - inlineMetrics; v.More > 0 {
		values = values[:inlineMetrics]
	}
	texts := make([]string, len(values))
	for i, m := range values {
		texts[i] = strings.ReplaceAll(m.Name, "_", " ") + " " + event.FormatValue(m.Value)
	}
	v.Values = strings.Join(texts, " · ")
	return v
}

const (
	// mostFigures is how many charts a stage gets; the other values are named.
	mostFigures = 12
	// mostSeries is how many lines a chart has: as many as colors and dashes tell apart.
	mostSeries = 12
)

// newCurves makes the charts of a stage.
func newCurves(st *stage) curvesView {
	v := curvesView{Stage: st.id}
	for _, k := range st.curves.units {
		figures, more := newFigures(st, k)
		v.Figures, v.More = append(v.Figures, figures...), append(v.More, more...)
	}
	for _, f := range v.Figures[min(len(v.Figures), mostFigures):] {
		v.More = append(v.More, f.Title)
	}
	v.Figures = v.Figures[:min(len(v.Figures), mostFigures)]
	return v
}

// newFigures makes the charts of a stage over units of one name: one for losses, one for accuracies, one for each other value. more names
// the values that a chart has no lines for.
func newFigures(st *stage, k *curve) (out []figure, more []string) {
	points := thin(k.points, len(k.names), shownPoints)
	var x []float64
	var phases []chart.Mark
	phase := ""
	for _, p := range points {
		x = append(x, float64(p.step))
		if p.phase != phase && phase != "" {
			phases = append(phases, chart.Mark{X: float64(p.step), Name: p.phase})
		}
		phase = p.phase
	}
	groups := map[string][]int{}
	var order []string
	for i, name := range k.names {
		g := group(name)
		if groups[g] == nil {
			order = append(order, g)
		}
		groups[g] = append(groups[g], i)
	}
	for _, g := range order {
		line := chart.Line{Label: g + " of stage " + st.id, XName: k.unit, X: x, Percent: g == "Accuracy", Marks: phases}
		fig := figure{Title: g}
		finite := false
		for i, at := range groups[g] {
			name := strings.ReplaceAll(k.names[at], "_", " ")
			if i >= mostSeries {
				more = append(more, name)
				continue
			}
			series := chart.Series{Name: name}
			for _, p := range points {
				v := p.value(at)
				series.Values = append(series.Values, v)
				finite = finite || !math.IsNaN(v)
			}
			line.Series = append(line.Series, series)
			fig.Legend = append(fig.Legend, newLegend(line, i))
		}
		if finite {
			fig.Picture = template.HTML(line.SVG())
			out = append(out, fig)
		}
	}
	return out, more
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

// render fills in a template, such as that of a part.
func render(t *template.Template, name string, data any) (template.HTML, error) {
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, name, data); err != nil {
		return "", fmt.Errorf("rendering the live page: %w", err)
	}
	return template.HTML(strings.TrimSpace(b.String())), nil
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
