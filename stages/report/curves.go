package report

import (
	"fmt"
	"html/template"
	"math"

	"github.com/plateau-nas/plateau/stages/internal/words"
	"github.com/plateau-nas/plateau/stages/report/chart"
	"github.com/plateau-nas/plateau/stages/report/draw"
	"github.com/plateau-nas/plateau/stages/space"
)

// figure is a picture with a title and a legend.
type figure struct {
	Title, Note string
	Legend      []key
	Picture     template.HTML
}

// key is an entry of a legend.
type key struct {
	Color template.CSS
	Name  string
	Value string // the last value, where there is one
}

// searchView shows how the search went.
type searchView struct {
	Summary       string
	Figures       []figure
	Probabilities *heat // of the last epoch; nil for searches without any
}

// trainView shows how the training went.
type trainView struct {
	Summary string
	Figures []figure
}

// newFigure draws a line chart and leaves out series without any value; it returns false when none is left.
func newFigure(title, note string, line chart.Line) (figure, bool) {
	var kept []chart.Series
	f := figure{Title: title, Note: note}
	for _, s := range line.Series {
		last := math.NaN()
		for _, v := range s.Values {
			if !math.IsNaN(v) {
				last = v
			}
		}
		if math.IsNaN(last) {
			continue
		}
		f.Legend = append(f.Legend, key{Color: template.CSS(chart.SeriesColor(len(kept))), Name: s.Name, Value: line.Value(last)})
		kept = append(kept, s)
	}
	line.Series, line.Label = kept, title+" by epoch"
	f.Picture = template.HTML(line.SVG())
	return f, len(kept) > 0
}

func newSearch(c Content, s *space.Space) *searchView {
	if len(c.Search) == 0 {
		return nil
	}
	n := len(c.Search)
	x := make([]float64, n)
	column := map[string][]float64{}
	var marks []chart.Mark
	for i, e := range c.Search {
		x[i] = float64(e.Epoch)
		column["train loss"] = append(column["train loss"], e.TrainLoss)
		column["valid loss"] = append(column["valid loss"], e.ValidLoss)
		column["train accuracy"] = append(column["train accuracy"], e.TrainAccuracy)
		column["valid accuracy"] = append(column["valid accuracy"], e.ValidAccuracy)
		column["entropy"] = append(column["entropy"], e.AlphaEntropy)
		if e.Phase != "" && (i == 0 || e.Phase != c.Search[i-1].Phase) {
			marks = append(marks, chart.Mark{X: x[i], Name: e.Phase})
		}
	}
	if len(marks) == 1 {
		marks = nil // a single phase needs no line
	}
	v := &searchView{Summary: fmt.Sprintf("%s of weight sharing.", words.Count(n, "epoch"))}
	add := func(title, note string, share bool, names ...string) {
		line := chart.Line{X: x, Percent: share, Marks: marks}
		for _, name := range names {
			line.Series = append(line.Series, chart.Series{Name: name, Values: column[name]})
		}
		if f, ok := newFigure(title, note, line); ok {
			v.Figures = append(v.Figures, f)
		}
	}
	add("Loss", "cross-entropy with shared weights", false, "train loss", "valid loss")
	add("Accuracy", "top-1 with shared weights", true, "train accuracy", "valid accuracy")
	add("Alpha entropy", fmt.Sprintf("mean over the edges in nats; %s is no preference", number(math.Log(float64(len(s.Operations))), 2)), false, "entropy")
	if f, ok := newChoices(c, s); ok {
		v.Figures = append(v.Figures, f)
	}
	if p := c.Architecture.Probabilities; p != nil {
		v.Probabilities = newProbabilities(s, p)
	}
	return v
}

// newChoices shows what the search would have chosen after each epoch, a row for each edge.
func newChoices(c Content, s *space.Space) (figure, bool) {
	strip := chart.Strip{Label: "Operation of each edge by epoch", Color: make([][]string, len(s.Edges)), Tip: make([][]string, len(s.Edges))}
	for e := range s.Edges {
		strip.Rows = append(strip.Rows, edgeName(s, e))
	}
	used := make([]bool, len(s.Operations))
	for _, epoch := range c.Search {
		a, err := s.Parse(epoch.Architecture)
		if err != nil {
			continue // warm-up epochs choose nothing
		}
		strip.Steps = append(strip.Steps, float64(epoch.Epoch))
		for e, op := range a {
			strip.Color[e] = append(strip.Color[e], draw.Color(s.Operations[op]))
			strip.Tip[e] = append(strip.Tip[e], draw.Label(s.Operations[op]))
			used[op] = true
		}
	}
	if len(strip.Steps) < 2 {
		return figure{}, false
	}
	f := figure{Title: "Choice", Note: "operation that each edge would get", Picture: template.HTML(strip.SVG())}
	for op, ok := range used {
		if ok {
			f.Legend = append(f.Legend, key{Color: template.CSS(draw.Color(s.Operations[op])), Name: draw.Label(s.Operations[op])})
		}
	}
	return f, true
}

func newTrain(c Content) *trainView {
	if len(c.Train) == 0 {
		return nil
	}
	var x, loss, accuracy, rate []float64
	for _, e := range c.Train {
		x = append(x, float64(e.Epoch))
		loss, accuracy, rate = append(loss, e.TrainLoss), append(accuracy, e.TrainAccuracy), append(rate, e.LR)
	}
	v := &trainView{Summary: fmt.Sprintf("From scratch, %s, on the training and validation images with augmentation.", words.Count(len(x), "epoch"))}
	add := func(title, note string, share bool, s chart.Series) {
		if f, ok := newFigure(title, note, chart.Line{X: x, Percent: share, Series: []chart.Series{s}}); ok {
			v.Figures = append(v.Figures, f)
		}
	}
	add("Loss", "cross-entropy on augmented images", false, chart.Series{Name: "train loss", Values: loss})
	add("Accuracy", "top-1 on augmented images", true, chart.Series{Name: "train accuracy", Values: accuracy})
	add("Learning rate", "of the last step of an epoch", false, chart.Series{Name: "learning rate", Values: rate})
	return v
}
