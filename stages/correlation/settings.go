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
		Aggregates: []string{"mean", "median"}, Radii: []int{1}, IncludeCenter: true,
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

// Methods returns the own score, then each aggregator at each radius. A method is called as its aggregator; beyond radius 1
// the radius is added: mean_r2.
func (s *Settings) Methods() []Method {
	out := []Method{Own()}
	for _, radius := range s.Radii {
		for _, name := range s.Aggregates {
			m := Method{Name: name, Settings: neighborhood.Settings{
				Radius: radius, Kind: neighborhood.Swap, IncludeCenter: s.IncludeCenter, AggregatorSettings: s.aggregator(name),
			}}
			if radius > 1 {
				m.Name = fmt.Sprintf("%s_r%d", name, radius)
			}
			out = append(out, m)
		}
	}
	return out
}
