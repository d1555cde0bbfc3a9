package evaluate

import (
	"fmt"
	"math"
	"slices"

	"github.com/plateau-nas/plateau/stages/result"
)

// topK is how many guesses the second accuracy allows.
const topK = 5

// tally gathers what scores say about labeled images. Whether the scores are probabilities may only be seen at the end, so
// both losses are summed.
type tally struct {
	classes      int
	scoreOf      []int       // the number of each class's score; nil when it is the class's own
	classOf      map[int]int // its inverse
	outside      int         // images taken for a class that the data set does not have
	count        int
	top1, topK   int
	asLogits     float64
	asShares     float64
	probable     bool // all scores so far could be probabilities
	perClass     []int
	hitsPerClass []int
	confusion    [][]int
	right        []byte                 // as in result.Metrics
	predicted    func(image, score int) // see Options; nil for none
	wrong        []wrong
}

// wrong is an image that is not classified right.
type wrong struct {
	image, label, best int
	share, ofTrue      float64 // by softmax
	score, scoreOfTrue float64
}

func newTally(classes int, scoreOf []int) *tally {
	t := &tally{classes: classes, scoreOf: scoreOf, classOf: map[int]int{}, probable: true, perClass: make([]int, classes), hitsPerClass: make([]int, classes), confusion: make([][]int, classes)}
	for i := range t.confusion {
		t.confusion[i] = make([]int, classes)
	}
	for class, score := range scoreOf {
		t.classOf[score] = class
	}
	return t
}

// fits tells whether a model may give n scores.
func (t *tally) fits(n int64) bool {
	if t.scoreOf == nil {
		return n == int64(t.classes)
	}
	return n > int64(slices.Max(t.scoreOf))
}

// add takes the scores of one image.
func (t *tally) add(scores []float32, label int64) error {
	best, better, own := 0, 0, int(label)
	if t.scoreOf != nil {
		own = t.scoreOf[label]
	}
	high := math.Inf(-1)
	for i, v := range scores {
		x := float64(v)
		if math.IsNaN(x) || math.IsInf(x, 1) {
			return fmt.Errorf("the score of image %d for class %d is %v", t.count, i, v)
		}
		if v > scores[best] {
			best = i
		}
		// Among equal scores the first class wins, as with an argmax.
		if v > scores[own] || v == scores[own] && i < own {
			better++
		}
		high = max(high, x)
	}
	t.probable = t.probable && probable(scores)
	if math.IsInf(high, -1) {
		return fmt.Errorf("all scores of image %d are -Inf", t.count)
	}
	var exp float64
	for _, v := range scores {
		exp += math.Exp(float64(v) - high)
	}
	t.asLogits += high + math.Log(exp) - float64(scores[own])
	t.asShares += -math.Log(max(float64(scores[own]), smallestProbability))

	if t.predicted != nil {
		t.predicted(t.count, best)
	}
	if t.count%8 == 0 {
		t.right = append(t.right, 0)
	}
	if best == own {
		t.right[t.count/8] |= 1 << (t.count % 8)
	} else {
		share := func(i int) float64 { return math.Exp(float64(scores[i])-high) / exp }
		t.wrong = append(t.wrong, wrong{t.count, int(label), best, share(best), share(own), float64(scores[best]), float64(scores[own])})
	}
	t.count++
	t.perClass[label]++
	if t.scoreOf == nil {
		t.confusion[label][best]++
	} else if class, ok := t.classOf[best]; ok {
		t.confusion[label][class]++
	} else {
		t.outside++
	}
	if best == own {
		t.top1++
		t.hitsPerClass[label]++
	}
	if better < topK {
		t.topK++
	}
	return nil
}

const (
	// probabilitySlack is how far rounding may take a sum of probabilities from one.
	probabilitySlack = 1e-3
	// smallestProbability bounds the loss of an image whose class was given no probability at all.
	smallestProbability = 1e-12
)

// probable tells whether the scores of an image could be probabilities.
func probable(scores []float32) bool {
	sum := 0.0
	for _, v := range scores {
		x := float64(v)
		if x < -probabilitySlack || x > 1+probabilitySlack {
			return false
		}
		sum += x
	}
	return math.Abs(sum-1) <= probabilitySlack
}

// fill writes what has been gathered into the metrics. from says where scores is from.
func (t *tally) fill(m *result.Metrics, scores Scores, from string, classes, files []string) {
	n := float64(t.count)
	m.Count = t.count
	m.Right = t.right
	m.Top1, m.Top5 = float64(t.top1)/n, float64(t.topK)/n
	if scores == ScoresAuto {
		scores, from = ScoresLogits, "numbers"
		if t.probable {
			scores = ScoresProbabilities
		}
	}
	m.Scores, m.ScoresFrom = string(scores), from
	m.Loss = t.asLogits / n
	if scores == ScoresProbabilities {
		m.Loss = t.asShares / n
	}
	if t.outside == 0 { // else a row would not sum to the images of its class
		m.Confusion = t.confusion
	}
	m.PerClass = make([]result.ClassTop1, t.classes)
	for i, name := range classes {
		m.PerClass[i] = result.ClassTop1{Class: name, Count: t.perClass[i]}
		if t.perClass[i] > 0 {
			m.PerClass[i].Top1 = float64(t.hitsPerClass[i]) / float64(t.perClass[i])
		}
	}
	m.Balanced = Balanced(m.PerClass)
	m.Mistakes = t.mistakes(scores, classes, files)
}
