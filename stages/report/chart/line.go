// Package chart draws the pictures of a report as <svg> elements: line charts, clouds of points, strips of colored cells and
// intervals. They need no script or font and scale with their width. Colors come from the custom properties --series-1, --series-2, --grid
// and --muted of the page, with defaults for a picture that stands alone.
package chart

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// Line is a chart of values over epochs, or over other whole numbers.
type Line struct {
	Label   string    // what the chart shows, for screen readers
	XName   string    // what X counts; "" is epoch
	X       []float64 // ascending
	Series  []Series
	Percent bool   // values are shares, written in percent
	Marks   []Mark // where phases begin
}

// Series is one line. Where Values holds NaN the line is interrupted.
type Series struct {
	Name   string
	X      []float64 // ascending; nil for those of the chart, of which alone hovering shows the values
	Values []float64 // one for each X
}

// markLetter is about the width of a letter in the name of a mark.
const markLetter = 6.5

// tickLetter is about the width of a digit in the name of a tick.
const tickLetter = 6.1

// Mark is a named position on the x axis.
type Mark struct {
	X    float64
	Name string
}

// The measures of a line chart in its own units. They are chosen so that text is readable at half a page and on a phone alike.
const (
	lineWidth, lineHeight = 440.0, 240.0
	lineLeft, lineRight   = 46.0, 10.0
	lineTop, lineBottom   = 20.0, 38.0
	textSize              = 12.0
)

// SeriesDash returns the stroke-dasharray of the series with the given index, "" for a whole line: colors come again after the fourth, and
// in the order of the dashes.
func SeriesDash(i int) string {
	dashes := []string{"", "7 4", "2 4"}
	return dashes[i/4%len(dashes)]
}

// SeriesColor returns the CSS color of the series with the given index.
func SeriesColor(i int) string {
	defaults := []string{"#2563eb", "#c2410c", "#0f766e", "#7c3aed"}
	i %= len(defaults)
	return fmt.Sprintf("var(--series-%d,%s)", i+1, defaults[i])
}

// SVG returns the chart. It has axes, grid lines, a dot on the last value of each series and, on hovering, the
// values of an epoch; it has no legend.
func (l Line) SVG() string {
	var values []float64
	xs := slices.Clone(l.X)
	for _, s := range l.Series {
		values, xs = append(values, s.Values...), append(xs, s.X...)
	}
	x, y := newAxis(xs, 6, false), newAxis(values, 5, true)
	if len(xs) < 2 {
		x = newAxis([]float64{0, max(1, firstOr(xs, 1))}, 6, false)
	}
	x.step = max(1, math.Round(x.step)) // epochs are whole
	x.from, x.to = lineLeft, lineWidth-lineRight
	for _, t := range y.ticks() { // numbers of many digits get the room that they need
		x.from = max(x.from, 9+tickLetter*float64(len([]rune(y.text(t, l.Percent)))))
	}
	y.from, y.to = lineHeight-lineBottom, lineTop

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" role="img" aria-label="%s" font-family="system-ui,sans-serif" font-size="%s">`,
		num(lineWidth), num(lineHeight), html.EscapeString(l.Label), num(textSize))
	l.drawAxes(&b, x, y)
	for i, s := range l.Series {
		at := l.X
		if s.X != nil {
			at = s.X
		}
		drawSeries(&b, i, at, s.Values, x, y)
	}
	l.drawTips(&b, x)
	b.WriteString("</svg>")
	return b.String()
}

func firstOr(v []float64, otherwise float64) float64 {
	if len(v) > 0 {
		return v[0]
	}
	return otherwise
}

func (l Line) drawAxes(b *strings.Builder, x, y axis) {
	grid, muted := `style="stroke:var(--grid,#e5e5e2)"`, `style="fill:var(--muted,#5f6672)"`
	for _, t := range y.ticks() {
		fmt.Fprintf(b, `<path d="M%s %sH%s" %s/>`, num(x.from), num(y.at(t)), num(x.to), grid)
		fmt.Fprintf(b, `<text x="%s" y="%s" text-anchor="end" %s>%s</text>`, num(x.from-7), num(y.at(t)+textSize*0.35), muted, y.text(t, l.Percent))
	}
	for _, t := range x.ticks() {
		fmt.Fprintf(b, `<path d="M%s %sv4" %s/>`, num(x.at(t)), num(y.from), grid)
		fmt.Fprintf(b, `<text x="%s" y="%s" text-anchor="middle" %s>%s</text>`, num(x.at(t)), num(y.from+18), muted, x.text(t, false))
	}
	fmt.Fprintf(b, `<text x="%s" y="%s" text-anchor="middle" %s>%s</text>`, num((x.from+x.to)/2), num(lineHeight-4), muted, html.EscapeString(l.xName()))
	for i, m := range l.Marks {
		// A phase too short for its name keeps its line; the name would run into the next one.
		named := i+1 == len(l.Marks) || x.at(l.Marks[i+1].X)-x.at(m.X) > markLetter*float64(len(m.Name))
		// Against the right end a name would leave the picture, so it stands on the other side of its line.
		anchor, dx := "start", 4.0
		if x.at(m.X) > x.from+0.75*(x.to-x.from) {
			anchor, dx = "end", -4.0
		}
		if x.at(m.X) <= x.from {
			dx = 0 // the axis itself is the line
		} else {
			fmt.Fprintf(b, `<path d="M%s %sV%s" stroke-dasharray="2 4" style="stroke:var(--muted,#5f6672)"><title>%s</title></path>`, num(x.at(m.X)), num(y.to-14), num(y.from), html.EscapeString(m.Name))
		}
		if !named {
			continue
		}
		fmt.Fprintf(b, `<text x="%s" y="%s" text-anchor="%s" font-size="11" %s>%s</text>`, num(x.at(m.X)+dx), num(y.to-6), anchor, muted, html.EscapeString(m.Name))
	}
}

func drawSeries(b *strings.Builder, index int, xs, values []float64, x, y axis) {
	color, dash := SeriesColor(index), ""
	if d := SeriesDash(index); d != "" {
		dash = fmt.Sprintf(` stroke-dasharray="%s"`, d)
	}
	var path strings.Builder
	pen, last := "M", -1
	var alone []int // values with a gap on either side have no line and get a dot
	for i := range min(len(xs), len(values)) {
		if !finite(values[i]) {
			pen = "M"
			continue
		}
		fmt.Fprintf(&path, "%s%s %s", pen, num(x.at(xs[i])), num(y.at(values[i])))
		if pen == "M" && (i+1 >= len(values) || !finite(values[i+1])) {
			alone = append(alone, i)
		}
		pen, last = "L", i
	}
	if last < 0 {
		return
	}
	fmt.Fprintf(b, `<path d="%s" fill="none" stroke-width="2" stroke-linejoin="round" stroke-linecap="round"%s style="stroke:%s"/>`, path.String(), dash, color)
	for _, i := range append(alone, last) {
		fmt.Fprintf(b, `<circle cx="%s" cy="%s" r="3.2" style="fill:%s"/>`, num(x.at(xs[i])), num(y.at(values[i])), color)
	}
}

// drawTips lays a transparent column over each epoch whose title holds the values.
func (l Line) drawTips(b *strings.Builder, x axis) {
	const most = 150 // a longer history is read from its file; every column costs some bytes
	if len(l.X) > most {
		return
	}
	for i, v := range l.X {
		left, right := x.from, x.to
		if i > 0 {
			left = x.at((v + l.X[i-1]) / 2)
		}
		if i+1 < len(l.X) {
			right = x.at((v + l.X[i+1]) / 2)
		}
		tip := []string{l.xName() + " " + num(v)}
		for _, s := range l.Series {
			if i < len(s.Values) && finite(s.Values[i]) {
				tip = append(tip, s.Name+" "+l.Value(s.Values[i]))
			}
		}
		fmt.Fprintf(b, `<rect x="%s" y="%s" width="%s" height="%s" fill="transparent"><title>%s</title></rect>`,
			num(left), num(lineTop), num(right-left), num(lineHeight-lineTop-lineBottom), html.EscapeString(strings.Join(tip, ", ")))
	}
}

func (l Line) xName() string {
	if l.XName == "" {
		return "epoch"
	}
	return l.XName
}

// Value writes a value of the chart for people.
func (l Line) Value(v float64) string {
	if l.Percent {
		return fmt.Sprintf("%.1f%%", 100*v)
	}
	return fmt.Sprintf("%.3g", v)
}

// finite tells whether a chart can show a value. NaN fails the comparison.
func finite(v float64) bool { return math.Abs(v) <= vast }

// num writes a coordinate with at most one decimal.
func num(v float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") }
