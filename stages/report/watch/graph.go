package watch

import (
	"fmt"
	"html"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
)

// node is a stage in the graph: as the run planned it, and what was heard of it. A stage with a matrix is one node with all its variants.
type node struct {
	id, kind string
	status   string // waiting, running, done, reused, failed, interrupted, killed, not chosen
	inputs   []string
	level    int
	stage    *stage             // nil when nothing was heard of it
	planned  *pipeline.RunStage // nil when there is no run.json
	template string             // of a variant, the id of its stage in the document
	labels   []pipeline.Label   // of a variant
	variants []*node            // of a stage with a matrix
}

// newNodes lists the stages, each variant for itself, in the order of the plan. alive tells whether the run's process is there.
func newNodes(s *state, f *pipeline.RunFile, alive bool) []*node {
	var out []*node
	if f != nil {
		for i := range f.Stages {
			rs := &f.Stages[i]
			n := &node{id: rs.ID, kind: rs.Kind, status: "waiting", planned: rs, stage: s.byID[rs.ID], template: rs.Template, labels: rs.Labels}
			if n.template == "" { // a run.json of before has no labels
				n.template, n.labels = fromID(rs.ID)
			}
			for _, in := range rs.Inputs {
				from := in.Source
				if i := strings.LastIndexByte(from, '.'); i >= 0 {
					from = from[:i]
				}
				n.inputs = append(n.inputs, from)
			}
			switch {
			case rs.Planned == pipeline.ActionSkip:
				n.status = "not chosen"
			case n.stage == nil && rs.Status == pipeline.StatusDone:
				if n.status = "done"; rs.Cached {
					n.status = "reused"
				}
			}
			out = append(out, n)
		}
	} else {
		for _, st := range s.stages {
			n := &node{id: st.id, status: "waiting", stage: st}
			n.template, n.labels = fromID(st.id)
			out = append(out, n)
		}
	}
	for _, n := range out {
		st := n.stage
		if st == nil {
			continue
		}
		if st.kind != "" {
			n.kind = st.kind
		}
		switch {
		case st.status == pipeline.StatusNotRun:
		case st.reused:
			n.status = "reused"
		case st.status != "":
			n.status = string(st.status)
		}
		if n.status == "running" && s.status != pipeline.StatusRunning {
			n.status = string(s.status)
		}
		if n.status == "running" && !alive {
			n.status = "killed"
		}
	}
	return out
}

// fromID reads the id of a variant, whose values can not be told apart in it.
func fromID(id string) (template string, labels []pipeline.Label) {
	template, values, ok := strings.Cut(id, "@")
	if !ok {
		return "", nil
	}
	return template, []pipeline.Label{{Axis: "variant", Value: values}}
}

// gathered joins the variants of a stage to one node.
func gathered(nodes []*node) []*node {
	var out []*node
	of, byID := map[string]*node{}, map[string]*node{}
	for _, n := range nodes {
		g := n
		if n.template != "" {
			if g = byID[n.template]; g == nil {
				g = &node{id: n.template, kind: n.kind}
			}
			g.variants = append(g.variants, n)
		}
		if of[n.id] = g; byID[g.id] == nil {
			byID[g.id] = g
			out = append(out, g)
		}
	}
	for _, n := range nodes {
		g := of[n.id]
		var inputs []string
		for _, in := range n.inputs {
			if from := of[in]; from != nil && from != g && !slices.Contains(inputs, from.id) && !slices.Contains(g.inputs, from.id) {
				inputs = append(inputs, from.id)
			}
		}
		if len(g.variants) == 0 {
			g.inputs = inputs
		} else {
			g.inputs = append(g.inputs, inputs...)
		}
	}
	for _, g := range out {
		for _, in := range g.inputs {
			g.level = max(g.level, byID[in].level+1) // those before it come first in a plan
		}
		if len(g.variants) > 0 {
			g.status = together(g.variants)
		}
	}
	return out
}

// together is the status of several stages: what needs to be looked at comes first.
func together(nodes []*node) string {
	has := map[string]bool{}
	for _, n := range nodes {
		has[n.status] = true
	}
	for _, status := range []string{"running", "failed", "killed", "interrupted", "waiting"} {
		if !has[status] {
			continue
		}
		if status == "waiting" && (has["done"] || has["reused"]) {
			return "begun"
		}
		return status
	}
	for _, status := range []string{"done", "reused", "not chosen"} {
		if has[status] {
			return status
		}
	}
	return "waiting"
}

// tally counts the states of variants: "120 of 200 done, 3 running".
func tally(nodes []*node) string {
	counts := map[string]int{}
	for _, n := range nodes {
		counts[n.status]++
	}
	text := fmt.Sprintf("%d of %d done", counts["done"]+counts["reused"], len(nodes))
	for _, status := range []string{"running", "failed", "killed", "interrupted", "waiting", "not chosen"} {
		if n := counts[status]; n > 0 {
			text += fmt.Sprintf(", %d %s", n, status)
		}
	}
	if n := counts["reused"]; n > 0 {
		text += fmt.Sprintf("; %d of them reused", n)
	}
	return text
}

// metrics are a stage's, from its events or, where it was reused, from run.json.
func (n *node) metrics() []event.Value {
	if n.stage != nil && len(n.stage.metrics) > 0 {
		return n.stage.metrics
	}
	if n.planned != nil && n.finished() {
		return n.planned.Metrics
	}
	return nil
}

func (n *node) finished() bool { return n.status == "done" || n.status == "reused" }

// seconds is how long a stage took, or has taken so far; 0 when that is not known.
func (n *node) seconds(now time.Time) float64 {
	switch {
	case n.stage == nil:
		return 0
	case n.status == "running":
		return max(0, now.Sub(n.stage.started).Seconds())
	}
	return n.stage.seconds
}

// The measures of the graph in its own units.
const (
	nodeWidth, nodeHeight = 128.0, 44.0
	nodeGapX, nodeGapY    = 34.0, 16.0
	graphLeast            = 640.0 // pixels that a wide graph keeps on a narrow screen, where it is moved sideways
	graphMost             = 60    // nodes; more cannot be read, and the list below has them all
)

// drawGraph draws the stages from left to right, each right of all that it reads from.
func drawGraph(nodes []*node) template.HTML {
	if len(nodes) == 0 || len(nodes) > graphMost {
		return ""
	}
	rows := map[int]int{} // level -> nodes in it
	x, y := map[string]float64{}, map[string]float64{}
	width, height := 0.0, 0.0
	for _, n := range nodes {
		x[n.id], y[n.id] = float64(n.level)*(nodeWidth+nodeGapX)+1, float64(rows[n.level])*(nodeHeight+nodeGapY)+1
		rows[n.level]++
		width, height = max(width, x[n.id]+nodeWidth+1), max(height, y[n.id]+nodeHeight+1)
	}
	var b strings.Builder
	// Edges over a node between their ends pass below it.
	low := height + 14
	fmt.Fprintf(&b, `<svg class="graph" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" style="min-width:%.0fpx;max-width:%.0fpx" role="img" aria-label="stages and what they read">`,
		width, low+8, min(width, graphLeast), width*1.15)
	level := map[string]int{}
	for _, n := range nodes {
		level[n.id] = n.level
	}
	for _, n := range nodes {
		for _, from := range n.inputs {
			x0, y0, x1, y1 := x[from]+nodeWidth, y[from]+nodeHeight/2, x[n.id], y[n.id]+nodeHeight/2
			if n.level-level[from] == 1 {
				mid := (x0 + x1) / 2
				fmt.Fprintf(&b, `<path class="edge" d="M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1f"/>`, x0, y0, mid, y0, mid, y1, x1, y1)
				continue
			}
			if indirect(nodes, from, n) {
				continue // it follows from the others
			}
			fmt.Fprintf(&b, `<path class="edge" d="M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1fH%.1fC%.1f %.1f %.1f %.1f %.1f %.1f"/>`,
				x0, y0, x0+22, y0, x0+8, low, x0+36, low, x1-36, x1-8, low, x1-22, y1, x1, y1)
		}
	}
	for _, n := range nodes {
		sub := n.status
		if k := len(n.variants); k > 0 {
			sub = fmt.Sprintf("×%d %s", k, n.status)
		}
		fmt.Fprintf(&b, `<g class="node %s"><title>%s (%s): %s</title><rect x="%.1f" y="%.1f" width="%.0f" height="%.0f" rx="9"/>`,
			html.EscapeString(strings.ReplaceAll(n.status, " ", "-")), html.EscapeString(n.id), html.EscapeString(n.kind), html.EscapeString(n.status),
			x[n.id], y[n.id], nodeWidth, nodeHeight)
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f">%s</text><text class="sub" x="%.1f" y="%.1f">%s</text></g>`,
			x[n.id]+11, y[n.id]+19, html.EscapeString(shorten(n.id, 15)), x[n.id]+11, y[n.id]+35, html.EscapeString(sub))
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// indirect says whether to also reads from a stage that reads, directly or not, from the stage from.
func indirect(nodes []*node, from string, to *node) bool {
	byID := map[string]*node{}
	for _, n := range nodes {
		byID[n.id] = n
	}
	seen := map[string]bool{}
	var reaches func(id string) bool
	reaches = func(id string) bool {
		if seen[id] {
			return false
		}
		seen[id] = true
		return slices.ContainsFunc(byID[id].inputs, func(in string) bool { return in == from || reaches(in) })
	}
	return slices.ContainsFunc(to.inputs, func(in string) bool { return in != from && reaches(in) })
}

func shorten(text string, most int) string {
	r := []rune(text)
	if len(r) <= most {
		return text
	}
	return string(r[:most-1]) + "…"
}
