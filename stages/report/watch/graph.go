package watch

import (
	"fmt"
	"html"
	"html/template"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
)

// node is a stage in the graph: as the run planned it, and what was heard of it.
type node struct {
	id, kind string
	status   string // waiting, running, done, reused, failed, interrupted, killed
	inputs   []string
	level    int
	stage    *stage // nil when nothing was heard of it
}

// graphNodes lists the stages in the order of the plan.
func graphNodes(s *state, f *pipeline.RunFile) []*node {
	var out []*node
	byID := map[string]*node{}
	add := func(n *node) {
		out = append(out, n)
		byID[n.id] = n
	}
	if f != nil {
		for _, rs := range f.Stages {
			n := &node{id: rs.ID, kind: rs.Kind, status: "waiting"}
			for _, in := range rs.Inputs {
				from := in.Source
				if i := strings.LastIndexByte(from, '.'); i >= 0 {
					from = from[:i]
				}
				if byID[from] != nil && !slices.Contains(n.inputs, from) {
					n.inputs = append(n.inputs, from)
					n.level = max(n.level, byID[from].level+1)
				}
			}
			if rs.Planned == pipeline.ActionSkip {
				n.status = "not chosen"
			}
			add(n)
		}
	}
	for _, st := range s.stages {
		n := byID[st.id]
		if n == nil {
			if f != nil {
				continue // of an earlier document in this directory
			}
			n = &node{id: st.id}
			add(n)
		}
		n.stage = st
		if st.kind != "" {
			n.kind = st.kind
		}
		switch {
		case st.status == pipeline.StatusNotRun:
		case st.reused:
			n.status = "reused"
		default:
			n.status = string(st.status)
		}
		if n.status == "" {
			n.status = "waiting"
		}
		if n.status == "running" && s.status != pipeline.StatusRunning {
			n.status = string(s.status)
		}
	}
	return out
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
		fmt.Fprintf(&b, `<g class="node %s"><title>%s (%s): %s</title><rect x="%.1f" y="%.1f" width="%.0f" height="%.0f" rx="9"/>`,
			html.EscapeString(strings.ReplaceAll(n.status, " ", "-")), html.EscapeString(n.id), html.EscapeString(n.kind), html.EscapeString(n.status),
			x[n.id], y[n.id], nodeWidth, nodeHeight)
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f">%s</text><text class="sub" x="%.1f" y="%.1f">%s</text></g>`,
			x[n.id]+11, y[n.id]+19, html.EscapeString(shorten(n.id, 15)), x[n.id]+11, y[n.id]+35, html.EscapeString(n.status))
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
