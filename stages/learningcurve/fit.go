package learningcurve

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/plateau-nas/plateau/stages/internal/words"
	"github.com/plateau-nas/plateau/stages/result"
)

// resamples is how many times the test images are drawn anew to see what they leave open.
const resamples = 2000

// extrapolate fits a power law to the errors and says what twice as many images would bring. right has for each point which test images are
// classified right, so that what the points have in common, the test images, is drawn anew for all of them together.
func extrapolate(c *result.Curve, right [][]byte, rng *rand.Rand) {
	n := c.Count
	images := make([]float64, len(c.Points))
	wrong := make([]int, len(c.Points))
	for i, p := range c.Points {
		images[i] = float64(p.Images)
		wrong[i] = n - int(math.Round(p.Top1*float64(n)))
	}
	c.Exponent, c.Gain = doubling(images, wrong, n)
	gains := make([]float64, resamples)
	drawn := make([]int, len(wrong))
	for r := range gains {
		clear(drawn)
		for range n {
			i := rng.IntN(n)
			for k := range right {
				if right[k][i/8]>>(i%8)&1 == 0 {
					drawn[k]++
				}
			}
		}
		_, gains[r] = doubling(images, drawn, n)
	}
	slices.Sort(gains)
	c.GainLow, c.GainHigh = gains[resamples/40], gains[resamples-1-resamples/40]
	c.Sentence = sentence(c)
}

// doubling returns the exponent of a power law through the shares of wrong images, by least squares in logarithms, and what twice the
// largest number of training images adds to the accuracy by it. Half an image is added on either side, since no errors have no logarithm.
func doubling(images []float64, wrong []int, n int) (exponent, gain float64) {
	x, y := make([]float64, len(images)), make([]float64, len(images))
	for i := range images {
		x[i] = math.Log(images[i])
		y[i] = math.Log((float64(wrong[i]) + 0.5) / (float64(n) + 1))
	}
	alpha, beta := stat.LinearRegression(x, y, nil, false)
	at := func(m float64) float64 { return min(1, math.Exp(alpha+beta*math.Log(m))) }
	last := images[len(images)-1]
	return beta, at(last) - at(2*last)
}

// sentence says what more images would bring.
func sentence(c *result.Curve) string {
	last := c.Points[len(c.Points)-1]
	interval := fmt.Sprintf("95%% interval %+.1f to %+.1f, from %s", 100*c.GainLow, 100*c.GainHigh, words.Count(c.Count, "test image"))
	switch {
	case c.GainLow > 0:
		return fmt.Sprintf("Twice as many training pictures (%s) would probably add about %.1f points of accuracy (%s).", words.Grouped(2*last.Images), 100*c.Gain, interval)
	case c.GainHigh < 0.01:
		return fmt.Sprintf("Twice as many training pictures (%s) would hardly add anything (%s).", words.Grouped(2*last.Images), interval)
	}
	return fmt.Sprintf("Whether more training pictures would help cannot be told: twice as many (%s) might change the accuracy by %+.1f points (%s).", words.Grouped(2*last.Images), 100*c.Gain, interval)
}
