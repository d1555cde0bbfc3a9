package report

import (
	"cmp"
	"fmt"
	"html"
	"html/template"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/stages/internal/words"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/stat"
)

// mostClasses is up to how many classes every one is shown; beyond, the best, the worst and the most frequent mistakes.
const mostClasses = 20

// mostMatrix is up to how many classes the matrix is drawn.
const mostMatrix = 300

// classesView shows where the model is right and what it confuses.
type classesView struct {
	Summary   string
	Balanced  string // what the accuracy is worth where classes are unequal; "" where they are not
	Bars      []classBar
	Matrix    []matrixRow   // empty when there are too many classes
	Numbers   []int         // heads of the matrix' columns
	Map       template.HTML // the matrix as a picture, where there are too many classes for numbers
	Confusion []confusion
	Gallery   *galleryView
}

type classBar struct {
	Name, Value string
	Interval    string // 95%, with the number of images
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

func newClasses(c Content) (*classesView, error) {
	m := c.Metrics
	if m == nil {
		return nil, nil
	}
	v := &classesView{Summary: fmt.Sprintf("%s of %s: top-1 %s (95%% interval %s), top-5 %s, loss %s.",
		capital(words.Count(m.Count, m.Split+" image")), m.Dataset, percent(m.Top1), intervalOf(m), percent(m.Top5), number(m.Loss, 3))}
	if b := m.Balanced; b.Unequal() {
		v.Balanced = fmt.Sprintf("Classes are unequal: the largest has %s, the smallest %s. The balanced accuracy, the mean over classes, is %s (95%% interval %s to %s); always saying %s would be right for %s of the images and has a balanced accuracy of %s.",
			words.Count(b.Most, m.Split+" image"), words.Grouped(b.Smallest), percent(b.Top1), number(100*b.Low, 1), number(100*b.High, 1), b.Largest, percent(b.Share), percent(1/float64(tested(m))))
	}
	v.Bars = bars(m.PerClass)
	var err error
	if v.Gallery, err = newGallery(c); err != nil || m.Confusion == nil {
		return v, err
	}
	v.Confusion = frequentMistakes(m, 12)
	if len(m.PerClass) > mostClasses {
		if len(m.PerClass) <= mostMatrix {
			v.Map = matrixMap(m)
		}
		return v, nil
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
	return v, nil
}

// tested is the number of classes that have images.
func tested(m *result.Metrics) int {
	n := 0
	for _, c := range m.PerClass {
		if c.Count > 0 {
			n++
		}
	}
	return max(n, 1)
}

// intervalOf writes the interval of an accuracy: "95.6 to 97.8".
func intervalOf(m *result.Metrics) string {
	i := stat.Wilson(hits(m), m.Count, intervalLevel)
	return fmt.Sprintf("%s to %s", number(100*i.Low, 1), number(100*i.High, 1))
}

// matrixMap draws the confusion matrix of many classes: a row for each true class, a column for each predicted one, a square for each
// pair that occurs.
func matrixMap(m *result.Metrics) template.HTML {
	const side, label, letter = 11.0, 120.0, 6.0
	n := len(m.PerClass)
	var b strings.Builder
	width, height := label+side*float64(n)+4, label+side*float64(n)+4
	fmt.Fprintf(&b, `<svg class="map" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img" aria-label="Confusion of %d classes: rows are true classes, columns what the model says" font-family="system-ui,sans-serif" font-size="9">`,
		width, height, width, height, n)
	fmt.Fprintf(&b, `<rect x="%.0f" y="%.0f" width="%.0f" height="%.0f" style="fill:var(--soft,#f1f1ed)"/>`, label, label, side*float64(n), side*float64(n))
	for i, c := range m.PerClass {
		name := c.Class
		if most := int(label/letter) - 1; len([]rune(name)) > most {
			name = string([]rune(name)[:most-1]) + "…"
		}
		at := label + side*(float64(i)+0.75)
		fmt.Fprintf(&b, `<text x="%.0f" y="%.1f" text-anchor="end" style="fill:var(--muted,#5f6672)">%s</text>`, label-4, at, html.EscapeString(name))
		fmt.Fprintf(&b, `<text transform="translate(%.1f %.0f) rotate(-90)" style="fill:var(--muted,#5f6672)">%s</text>`, at, label-4, html.EscapeString(name))
	}
	for i, row := range m.Confusion {
		for k, count := range row {
			if count == 0 {
				continue
			}
			share := float64(count) / float64(max(1, m.PerClass[i].Count))
			style := diverging(-share, 0.5)
			if i == k {
				style = sequential(share)
			}
			fmt.Fprintf(&b, `<rect x="%.0f" y="%.0f" width="%.0f" height="%.0f" style="%s"><title>%s taken for %s: %d of %d</title></rect>`, label+side*float64(k)+0.5, label+side*float64(i)+0.5, side-1, side-1,
				strings.Replace(string(style), "background:", "fill:", 1), html.EscapeString(m.PerClass[i].Class), html.EscapeString(m.PerClass[k].Class), count, m.PerClass[i].Count)
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
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
		out[i] = classBar{Name: c.Class, Value: percent(c.Top1), Interval: classInterval(c), Width: template.CSS(fmt.Sprintf("width:%.1f%%", 100*c.Top1)), Gap: i == gap}
	}
	return out
}

// classInterval says what the images of a class leave open of its accuracy.
func classInterval(c result.ClassTop1) string {
	if c.Count == 0 {
		return "no image"
	}
	i := stat.Wilson(int(c.Top1*float64(c.Count)+0.5), c.Count, intervalLevel)
	return fmt.Sprintf("%s to %s, %s", number(100*i.Low, 0), number(100*i.High, 0), words.Count(c.Count, "image"))
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
