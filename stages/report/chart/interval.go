package chart

import (
	"fmt"
	"html"
)

// Interval is a small picture of a neighborhood's scores on a scale that several share: a thin line from the least to the
// largest score, a bar of one standard deviation on either side of the mean, a tick at the aggregate and a dot at the
// center's own score.
type Interval struct {
	Low, High      float64 // ends of the scale
	Min, Max       float64
	Mean, Std      float64
	Aggregate, Own float64
	Label          string // for screen readers and on hovering
}

// SVG returns the picture.
func (v Interval) SVG() string {
	const width, height, pad = 180.0, 24.0, 7.0
	a := axis{low: v.Low, high: v.High, from: pad, to: width - pad}
	if a.high <= a.low {
		a.high = a.low + 1
	}
	at := func(x float64) string { return num(a.at(min(max(x, a.low), a.high))) }
	left, right := a.at(max(v.Mean-v.Std, v.Min)), a.at(min(v.Mean+v.Std, v.Max))
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" width="%s" height="%s" role="img" aria-label="%s"><title>%s</title>`+
		`<path d="M%s 12H%s" stroke-width="1.5" style="stroke:var(--muted,#5f6672)"/>`+
		`<rect x="%s" y="8" width="%s" height="8" rx="4" style="fill:%s" fill-opacity=".35"/>`+
		`<path d="M%s 4V20" stroke-width="2.5" style="stroke:%s"/><circle cx="%s" cy="12" r="4" style="fill:%s"/></svg>`,
		num(width), num(height), num(width), num(height), html.EscapeString(v.Label), html.EscapeString(v.Label),
		at(v.Min), at(v.Max), num(left), num(max(0, right-left)), SeriesColor(0), at(v.Aggregate), SeriesColor(0), at(v.Own), SeriesColor(1))
}
