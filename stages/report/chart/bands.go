package chart

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Bands is a chart of lines with a band around each, such as means with their confidence intervals, over numbers whose
// ratios matter: x is logarithmic. Lines are named in a legend below.
type Bands struct {
	Title  string
	Label  string // what the chart shows, for screen readers
	XName  string
	YName  string
	X      []float64 // ascending, above 0; each is a tick
	Series []Band
	// Low and High, when they differ, are the ends of the y axis, so that charts beside each other share it. What lies beyond
	// is not shown.
	Low, High float64
}

// Band is one line. Where Values holds NaN there is a gap.
type Band struct {
	Name              string
	Values, Low, High []float64 // one for each X
	Color             int       // of BandColor
	Dashed            bool
}

// BandColor returns the CSS color with the given index, 0 to 7. They stay apart for color-blind readers (Okabe and Ito).
func BandColor(i int) string {
	colors := []string{"#555555", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d1f"}
	return colors[i%len(colors)]
}

const (
	bandWidth, bandPlot = 440.0, 260.0
	bandTop, bandLegend = 34.0, 18.0
)

// SVG returns the chart.
func (c Bands) SVG() string {
	height := c.Height()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" width="%s" height="%s" role="img" aria-label="%s" font-family="system-ui,sans-serif" font-size="%s">`,
		num(bandWidth), num(height), num(bandWidth), num(height), html.EscapeString(c.Label), num(textSize))
	b.WriteString(c.inner())
	b.WriteString("</svg>")
	return b.String()
}

// Height returns the height of the chart in its own units; every chart is 440 wide.
func (c Bands) Height() float64 {
	return bandTop + bandPlot + lineBottom + 10 + bandLegend*float64(len(c.Series))
}

// BandRow draws charts beside each other as one picture on white ground, with lines of text above them.
func BandRow(text []string, charts []Bands) string {
	caption := 26 + bandLegend*float64(len(text))
	height := 0.0
	for _, c := range charts {
		height = max(height, c.Height())
	}
	width := bandWidth * float64(max(1, len(charts)))
	height += caption
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]s %[2]s" width="%[1]s" height="%[2]s" role="img" aria-label="%[3]s" font-family="system-ui,sans-serif" font-size="%[4]s">`+
		`<rect width="100%%" height="100%%" fill="#ffffff"/>`, num(width), num(height), html.EscapeString(strings.Join(text, " ")), num(textSize))
	for i, line := range text {
		fmt.Fprintf(&b, `<text x="%s" y="%s" font-size="13">%s</text>`, num(lineLeft), num(22+bandLegend*float64(i)), html.EscapeString(line))
	}
	for i, c := range charts {
		fmt.Fprintf(&b, `<g transform="translate(%s %s)">%s</g>`, num(bandWidth*float64(i)), num(caption), c.inner())
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (c Bands) inner() string {
	var values, logs []float64
	for _, s := range c.Series {
		values = append(append(append(values, s.Values...), s.Low...), s.High...)
	}
	if c.Low != c.High {
		values = []float64{c.Low, c.High}
	}
	for _, v := range c.X {
		logs = append(logs, math.Log(v))
	}
	x, y := newAxis(logs, 6, false), newAxis(values, 5, true)
	x.from, x.to = lineLeft, bandWidth-lineRight-10
	y.from, y.to = bandTop+bandPlot, bandTop
	var b strings.Builder
	grid, muted := `style="stroke:var(--grid,#e5e5e2)"`, `style="fill:var(--muted,#5f6672)"`
	fmt.Fprintf(&b, `<text x="%s" y="14" font-weight="600" font-size="13">%s</text><text x="%s" y="14" text-anchor="end" font-size="11" %s>%s</text>`,
		num(x.from), html.EscapeString(c.Title), num(x.to), muted, html.EscapeString(c.YName))
	for _, t := range y.ticks() {
		fmt.Fprintf(&b, `<path d="M%s %sH%s" %s/><text x="%s" y="%s" text-anchor="end" %s>%s</text>`,
			num(x.from), num(y.at(t)), num(x.to), grid, num(x.from-7), num(y.at(t)+textSize*0.35), muted, y.text(t, false))
	}
	for i, v := range c.X {
		fmt.Fprintf(&b, `<path d="M%s %sv4" %s/><text x="%s" y="%s" text-anchor="middle" %s>%s</text>`,
			num(x.at(logs[i])), num(y.from), grid, num(x.at(logs[i])), num(y.from+18), muted, num(v))
	}
	fmt.Fprintf(&b, `<text x="%s" y="%s" text-anchor="middle" %s>%s</text>`, num((x.from+x.to)/2), num(y.from+34), muted, html.EscapeString(c.XName))
	// A picture within the picture, in the same coordinates, cuts off what lies beyond a y axis that was given.
	fmt.Fprintf(&b, `<svg x="%s" y="%s" width="%s" height="%s" viewBox="%[1]s %[2]s %[3]s %[4]s">`, num(x.from-4), num(y.to-4), num(x.to-x.from+8), num(y.from-y.to+8))
	for _, s := range c.Series {
		s.drawBand(&b, logs, x, y)
	}
	for _, s := range c.Series {
		s.drawLine(&b, c.X, logs, x, y)
	}
	b.WriteString("</svg>")
	for i, s := range c.Series {
		at := y.from + lineBottom + 14 + bandLegend*float64(i)
		fmt.Fprintf(&b, `<path d="M%s %sh22" stroke-width="2.5" stroke="%s"%s/><text x="%s" y="%s">%s</text>`,
			num(x.from), num(at-4), BandColor(s.Color), s.dash(), num(x.from+29), num(at), html.EscapeString(s.Name))
	}
	return b.String()
}

func (s Band) dash() string {
	if s.Dashed {
		return ` stroke-dasharray="5 4"`
	}
	return ""
}

// drawBand fills what lies between Low and High, each stretch without gaps on its own.
func (s Band) drawBand(b *strings.Builder, logs []float64, x, y axis) {
	ok := func(i int) bool {
		return i < len(s.Low) && i < len(s.High) && finite(s.Low[i]) && finite(s.High[i])
	}
	for from := 0; from < len(logs); from++ {
		to := from
		for to < len(logs) && ok(to) {
			to++
		}
		if to-from >= 2 {
			var path strings.Builder
			for i := from; i < to; i++ {
				fmt.Fprintf(&path, "L%s %s", num(x.at(logs[i])), num(y.at(s.High[i])))
			}
			for i := to - 1; i >= from; i-- {
				fmt.Fprintf(&path, "L%s %s", num(x.at(logs[i])), num(y.at(s.Low[i])))
			}
			fmt.Fprintf(b, `<path d="M%sZ" fill="%s" fill-opacity=".16"/>`, path.String()[1:], BandColor(s.Color))
		}
		from = max(from, to)
	}
}

func (s Band) drawLine(b *strings.Builder, xs, logs []float64, x, y axis) {
	var path strings.Builder
	pen := "M"
	for i := range min(len(logs), len(s.Values)) {
		if !finite(s.Values[i]) {
			pen = "M"
			continue
		}
		fmt.Fprintf(&path, "%s%s %s", pen, num(x.at(logs[i])), num(y.at(s.Values[i])))
		pen = "L"
		tip := fmt.Sprintf("%s, %s: %.3g", s.Name, num(xs[i]), s.Values[i])
		if i < len(s.Low) && i < len(s.High) && finite(s.Low[i]) && finite(s.High[i]) {
			tip += fmt.Sprintf(" (%.3g to %.3g)", s.Low[i], s.High[i])
		}
		fmt.Fprintf(b, `<circle cx="%s" cy="%s" r="3" fill="%s"><title>%s</title></circle>`, num(x.at(logs[i])), num(y.at(s.Values[i])), BandColor(s.Color), html.EscapeString(tip))
	}
	if path.Len() > 0 {
		fmt.Fprintf(b, `<path d="%s" fill="none" stroke-width="2" stroke="%s"%s/>`, path.String(), BandColor(s.Color), s.dash())
	}
}
