package search

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/pipeline"
)

// settingPaths returns the setting that each mistake of an error names, sorted.
func settingPaths(err error) []string {
	var out []string
	var walk func(error)
	walk = func(err error) {
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range many.Unwrap() {
				walk(e)
			}
			return
		}
		var one *pipeline.SettingError
		if errors.As(err, &one) {
			out = append(out, one.Path)
		} else if err != nil {
			out = append(out, err.Error())
		}
	}
	walk(err)
	slices.Sort(out)
	return out
}

// valid returns settings of a gradient-based search without mistakes.
func valid() Settings {
	s := DefaultSettings()
	s.Algorithm, s.Epochs, s.Weights.At, s.Weights.WarmUp, s.Alpha.Start = DARTS, 10, AtCenter, 2, 3
	return s
}

func TestEveryMistakeIsReportedWithItsPath(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	type mistake struct {
		path   string
		change func(*Settings)
	}
	var mistakes []mistake
	add := func(path string, changes ...func(*Settings)) {
		for _, c := range changes {
			mistakes = append(mistakes, mistake{path, c})
		}
	}
	number := func(path string, field func(*Settings) *float64, values ...float64) {
		for _, v := range values {
			add(path, func(s *Settings) { *field(s) = v })
		}
	}
	add("algorithm", func(s *Settings) { s.Algorithm = "evolve" }, func(s *Settings) { s.Algorithm = "" })
	add("weights.at", func(s *Settings) { s.Weights.At = "paths" })
	add("alpha.relaxation", func(s *Settings) { s.Alpha.Relaxation = "gumble" })
	add("epochs", func(s *Settings) {
		s.Epochs, s.Alpha.Start, s.Weights.WarmUp, s.Algorithm, s.Weights.At = 0, 0, 0, Random, AtPath
	})
	add("finalists", func(s *Settings) { s.Finalists = 0 })
	add("score_images", func(s *Settings) { s.ScoreImages = -1 })
	add("weights.epochs", func(s *Settings) { s.Weights.Epochs = 11 })
	add("weights.warm_up", func(s *Settings) { s.Weights.WarmUp = -1 })
	number("weights.learning_rate", func(s *Settings) *float64 { return &s.Weights.LearningRate }, inf)
	number("weights.learning_rate_min", func(s *Settings) *float64 { return &s.Weights.LearningRateMin }, -1e-9, 0.026, nan)
	add("alpha.start", func(s *Settings) { s.Alpha.Start = -1 }, func(s *Settings) { s.Alpha.Start = 10 }, func(s *Settings) { s.Alpha.Start = 1 },
		func(s *Settings) { s.Weights.Epochs = 2 })
	number("alpha.learning_rate", func(s *Settings) *float64 { return &s.Alpha.LearningRate }, 0, -1, nan, inf)
	number("alpha.beta1", func(s *Settings) *float64 { return &s.Alpha.Beta1 }, -0.1, 1, nan)
	number("alpha.beta2", func(s *Settings) *float64 { return &s.Alpha.Beta2 }, -0.1, 1, nan)
	number("alpha.weight_decay", func(s *Settings) *float64 { return &s.Alpha.WeightDecay }, -1e-9, nan, inf)
	number("alpha.temperature", func(s *Settings) *float64 { s.Alpha.Relaxation = Gumbel; return &s.Alpha.Temperature }, -1, nan, inf)
	number("alpha.init", func(s *Settings) *float64 { return &s.Alpha.Init }, -1, nan, inf)
	add("weights.at", func(s *Settings) { s.Weights.At, s.Neighborhood.Radius = AtNeighbor, 0 })
	add("augment.crop", func(s *Settings) { s.Augment.Crop = -1 })
	add("augment.cutout", func(s *Settings) { s.Augment.Cutout = -1 })
	add("neighborhood.radius", func(s *Settings) { s.Neighborhood.Radius = -1 })
	add("neighborhood.samples", func(s *Settings) { s.Neighborhood.Samples = -1 })
	add("neighborhood.kind", func(s *Settings) { s.Neighborhood.Kind = "rotate" })
	add("neighborhood.equivalents", func(s *Settings) { s.Neighborhood.Equivalents = "twice" }, func(s *Settings) { s.Neighborhood.Equivalents = "once" })
	add("neighborhood.aggregate", func(s *Settings) { s.Neighborhood.Aggregate = "max" })
	add("neighborhood.quantile", func(s *Settings) { s.Neighborhood.Aggregate, s.Neighborhood.Quantile = "quantile", 2 })
	random := func(s *Settings) {
		s.Algorithm, s.Weights.At, s.Candidates, s.Finalists, s.Weights.Epochs = Random, AtPath, 3, 3, 0
	}
	add("weights.at", func(s *Settings) { random(s); s.Weights.At = AtCenter })
	add("weights.epochs", func(s *Settings) { random(s); s.Weights.Epochs = 9 }, func(s *Settings) { random(s); s.Weights.Epochs = -1 })
	add("finalists", func(s *Settings) { random(s); s.Finalists = 4 })
	budget := func(change func(*Settings)) func(*Settings) {
		return func(s *Settings) {
			random(s)
			s.Algorithm, s.Neighborhood.Radius, s.Neighborhood.Samples, s.Budget = "evolution", 1, 2, &BudgetSettings{}
			change(s)
		}
	}
	add("budget", func(s *Settings) { s.Budget = &BudgetSettings{} })
	add("weights.at", budget(func(s *Settings) { s.Weights.At = AtCenter }))
	add("budget.evaluations", budget(func(s *Settings) { s.Budget.Evaluations = -1 }))
	add("budget.population", budget(func(s *Settings) { s.Budget.Population = 1 }))
	add("budget.policy", budget(func(s *Settings) { s.Budget.Policy = "some" }), budget(func(s *Settings) { s.Budget.Policy = "all" }))
	add("neighborhood.samples", budget(func(s *Settings) { s.Budget.Policy, s.Neighborhood.Samples = "sampled", 0 }))
	add("budget.images", budget(func(s *Settings) { s.Algorithm = "halving" }), budget(func(s *Settings) { s.Budget.Images = []int{5} }))
	add("budget.images[1]", budget(func(s *Settings) { s.Algorithm, s.ScoreImages, s.Budget.Images = "halving", 100, []int{50, 20} }),
		budget(func(s *Settings) { s.Algorithm, s.ScoreImages, s.Budget.Images = "halving", 100, []int{50, 100} }))
	add("budget.bracket", budget(func(s *Settings) { s.Algorithm, s.Budget.Images, s.Budget.Bracket = "halving", []int{20}, -2 }))
	for i, m := range mistakes {
		s := valid()
		if err := s.Validate(); err != nil {
			t.Fatalf("without a mistake: %v", err)
		}
		m.change(&s)
		if diff := cmp.Diff([]string{m.path}, settingPaths(s.Validate())); diff != "" {
			t.Errorf("mistake %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestSeveralMistakesAreReportedAtOnce(t *testing.T) {
	s := valid()
	s.Alpha.Relaxation, s.Weights.LearningRate, s.Neighborhood.Kind, s.Augment.Crop, s.Alpha.Beta1 = "", -1, "", -3, 7
	want := []string{"alpha.beta1", "alpha.relaxation", "augment.crop", "neighborhood.kind", "weights.learning_rate", "weights.learning_rate_min"}
	if diff := cmp.Diff(want, settingPaths(s.Validate())); diff != "" {
		t.Errorf("mistakes (-want +got):\n%s", diff)
	}
}

func TestNamesThatAreWrongComeWithThoseThatAreRight(t *testing.T) {
	for path, c := range map[string]struct {
		change func(*Settings)
		want   []string
	}{
		"algorithm":        {func(s *Settings) { s.Algorithm = "dart" }, []string{"darts", "pc_darts", "gdas", "drnas", "a2m", "random", "evolution", "local", "halving", "tpe", "gp"}},
		"weights.at":       {func(s *Settings) { s.Weights.At = "centre" }, []string{"center", "neighbor", "path", "given"}},
		"alpha.relaxation": {func(s *Settings) { s.Alpha.Relaxation = "soft" }, []string{"auto", "softmax", "gumbel", "dirichlet"}},
	} {
		s := valid()
		c.change(&s)
		var one *pipeline.SettingError
		if err := s.Validate(); !errors.As(err, &one) || one.Path != path || !slices.Equal(one.Known, c.want) {
			t.Errorf("%s: %v, known %v", path, err, one)
		}
	}
}

func TestSettingsThatDoNotMatterAreNotChecked(t *testing.T) {
	s := DefaultSettings() // random search
	s.Alpha = AlphaSettings{Relaxation: Softmax, Start: -4, LearningRate: -1}
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	s = valid()
	s.Candidates = -5
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
}
