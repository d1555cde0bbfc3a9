package draw

import (
	"fmt"
	"html"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/plateau-nas/plateau/stages/space"
)

// The measures of an SVG drawing, in its own units; 1 is a pixel at natural size.
const (
	nodeGap    = 160.0
	nodeRadius = 21.0
	margin     = 8.0
	rise       = 76.0 // how far an arc stands off for each node that it passes over
	fontSize   = 14.5
	pillHeight = 25.0
	cellGap    = 28.0
)

// SVG returns a drawing of an architecture as an <svg> element: nodes in a row, edges between neighbors straight, longer ones
// as arcs above (from even nodes) and below (from odd ones), each in the color of its operation and labeled with it. An edge
// without an operation is dashed. Several cells stand below each other under their names. The element needs no style sheet or
// font, scales with its width, takes the color of the text around it for the nodes, and has a title for screen readers. It
// returns "" for what is no architecture of the space.
func SVG(s *space.Space, a space.Architecture) string {
	if s.Check(a) != nil {
		return ""
	}
	var edges, labels, nodes strings.Builder
	y := margin
	for i, c := range cellsOf(s, a) {
		if c.name != "" {
			if i > 0 {
				y += cellGap
			}
			fmt.Fprintf(&nodes, `<text x="%s" y="%s" fill="currentColor" text-anchor="start">%s cell</text>`, f(margin), f(y+fontSize), html.EscapeString(c.name))
			y += 2 * fontSize
		}
		above, below := c.extent()
		axis := y + above
		for e, edge := range c.edges {
			drawEdge(&edges, &labels, edge, axis, c.operations[e])
		}
		for n, name := range c.nodes {
			x := nodeX(n)
			fmt.Fprintf(&nodes, `<circle cx="%s" cy="%s" r="%s" fill="currentColor" fill-opacity=".07" stroke="currentColor" stroke-width="1.75"/>`, f(x), f(axis), f(nodeRadius))
			fmt.Fprintf(&nodes, `<text x="%s" y="%s" fill="currentColor">%s</text>`, f(x), f(axis+fontSize*0.35), name)
		}
		y = axis + below
	}
	width, height := 2*(margin+nodeRadius)+nodeGap*float64(s.Nodes-1), y+margin
	text, what := html.EscapeString(s.Format(a)), "Cell"
	if len(s.Cells) > 1 {
		what = "Cells"
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" role="img" aria-label="%s %s" font-family="system-ui,sans-serif" font-size="%s" font-weight="600" text-anchor="middle"><title>%s</title>%s%s%s</svg>`,
		f(width), f(height), what, text, f(fontSize), text, edges.String(), nodes.String(), labels.String())
}

func nodeX(n int) float64 { return margin + nodeRadius + nodeGap*float64(n) }

// extent returns how far the drawing reaches above and below the row of nodes.
func (c cell) extent() (above, below float64) {
	above, below = nodeRadius, nodeRadius
	for _, edge := range c.edges {
		if h := apex(edge) + pillHeight/2; edge.From%2 == 0 {
			above = max(above, h)
		} else {
			below = max(below, h)
		}
	}
	return above, below
}

// apex returns how far the middle of an edge stands off the row of nodes.
func apex(edge space.Edge) float64 { return rise * float64(edge.To-edge.From-1) }

func drawEdge(edges, labels *strings.Builder, edge space.Edge, axis float64, operation string) {
	x0, x1, off := nodeX(edge.From), nodeX(edge.To), -apex(edge)
	if edge.From%2 == 1 {
		off = -off
	}
	// The middle of a cubic curve is at 3/4 of the way to its control points.
	control := axis + off*4/3
	inset := 0.2 * (x1 - x0)
	cx0, cx1 := x0+inset, x1-inset
	sx, sy := toward(x0, axis, cx0, control, nodeRadius+1)
	tipX, tipY := toward(x1, axis, cx1, control, nodeRadius+2)
	color := Color(operation)
	if operation == "none" {
		fmt.Fprintf(edges, `<path d="M%s %sC%s %s %s %s %s %s" fill="none" stroke="%s" stroke-opacity=".6" stroke-width="1.5" stroke-dasharray="3 5"/>`,
			f(sx), f(sy), f(cx0), f(control), f(cx1), f(control), f(tipX), f(tipY), color)
	} else {
		// The line ends inside the arrowhead, whose base is at 10 from the tip.
		ex, ey := toward(tipX, tipY, cx1, control, 7)
		bx, by := toward(tipX, tipY, cx1, control, 11)
		nx, ny := (tipY-by)/11*5.5, -(tipX-bx)/11*5.5
		fmt.Fprintf(edges, `<path d="M%s %sC%s %s %s %s %s %s" fill="none" stroke="%s" stroke-width="2.75"/>`,
			f(sx), f(sy), f(cx0), f(control), f(cx1), f(control), f(ex), f(ey), color)
		fmt.Fprintf(edges, `<path d="M%s %sL%s %sL%s %sZ" fill="%s"/>`, f(tipX), f(tipY), f(bx+nx), f(by+ny), f(bx-nx), f(by-ny), color)
	}
	label := Label(operation)
	w := 0.58*fontSize*float64(utf8.RuneCountInString(label)) + 22
	// The middle of the drawn curve, not of the chord: its ends stand off the nodes' centers.
	x, y := (sx+3*cx0+3*cx1+tipX)/8, (sy+6*control+tipY)/8
	if off == 0 && operation != "none" {
		x -= 4 // and the arrowhead takes its part
	}
	fmt.Fprintf(labels, `<rect x="%s" y="%s" width="%s" height="%s" rx="%s" fill="%s"/>`,
		f(x-w/2), f(y-pillHeight/2), f(w), f(pillHeight), f(pillHeight/2), color)
	fmt.Fprintf(labels, `<text x="%s" y="%s" fill="#fff">%s</text>`, f(x), f(y+fontSize*0.35), html.EscapeString(label))
}

// toward returns the point at the given distance from (x, y) on the way to (tx, ty).
func toward(x, y, tx, ty, distance float64) (float64, float64) {
	d := math.Hypot(tx-x, ty-y)
	if d == 0 {
		return x, y
	}
	return x + (tx-x)/d*distance, y + (ty-y)/d*distance
}

// f writes a coordinate with at most one decimal.
func f(v float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
}
