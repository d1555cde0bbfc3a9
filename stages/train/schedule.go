package train

import (
	"math"

	"github.com/plateau-nas/plateau/exporter/optimizer"
)

// The ways in which the learning rate falls.
const (
	ScheduleCosine      = "cosine"
	ScheduleExponential = "exponential"
)

// How often the learning rate changes.
const (
	EachIteration = "iteration"
	EachEpoch     = "epoch"
)

// schedule returns the learning rate of each training step, with so many steps an epoch. The rate rises step by step; then it
// falls, in steps or in epochs that count from the end of the rise.
func (s *Settings) schedule(batches int) optimizer.Schedule {
	rise := int(s.Warmup * float64(batches))
	left := s.Epochs*batches - rise
	each := 1
	if s.LearningRateEach == EachEpoch {
		each = batches
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
