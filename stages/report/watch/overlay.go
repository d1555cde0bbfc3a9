package watch

import (
	"html/template"
	"math"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/stages/report/chart"
)

// overlay is the curves of chosen variants over each other.
type overlay struct {
	Values []choice      `json:"values"` // that any of them has
	Value  string        `json:"value"`  // the one that is shown
	HTML   template.HTML `json:"html"`
}

type choice struct {
	Key  string `json:"key"`
	Text string `json:"text"`
}

// newOverlay draws a value of the chosen variants, by its key or, when they have none of that, the most telling one.
func (f *family) newOverlay(ids []string, key string) (overlay, figure) {
	type source struct {
		name  string
		curve *curve
		value int
	}
	o, sources := overlay{}, map[string][]source{}
	best := 100
	fallback := ""
	for _, v := range f.variants {
		if !slices.Contains(ids, v.id) {
			continue
		}
		for _, n := range v.nodes {
			if n.stage == nil {
				continue
			}
			for _, k := range n.stage.curves.units {
				for i, name := range k.names {
					c := choice{n.template + "/" + k.unit + "/" + name, n.template + ": " + strings.ReplaceAll(name, "_", " ") + " by " + k.unit}
					if sources[c.Key] == nil {
						o.Values = append(o.Values, c)
						if w := weight(name); w <= best { // of equals the last stage's, which is nearer to the result
							best, fallback = w, c.Key
						}
					}
					sources[c.Key] = append(sources[c.Key], source{strings.Join(v.labels, ", "), k, i})
				}
			}
		}
	}
	if sources[key] == nil {
		key = fallback
	}
	o.Value = key
	fig := figure{}
	if key == "" {
		return o, fig
	}
	parts := strings.SplitN(key, "/", 3)
	name := parts[2]
	fig.Title = strings.ReplaceAll(name, "_", " ")
	line := chart.Line{Label: fig.Title + " of the chosen variants", XName: parts[1], Percent: group(name) == "Accuracy"}
	for i, s := range sources[key][:min(mostChosen, len(sources[key]))] {
		series := chart.Series{Name: s.name, X: []float64{}}
		for _, p := range thin(s.curve.points, len(s.curve.names), shownPoints) {
			series.X, series.Values = append(series.X, float64(p.step)), append(series.Values, p.value(s.value))
		}
		line.Series = append(line.Series, series)
		fig.Legend = append(fig.Legend, newLegend(line, i))
	}
	fig.Picture = template.HTML(line.SVG())
	return o, fig
}

// newLegend names a series of a chart with its latest value.
func newLegend(line chart.Line, i int) legend {
	s := line.Series[i]
	l := legend{Name: s.Name, Color: template.CSS(chart.SeriesColor(i)), Dash: chart.SeriesDash(i)}
	if n := len(s.Values); n > 0 && !math.IsNaN(s.Values[n-1]) {
		l.Value = line.Value(s.Values[n-1])
	}
	return l
}
