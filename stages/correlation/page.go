package correlation

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"math"

	"github.com/plateau-nas/plateau/stages/report/chart"
	"github.com/plateau-nas/plateau/stages/report/frame"
)

//go:embed template
var templates embed.FS

// view is the page as finished text and pictures.
type view struct {
	frame.Page
	Lead          string
	Big, BigLabel string
	Score, Truth  columnView
	Caution       string
	Architectures string
	TruthUnit     string
	TopSizes      []int
	Methods       []methodView
	Clouds        []cloudView
	Curve         template.HTML
	Keys          []keyView
}

type columnView struct{ Name, File, Says string }

type methodView struct {
	Label                      string
	Winner                     bool // the highest Spearman correlation
	Spearman, Kendall, Pearson string
	Index, Truth, Rank, Regret string
	Architecture               string
	Top                        []string
}

type cloudView struct {
	Title, Note string
	SVG         template.HTML
}

type keyView struct {
	Name  string
	Color template.CSS
}

// mostClouds bounds the pictures on the page; further methods are in the table.
const mostClouds = 4

// render writes the page. Equal outcomes give equal bytes.
func (o outcome) render(w io.Writer) error {
	v := o.view()
	if err := frame.Write(w, templates, nil, &v.Page, &v); err != nil {
		return fmt.Errorf("make the page of correlations: %w", err)
	}
	return nil
}

func (o outcome) view() view {
	score, truth := describe(o.score), describe(o.truth)
	v := view{
		Page:          frame.Page{Title: "How well does a cheap score foretell the truth?"},
		Lead:          fmt.Sprintf("%d architectures of %s, ranked by a score of their own and by what their neighborhoods score.", o.count, o.table.Space().Name),
		Score:         columnView{score.Column, score.File, score.Says},
		Truth:         columnView{truth.Column, truth.File, truth.Says},
		Caution:       o.caution(),
		TruthUnit:     suffix(o.truth.Meaning.Unit),
		Architectures: fmt.Sprint(o.count),
	}
	winner := 0
	for i, f := range o.figures {
		if f.Spearman > o.figures[winner].Spearman {
			winner = i
		}
	}
	best := o.figures[winner]
	v.Big, v.BigLabel = decimals(best.Spearman, 4), "Spearman correlation with the truth, "+best.Label
	for _, t := range o.figures[0].Top {
		v.TopSizes = append(v.TopSizes, t.K)
	}
	for i, f := range o.figures {
		v.Methods = append(v.Methods, o.methodView(f, i == winner))
		if i < mostClouds {
			v.Clouds = append(v.Clouds, o.cloud(i, f))
			v.Keys = append(v.Keys, keyView{f.Label, template.CSS(chart.SeriesColor(i))})
		}
	}
	v.Curve = template.HTML(o.curve().SVG())
	return v
}

func (o outcome) methodView(f Figures, winner bool) methodView {
	m := methodView{
		Label: f.Label, Winner: winner,
		Spearman: decimals(f.Spearman, 4), Kendall: decimals(f.Kendall, 4), Pearson: decimals(f.Pearson, 4),
		Index: "–", Truth: decimals(inUnit(o.truth, f.Best.Truth), 2), Rank: fmt.Sprint(f.Best.Place), Regret: decimals(f.Best.Regret, 2),
		Architecture: o.table.Space().Format(o.table.Architecture(f.Best.Rank)),
	}
	if index, ok := o.table.Index(f.Best.Rank); ok {
		m.Index = fmt.Sprint(index)
	}
	for _, t := range f.Top {
		m.Top = append(m.Top, decimals(100*t.Overlap, 0)+"%")
	}
	return m
}

// low is the share of the worst architectures that a cloud may leave out: those that have learned next to nothing would
// take up most of the picture.
const low = 0.1

func (o outcome) cloud(i int, f Figures) cloudView {
	d := chart.Density{
		Label: f.Label + " against the truth", XName: f.Label + suffix(o.score.Meaning.Unit), YName: "truth" + suffix(o.truth.Meaning.Unit), Low: low,
	}
	if o.score.Meaning.Lower || o.truth.Meaning.Lower {
		d.Low = 0 // the low end is the good one
	}
	for rank, v := range f.Scores {
		if !math.IsNaN(v) {
			d.X, d.Y = append(d.X, inUnit(o.score, v)), append(d.Y, inUnit(o.truth, o.truths[rank]))
		}
	}
	// Series 0 is the color of the cloud itself.
	d.Marks = []chart.Dot{{X: inUnit(o.score, f.Best.Score), Y: inUnit(o.truth, f.Best.Truth), Name: "best by this score", Color: chart.SeriesColor(1)}}
	note := fmt.Sprintf("its best is %s in truth, rank %d", decimals(inUnit(o.truth, f.Best.Truth), 2), f.Best.Place)
	if n := d.Outside(); n > 0 {
		note += fmt.Sprintf("; %d further down are not shown", n)
	}
	return cloudView{Title: fmt.Sprintf("%s: %s", f.Label, decimals(f.Spearman, 4)), Note: note, SVG: template.HTML(d.SVG())}
}

// curve shows how good the best few of each method are.
func (o outcome) curve() chart.Line {
	l := chart.Line{Label: "mean truth of the best k by each score", XName: "best k by the score"}
	for i, f := range o.figures {
		if i == mostClouds {
			break
		}
		s := chart.Series{Name: f.Label}
		for k, v := range f.Curve {
			if i == 0 {
				l.X = append(l.X, float64(k+1))
			}
			s.Values = append(s.Values, inUnit(o.truth, v))
		}
		l.Series = append(l.Series, s)
	}
	return l
}

// suffix writes a unit after a name.
func suffix(unit string) string {
	switch unit {
	case "":
		return ""
	case "percent":
		return ", %"
	}
	return ", " + unit
}

func decimals(v float64, n int) string {
	if math.IsNaN(v) {
		return "–"
	}
	return fmt.Sprintf("%.*f", n, v)
}
