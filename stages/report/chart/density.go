package chart

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// Density is a chart of many points: where they lie close, the color is strong.
type Density struct {
	Label        string // what the chart shows, for screen readers
	XName, YName string // of the axes
	X, Y         []float64
	Marks        []Dot
	// Low is the share of points at the low end of either axis that may lie outside the picture, so that a long tail does
	// not squeeze the rest: 0 shows all.
	Low float64
}

// Dot is a named point that stands out.
type Dot struct {
	X, Y  float64
	Name  string
	Color string // CSS
}

const (
	densityHeight  = 308.0
	densityTop     = 28.0 // room for the name of the axis
	densityColumns = 96
	densityRows    = 64
	densityLevels  = 7
)

// Outside returns how many points lie outside the picture.
func (d Density) Outside() int {
	x, y := d.axes()
	n := 0
	for i := range d.X {
		if d.X[i] < x.low || d.Y[i] < y.low {
			n++
		}
	}
	return n
}

func (d Density) axes() (x, y axis) {
	cut := func(values []float64) []float64 {
		if len(values) == 0 || d.Low <= 0 {
			return values
		}
		sorted := slices.Sorted(slices.Values(values))
		return sorted[min(len(sorted)-1, int(d.Low*float64(len(sorted)))):]
	}
	xs, ys := cut(d.X), cut(d.Y)
	for _, m := range d.Marks {
		xs, ys = append(slices.Clone(xs), m.X), append(slices.Clone(ys), m.Y)
	}
	x, y = newAxis(xs, 6, false), newAxis(ys, 5, true)
	// A dot at the very end would be cut.
	x.high += (x.high - x.low) * 0.02
	x.from, x.to = lineLeft, lineWidth-lineRight
	y.from, y.to = densityHeight-lineBottom, densityTop
	return x, y
}

// SVG returns the chart, with axes, grid lines and the marks.
func (d Density) SVG() string {
	x, y := d.axes()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" role="img" aria-label="%s" font-family="system-ui,sans-serif" font-size="%s">`,
		num(lineWidth), num(densityHeight), html.EscapeString(d.Label), num(textSize))
	grid, muted := `style="stroke:var(--grid,#e5e5e2)"`, `style="fill:var(--muted,#5f6672)"`
	for _, t := range y.ticks() {
		fmt.Fprintf(&b, `<path d="M%s %sH%s" %s/>`, num(x.from), num(y.at(t)), num(x.to), grid)
		fmt.Fprintf(&b, `<text x="%s" y="%s" text-anchor="end" %s>%s</text>`, num(x.from-7), num(y.at(t)+textSize*0.35), muted, y.text(t, false))
	}
	for _, t := range x.ticks() {
		fmt.Fprintf(&b, `<path d="M%s %sv4" %s/>`, num(x.at(t)), num(y.from), grid)
		fmt.Fprintf(&b, `<text x="%s" y="%s" text-anchor="middle" %s>%s</text>`, num(x.at(t)), num(y.from+18), muted, x.text(t, false))
	}
	fmt.Fprintf(&b, `<text x="%s" y="%s" text-anchor="middle" %s>%s</text>`, num((x.from+x.to)/2), num(densityHeight-4), muted, html.EscapeString(d.XName))
	fmt.Fprintf(&b, `<text x="0" y="11" %s>%s</text>`, muted, html.EscapeString(d.YName))
	d.drawCells(&b, x, y)
	for _, m := range d.Marks {
		fmt.Fprintf(&b, `<circle cx="%s" cy="%s" r="5" stroke-width="2" style="fill:%s;stroke:var(--card,#fff)"><title>%s</title></circle>`,
			num(x.at(m.X)), num(y.at(m.Y)), m.Color, html.EscapeString(m.Name))
	}
	b.WriteString("</svg>")
	return b.String()
}

// drawCells counts the points in cells and draws those of one strength as one path. Strengths grow with the logarithm of the
// count, or the few at the edges would not be seen.
func (d Density) drawCells(b *strings.Builder, x, y axis) {
	counts := make([]int, densityColumns*densityRows)
	most := 0
	for i := range min(len(d.X), len(d.Y)) {
		if !finite(d.X[i]) || !finite(d.Y[i]) || d.X[i] < x.low || d.X[i] > x.high || d.Y[i] < y.low || d.Y[i] > y.high {
			continue
		}
		column := min(densityColumns-1, int((d.X[i]-x.low)/(x.high-x.low)*densityColumns))
		row := min(densityRows-1, int((d.Y[i]-y.low)/(y.high-y.low)*densityRows))
		counts[row*densityColumns+column]++
		most = max(most, counts[row*densityColumns+column])
	}
	w, h := (x.to-x.from)/densityColumns, (y.from-y.to)/densityRows
	for level := range densityLevels {
		var path strings.Builder
		for cell, n := range counts {
			if n == 0 || min(densityLevels-1, int(densityLevels*math.Log(float64(n))/math.Log(float64(most+1)))) != level {
				continue
			}
			left, bottom := x.from+float64(cell%densityColumns)*w, y.from-float64(cell/densityColumns)*h
			fmt.Fprintf(&path, "M%s %sh%sv-%sh-%sz", fixed(left), fixed(bottom), fixed(w), fixed(h), fixed(w))
		}
		if path.Len() > 0 {
			fmt.Fprintf(b, `<path d="%s" fill-opacity="%.2f" style="fill:%s"/>`, path.String(), 0.16+0.84*float64(level)/(densityLevels-1), SeriesColor(0))
		}
	}
}

// fixed writes a coordinate with two decimals, so that neighboring cells meet.
func fixed(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", v), "0"), ".")
}
