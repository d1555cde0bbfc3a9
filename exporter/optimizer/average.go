package optimizer

import (
	"fmt"
	"math"

	"github.com/plateau-nas/plateau/exporter/graph"
)

// Average moves the vector averaged [N] toward the vector values [N] and returns it:
//
//	averaged' = keep * averaged + (1 - keep) * values
//
// keep has one element, 0 to 1. A constant one gives the exponential moving average of weights (Polyak and Juditsky, 1992; in
// the form of torch.optim.swa_utils.get_ema_multi_avg_fn); n/(n+1) for n = 0, 1, ... gives the mean of all values so far.
func Average(averaged, values, keep *graph.Value) *graph.Value {
	g := averaged.Graph()
	defer g.Scope("average")()
	if !checkVectors("Average", keep, averaged, values) {
		return averaged
	}
	return graph.Add(values, graph.Mul(graph.Sub(averaged, values), keep))
}

// AverageKeep returns the share of an exponential moving average that is kept at step t = 0, 1, ..., for the given decay: at most
// (1+t)/(10+t), so that the first weights, which are chance, do not stay in the average of a short training for long. This is the
// rise that TensorFlow's ExponentialMovingAverage has with num_updates.
func AverageKeep(decay float64, t int) float64 {
	return math.Min(decay, float64(1+t)/float64(10+t))
}

// CheckAverage reports a decay that is outside [0, 1).
func CheckAverage(decay float64) error {
	if decay >= 0 && decay < 1 {
		return nil
	}
	return fmt.Errorf("%v is not in [0, 1)", decay)
}
