package report

import (
	"fmt"
	"html/template"
	"math"

	"github.com/plateau-nas/plateau/stages/report/draw"
	"github.com/plateau-nas/plateau/stages/space"
)

// heat is a table edge x operation whose cells are colored by their numbers.
type heat struct {
	Name    string // what it shows, for those who do not see it
	Columns []heatColumn
	Rows    []heatRow
}

type heatColumn struct {
	Name  string
	Color template.CSS // of the operation
}

type heatRow struct {
	Name  string
	Cells []heatCell
}

type heatCell struct {
	Text, Tip string
	Style     template.CSS
	Center    bool // the operation that the architecture has
}

func newHeat(s *space.Space, name string, cell func(e, op int) heatCell) *heat {
	h := &heat{Name: name}
	for _, op := range s.Operations {
		h.Columns = append(h.Columns, heatColumn{Name: draw.Label(op), Color: template.CSS(draw.Color(op))})
	}
	for e := range s.Edges {
		row := heatRow{Name: edgeName(s, e)}
		for op := range s.Operations {
			row.Cells = append(row.Cells, cell(e, op))
		}
		h.Rows = append(h.Rows, row)
	}
	return h
}

// diverging colors a change by its size relative to the largest: blue for better, red for worse. The square root keeps small
// changes apart where one large one would leave them all pale. Colors are translucent, so that they do on a light page and
// on a dark one, and never so strong that text on them is hard to read.
func diverging(change, largest float64) template.CSS {
	if largest <= 0 || change == 0 {
		return ""
	}
	alpha := 0.7 * math.Sqrt(min(1, math.Abs(change)/largest))
	if change > 0 {
		return template.CSS(fmt.Sprintf("background:rgba(37,99,235,%.2f)", alpha))
	}
	return template.CSS(fmt.Sprintf("background:rgba(220,68,37,%.2f)", alpha))
}

// sequential colors a share of 0 to 1.
func sequential(share float64) template.CSS {
	return template.CSS(fmt.Sprintf("background:rgba(37,99,235,%.2f)", 0.7*min(1, max(0, share))))
}

// legend is the scale of a diverging heat map, from the largest loss to the largest gain.
type legend struct {
	Low, High string
	Swatches  []template.CSS
}

func newLegend(largest float64) legend {
	l := legend{Low: number(-largest, 2), High: signed(largest, 2)}
	const steps = 4
	for i := -steps; i <= steps; i++ {
		// Even steps of color, so the values between the ends go with their squares.
		x := float64(i) / steps
		l.Swatches = append(l.Swatches, diverging(x*math.Abs(x)*largest, largest))
	}
	return l
}

func newProbabilities(s *space.Space, p space.Probabilities) *heat {
	strongest := s.Derive(p)
	return newHeat(s, "Edge probabilities", func(e, op int) heatCell {
		v := p[e][op]
		return heatCell{
			Text: number(v, 2), Style: sequential(v), Center: strongest[e] == op,
			Tip: fmt.Sprintf("%s on %s: %s", draw.Label(s.Operations[op]), edgeName(s, e), number(v, 4)),
		}
	})
}
