package architecture

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/score/cost"
	"github.com/plateau-nas/plateau/stages/score/evaluator"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// The choices that need no search. What a search finds has to be better than these.
const (
	Largest   = "largest"   // the most multiply-adds that a bound allows
	Published = "published" // the cell that the space's authors compare with
	Random    = "random"    // drawn uniformly
)

// Choices returns the names of all choices.
func Choices() []string { return []string{Largest, Published, Random} }

// Bounds are what a chosen architecture may cost. Multiply-adds and parameters count all that the architecture names, also what
// leads nowhere, as the tables of NAS-Bench-201 do.
type Bounds struct {
	MultiplyAdds float64 `yaml:"multiply_adds" doc:"Multiply-adds of an image: up to 1 as a share of those of the largest architecture of the space, above 1 as a number; 0 is no bound."`
	Parameters   float64 `yaml:"parameters" doc:"Trainable parameters: up to 1 as a share of those of the largest architecture, above 1 as a number; 0 is no bound."`
	Latency      float64 `yaml:"latency" doc:"Time for one image in ONNX Runtime on this machine, as a share of that of the largest architecture, up to 1; 0 is no bound. It is measured, and so the choice may differ from run to run: of at most 64 sizes, from the largest down, or of that many random architectures."`
	LatencyMS    float64 `yaml:"latency_ms" doc:"The same in milliseconds."`
}

// given reports whether there is a bound.
func (b Bounds) given() bool { return b != Bounds{} }

// validate reports every mistake.
func (b Bounds) validate(path string) error {
	var errs []error
	for _, one := range []struct {
		name  string
		value float64
	}{{cost.MultiplyAdds, b.MultiplyAdds}, {cost.Parameters, b.Parameters}, {"latency", b.Latency}, {cost.Latency, b.LatencyMS}} {
		if !(one.value >= 0) || math.IsInf(one.value, 0) {
			errs = append(errs, &pipeline.SettingError{Path: path + "." + one.name, Err: fmt.Errorf("%v is no bound; give a share of the largest architecture up to 1, a number above 1, or 0 for none", one.value)})
		}
	}
	if b.Latency > 1 {
		errs = append(errs, &pipeline.SettingError{Path: path + ".latency", Err: fmt.Errorf("%v is no share of the largest architecture's; give up to 1, or milliseconds under latency_ms", b.Latency)})
	}
	if b.Latency > 0 && b.LatencyMS > 0 {
		errs = append(errs, &pipeline.SettingError{Path: path + ".latency_ms", Err: errors.New("the latency is bounded twice; give latency or latency_ms")})
	}
	return errors.Join(errs...)
}

// limit returns the bound as a number; the largest has that much.
func limit(bound float64, largest int64) int64 {
	switch {
	case bound == 0:
		return math.MaxInt64
	case bound <= 1:
		return int64(math.Floor(bound * float64(largest)))
	}
	return int64(math.Floor(bound))
}

// validateChoice reports what is wrong with choose and the settings that belong to it.
func (s *Settings) validateChoice() error {
	var errs []error
	fail := func(path, format string, args ...any) {
		errs = append(errs, &pipeline.SettingError{Path: path, Err: fmt.Errorf(format, args...)})
	}
	if s.Choose == "" {
		const only = "is for choose: largest or random, and an architecture is given; remove it, or remove the architecture and set choose"
		if s.AtMost.given() {
			fail("at_most", only)
		}
		if s.Candidates > 1 {
			fail("candidates", only)
		}
		if s.Network != (evaluator.NetworkSettings{}) && s.Network != DefaultSettings().Network {
			fail("network", only)
		}
		return errors.Join(errs...)
	}
	if !slices.Contains(Choices(), s.Choose) {
		return pipeline.UnknownValue("choose", s.Choose, Choices())
	}
	if s.Path != "" {
		fail("path", "the architecture is chosen (choose: %s), so none is read; remove one of the two", s.Choose)
	}
	if s.Genotype != "" {
		fail("genotype", "the architecture is chosen (choose: %s), so none is given; remove one of the two", s.Choose)
	}
	if s.Candidates < 1 {
		fail("candidates", "%d candidates; at least 1 is needed", s.Candidates)
	}
	if s.Choose == Published {
		if s.AtMost.given() {
			fail("at_most", "the published architecture is one, whatever it costs; remove the bound, or use choose: %s or %s", Largest, Random)
		}
		if s.Candidates > 1 {
			fail("candidates", "there is one published architecture; remove this, or use choose: %s or %s", Largest, Random)
		}
	}
	sp, err := s.named()
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	return errors.Join(append(errs, s.checkSpace(sp))...)
}

// named returns the space that the setting space names.
func (s *Settings) named() (*space.Space, error) {
	known := []string{space.DARTS().Name, space.NASBench201().Name, space.Plain().Name}
	if !slices.Contains(known, s.Space) {
		return nil, pipeline.UnknownValue("space", s.Space, known)
	}
	sp, err := space.ByName(s.Space)
	if err != nil {
		return nil, &pipeline.SettingError{Path: "space", Err: err}
	}
	return sp, nil
}

// checkSpace reports whether the settings can choose in a space.
func (s *Settings) checkSpace(sp *space.Space) error {
	if sp.Whole {
		return &pipeline.SettingError{Path: "choose", Err: fmt.Errorf("the space %s has nothing to choose from; name one of its networks: genotype: %s", sp.Name, strings.Join(sp.Operations, ", "))}
	}
	if s.Choose == Published && len(sp.Published()) == 0 {
		return &pipeline.SettingError{Path: "choose", Err: fmt.Errorf("nothing is published of the space %s; use %s or %s", sp.Name, Largest, Random)}
	}
	m := s.skeleton(sp, nil)
	m.Image = [3]int{3, 256, 256} // fits them all
	if err := m.CheckFor(sp); err != nil {
		return under("network", err)
	}
	return s.AtMost.validate("at_most")
}

// under puts a path in front of those of the setting errors in err.
func under(path string, err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range joined.Unwrap() {
			errs = append(errs, under(path, e))
		}
		return errors.Join(errs...)
	}
	if setting := new(pipeline.SettingError); errors.As(err, &setting) {
		return &pipeline.SettingError{Path: path + "." + setting.Path, Err: setting.Err, Known: setting.Known}
	}
	return err
}

// skeleton returns the skeleton in which costs are counted: on the images of a data set or, without one, on those of CIFAR-10.
func (s *Settings) skeleton(sp *space.Space, data *dataset.Dataset) supernet.Macro {
	return s.Network.Macro(sp, data)
}

// choose makes the choice in a space.
func (s *stage) choose(ctx context.Context, job *pipeline.Job, sp *space.Space, m supernet.Macro) (*result.Architecture, error) {
	counter, err := cost.NewCounter(sp, m)
	if err != nil {
		return nil, under("network", err)
	}
	p := newPool(sp, counter)
	if err := p.bind(s.AtMost); err != nil {
		return nil, err
	}
	if s.AtMost.Latency > 0 || s.AtMost.LatencyMS > 0 {
		if err := s.time(ctx, p, m); err != nil {
			return nil, err
		}
	}
	var chosen []space.Architecture
	switch s.Choose {
	case Published:
		chosen = []space.Architecture{sp.Published()[0].Architecture}
	case Random:
		chosen, err = p.random(s.Candidates, seed.New(job.Seed, "architectures"))
	default:
		chosen, err = p.largest(s.Candidates)
	}
	if err != nil {
		return nil, err
	}
	settings, err := result.SettingsOf(s.Settings)
	if err != nil {
		return nil, err
	}
	found := result.NewArchitecture(sp, chosen[0])
	found.Algorithm, found.Settings = s.Choose, settings
	if s.Choose == Random {
		found.Seed = job.Seed
	}
	for _, a := range chosen {
		size := counter.All(a)
		metrics := map[string]float64{
			cost.MultiplyAdds: float64(size.MultiplyAdds), cost.Parameters: float64(size.Parameters), ShareMetric: p.share(size),
		}
		if ms, ok := p.times[a.Key()]; ok {
			metrics[cost.Latency] = ms
		}
		found.Candidates = append(found.Candidates, result.Candidate{Architecture: sp.Format(a), Metrics: metrics})
	}
	if len(chosen) < s.Candidates {
		job.Info("only %d architectures were found that keep the bounds, and all of them are handed on", len(chosen))
	}
	return found, nil
}

// time makes the pool measure latencies, and the bound on them hold.
func (s *stage) time(ctx context.Context, p *pool, m supernet.Macro) error {
	rt, err := s.open(ctx)
	if err != nil {
		return err
	}
	settings := cost.DefaultSettings()
	settings.Metrics = []string{cost.Latency}
	e, err := cost.New(nil, rt, p.space, m, settings)
	if err != nil {
		return err
	}
	p.measure = func(a space.Architecture) (float64, error) {
		costs, err := e.Costs(ctx, a)
		return costs[cost.Latency], err
	}
	return p.bindLatency(s.AtMost)
}

// ShareMetric is the metric that tells the multiply-adds of an architecture as a share of those of the largest of its space.
const ShareMetric = "multiply_adds_share"
