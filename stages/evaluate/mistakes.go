package evaluate

import (
	"cmp"
	"math"
	"slices"

	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/stat"
)

// mistakes returns the images that are classified wrong, those first of which the model is surest. files may be nil.
func (t *tally) mistakes(scores Scores, classes, files []string) []result.Mistake {
	if scores == ScoresProbabilities {
		for i := range t.wrong {
			w := &t.wrong[i]
			w.share, w.ofTrue = w.score, w.scoreOfTrue
		}
	}
	slices.SortFunc(t.wrong, func(a, b wrong) int {
		return cmp.Or(cmp.Compare(b.share, a.share), cmp.Compare(a.ofTrue, b.ofTrue), a.image-b.image)
	})
	var out []result.Mistake
	for _, w := range t.wrong[:min(len(t.wrong), result.MostMistakes)] {
		m := result.Mistake{Image: w.image, True: classes[w.label], Probability: rounded(w.share), OfTrue: rounded(w.ofTrue)}
		if class, ok := t.classOf[w.best]; ok {
			m.Predicted = classes[class]
		} else if t.scoreOf == nil {
			m.Predicted = classes[w.best]
		}
		if files != nil {
			m.File = files[w.image]
		}
		out = append(out, m)
	}
	return out
}

// rounded keeps four decimals of a probability.
func rounded(v float64) float64 { return math.Round(v*1e4) / 1e4 }

// SortMistakes puts mistakes in order, those first of which the model is surest.
func SortMistakes(list []result.Mistake) {
	slices.SortStableFunc(list, func(a, b result.Mistake) int {
		return cmp.Or(cmp.Compare(b.Probability, a.Probability), cmp.Compare(a.OfTrue, b.OfTrue), a.Image-b.Image)
	})
}

// Balanced returns the mean of the accuracies of the classes that have images, and what always saying the largest class is right for; nil without
// images.
func Balanced(classes []result.ClassTop1) *result.Balanced {
	var right, of []int
	largest, total := 0, 0
	b := &result.Balanced{}
	for i, c := range classes {
		total += c.Count
		if c.Count > classes[largest].Count {
			largest = i
		}
		if c.Count == 0 {
			continue
		}
		right, of = append(right, int(math.Round(c.Top1*float64(c.Count)))), append(of, c.Count)
		b.Top1 += c.Top1
		if b.Smallest == 0 || c.Count < b.Smallest {
			b.Smallest = c.Count
		}
	}
	if total == 0 {
		return nil
	}
	b.Top1 /= float64(len(of))
	interval := stat.MeanShare(right, of, intervalLevel)
	b.Low, b.High = interval.Low, interval.High
	b.Largest, b.Most = classes[largest].Class, classes[largest].Count
	b.Share = float64(b.Most) / float64(total)
	return b
}
