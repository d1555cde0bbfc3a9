package train

import (
	"math"

	"github.com/plateau-nas/plateau/exporter/optimizer"
)

// The ways in which the learning rate falls.
const (
	ScheduleCosine      = "cosine"
	ScheduleExponential = "exponential"
	ScheduleOneCycle    = "one_cycle"
)

// The shapes of both ways of a one-cycle schedule.
const (
	AnnealCosine = "cosine"
	AnnealLinear = "linear"
)

// oneCycleStart is what a one-cycle schedule begins with, as a share of its peak: PyTorch's default.
const oneCycleStart = 1.0 / 25

// How often the learning rate changes.
const (
	EachIteration = "iteration"
	EachEpoch     = "epoch"
)

// schedule returns the learning rate of each training step, with so many steps an epoch. The rate rises step by step; then it
// falls, in steps or in epochs that count from the end of the rise. A one-cycle schedule has its rise in itself.
func (s *Settings) schedule(batches int) optimizer.Schedule {
	rise := int(s.Warmup * float64(batches))
	left := s.Epochs*batches - rise
	each := 1
	if s.LearningRateEach == EachEpoch {
		each = batches
	}
	if s.Schedule == ScheduleOneCycle {
		cycle := optimizer.OneCycle(s.LearningRate*oneCycleStart, s.LearningRate, s.LearningRateMin, s.Rise, (left+each-1)/each, s.Anneal == AnnealLinear)
		return func(t int) float64 { return cycle(t / each) }
	}
	fall := optimizer.Cosine(s.LearningRate, s.LearningRateMin, (left+each-1)/each)
	if s.Schedule == ScheduleExponential {
		factor := s.LearningRateDecay
		if each == 1 {
			factor = math.Pow(factor, 1/float64(batches))
		}
		steps := optimizer.Step(s.LearningRate, factor, 1)
		fall = func(t int) float64 { return max(steps(t), s.LearningRateMin) }
	}
	return optimizer.Warmup(rise, func(t int) float64 { return fall(t / each) })
}
