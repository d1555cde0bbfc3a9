package compare

import (
	"errors"
	"fmt"
	"slices"

	"github.com/plateau-nas/plateau/pipeline"
)

// The confidence intervals of a mean.
const (
	Student   = "student"   // mean +- t s / sqrt(n), with n-1 degrees of freedom
	Bootstrap = "bootstrap" // percentile bootstrap (Efron 1979)
)

// Settings are the settings of the stage kind "compare".
type Settings struct {
	Method       string     `yaml:"method" doc:"Axis of the matrix whose labels name the methods; empty takes all axes but that of pair_by."`
	PairBy       string     `yaml:"pair_by" doc:"Axis of the matrix whose values are the seeds: what has the same label there is one pair."`
	Pairs        [][]string `yaml:"pairs" doc:"Methods that are tested against each other, each as [plain, other]; differences are the other's gain."`
	Significance float64    `yaml:"significance" doc:"A difference is called significant when p, corrected for the number of pairs, is at most this."`
	Interval     string     `yaml:"interval" enum:"student,bootstrap" doc:"Confidence interval of a mean: student (by Student's t, for few seeds) or bootstrap (percentiles of resampled means)."`
	Level        float64    `yaml:"level" doc:"Confidence level of the intervals."`
	Resamples    int        `yaml:"resamples" doc:"Resamples of the bootstrap."`
	Cost         []string   `yaml:"cost" doc:"Kinds of stages whose time and counts are a method's cost."`
	Seconds      bool       `yaml:"seconds" doc:"Whether the cost has the seconds that stages took. They differ from run to run, and the files with them."`
}

// DefaultSettings compares without pairs.
func DefaultSettings() Settings {
	return Settings{
		PairBy: "seed", Significance: 0.05, Interval: Student, Level: 0.95, Resamples: 10_000,
		Cost: []string{"weights", "search", "sample", "neighborhood", "selection", "train"}, Seconds: true,
	}
}

var (
	_ pipeline.Stage     = (*Settings)(nil)
	_ pipeline.Validator = (*Settings)(nil)
)

// Validate implements pipeline.Validator. It reports every mistake.
func (s *Settings) Validate() error {
	var errs []error
	check := func(ok bool, path, format string, args ...any) {
		if !ok {
			errs = append(errs, &pipeline.SettingError{Path: path, Err: fmt.Errorf(format, args...)})
		}
	}
	check(s.PairBy != "", "pair_by", "name the axis whose values are the seeds, such as seed")
	check(s.Method == "" || s.Method != s.PairBy, "method", "%s is the axis of the seeds", s.Method)
	for i, p := range s.Pairs {
		at := fmt.Sprintf("pairs[%d]", i)
		check(len(p) == 2, at, "a pair is two methods, such as [darts, na_darts], found %d", len(p))
		check(len(p) != 2 || p[0] != p[1], at, "%q is paired with itself", slices.Concat(p, []string{""})[0])
		check(!slices.ContainsFunc(s.Pairs[:i], func(o []string) bool { return slices.Equal(o, p) }), at, "the pair is there twice")
	}
	check(s.Significance > 0 && s.Significance < 1, "significance", "%v is not between 0 and 1", s.Significance)
	if s.Interval != Student && s.Interval != Bootstrap {
		errs = append(errs, pipeline.UnknownValue("interval", s.Interval, []string{Student, Bootstrap}))
	}
	check(s.Level > 0 && s.Level < 1, "level", "%v is not between 0 and 1", s.Level)
	check(s.Interval != Bootstrap || s.Resamples >= 100, "resamples", "%d resamples; at least 100 are needed", s.Resamples)
	return errors.Join(errs...)
}
