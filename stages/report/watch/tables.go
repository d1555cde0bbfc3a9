package watch

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/stages/internal/words"
)

const (
	// inlineMetrics is how many metrics of a stage stand beside it; a stage that has more has them in the table of metrics.
	inlineMetrics = 6
	// metricColumns is how many metrics the table of variants has.
	metricColumns = 12
	// mostChosen is how many curves lie over each other: as many as colors and dashes tell apart.
	mostChosen = 12
)

// table is what the page's script makes a table of, that sorts and filters. Its rows are sent apart, each when it has changed.
type table struct {
	ID      string   `json:"id"`
	Section string   `json:"section"` // of the page
	Title   string   `json:"title"`
	Note    string   `json:"note,omitempty"`
	Noun    string   `json:"noun"` // what a row is, in the plural
	Columns []column `json:"columns"`
	Choose  int      `json:"choose,omitempty"` // how many rows may be chosen, whose curves are shown; 0 for none

	rows []row
	head string // as JSON
}

type column struct {
	Name   string `json:"name"`
	Number bool   `json:"number,omitempty"`
}

type row struct {
	id   string
	text string // as JSON
}

// rowData is the content of a row. A version that grows tells that its curves did.
type rowData struct {
	ID      string `json:"id"`
	Cells   []cell `json:"cells"`
	Version int    `json:"version,omitempty"` // 0 where there are no curves
}

type cell struct {
	Text  string   `json:"text"`
	Sort  *float64 `json:"sort,omitempty"`  // what a number sorts by
	State string   `json:"state,omitempty"` // the class of a state
	Links []link   `json:"links,omitempty"`
}

type link struct {
	Text string `json:"text"`
	Href string `json:"href"`
}

// seal writes the table and its rows as JSON.
func (t *table) seal(rows []rowData) error {
	head, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("writing a table of the live page: %w", err)
	}
	t.head = string(head)
	for _, r := range rows {
		text, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("writing a table of the live page: %w", err)
		}
		t.rows = append(t.rows, row{r.ID, string(text)})
	}
	return nil
}

// family is the variants of stages that have the same axes.
type family struct {
	id       string
	axes     []string
	stages   []string // of the document, in its order
	variants []*variant
}

// variant is one combination of values of a matrix, with all the stages that have it.
type variant struct {
	id     string
	labels []string
	nodes  []*node
}

// families finds the variants.
func families(nodes []*node) []*family {
	var out []*family
	byAxes, byLabels := map[string]*family{}, map[string]*variant{}
	for _, n := range nodes {
		if len(n.labels) == 0 {
			continue
		}
		var axes, labels []string
		for _, l := range n.labels {
			axes, labels = append(axes, l.Axis), append(labels, l.Value)
		}
		key := strings.Join(axes, "\n")
		f := byAxes[key]
		if f == nil {
			f = &family{id: fmt.Sprintf("variants-%d", len(out)), axes: axes}
			byAxes[key] = f
			out = append(out, f)
		}
		if !slices.Contains(f.stages, n.template) {
			f.stages = append(f.stages, n.template)
		}
		id := strings.Join(labels, " ")
		v := byLabels[key+"\n"+id]
		if v == nil {
			v = &variant{id: id, labels: labels}
			byLabels[key+"\n"+id] = v
			f.variants = append(f.variants, v)
		}
		v.nodes = append(v.nodes, n)
	}
	return out
}

// metrics are those of a variant's stages, of the last stage that has one of the name, and where there are few the latest values of its curves.
func (v *variant) metrics() map[string]float64 {
	out := map[string]float64{}
	for _, n := range v.nodes {
		for _, m := range n.metrics() {
			out[m.Name] = m.Value
		}
	}
	for _, n := range v.nodes {
		if n.stage == nil {
			continue
		}
		for _, k := range n.stage.curves.units {
			if len(k.points) == 0 {
				continue
			}
			for i, name := range k.names {
				if _, known := out[name]; !known {
					out[name] = k.points[len(k.points)-1].value(i)
				}
			}
		}
	}
	return out
}

// weight orders metrics by how much they tell of a variant.
func weight(name string) int {
	for i, part := range []string{"test_top1", "valid_top1", "valid_accuracy", "neighborhood_score", "own_score", "test_loss", "valid_loss", "latency_ms", "parameters", "multiply_adds"} {
		if name == part {
			return i
		}
	}
	if strings.Contains(name, "top1") || strings.Contains(name, "accuracy") || strings.Contains(name, "loss") {
		return 20
	}
	return 21
}

// newVariants makes the table of a family.
func newVariants(f *family, now time.Time) (*table, error) {
	t := &table{ID: f.id, Section: "variants", Title: strings.Join(f.stages, ", "), Noun: "variants", Choose: mostChosen}
	var names []string
	values := make([]map[string]float64, len(f.variants))
	seen := map[string]bool{}
	for i, v := range f.variants {
		values[i] = v.metrics()
		for _, n := range v.nodes {
			for _, m := range n.metrics() {
				if !seen[m.Name] {
					seen[m.Name], names = true, append(names, m.Name)
				}
			}
			if n.stage == nil {
				continue
			}
			for _, k := range n.stage.curves.units {
				for _, name := range k.names {
					if !seen[name] {
						seen[name], names = true, append(names, name)
					}
				}
			}
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return weight(a) - weight(b) })
	if more := len(names) - metricColumns; more > 0 {
		t.Note = fmt.Sprintf("%s are not shown; plateau runs show has all.", words.Count(more, "more metric"))
		names = names[:metricColumns]
	}
	for _, a := range f.axes {
		t.Columns = append(t.Columns, column{Name: a})
	}
	t.Columns = append(t.Columns, column{Name: "state"})
	for _, name := range names {
		t.Columns = append(t.Columns, column{strings.ReplaceAll(name, "_", " "), true})
	}
	t.Columns = append(t.Columns, column{"time", true}, column{Name: "pages"})
	rows := make([]rowData, len(f.variants))
	for i, v := range f.variants {
		rows[i] = v.row(names, values[i], now)
	}
	return t, t.seal(rows)
}

// row is a variant's row in the table.
func (v *variant) row(names []string, values map[string]float64, now time.Time) rowData {
	r := rowData{ID: v.id}
	for _, l := range v.labels {
		r.Cells = append(r.Cells, cell{Text: l})
	}
	state := cell{Text: together(v.nodes), State: strings.ReplaceAll(together(v.nodes), " ", "-")}
	seconds := 0.0
	pages := cell{}
	for _, n := range v.nodes {
		if n.status == "running" {
			if state.Text = "running " + n.template; n.stage != nil && n.stage.progress != nil {
				p := n.stage.progress
				state.Text += fmt.Sprintf(", %s %d", p.Unit, p.Done)
				if p.Total > 0 {
					state.Text += fmt.Sprintf(" of %d", p.Total)
				}
			}
		} else if n.stage != nil && n.stage.failure != "" {
			state.Text = n.status + " " + n.template + ": " + shorten(gist(n.stage.failure), 80)
		}
		seconds += n.seconds(now)
		for _, l := range n.pages() {
			pages.Links = append(pages.Links, link{n.template, l})
			pages.Text = n.template
		}
		if n.stage != nil && slices.ContainsFunc(n.stage.curves.units, func(k *curve) bool { return len(k.points) > 0 }) {
			r.Version += n.stage.version
		}
	}
	r.Cells = append(r.Cells, state)
	for _, name := range names {
		c := cell{}
		if x, ok := values[name]; ok {
			c.Text = event.FormatValue(x)
			if !math.IsNaN(x) { // a loss that is no number sorts as one that is missing
				c.Sort = sortable(x)
			}
		}
		r.Cells = append(r.Cells, c)
	}
	c := cell{}
	if seconds > 0 {
		c = cell{Text: event.FormatSeconds(seconds), Sort: &seconds}
	}
	r.Cells = append(r.Cells, c, pages)
	return r
}

// sortable is a number that JSON can write.
func sortable(x float64) *float64 {
	const most = 1e308
	x = min(max(x, -most), most)
	return &x
}

// pages lists the addresses of the pages that a stage has written.
func (n *node) pages() []string {
	if n.planned == nil || n.planned.Status != pipeline.StatusDone {
		return nil
	}
	var out []string
	for _, o := range n.planned.Outputs {
		if isPage(o.Type, o.File) {
			out = append(out, "files/"+n.id+"/"+o.File)
		}
	}
	return out
}

// isPage tells whether an output is a page that can be looked at.
func isPage(typ, file string) bool {
	return (typ == "report" || typ == "page") && filepath.Ext(file) == ".html"
}

// newMetrics makes the table of the metrics of stages that have many; nil when none has.
func newMetrics(nodes []*node) (*table, error) {
	t := &table{ID: "metrics-0", Section: "metrics", Title: "All metrics", Noun: "metrics", Columns: []column{{Name: "stage"}, {Name: "metric"}, {"value", true}}}
	var rows []rowData
	for _, n := range nodes {
		metrics := n.metrics()
		if len(n.labels) > 0 || len(metrics) <= inlineMetrics {
			continue
		}
		for _, m := range metrics {
			c := cell{Text: event.FormatValue(m.Value)}
			if !math.IsNaN(m.Value) {
				c.Sort = sortable(m.Value)
			}
			rows = append(rows, rowData{ID: n.id + " " + m.Name, Cells: []cell{{Text: n.id}, {Text: m.Name}, c}})
		}
	}
	if rows == nil {
		return nil, nil
	}
	return t, t.seal(rows)
}
