package optimizer

import "math"

// Schedule gives the learning rate of step t = 0, 1, ...; what a step is (an iteration or an epoch) is up to the
// caller.
type Schedule func(t int) float64

// Constant is the same rate at every step.
func Constant(rate float64) Schedule { return func(int) float64 { return rate } }

// Cosine falls from initial at step 0 along half a cosine to final at step total, and stays there (Loshchilov and
// Hutter, 2017, arXiv 1608.03983, without restarts).
func Cosine(initial, final float64, total int) Schedule {
	return func(t int) float64 {
		if t >= total {
			return final
		}
		return final + (initial-final)*(1+math.Cos(math.Pi*float64(t)/float64(total)))/2
	}
}

// Step multiplies the rate by factor after every so many steps. With every = 1 it is exponential decay.
func Step(initial, factor float64, every int) Schedule {
	return func(t int) float64 { return initial * math.Pow(factor, float64(t/max(every, 1))) }
}

// Warmup raises the rate linearly over the given number of steps, from 1/steps of the schedule's first rate to all
// of it, and then follows the schedule from its beginning.
func Warmup(steps int, s Schedule) Schedule {
	return func(t int) float64 {
		if t < steps {
			return s(0) * float64(t+1) / float64(steps)
		}
		return s(t - max(steps, 0))
	}
}

// OneCycle rises from initial to peak within the share rise of all total steps, and falls to final at the last of them (Smith and
// Topin, 2018, arXiv 1708.07120; the two phases of torch.optim.lr_scheduler.OneCycleLR). Both ways go along half a cosine, or
// along a line when linear. rise lies within [0, 1].
func OneCycle(initial, peak, final, rise float64, total int, linear bool) Schedule {
	top, last := rise*float64(total)-1, float64(total-1)
	between := func(from, to, share float64) float64 {
		if linear {
			return from + (to-from)*share
		}
		return to + (from-to)*(1+math.Cos(math.Pi*share))/2
	}
	return func(t int) float64 {
		switch at := float64(t); {
		case total < 2:
			return peak
		case at >= last && last > top:
			return final
		case top > 0 && at <= top || last <= top:
			return between(initial, peak, min(at/top, 1))
		default:
			return between(peak, final, (at-top)/(last-top))
		}
	}
}
