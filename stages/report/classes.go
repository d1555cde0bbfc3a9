package report

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"

	"github.com/plateau-nas/plateau/stages/internal/words"
	"github.com/plateau-nas/plateau/stages/result"
)

// mostClasses is up to how many classes every one is shown; beyond, the best, the worst and the most frequent mistakes.
const mostClasses = 20

// classesView shows where the model is right and what it confuses.
type classesView struct {
	Summary   string
	Bars      []classBar
	Matrix    []matrixRow // empty when there are too many classes
	Numbers   []int       // heads of the matrix' columns
	Confusion []confusion
}

type classBar struct {
	Name, Value string
	Width       template.CSS
	Gap         bool // classes are left out before this one
}

type matrixRow struct {
	Number int
	Name   string
	Cells  []matrixCell
}

type matrixCell struct {
	Text, Tip string
	Style     template.CSS
	Right     bool
}

type confusion struct {
	True, Predicted, Share string
	Count                  int
}

func newClasses(c Content) *classesView {
	m := c.Metrics
	if m == nil {
		return nil
	}
	v := &classesView{Summary: fmt.Sprintf("%s of %s: top-1 %s, top-5 %s, loss %s.",
		capital(words.Count(m.Count, m.Split+" image")), m.Dataset, percent(m.Top1), percent(m.Top5), number(m.Loss, 3))}
	v.Bars = bars(m.PerClass)
	if m.Confusion == nil {
		return v
	}
	v.Confusion = frequentMistakes(m, 8)
	if len(m.PerClass) > mostClasses {
		return v
	}
	for i, row := range m.Confusion {
		v.Numbers = append(v.Numbers, i)
		total := 0
		for _, n := range row {
			total += n
		}
		r := matrixRow{Number: i, Name: m.PerClass[i].Class}
		for k, n := range row {
			cell := matrixCell{Right: i == k, Tip: fmt.Sprintf("%s taken for %s: %d of %d", m.PerClass[i].Class, m.PerClass[k].Class, n, total)}
			if n > 0 {
				cell.Text = fmt.Sprint(n)
				share := float64(n) / float64(total)
				if i == k {
					cell.Style = sequential(share)
				} else {
					cell.Style = diverging(-share, 0.5)
				}
			}
			r.Cells = append(r.Cells, cell)
		}
		v.Matrix = append(v.Matrix, r)
	}
	return v
}

func bars(classes []result.ClassTop1) []classBar {
	order := slices.Clone(classes)
	gap := -1
	if len(order) > mostClasses {
		slices.SortStableFunc(order, func(a, b result.ClassTop1) int { return cmp.Compare(b.Top1, a.Top1) })
		order = append(order[:mostClasses/2], order[len(order)-mostClasses/2:]...)
		gap = mostClasses / 2
	}
	out := make([]classBar, len(order))
	for i, c := range order {
		out[i] = classBar{Name: c.Class, Value: percent(c.Top1), Width: template.CSS(fmt.Sprintf("width:%.1f%%", 100*c.Top1)), Gap: i == gap}
	}
	return out
}

func frequentMistakes(m *result.Metrics, most int) []confusion {
	var out []confusion
	for i, row := range m.Confusion {
		for k, n := range row {
			if i == k || n == 0 {
				continue
			}
			share := float64(n) / float64(max(1, m.PerClass[i].Count))
			out = append(out, confusion{True: m.PerClass[i].Class, Predicted: m.PerClass[k].Class, Count: n, Share: percent(share)})
		}
	}
	slices.SortStableFunc(out, func(a, b confusion) int { return b.Count - a.Count })
	return out[:min(most, len(out))]
}
