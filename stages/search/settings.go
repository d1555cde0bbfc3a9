package search

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/search/sampling"
)

// Random is random search on shared weights. The algorithms that follow gradients are in gradient.go, the others by sampling in
// package sampling.
const Random = "random"

// What the shared weights are trained at.
const (
	AtCenter   = "center"   // the search's own relaxed architecture (or, with gumbel, a sample of it)
	AtNeighbor = "neighbor" // a neighbor of it, drawn anew for every step
	AtPath     = "path"     // one architecture drawn uniformly for every step
	Given      = "given"    // nothing: they come from a stage of kind "weights" and stay as they are
)

// Settings are the settings of the stage kind "search".
type Settings struct {
	Algorithm    string                `yaml:"algorithm" enum:"darts,pc_darts,gdas,drnas,a2m,random,evolution,local,halving,tpe,gp" doc:"By gradients: darts, pc_darts (on a supernet with partial_channels), gdas, drnas or a2m; or by sampling with the trained weights: random, evolution (regularized), local (hill climbing with restarts), halving (on ever more images), tpe (tree-structured Parzen estimator) or gp (Bayesian optimization with a Gaussian process)."`
	Epochs       int                   `yaml:"epochs" doc:"Epochs of the search."`
	Weights      WeightSettings        `yaml:"weights" doc:"How the shared weights are trained."`
	Alpha        AlphaSettings         `yaml:"alpha" doc:"How searches by gradients move the architecture parameters; the others do not use them."`
	Neighborhood neighborhood.Settings `yaml:"neighborhood" doc:"The neighborhood that scores and gradients are aggregated over; radius 0 is the plain search."`
	Candidates   int                   `yaml:"candidates" doc:"Architectures that random draws and scores."`
	Finalists    int                   `yaml:"finalists" doc:"Architectures handed on, best first."`
	Budget       *BudgetSettings       `yaml:"budget,omitempty" doc:"How evolution, local, halving, tpe and gp spend evaluations; with random it takes the place of candidates."`
	ScoreImages  int                   `yaml:"score_images" doc:"Validation images that architectures are scored on, in whole batches; 0 takes all."`
	Augment      dataset.Augment       `yaml:"augment" doc:"Augmentation of the images that weights and alpha are trained on."`
}

// WeightSettings say how the shared weights are trained.
type WeightSettings struct {
	At              string  `yaml:"at" enum:"center,neighbor,path,given" doc:"What the weights are trained at: center (the relaxed architecture), neighbor (a drawn neighbor of it) or path (one uniformly drawn architecture a step). given takes those of a stage of kind weights, as they are; epochs are those of alpha then."`
	WarmUp          int     `yaml:"warm_up" doc:"Epochs at the start in which every operation takes part with equal weight, whatever the weights are trained at later."`
	Epochs          int     `yaml:"epochs" doc:"Epochs after which the weights stay as they are; 0 trains them throughout."`
	LearningRate    float64 `yaml:"learning_rate" doc:"Learning rate at the start; it falls along a cosine."`
	LearningRateMin float64 `yaml:"learning_rate_min" doc:"Learning rate at the end."`
}

// DefaultSettings returns random search on the neighborhoods of single-path shared weights.
func DefaultSettings() Settings {
	n := neighborhood.DefaultSettings()
	return Settings{
		Algorithm:    Random,
		Epochs:       50,
		Weights:      WeightSettings{At: AtPath, LearningRate: 0.025, LearningRateMin: 0.001},
		Alpha:        AlphaSettings{LearningRate: 3e-4, Beta1: 0.5, Beta2: 0.999, WeightDecay: 1e-3, Order: 1, Relaxation: Auto, Init: 1e-3},
		Neighborhood: n,
		Candidates:   100,
		Finalists:    5,
		ScoreImages:  1000,
		Augment:      dataset.Augment{Flip: true, Crop: 4},
	}
}

var _ pipeline.Validator = (*Settings)(nil)

// Validate implements pipeline.Validator. It reports every mistake.
func (s *Settings) Validate() error {
	var errs []error
	check := func(ok bool, path, format string, args ...any) {
		if !ok {
			errs = append(errs, &pipeline.SettingError{Path: path, Err: fmt.Errorf(format, args...)})
		}
	}
	oneOf := func(path, value string, known ...string) {
		if !slices.Contains(known, value) {
			errs = append(errs, pipeline.UnknownValue(path, value, known))
		}
	}
	positive := func(v float64) bool { return v > 0 && !math.IsInf(v, 0) }
	oneOf("algorithm", s.Algorithm, append(GradientAlgorithms(), Random, sampling.Evolution, sampling.Local, sampling.Halving, sampling.TPE, sampling.GP)...)
	oneOf("weights.at", s.Weights.At, AtCenter, AtNeighbor, AtPath, Given)
	oneOf("alpha.relaxation", s.Alpha.Relaxation, Auto, Softmax, Gumbel, Dirichlet)
	check(s.Epochs >= 1, "epochs", "%d epochs; at least 1 is needed", s.Epochs)
	check(s.Finalists >= 1, "finalists", "%d finalists; at least 1 is needed", s.Finalists)
	check(s.ScoreImages >= 0, "score_images", "%d images; give a number of images, or 0 for all", s.ScoreImages)
	check(s.Weights.Epochs >= 0 && s.Weights.Epochs <= s.Epochs, "weights.epochs", "%d is not between 0 and the %d epochs of the search", s.Weights.Epochs, s.Epochs)
	check(s.Weights.WarmUp >= 0 && s.Weights.WarmUp <= s.weightEpochs(), "weights.warm_up", "%d is not between 0 and the %d epochs in which the weights are trained", s.Weights.WarmUp, s.weightEpochs())
	check(!s.given() || s.Weights.Epochs == 0, "weights.epochs", "%d epochs, but the weights are given and stay as they are; remove it", s.Weights.Epochs)
	check(positive(s.Weights.LearningRate), "weights.learning_rate", "%v is not a number above 0", s.Weights.LearningRate)
	check(s.Weights.LearningRateMin >= 0 && s.Weights.LearningRateMin <= s.Weights.LearningRate, "weights.learning_rate_min", "%v is not between 0 and the learning rate %v", s.Weights.LearningRateMin, s.Weights.LearningRate)
	if s.budgeted() {
		errs = append(errs, s.validateBudget(check))
	}
	switch {
	case s.Algorithm == Random && !s.budgeted():
		check(s.Weights.At == AtPath || s.given(), "weights.at", "random search has no center to train the weights at; use %q", AtPath)
		check(s.Weights.Epochs <= 0 || s.Weights.Epochs >= s.Epochs, "weights.epochs", "%d leaves random search nothing to do in the later of the %d epochs; use 0, or fewer epochs", s.Weights.Epochs, s.Epochs)
		check(s.Candidates >= 1, "candidates", "%d candidates; at least 1 is needed", s.Candidates)
		check(s.Finalists <= s.Candidates, "finalists", "%d finalists of %d candidates", s.Finalists, s.Candidates)
	case s.gradient():
		s.validateGradient(check, positive)
		check(s.Neighborhood.CountsAll() || s.Neighborhood.Validate() != nil, "neighborhood.equivalents", "%s has neighbors of edge probabilities, which compute no one function; use %s, or another way to count in the neighborhood stage", s.Algorithm, neighborhood.EquivalentsAll)
	}
	check(s.Augment.Crop >= 0, "augment.crop", "%d pixels; give a number of at least 0", s.Augment.Crop)
	check(s.Augment.Cutout >= 0, "augment.cutout", "%d pixels; give a number of at least 0", s.Augment.Cutout)
	errs = append(errs, s.Neighborhood.ValidateUnder("neighborhood"))
	return errors.Join(errs...)
}

// given reports whether the weights come from another stage, trained.
func (s *Settings) given() bool { return s.Weights.At == Given }

// weightEpochs returns how many epochs the weights are trained for.
func (s *Settings) weightEpochs() int {
	if s.given() {
		return 0
	}
	if s.Weights.Epochs > 0 {
		return s.Weights.Epochs
	}
	return s.Epochs
}

// name is what the search calls itself in results.
func (s *Settings) name() string {
	switch {
	case s.budgeted():
		return s.sampling().Name()
	case s.gradient():
		return s.gradientName()
	case s.Neighborhood.Radius > 0:
		return "na_rs"
	}
	return "random_search"
}
