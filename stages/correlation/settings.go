package correlation

import (
	"errors"
	"fmt"
	"slices"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/neighborhood"
)

// Settings are the settings of the stage kind "correlation". Start from DefaultSettings.
type Settings struct {
	Aggregates    []string `yaml:"aggregates" doc:"Aggregators to hold against the own score: any of mean, weighted_mean, median, trimmed_mean, min, quantile, soft_min, mean_std."`
	Radii         []int    `yaml:"radii" doc:"Radii of the neighborhoods; each aggregator is used at each."`
	IncludeCenter bool     `yaml:"include_center" doc:"Whether the architecture itself counts among its neighbors."`
	Equivalents   []string `yaml:"equivalents" doc:"How neighbors count that compute the same function, any of all, once and leave_out (as in a neighborhood); each aggregator is used with each."`
	Quantile      float64  `yaml:"quantile" doc:"For quantile: which one, from 0 (the worst) to 1 (the best)."`
	Lambda        float64  `yaml:"lambda" doc:"For mean_std: how many standard deviations are taken from the mean."`
	Temperature   float64  `yaml:"temperature" doc:"For soft_min: the smaller, the nearer to the worst score; in units of the score."`
	Trim          float64  `yaml:"trim" doc:"For trimmed_mean: the share of scores left out at either end, below 0.5."`
	Decay         float64  `yaml:"decay" doc:"For weighted_mean: the factor by which a score's weight falls with each step away from the center, at most 1."`
	Top           []int    `yaml:"top" doc:"How many of the best by a score are compared with as many of the best by the truth."`
}

// DefaultSettings returns mean and median over the architecture and its neighbors at distance 1.
func DefaultSettings() Settings {
	a := neighborhood.DefaultAggregatorSettings()
	return Settings{
		Aggregates: []string{"mean", "median"}, Radii: []int{1}, IncludeCenter: true, Equivalents: []string{neighborhood.EquivalentsAll},
		Quantile: a.Quantile, Lambda: a.Lambda, Temperature: a.Temperature, Trim: a.Trim, Decay: a.Decay,
		Top: []int{10, 100},
	}
}

var _ pipeline.Validator = (*Settings)(nil)

// Validate implements pipeline.Validator.
func (s *Settings) Validate() error {
	var errs []error
	wrong := func(path, format string, args ...any) {
		errs = append(errs, &pipeline.SettingError{Path: path, Err: fmt.Errorf(format, args...)})
	}
	for i, name := range s.Aggregates {
		path := fmt.Sprintf("aggregates[%d]", i)
		if !slices.Contains(neighborhood.Aggregators(), name) {
			errs = append(errs, pipeline.UnknownValue(path, name, neighborhood.Aggregators()))
			continue
		}
		if slices.Contains(s.Aggregates[:i], name) {
			wrong(path, "%s is named twice", name)
		}
		if _, err := neighborhood.New(s.aggregator(name)); err != nil {
			errs = append(errs, err)
		}
	}
	for _, l := range []struct {
		name, of string
		values   []int
	}{{"radii", "a radius", s.Radii}, {"top", "a number of best architectures", s.Top}} {
		for i, v := range l.values {
			switch path := fmt.Sprintf("%s[%d]", l.name, i); {
			case v < 1:
				wrong(path, "%d is not %s, which is 1 or more", v, l.of)
			case slices.Contains(l.values[:i], v):
				wrong(path, "%d is named twice", v)
			}
		}
	}
	for i, how := range s.Equivalents {
		switch path := fmt.Sprintf("equivalents[%d]", i); {
		case !slices.Contains(neighborhood.Equivalents(), how):
			errs = append(errs, pipeline.UnknownValue(path, how, neighborhood.Equivalents()))
		case slices.Contains(s.Equivalents[:i], how):
			wrong(path, "%s is named twice", how)
		}
	}
	if len(s.Aggregates) > 0 && len(s.Equivalents) == 0 {
		wrong("equivalents", "aggregates need to know which neighbors count: name at least one of all, once, leave_out")
	}
	if len(s.Aggregates) > 0 && len(s.Radii) == 0 {
		wrong("radii", "aggregates need a neighborhood: name at least one radius, such as 1")
	}
	return errors.Join(errs...)
}

func (s *Settings) aggregator(name string) neighborhood.AggregatorSettings {
	return neighborhood.AggregatorSettings{
		Aggregate: name, Quantile: s.Quantile, Lambda: s.Lambda, Temperature: s.Temperature, Trim: s.Trim, Decay: s.Decay,
	}
}

// Methods returns the own score, then each aggregator at each radius in each way to count. A method is called as its aggregator; where
// not all neighbors count the way is added, and beyond radius 1 the radius: mean_once, mean_r2, mean_leave_out_r2.
func (s *Settings) Methods() []Method {
	out := []Method{Own()}
	for _, radius := range s.Radii {
		for _, how := range s.Equivalents {
			for _, name := range s.Aggregates {
				m := Method{Name: name, Settings: neighborhood.Settings{
					Radius: radius, Kind: neighborhood.Swap, IncludeCenter: s.IncludeCenter, Equivalents: how, AggregatorSettings: s.aggregator(name),
				}}
				if how != neighborhood.EquivalentsAll {
					m.Name += "_" + how
				}
				if radius > 1 {
					m.Name += fmt.Sprintf("_r%d", radius)
				}
				out = append(out, m)
			}
		}
	}
	return out
}
