package chart

import (
	"math"
	"strconv"
	"strings"
)

// axis maps values to a stretch of the picture and knows where its ticks are.
type axis struct {
	low, high float64 // values at the ends
	from, to  float64 // positions of the ends
	step      float64 // of the ticks
}

const (
	// vast is the largest value that a chart shows; what lies beyond is as good as infinite, and differences of such values are.
	vast = 1e300
	// close is how near to each other values may be, relative to their size, before an axis would need more digits than a float
	// and a label have: counting in steps ends where a step is lost in rounding.
	close = 1e-9
	// tiny is the least difference that an axis shows; the powers of ten of its steps must stay normal numbers.
	tiny = 1e-290
	// mostTicks bounds the ticks of an axis whatever its numbers are; a round axis has at most a few more than it was asked for.
	mostTicks = 50
)

// newAxis returns an axis that holds all finite values and has about n ticks at round numbers. Its ends are ticks
// when round is true, else the least and the largest value. Values that are all but equal lie in the middle of an axis that is
// wider than they are apart.
func newAxis(values []float64, n int, round bool) axis {
	a := axis{low: math.Inf(1), high: math.Inf(-1)}
	for _, v := range values {
		if finite(v) {
			a.low, a.high = min(a.low, v), max(a.high, v)
		}
	}
	if a.low > a.high {
		a.low, a.high = 0, 1
	}
	if size := max(math.Abs(a.low), math.Abs(a.high)); a.high-a.low <= max(close*size, tiny) {
		pad := max(size/2, 0.5)
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

// ticks returns the multiples of the step within the axis, at most mostTicks of them. They are counted by whole numbers, so that the
// loop ends also where adding a step changes nothing any more.
func (a axis) ticks() []float64 {
	var out []float64
	first := math.Ceil(a.low/a.step - 1e-9)
	for k := range mostTicks {
		t := (first + float64(k)) * a.step
		if !(t <= a.high+1e-9*a.step) { // also where t is no number
			break
		}
		out = append(out, t)
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
	if math.Abs(v) < step/2 {
		v = 0 // not -0
	}
	var text string
	if decimals := max(0, int(math.Ceil(-math.Log10(step)-1e-9))); decimals <= 8 && math.Abs(v) < 1e9 {
		text = strconv.FormatFloat(v, 'f', decimals, 64)
	} else {
		// As many digits as tell neighboring ticks apart.
		digits := 0
		if v != 0 {
			digits = min(max(0, int(math.Ceil(math.Log10(math.Abs(v)/step)-1e-9))), 12)
		}
		text = strings.Replace(strconv.FormatFloat(v, 'e', digits, 64), "e+", "e", 1)
	}
	if text[0] == '-' {
		text = "−" + text[1:]
	}
	return text + unit
}
