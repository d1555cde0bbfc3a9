package selection

import (
	"errors"
	"fmt"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/space"
)

// The ways in which values are smoothed.
const (
	Alone   = "none"    // every candidate by its own value
	Near    = "near"    // an aggregate over what is known within a radius
	Process = "process" // the posterior mean of a Gaussian process on the space's distance
)

// SmoothSettings say how the value of a candidate is smoothed over those of others nearby. It costs no evaluation: short trainings are
// noisy, and candidates that a first selection has left are often neighbors of each other.
type SmoothSettings struct {
	By                              string `yaml:"by" enum:"none,near,process" doc:"none (every candidate by its own value), near (the aggregate over the candidates within the radius, itself included) or process (the posterior mean of a Gaussian process over all candidates)."`
	Radius                          int    `yaml:"radius" doc:"For near: the largest distance that counts."`
	neighborhood.AggregatorSettings `yaml:",inline"`
	Process                         neighborhood.ProcessSettings `yaml:"process" doc:"For process: how far scores tell of others, and how noisy they are."`
}

// DefaultSmoothSettings smooths nothing.
func DefaultSmoothSettings() SmoothSettings {
	return SmoothSettings{By: Alone, Radius: 2, AggregatorSettings: neighborhood.DefaultAggregatorSettings(), Process: neighborhood.DefaultProcessSettings()}
}

// validate reports every mistake, each as a *pipeline.SettingError whose path begins with path.
func (st SmoothSettings) validate(path string) error {
	switch st.By {
	case Alone:
		return nil
	case Near:
		var errs []error
		if st.Radius < 1 {
			errs = append(errs, &pipeline.SettingError{Path: path + ".radius", Err: fmt.Errorf("%d; at least 1 is needed, or by: %s", st.Radius, Alone)})
		}
		n := neighborhood.DefaultSettings()
		n.AggregatorSettings = st.AggregatorSettings
		return errors.Join(append(errs, n.ValidateUnder(path))...)
	case Process:
		return st.Process.ValidateUnder(path + ".process")
	}
	return pipeline.UnknownValue(path+".by", st.By, []string{Alone, Near, Process})
}

// checkSpace reports a radius beyond the space.
func (st SmoothSettings) checkSpace(path string, s *space.Space) error {
	if st.By != Near {
		return nil
	}
	if err := neighborhood.CheckRadius(st.Radius, s); err != nil {
		return &pipeline.SettingError{Path: path + ".radius", Err: err}
	}
	return nil
}

// smoothed is a value with what was known around it.
type smoothed struct {
	value float64
	std   float64 // of the value, where known is true
	known bool
	near  int // values nearby that it is made of, the own one not counted
}

// smooth returns the values smoothed over each other, in order.
func (st SmoothSettings) smooth(s *space.Space, archs []space.Architecture, values []float64) ([]smoothed, error) {
	out := make([]smoothed, len(values))
	switch st.By {
	case Near:
		aggregator, err := neighborhood.New(st.AggregatorSettings)
		if err != nil {
			return nil, err
		}
		for i, a := range archs {
			var near, distances []float64
			for j, b := range archs {
				if d := s.Distance(a, b); d <= st.Radius {
					near, distances = append(near, values[j]), append(distances, float64(d))
				}
			}
			out[i] = smoothed{value: aggregator.Aggregate(near, distances), near: len(near) - 1}
		}
	case Process:
		p, err := neighborhood.NewProcess(st.Process)
		if err != nil {
			return nil, err
		}
		posterior, err := p.Fit(s, archs, values)
		if err != nil {
			return nil, err
		}
		for i, a := range archs {
			mean, std := posterior.At(a)
			out[i] = smoothed{value: mean, std: std, known: true, near: len(values) - 1}
		}
	default:
		for i, v := range values {
			out[i].value = v
		}
	}
	return out, nil
}

// String says in words what smoothing does, "" where it does nothing.
func (st SmoothSettings) String() string {
	switch st.By {
	case Near:
		return fmt.Sprintf("the %s over the candidates within distance %d", st.Aggregate, st.Radius)
	case Process:
		return fmt.Sprintf("the mean of a Gaussian process over the candidates (length %g, noise %g)", st.Process.Length, st.Process.Noise)
	}
	return ""
}
