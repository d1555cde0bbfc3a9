package search

import (
	"fmt"
	"slices"
)

// The algorithms that follow gradients. Each takes neighborhoods alike, and weights.at, which the papers have at center.
const (
	DARTS   = "darts"    // Liu, Simonyan and Yang, ICLR 2019; alpha.order 2 is its second order
	PCDARTS = "pc_darts" // Xu et al., ICLR 2020: a part of the channels, and weights of edges
	GDAS    = "gdas"     // Dong and Yang, CVPR 2019: one operation an edge by Gumbel-softmax samples of falling temperature
	DrNAS   = "drnas"    // Chen, Wang, Cheng, Tang and Hsieh, ICLR 2021: Dirichlet samples in place of a softmax
	A2M     = "a2m"      // Gambella, Pittorino and Roveri, arXiv 2503.10404: the gradient at a sharper alpha
)

// GradientAlgorithms returns the names of the algorithms that follow gradients.
func GradientAlgorithms() []string { return []string{DARTS, PCDARTS, GDAS, DrNAS, A2M} }

// How alpha becomes the architecture whose loss is differentiated.
const (
	Auto      = "auto"      // the algorithm's own
	Softmax   = "softmax"   // the edge probabilities themselves: every operation takes part
	Gumbel    = "gumbel"    // one operation an edge by straight-through Gumbel-softmax samples (as in GDAS)
	Dirichlet = "dirichlet" // samples of Dirichlet distributions, differentiated along their paths (as in DrNAS)
)

// AlphaSettings say how the architecture parameters are moved.
type AlphaSettings struct {
	Start          int     `yaml:"start" doc:"Epochs of training the weights before the first step of alpha."`
	LearningRate   float64 `yaml:"learning_rate" doc:"Learning rate of Adam."`
	Beta1          float64 `yaml:"beta1" doc:"Decay of Adam's first moment."`
	Beta2          float64 `yaml:"beta2" doc:"Decay of Adam's second moment."`
	WeightDecay    float64 `yaml:"weight_decay" doc:"Weight decay (L2) of alpha. In drnas it draws towards concentrations of 1: the anchor of its reference code."`
	Order          int     `yaml:"order" doc:"For darts and pc_darts: 1, or 2 to differentiate through one step of the weights as well; each step then costs three passes more."`
	Relaxation     string  `yaml:"relaxation" enum:"auto,softmax,gumbel,dirichlet" doc:"softmax (every operation takes part), gumbel (one sampled operation an edge, straight-through gradient) or dirichlet (sampled probabilities, pathwise gradient). auto is the algorithm's own: gumbel for gdas, dirichlet for drnas, otherwise softmax; darts takes softmax or gumbel."`
	Temperature    float64 `yaml:"temperature" doc:"Temperature of the Gumbel-softmax; 0 is the algorithm's own, 10 for gdas and otherwise 1."`
	TemperatureEnd float64 `yaml:"temperature_end" doc:"Temperature in the last epoch, to which it changes linearly from alpha.start on; 0 is the algorithm's own, 0.1 for gdas and otherwise that of the start."`
	Anchor         float64 `yaml:"anchor" doc:"For drnas: weight of the divergence of the distributions from those with concentrations of 1, which is added to the loss."`
	Rho            float64 `yaml:"rho" doc:"For a2m: how far, in gradients, the sharper alpha lies; 0 is the paper's, 0.1 in the darts space and otherwise 0.01."`
	Epsilon        float64 `yaml:"epsilon" doc:"For a2m: step of its difference of gradients, in gradients; 0 is the paper's 0.01."`
	Init           float64 `yaml:"init" doc:"Standard deviation of the first values of alpha."`
	Hessian        int     `yaml:"hessian" doc:"Iterations of the power method after each epoch in which alpha moves, for the largest eigenvalue of the Hessian of the validation loss by alpha; each costs two passes, or four. 0 leaves it out, 8 are enough to see it rise."`
	StopSkips      int     `yaml:"stop_skips" doc:"Ends the search once the architecture has so many skip connections, in the normal cell where there are two kinds (DARTS+ with 2 of 8); 0 never does."`
}

// gradient reports whether the search follows gradients.
func (s *Settings) gradient() bool { return slices.Contains(GradientAlgorithms(), s.Algorithm) }

// relaxation returns how alpha becomes an architecture.
func (s *Settings) relaxation() string {
	switch {
	case s.Alpha.Relaxation != Auto:
		return s.Alpha.Relaxation
	case s.Algorithm == GDAS:
		return Gumbel
	case s.Algorithm == DrNAS:
		return Dirichlet
	}
	return Softmax
}

// direct reports whether the gradient by alpha is made outside of the graph that moves it.
func (s *Settings) direct() bool {
	return s.Algorithm == PCDARTS || s.Algorithm == A2M || s.relaxation() == Dirichlet || s.Alpha.Order == 2
}

// edgeWeights reports whether edges are weighed.
func (s *Settings) edgeWeights() bool { return s.Algorithm == PCDARTS }

// temperature returns that of the Gumbel-softmax in an epoch, counted from 0.
func (s *Settings) temperature(epoch int) float64 {
	first, last := s.Alpha.Temperature, s.Alpha.TemperatureEnd
	if first == 0 {
		if first = 1; s.Algorithm == GDAS {
			first = 10
		}
	}
	if last == 0 {
		if last = first; s.Algorithm == GDAS {
			last = 0.1
		}
	}
	if s.Epochs-1 <= s.Alpha.Start || first == last {
		return first
	}
	return first + (last-first)*float64(max(epoch-s.Alpha.Start, 0))/float64(s.Epochs-1-s.Alpha.Start)
}

// sharpness returns the two steps of A2M.
func (r *run) sharpness() (rho, epsilon float64) {
	rho, epsilon = r.Alpha.Rho, r.Alpha.Epsilon
	if rho == 0 {
		if rho = 0.01; r.space.Pairs {
			rho = 0.1
		}
	}
	if epsilon == 0 {
		epsilon = 0.01
	}
	return rho, epsilon
}

// validateGradient checks the settings of a search by gradients.
func (s *Settings) validateGradient(check func(ok bool, path, format string, args ...any), positive func(float64) bool) {
	a, name := s.Alpha, s.Algorithm
	check(a.Start < 0 || a.Start >= s.Weights.WarmUp, "alpha.start", "%d is before the end of the warm-up of %d epochs, in which alpha has no effect on the weights", a.Start, s.Weights.WarmUp)
	check(a.Start >= 0 && a.Start < s.Epochs, "alpha.start", "%d leaves alpha no epoch of the %d to move in", a.Start, s.Epochs)
	check(!s.given() || a.Start == 0, "alpha.start", "%d leaves the epochs before it nothing to move: the weights are given", a.Start)
	check(s.given() || a.Start <= s.weightEpochs() || a.Start >= s.Epochs, "alpha.start", "%d leaves the epochs after the %d of weights.epochs without anything to move", a.Start, s.Weights.Epochs)
	check(positive(a.LearningRate), "alpha.learning_rate", "%v is not a number above 0", a.LearningRate)
	check(a.Beta1 >= 0 && a.Beta1 < 1, "alpha.beta1", "%v is not in [0, 1)", a.Beta1)
	check(a.Beta2 >= 0 && a.Beta2 < 1, "alpha.beta2", "%v is not in [0, 1)", a.Beta2)
	check(a.WeightDecay == 0 || positive(a.WeightDecay), "alpha.weight_decay", "%v is not a number of at least 0", a.WeightDecay)
	check(a.Init == 0 || positive(a.Init), "alpha.init", "%v is not a number of at least 0", a.Init)
	check(s.Weights.At != AtNeighbor || s.Neighborhood.Radius > 0, "weights.at", "at radius 0 there is no neighbor to train the weights at; use %q", AtCenter)
	check(a.Hessian >= 0, "alpha.hessian", "%d iterations; give a number of at least 0", a.Hessian)
	check(a.StopSkips >= 0, "alpha.stop_skips", "%d skip connections; give a number of at least 1, or 0 to go on", a.StopSkips)

	if own := (&Settings{Algorithm: name, Alpha: AlphaSettings{Relaxation: Auto}}).relaxation(); a.Relaxation != Auto && (name != DARTS || a.Relaxation == Dirichlet) {
		check(a.Relaxation == own || !slices.Contains([]string{Softmax, Gumbel, Dirichlet}, a.Relaxation), "alpha.relaxation", "%s has %s; leave the setting out, or use another algorithm (darts takes softmax and gumbel, drnas dirichlet)", name, own)
	}
	// only checks a setting that is there for something else as well: 0 is what it is when it was left out.
	only := func(applies bool, path string, v float64, of string) {
		if v != 0 && !applies {
			check(false, path, "%v does not apply: it is for %s; leave it out", v, of)
			return
		}
		check(v == 0 || positive(v), path, "%v is not a number above 0", v)
	}
	gumbel := fmt.Sprintf("%s, or %s with relaxation: gumbel", GDAS, DARTS)
	only(s.relaxation() == Gumbel, "alpha.temperature", a.Temperature, gumbel)
	only(s.relaxation() == Gumbel, "alpha.temperature_end", a.TemperatureEnd, gumbel)
	only(name == DrNAS, "alpha.anchor", a.Anchor, DrNAS)
	only(name == A2M, "alpha.rho", a.Rho, A2M)
	only(name == A2M, "alpha.epsilon", a.Epsilon, A2M)

	switch a.Order {
	case 1:
	case 2:
		check((name == DARTS || name == PCDARTS) && s.relaxation() == Softmax, "alpha.order", "the second order is of %s and %s with relaxation: softmax", DARTS, PCDARTS)
		check(s.Weights.At == AtCenter, "weights.at", "the second order differentiates through the weights' next step, which is at the center; use %q", AtCenter)
		check(s.Weights.Epochs == 0 || s.Weights.Epochs == s.Epochs, "weights.epochs", "the second order differentiates through the weights' next step, but they stay as they are after epoch %d of %d; use 0", s.Weights.Epochs, s.Epochs)
	default:
		check(false, "alpha.order", "%d is not 1 or 2", a.Order)
	}
}

// gradientName is what a search by gradients calls itself in results: the algorithm, with na_ in front when it has a
// neighborhood.
func (s *Settings) gradientName() string {
	name := s.Algorithm
	if s.Alpha.Order == 2 {
		name += "_2nd"
	}
	if s.Neighborhood.Radius > 0 {
		name = "na_" + name
	}
	return name
}
