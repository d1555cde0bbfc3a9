package chart

import (
	"fmt"
	"html"
	"strings"
)

// Strip is a table of colored cells without numbers, one column a step: how choices change over time.
type Strip struct {
	Label string // what it shows, for screen readers
	Rows  []string
	Unit  string     // what Steps count; "" is epoch
	Steps []float64  // the number of each column, such as its epoch
	Color [][]string // row x column, "" where there is no cell
	Tip   [][]string // row x column, shown on hovering
}

// SVG returns the strip with its rows named at the left and the first and last step below.
func (s Strip) SVG() string {
	const rowHeight, gap = 29.0, 4.0
	columns := len(s.Steps)
	if columns == 0 {
		return ""
	}
	unit := s.Unit
	if unit == "" {
		unit = "epoch"
	}
	width := (lineWidth - lineLeft - lineRight) / float64(columns)
	height := rowHeight*float64(len(s.Rows)) + 24
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" role="img" aria-label="%s" font-family="system-ui,sans-serif" font-size="%s">`,
		num(lineWidth), num(height), html.EscapeString(s.Label), num(textSize))
	muted := `style="fill:var(--muted,#5f6672)"`
	for r, name := range s.Rows {
		y := rowHeight * float64(r)
		fmt.Fprintf(&b, `<text x="%s" y="%s" text-anchor="end" %s>%s</text>`, num(lineLeft-7), num(y+rowHeight/2+textSize*0.35), muted, html.EscapeString(name))
		// Equal cells beside each other are one rectangle: fewer bytes, and no seams between them.
		for from := 0; from < columns; {
			to := from + 1
			for to < columns && s.Color[r][to] == s.Color[r][from] {
				to++
			}
			if s.Color[r][from] != "" {
				fmt.Fprintf(&b, `<rect x="%.2f" y="%s" width="%.2f" height="%s" rx="2" fill="%s"><title>%s</title></rect>`,
					lineLeft+width*float64(from), num(y+gap/2), width*float64(to-from)-0.6, num(rowHeight-gap), s.Color[r][from],
					html.EscapeString(s.Rows[r]+", "+unit+" "+span(s.Steps[from], s.Steps[to-1])+": "+s.Tip[r][from]))
			}
			from = to
		}
	}
	fmt.Fprintf(&b, `<text x="%s" y="%s" %s>%s %s</text>`, num(lineLeft), num(height-6), muted, html.EscapeString(unit), num(s.Steps[0]))
	fmt.Fprintf(&b, `<text x="%s" y="%s" text-anchor="end" %s>%s</text></svg>`, num(lineWidth-lineRight), num(height-6), muted, num(s.Steps[columns-1]))
	return b.String()
}

func span(from, to float64) string {
	if from == to {
		return num(from)
	}
	return num(from) + " to " + num(to)
}
