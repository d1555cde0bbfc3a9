package neighborhood

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strings"
)

// Aggregator makes one number of the scores of a neighborhood.
type Aggregator interface {
	// Name returns the aggregator's name in a document.
	Name() string
	// Aggregate returns the score of a neighborhood whose members have these scores and lie at these distances from
	// the center (0 for the center itself). Distances may be nil; missing ones count as 0. Without any score the
	// result is not a number.
	Aggregate(scores, distances []float64) float64
	// Gradient returns the derivative of Aggregate by each score. Where scores tie and the derivative does not exist,
	// those that tie share what they would get in either order.
	Gradient(scores, distances []float64) []float64
}

// AggregatorSettings choose an aggregator. Only the parameter of the chosen one matters.
type AggregatorSettings struct {
	Aggregate   string  `yaml:"aggregate" enum:"mean,weighted_mean,median,trimmed_mean,min,quantile,soft_min,mean_std" doc:"What is made of the scores of a neighborhood."`
	Quantile    float64 `yaml:"quantile" doc:"For quantile: which one, from 0 (the worst) to 1 (the best)."`
	Lambda      float64 `yaml:"lambda" doc:"For mean_std: how many standard deviations are taken from the mean."`
	Temperature float64 `yaml:"temperature" doc:"For soft_min: the smaller, the nearer to the worst score; in units of the score."`
	Trim        float64 `yaml:"trim" doc:"For trimmed_mean: the share of scores left out at either end, below 0.5."`
	Decay       float64 `yaml:"decay" doc:"For weighted_mean: the factor by which a score's weight falls with each step away from the center, at most 1."`
}

// DefaultAggregatorSettings returns the mean, and for the other aggregators the parameters they start from.
func DefaultAggregatorSettings() AggregatorSettings {
	return AggregatorSettings{Aggregate: "mean", Quantile: 0.25, Lambda: 1, Temperature: 0.25, Trim: 0.1, Decay: 0.5}
}

// Aggregators returns the names of all aggregators.
func Aggregators() []string {
	return []string{"mean", "weighted_mean", "median", "trimmed_mean", "min", "quantile", "soft_min", "mean_std"}
}

// New returns the aggregator that the settings choose. The error reports every mistake in them.
func New(st AggregatorSettings) (Aggregator, error) {
	var r report
	if st.validate(&r); len(r.errs) > 0 {
		return nil, errors.Join(r.errs...)
	}
	switch st.Aggregate {
	case "weighted_mean":
		return weightedMean{name: st.Aggregate, decay: st.Decay}, nil
	case "median":
		return quantile(st.Aggregate, 0.5), nil
	case "trimmed_mean":
		return trimmedMean(st.Aggregate, st.Trim), nil
	case "min":
		return quantile(st.Aggregate, 0), nil
	case "quantile":
		return quantile(st.Aggregate, st.Quantile), nil
	case "soft_min":
		return softMin{name: st.Aggregate, temperature: st.Temperature}, nil
	case "mean_std":
		return meanStd{name: st.Aggregate, lambda: st.Lambda}, nil
	default:
		return weightedMean{name: st.Aggregate, decay: 1}, nil
	}
}

func (st AggregatorSettings) validate(r *report) {
	// The conditions are written so that they are false for what is not a number.
	check := func(ok bool, setting string, value float64, want string) {
		if !ok || math.IsInf(value, 0) {
			r.add(setting, "%s for %s must be %s, not %v", setting, st.Aggregate, want, value)
		}
	}
	switch st.Aggregate {
	case "mean", "median", "min":
	case "weighted_mean":
		check(st.Decay > 0 && st.Decay <= 1, "decay", st.Decay, "above 0 and at most 1")
	case "trimmed_mean":
		check(st.Trim >= 0 && st.Trim < 0.5, "trim", st.Trim, "at least 0 and below 0.5")
	case "quantile":
		check(st.Quantile >= 0 && st.Quantile <= 1, "quantile", st.Quantile, "between 0 and 1")
	case "soft_min":
		check(st.Temperature > 0, "temperature", st.Temperature, "above 0")
	case "mean_std":
		check(st.Lambda >= 0, "lambda", st.Lambda, "0 or more")
	default:
		r.add("aggregate", "unknown aggregator %q: known are %s", st.Aggregate, strings.Join(Aggregators(), ", "))
	}
}

// weightedMean weighs a score by decay^distance; with decay 1 it is the mean.
type weightedMean struct {
	name  string
	decay float64
}

func (a weightedMean) Name() string { return a.name }

func (a weightedMean) Aggregate(scores, distances []float64) float64 {
	if len(scores) == 0 {
		return math.NaN()
	}
	sum := 0.0
	for i, w := range a.Gradient(scores, distances) {
		sum += w * scores[i]
	}
	return sum
}

func (a weightedMean) Gradient(scores, distances []float64) []float64 {
	if len(scores) == 0 {
		return nil
	}
	distance := func(i int) float64 {
		if i < len(distances) {
			return distances[i]
		}
		return 0
	}
	nearest := math.Inf(1)
	for i := range scores {
		nearest = min(nearest, distance(i))
	}
	g := make([]float64, len(scores))
	sum := 0.0
	for i := range g {
		// Only differences of distances matter, and with them the nearest score always has weight 1: far away
		// and with a small decay all weights would otherwise round to zero.
		g[i] = math.Pow(a.decay, distance(i)-nearest)
		sum += g[i]
	}
	for i := range g {
		g[i] /= sum
	}
	return g
}

// ordered is a weighted sum of the sorted scores, worst first: median, minimum, quantiles and trimmed means
// differ in the weights of the ranks only.
type ordered struct {
	name    string
	weights func(n int) []float64
}

// quantile interpolates linearly between the two scores around position q*(n-1).
func quantile(name string, q float64) ordered {
	return ordered{name: name, weights: func(n int) []float64 {
		w := make([]float64, n)
		at := q * float64(n-1)
		low := int(at)
		w[low] = 1 - (at - float64(low))
		if low+1 < n {
			w[low+1] = at - float64(low)
		}
		return w
	}}
}

// trimmedMean leaves out the share trim of the scores at either end, rounded down to whole scores.
func trimmedMean(name string, trim float64) ordered {
	return ordered{name: name, weights: func(n int) []float64 {
		w := make([]float64, n)
		cut := int(trim * float64(n))
		for i := cut; i < n-cut; i++ {
			w[i] = 1 / float64(n-2*cut)
		}
		return w
	}}
}

func (a ordered) Name() string { return a.name }

func (a ordered) Aggregate(scores, _ []float64) float64 {
	if len(scores) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(scores))
	sum := 0.0
	for i, w := range a.weights(len(sorted)) {
		if w != 0 { // an infinite score that does not count must not make 0 * Inf
			sum += w * sorted[i]
		}
	}
	return sum
}

func (a ordered) Gradient(scores, _ []float64) []float64 {
	if len(scores) == 0 {
		return nil
	}
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(scores[i], scores[j]) })
	weights := a.weights(len(scores))
	g := make([]float64, len(scores))
	for from := 0; from < len(order); {
		to, sum := from, 0.0
		for to < len(order) && cmp.Compare(scores[order[to]], scores[order[from]]) == 0 {
			sum += weights[to]
			to++
		}
		for _, i := range order[from:to] {
			g[i] = sum / float64(to-from)
		}
		from = to
	}
	return g
}

// softMin is the smooth worst case, -T log(mean(exp(-s/T))): the minimum as T goes to 0, the mean as it
// grows. Its gradient is the softmax of -s/T, so the worst neighbors pull the most; of losses it is the softmax-max.
type softMin struct {
	name        string
	temperature float64
}

func (a softMin) Name() string { return a.name }

func (a softMin) Aggregate(scores, _ []float64) float64 {
	if len(scores) == 0 {
		return math.NaN()
	}
	worst := slices.Min(scores)
	sum := 0.0
	for _, s := range scores {
		sum += a.share(s, worst)
	}
	return worst - a.temperature*math.Log(sum/float64(len(scores)))
}

func (a softMin) Gradient(scores, _ []float64) []float64 {
	if len(scores) == 0 {
		return nil
	}
	worst := slices.Min(scores)
	g := make([]float64, len(scores))
	sum := 0.0
	for i, s := range scores {
		g[i] = a.share(s, worst)
		sum += g[i]
	}
	for i := range g {
		g[i] /= sum
	}
	return g
}

func (a softMin) share(score, worst float64) float64 {
	if score == worst {
		return 1 // also when both are infinite, where their difference is not a number
	}
	return math.Exp((worst - score) / a.temperature)
}

// meanStd takes lambda standard deviations (of the scores at hand, dividing by their number) from the mean.
type meanStd struct {
	name   string
	lambda float64
}

func (a meanStd) Name() string { return a.name }

func (a meanStd) Aggregate(scores, _ []float64) float64 {
	if len(scores) == 0 {
		return math.NaN()
	}
	mean, std := moments(scores)
	return mean - a.lambda*std
}

func (a meanStd) Gradient(scores, _ []float64) []float64 {
	mean, std := moments(scores)
	n := float64(len(scores))
	g := make([]float64, len(scores))
	for i, s := range scores {
		g[i] = 1 / n
		// Equal scores tie: the deviation has a kink there, and its least change is none.
		if std > 0 {
			g[i] -= a.lambda * (s - mean) / (n * std)
		}
	}
	return g
}

// moments returns the mean and the standard deviation of what is there.
func moments(x []float64) (mean, std float64) {
	if len(x) == 0 {
		return math.NaN(), math.NaN()
	}
	n := float64(len(x))
	// Sums of differences from one of the numbers keep rounding from making a deviation of equal numbers.
	mean = x[0]
	for _, v := range x {
		mean += (v - x[0]) / n
	}
	for _, v := range x {
		std += (v - mean) * (v - mean) / n
	}
	return mean, math.Sqrt(std)
}
