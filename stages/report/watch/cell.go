package watch

import (
	"encoding/json"
	"fmt"
	"html/template"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/stages/report/chart"
	"github.com/plateau-nas/plateau/stages/report/draw"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
)

// evolution is how many of the latest steps the strip of an architecture's evolution shows.
const evolution = 120

// cellView is where a search stands.
type cellView struct {
	Stage, Architecture, Step string
	Cell                      template.HTML
	Strip                     template.HTML
	Keys                      []legend
	Heat                      *heatView
}

// heatView is a table of shares.
type heatView struct {
	Columns []legend
	Rows    []heatRow
}

type heatRow struct {
	Name  string
	Cells []heatCell
}

type heatCell struct {
	Text, Tip string
	Style     template.CSS
	Strongest bool
}

type rankingView struct {
	Stage, Aggregate string
	Rows             []rankingRow
}

type rankingRow struct {
	Rank, Own                    int
	Architecture                 string
	Score, Neighbors, Std, Worst string
	Range                        template.HTML
	Winner                       bool
}

// newCell shows the architecture of a stage that tells one; false where it does not.
func newCell(dir string, spaces []*space.Space, n *node) (cellView, bool) {
	c := cellView{Stage: n.id}
	var sp *space.Space
	var steps []float64
	var archs []space.Architecture
	unit := ""
	var table *event.Table
	if n.stage != nil {
		table = n.stage.curves.table
		notes := n.stage.curves.notes
		for _, note := range notes[max(0, len(notes)-evolution):] {
			found, arch := parse(spaces, note.text)
			if found == nil || sp != nil && found != sp {
				continue
			}
			if note.unit != unit { // evaluations after epochs: what moves now is shown
				unit, steps, archs = note.unit, nil, nil
			}
			sp = found
			steps, archs = append(steps, float64(note.step)), append(archs, arch)
		}
	}
	// When the search is over its result tells more.
	if a, found, arch := finished(dir, n); a != nil {
		sp, steps, archs = found, append(steps, lastOf(steps)+1), append(archs, arch)
		if table == nil && len(a.Probabilities) > 0 {
			table = &event.Table{Columns: found.Operations, Values: a.Probabilities}
			for e := range found.Edges {
				table.Rows = append(table.Rows, found.EdgeName(e))
			}
		}
		c.Step = "chosen"
	}
	if table != nil {
		c.Heat = newHeat(table)
	}
	if sp == nil {
		return c, c.Heat != nil
	}
	now := archs[len(archs)-1]
	c.Architecture, c.Cell = sp.Format(now), template.HTML(draw.SVG(sp, now))
	if c.Step == "" {
		c.Step = fmt.Sprintf("after %s %d", unit, int(steps[len(steps)-1]))
	} else {
		steps, archs = steps[:len(steps)-1], archs[:len(archs)-1]
	}
	if len(archs) > 1 {
		c.Strip, c.Keys = strip(sp, steps, archs, unit)
	}
	return c, true
}

func lastOf(steps []float64) float64 {
	if len(steps) == 0 {
		return 0
	}
	return steps[len(steps)-1]
}

// spacesOf lists the search spaces that the run's settings name, and those that everyone knows.
func spacesOf(f *pipeline.RunFile) []*space.Space {
	var names []string
	if f != nil {
		for _, s := range f.Stages {
			var settings struct{ Space any }
			if json.Unmarshal(s.Settings, &settings) == nil {
				if name, ok := settings.Space.(string); ok {
					names = append(names, name)
				}
			}
		}
	}
	var out []*space.Space
	for _, name := range append(names, space.Names()...) {
		if sp, err := space.ByName(name); err == nil {
			out = append(out, sp)
		}
	}
	return out
}

// parse returns the first space in which the text is an architecture; nil when there is none.
func parse(spaces []*space.Space, text string) (*space.Space, space.Architecture) {
	if text == "" {
		return nil, nil
	}
	for _, sp := range spaces {
		if a, err := sp.Parse(text); err == nil {
			return sp, a
		}
	}
	return nil, nil
}

// finished returns the architecture that a stage has written; nil when it has not.
func finished(dir string, n *node) (*result.Architecture, *space.Space, space.Architecture) {
	for _, path := range outputs(dir, n, "architecture") {
		a, err := result.ReadArchitecture(path)
		if err != nil {
			continue
		}
		if sp, arch, err := a.Parse(); err == nil {
			return a, sp, arch
		}
	}
	return nil, nil, nil
}

// outputs lists the files of a type that a finished stage has left.
func outputs(dir string, n *node, typ string) []string {
	if n.planned == nil || n.planned.Status != pipeline.StatusDone {
		return nil
	}
	var out []string
	for _, o := range n.planned.Outputs {
		if o.Type == typ {
			out = append(out, filepath.Join(dir, n.id, o.File))
		}
	}
	return out
}

// strip draws how the operations of each edge changed.
func strip(sp *space.Space, steps []float64, archs []space.Architecture, unit string) (template.HTML, []legend) {
	s := chart.Strip{Label: "operations of each edge by " + unit, Unit: unit, Steps: steps}
	used := make([]bool, len(sp.Operations))
	for e := range sp.Edges {
		colors, tips := make([]string, len(archs)), make([]string, len(archs))
		for i, a := range archs {
			op := sp.Operations[a[e]]
			used[a[e]] = true
			colors[i], tips[i] = draw.Color(op), fmt.Sprintf("%s %d, edge %s: %s", unit, int(steps[i]), arrow(sp.EdgeName(e)), draw.Label(op))
		}
		s.Rows, s.Color, s.Tip = append(s.Rows, arrow(sp.EdgeName(e))), append(s.Color, colors), append(s.Tip, tips)
	}
	var keys []legend
	for op, ok := range used {
		if ok {
			keys = append(keys, legend{Name: draw.Label(sp.Operations[op]), Color: template.CSS(draw.Color(sp.Operations[op]))})
		}
	}
	return template.HTML(s.SVG()), keys
}

// arrow writes the name of an edge as pages have it.
func arrow(edge string) string { return strings.Replace(edge, "<-", "←", 1) }

// newHeat colors a table of shares as the report does.
func newHeat(t *event.Table) *heatView {
	h := &heatView{}
	for _, c := range t.Columns {
		h.Columns = append(h.Columns, legend{Name: draw.Label(c), Color: template.CSS(draw.Color(c))})
	}
	for i, name := range t.Rows {
		if i >= len(t.Values) {
			break
		}
		name = arrow(name)
		row := heatRow{Name: name}
		strongest := 0
		for j, v := range t.Values[i] {
			if v > t.Values[i][strongest] {
				strongest = j
			}
			row.Cells = append(row.Cells, heatCell{
				Text: strconv.FormatFloat(v, 'f', 2, 64), Tip: fmt.Sprintf("%s: %.4f", name, v),
				Style: template.CSS(fmt.Sprintf("background:rgba(37,99,235,%.2f)", 0.7*min(1, max(0, v)))),
			})
		}
		if len(row.Cells) > 0 {
			row.Cells[strongest].Strongest = true
		}
		h.Rows = append(h.Rows, row)
	}
	return h
}

// newRankings shows the finalists of every ranking that is there, but for those of variants, which are too many.
func newRankings(dir string, nodes []*node) []rankingView {
	var paths, stages []string
	for _, n := range nodes {
		if len(n.labels) > 0 {
			continue
		}
		for _, path := range outputs(dir, n, "ranking") {
			paths, stages = append(paths, path), append(stages, n.id)
		}
	}
	var out []rankingView
	for i, path := range paths {
		r, err := result.ReadRanking(path)
		if err != nil || len(r.Finalists) == 0 {
			continue
		}
		v := rankingView{Stage: stages[i], Aggregate: fmt.Sprint(r.Aggregate["aggregate"])}
		low, high := r.Finalists[0].OwnScore, r.Finalists[0].OwnScore
		for _, f := range r.Finalists {
			low, high = min(low, f.Min, f.OwnScore, f.Aggregate), max(high, f.Max, f.OwnScore, f.Aggregate)
		}
		for i, f := range r.Finalists {
			row := rankingRow{
				Rank: f.RankNeighborhood, Own: f.RankOwn, Architecture: f.Architecture, Score: event.FormatValue(f.OwnScore),
				Neighbors: event.FormatValue(f.Aggregate), Std: event.FormatValue(f.Std), Winner: i == r.Winner,
			}
			if f.Neighbors > 0 {
				spread := 0.0 // a bar around the mean is for those who know it
				if v.Aggregate == "mean" {
					spread = f.Std
				}
				row.Worst = event.FormatValue(f.Worst.Score)
				row.Range = template.HTML(chart.Interval{
					Low: low, High: high, Min: f.Min, Max: f.Max, Mean: f.Aggregate, Std: spread, Aggregate: f.Aggregate, Own: f.OwnScore,
					Label: fmt.Sprintf("neighbors from %s to %s", event.FormatValue(f.Min), event.FormatValue(f.Max)),
				}.SVG())
			}
			v.Rows = append(v.Rows, row)
		}
		out = append(out, v)
	}
	return out
}
