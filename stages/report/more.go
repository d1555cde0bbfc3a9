package report

import (
	"fmt"
	"html/template"

	"github.com/plateau-nas/plateau/stages/internal/words"
	"github.com/plateau-nas/plateau/stages/report/chart"
	"github.com/plateau-nas/plateau/stages/result"
)

// foldsView shows a cross-validation.
type foldsView struct {
	Summary string
	Rows    []foldRow
	Bars    []classBar
	Wrong   *galleryView
}

type foldRow struct{ Number, Train, Test, Accuracy, Interval, Loss string }

func newFolds(c Content) (*foldsView, error) {
	f := c.Folds
	if f == nil || f.Metrics == nil {
		return nil, nil
	}
	m := f.Metrics
	v := &foldsView{Summary: fmt.Sprintf("The same network, trained %d times from scratch, each time without one part of all %s, and measured on that part: %s of them are right (95%% interval %s).",
		f.K, words.Count(m.Count, "image"), percent(m.Top1), intervalOf(m))}
	if b := m.Balanced; b.Unequal() {
		v.Summary += fmt.Sprintf(" The balanced accuracy is %s (%s to %s); always saying %s is right for %s.", percent(b.Top1), number(100*b.Low, 1), number(100*b.High, 1), b.Largest, percent(b.Share))
	}
	v.Summary += " That says more than the few test images do, of the way to train rather than of the one exported model, which was trained on the training images."
	for i, p := range f.Parts {
		part := &result.Metrics{Count: p.Test, Top1: p.Top1}
		v.Rows = append(v.Rows, foldRow{fmt.Sprint(i + 1), words.Grouped(p.Train), words.Grouped(p.Test), percent(p.Top1), intervalOf(part), number(p.Loss, 3)})
	}
	v.Bars = bars(m.PerClass)
	if len(m.Mistakes) == 0 || c.Mistakes == 0 {
		return v, nil
	}
	v.Wrong = &galleryView{Summary: "Pictures that are wrong when they are not trained on, those first of which the model is surest: look here for wrong labels."}
	d := c.Dataset
	for _, w := range m.Mistakes[:min(c.Mistakes, len(m.Mistakes))] {
		p := wrongPicture{True: w.True, Predicted: w.Predicted, Probability: percent(w.Probability), Own: percent(w.OfTrue), File: w.File}
		if d != nil && d.Name == m.Dataset && d.Train.Count+d.Valid.Count+d.Test.Count == m.Count {
			images, at := d.Train, w.Image // all splits, one after the other
			if at >= images.Count {
				images, at = d.Valid, at-images.Count
			}
			if images == d.Valid && at >= images.Count {
				images, at = d.Test, at-images.Count
			}
			var err error
			if p.Picture, p.Width, p.Height, err = embedded(images, at); err != nil {
				return nil, fmt.Errorf("showing image %d: %w", w.Image, err)
			}
		}
		v.Wrong.Wrong = append(v.Wrong.Wrong, p)
	}
	return v, nil
}

// curveView shows a learning curve.
type curveView struct {
	Sentence string // what more images would bring
	Summary  string
	Picture  template.HTML
	Rows     []curveRow
}

type curveRow struct{ Images, Epochs, Accuracy, Interval, Loss string }

func newCurve(c Content) *curveView {
	if c.Curve == nil {
		return nil
	}
	v := &curveView{Sentence: c.Curve.Sentence, Summary: fmt.Sprintf("The network, trained on shares of the training images with about %s each, fewer than for the exported model where time was to be saved, and measured on the same %s.",
		words.Count(c.Curve.Steps, "step"), words.Count(c.Curve.Count, "test image"))}
	b := chart.Bands{Title: "", Label: "Accuracy by the number of training images", XName: "training images", YName: "accuracy, %", Series: []chart.Band{{Name: "accuracy, with its 95% interval", Color: 1}}}
	s := &b.Series[0]
	for _, p := range c.Curve.Points {
		b.X = append(b.X, float64(p.Images))
		s.Values, s.Low, s.High = append(s.Values, 100*p.Top1), append(s.Low, 100*p.Low), append(s.High, 100*p.High)
		v.Rows = append(v.Rows, curveRow{words.Grouped(p.Images), fmt.Sprint(p.Epochs), percent(p.Top1), fmt.Sprintf("%s to %s", number(100*p.Low, 1), number(100*p.High, 1)), number(p.Loss, 3)})
	}
	v.Picture = template.HTML(b.SVG())
	return v
}
