package correlation

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/stat"
	"github.com/plateau-nas/plateau/stages/table"
)

// Method is a way to score every architecture of a table.
type Method struct {
	Name     string                // "own", "mean", "median_r2", "mean_once": names its metrics
	Settings neighborhood.Settings // radius 0 for the own score
}

// Own is the method that takes the score as it is.
func Own() Method {
	return Method{Name: "own", Settings: neighborhood.Settings{AggregatorSettings: neighborhood.DefaultAggregatorSettings()}}
}

// Label says the method in words: "mean over self and 24 neighbors".
func (m Method) Label(t *table.Table) string {
	if m.Settings.Radius == 0 {
		return "own score"
	}
	neighbors := 0
	for d := 1; d <= m.Settings.Radius; d++ {
		neighbors += t.Space().ShellSize(d)
	}
	self := ""
	if m.Settings.IncludeCenter {
		self = "self and "
	}
	label := fmt.Sprintf("%s over %s%d neighbors", aggregateLabel(m.Settings.AggregatorSettings), self, neighbors)
	switch m.Settings.Equivalents {
	case neighborhood.EquivalentsOnce:
		label += ", each function once"
	case neighborhood.EquivalentsLeftOut:
		label += " without those that compute the same"
	}
	return label
}

// aggregateLabel says an aggregator in words, with the parameter that matters to it.
func aggregateLabel(st neighborhood.AggregatorSettings) string {
	switch st.Aggregate {
	case "min":
		return "minimum"
	case "soft_min":
		return fmt.Sprintf("soft minimum (temperature %v)", st.Temperature)
	case "quantile":
		return fmt.Sprintf("%v quantile", st.Quantile)
	case "mean_std":
		return fmt.Sprintf("mean minus %v standard deviations", st.Lambda)
	case "trimmed_mean":
		return fmt.Sprintf("trimmed mean (%v at either end)", st.Trim)
	case "weighted_mean":
		return fmt.Sprintf("weighted mean (decay %v)", st.Decay)
	}
	return st.Aggregate
}

// Figures are what comes of a method.
type Figures struct {
	Method   string // its name
	Label    string
	Scores   []float64 // by rank, higher is better; NaN for architectures that do not take part
	Spearman float64   // rank correlation with the truth, -1 to 1; NaN when one of both is constant
	Kendall  float64   // tau-b
	Pearson  float64
	Best     Choice
	Top      []Top
	Curve    []float64 // element k-1 is the mean truth of the k best by the method, up to the largest k of Top
}

// Choice is the architecture with the best score.
type Choice struct {
	Rank   int     // in the table: place in the order of operations
	Score  float64 // by the method
	Own    float64 // own score
	Truth  float64
	Place  int     // among all by the truth, 1 for the best; equals share the better place
	Regret float64 // by how much the truth of the best possible one is better, 0 or more
}

// Top compares the best few by a method with the best few by the truth.
type Top struct {
	K         int
	Overlap   float64 // share of the K best by the method that is among the K best by the truth, 0 to 1
	MeanTruth float64
}

// Compare scores the architectures of a table by each method and holds them against the truth. score and truth are by rank,
// higher is better, NaN where there is none; an architecture takes part when it has both. top are the sizes
// for Top. Of equal scores the lower public index comes first.
func Compare(ctx context.Context, t *table.Table, score, truth []float64, methods []Method, top []int) ([]Figures, error) {
	part := make([]bool, t.Size())
	var truths []float64
	for rank := range part {
		if part[rank] = !math.IsNaN(score[rank]) && !math.IsNaN(truth[rank]); part[rank] {
			truths = append(truths, truth[rank])
		}
	}
	if len(truths) < 2 {
		return nil, fmt.Errorf("only %d architectures have both a score and a truth; give two tables of the same architectures", len(truths))
	}
	best := slices.Max(truths)
	truly := order(t, truth, part)
	var out []Figures
	for _, m := range methods {
		scores, err := t.Aggregate(ctx, score, m.Settings)
		if err != nil {
			return nil, fmt.Errorf("scoring by %s: %w", m.Name, err)
		}
		if m.Settings.Radius > 0 {
			tie(scores)
		}
		var taken []float64
		for rank := range scores {
			if part[rank] && math.IsNaN(scores[rank]) {
				return nil, fmt.Errorf("scoring by %s: %s has a score but none of its neighbors has; give a whole table",
					m.Name, t.Space().Format(t.Architecture(rank)))
			}
			if part[rank] {
				taken = append(taken, scores[rank])
			} else {
				scores[rank] = math.NaN()
			}
		}
		f := Figures{
			Method: m.Name, Label: m.Label(t), Scores: scores,
			Spearman: stat.Spearman(taken, truths), Kendall: stat.KendallTau(taken, truths), Pearson: stat.Pearson(taken, truths),
		}
		by := order(t, scores, part)
		first := by[0]
		f.Best = Choice{Rank: first, Score: scores[first], Own: score[first], Truth: truth[first], Place: 1, Regret: best - truth[first]}
		for _, v := range truths {
			if v > truth[first] {
				f.Best.Place++
			}
		}
		f.Top, f.Curve = tops(by, truly, truth, top)
		out = append(out, f)
	}
	return out, nil
}

// tie rounds aggregates to twelve digits of the largest. Scores are decimals with few digits and aggregates of them are often
// equal, but their last bits depend on the order in which they were summed up; ranks would see a difference there.
func tie(scores []float64) {
	largest := 0.0
	for _, v := range scores {
		if !math.IsNaN(v) {
			largest = max(largest, math.Abs(v))
		}
	}
	if largest == 0 || math.IsInf(largest, 0) {
		return
	}
	unit := math.Pow(10, 11-math.Floor(math.Log10(largest)))
	if math.IsInf(unit, 0) {
		return
	}
	for i, v := range scores {
		scores[i] = math.Round(v*unit) / unit
	}
}

// order returns the ranks of those that take part from the best to the worst, equals by public index.
func order(t *table.Table, scores []float64, part []bool) []int {
	var out []int
	for rank := range scores {
		if part[rank] {
			out = append(out, rank)
		}
	}
	slices.SortStableFunc(out, func(a, b int) int {
		if c := cmp.Compare(scores[b], scores[a]); c != 0 {
			return c
		}
		ia, _ := t.Index(a)
		ib, _ := t.Index(b)
		return cmp.Compare(ia, ib)
	})
	return out
}

// tops compares the first of by with the first of truly.
func tops(by, truly []int, truth []float64, sizes []int) (top []Top, curve []float64) {
	place := map[int]int{}
	for i, rank := range truly {
		place[rank] = i
	}
	sum := 0.0
	for i := range min(len(by), slices.Max(append([]int{1}, sizes...))) {
		sum += truth[by[i]]
		curve = append(curve, sum/float64(i+1))
	}
	for _, k := range sizes {
		n, common := min(k, len(by)), 0
		for _, rank := range by[:n] {
			if place[rank] < n {
				common++
			}
		}
		top = append(top, Top{K: k, Overlap: float64(common) / float64(n), MeanTruth: curve[n-1]})
	}
	return top, curve
}
