package chart

import (
	"math"
	"strconv"
)

// axis maps values to a stretch of the picture and knows where its ticks are.
type axis struct {
	low, high float64 // values at the ends
	from, to  float64 // positions of the ends
	step      float64 // of the ticks
}

// newAxis returns an axis that holds all finite values and has about n ticks at round numbers. Its ends are ticks
// when round is true, else the least and the largest value.
func newAxis(values []float64, n int, round bool) axis {
	a := axis{low: math.Inf(1), high: math.Inf(-1)}
	for _, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			a.low, a.high = min(a.low, v), max(a.high, v)
		}
	}
	if a.low > a.high {
		a.low, a.high = 0, 1
	}
	if a.low == a.high {
		pad := max(math.Abs(a.low)/2, 0.5)
		a.low, a.high = a.low-pad, a.high+pad
	}
	a.step = niceStep((a.high - a.low) / float64(n))
	if round {
		a.low, a.high = math.Floor(a.low/a.step+1e-9)*a.step, math.Ceil(a.high/a.step-1e-9)*a.step
	}
	return a
}

// niceStep returns the smallest of 1, 2, 5 times a power of ten that is not below v.
func niceStep(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= v*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// ticks returns the multiples of the step within the axis.
func (a axis) ticks() []float64 {
	var out []float64
	for i := math.Ceil(a.low/a.step - 1e-9); i*a.step <= a.high+1e-9*a.step; i++ {
		out = append(out, i*a.step)
	}
	return out
}

func (a axis) at(v float64) float64 { return a.from + (v-a.low)/(a.high-a.low)*(a.to-a.from) }

// text writes a tick with as many decimals as the step needs; shares are written in percent.
func (a axis) text(v float64, percent bool) string {
	step, unit := a.step, ""
	if percent {
		v, step, unit = v*100, step*100, "%"
	}
	decimals := max(0, int(math.Ceil(-math.Log10(step)-1e-9)))
	if math.Abs(v) < step/2 {
		v = 0 // not -0
	}
	text := strconv.FormatFloat(v, 'f', decimals, 64)
	if text[0] == '-' {
		text = "−" + text[1:]
	}
	return text + unit
}
