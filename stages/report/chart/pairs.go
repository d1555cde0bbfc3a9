package chart

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Pairs is a chart of a few numbers for each of several methods: a row a method, a point a seed, a bar at the mean. The
// points of one seed in two methods that are compared are joined, green where the second method is better and red where
// it is worse.
type Pairs struct {
	Label   string // what the chart shows, for screen readers
	XName   string // what the numbers are
	Methods []PairsMethod
	Seeds   []string
	Joined  [][2]int // methods that are compared, the second with the first
	Lower   bool     // lower numbers are better
}

// PairsMethod is a row.
type PairsMethod struct {
	Name   string
	Values []float64 // one for each of Seeds; NaN where there is none
	Mean   float64   // NaN where there is none
	Apart  bool      // there is a gap above the row
}

const (
	pairsRow, pairsGap, pairsTop = 36.0, 10.0, 4.0
	pairsLetter                  = 8.2 // about the width of a letter on a phone, where text is larger
)

// SVG returns the chart.
func (c Pairs) SVG() string {
	left, rows, height := 60.0, make([]float64, len(c.Methods)), pairsTop
	for i, m := range c.Methods {
		if m.Apart && i > 0 {
			height += pairsGap
		}
		rows[i] = height + pairsRow/2
		height += pairsRow
	}
	height += lineBottom
	var values []float64
	for _, m := range c.Methods {
		left = max(left, 12+pairsLetter*float64(len([]rune(m.Name))))
		values = append(values, m.Values...)
	}
	x := newAxis(values, 5, true)
	x.from, x.to = min(left, 0.4*lineWidth), lineWidth-lineRight-6
	at := func(method int) float64 { return rows[method] }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" role="img" aria-label="%s" font-family="system-ui,sans-serif" font-size="%s">`,
		num(lineWidth), num(height), html.EscapeString(c.Label), num(textSize))
	grid, muted := `style="stroke:var(--grid,#e5e5e2)"`, `style="fill:var(--muted,#5f6672)"`
	bottom := height - lineBottom
	for _, t := range x.ticks() {
		fmt.Fprintf(&b, `<path d="M%s %sV%s" %s/>`, num(x.at(t)), num(pairsTop), num(bottom), grid)
		fmt.Fprintf(&b, `<text x="%s" y="%s" text-anchor="middle" %s>%s</text>`, num(x.at(t)), num(bottom+16), muted, x.text(t, false))
	}
	fmt.Fprintf(&b, `<text x="%s" y="%s" text-anchor="middle" %s>%s</text>`, num((x.from+x.to)/2), num(height-4), muted, html.EscapeString(c.XName))
	for _, p := range c.Joined {
		c.join(&b, x, p, at)
	}
	for i, m := range c.Methods {
		y := at(i)
		fmt.Fprintf(&b, `<text x="%s" y="%s" text-anchor="end" style="fill:var(--fg,#1b1e23)">%s</text>`, num(x.from-10), num(y+textSize*0.35), html.EscapeString(m.Name))
		if finite(m.Mean) {
			fmt.Fprintf(&b, `<path d="M%s %sv22" stroke-width="3" stroke-linecap="round" style="stroke:%s"><title>%s</title></path>`,
				num(x.at(m.Mean)), num(y-11), SeriesColor(1), html.EscapeString(fmt.Sprintf("%s, mean: %.2f", m.Name, m.Mean)))
		}
		for k, v := range m.Values {
			if finite(v) {
				fmt.Fprintf(&b, `<circle cx="%s" cy="%s" r="4.5" fill-opacity=".75" stroke-width="1.2" style="fill:%s;stroke:var(--card,#fff)"><title>%s</title></circle>`,
					num(x.at(v)), num(y), SeriesColor(0), html.EscapeString(fmt.Sprintf("%s, seed %s: %.2f", m.Name, c.Seeds[k], v)))
			}
		}
	}
	b.WriteString("</svg>")
	return b.String()
}

// join draws the lines between the points of one seed in two methods.
func (c Pairs) join(b *strings.Builder, x axis, p [2]int, at func(int) float64) {
	for k := range c.Seeds {
		from, to := c.Methods[p[0]].Values[k], c.Methods[p[1]].Values[k]
		if !finite(from) || !finite(to) {
			continue
		}
		color := "var(--muted,#5f6672)"
		switch better := to - from; {
		case better == 0:
		case better > 0 != c.Lower:
			color = "var(--good,#0f766e)"
		default:
			color = "var(--bad,#c2331a)"
		}
		fmt.Fprintf(b, `<path d="M%s %sL%s %s" stroke-width="1.6" stroke-opacity=".7" style="stroke:%s"/>`,
			num(x.at(from)), num(at(p[0])), num(x.at(to)), num(at(p[1])), color)
	}
}

// Differ reports whether any two of the numbers differ, so that there is something to see.
func (c Pairs) Differ() bool {
	first := math.NaN()
	for _, m := range c.Methods {
		for _, v := range m.Values {
			if finite(v) && finite(first) && v != first {
				return true
			}
			if finite(v) {
				first = v
			}
		}
	}
	return false
}
