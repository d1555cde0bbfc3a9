// Package cost adds to the results of any evaluator what an architecture costs: parameters, multiply-adds and latency of its
// stand-alone network, so that objectives can weigh them against the score.
package cost

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/rewrite"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// The costs.
const (
	Parameters   = "parameters"    // trainable numbers, as the stand-alone network is trained
	MultiplyAdds = "multiply_adds" // for one image
	Latency      = "latency_ms"    // median time for one image in ONNX Runtime on this machine; differs from run to run
	// The first two as a share of those of the largest architecture of the space in the same skeleton, above 0 and at most 1: bounds
	// that hold for networks of any width and depth alike.
	ParametersShare   = "parameters_share"
	MultiplyAddsShare = "multiply_adds_share"
)

// Names returns the names of all costs.
func Names() []string {
	return []string{Parameters, MultiplyAdds, Latency, ParametersShare, MultiplyAddsShare}
}

// Settings say which costs are computed.
type Settings struct {
	Metrics        []string `yaml:"metrics" enum:"parameters,multiply_adds,latency_ms,parameters_share,multiply_adds_share" doc:"Costs that every result has: parameters, multiply_adds, latency_ms, and parameters_share and multiply_adds_share, of those of the largest architecture of the space. Those that the objective names come by themselves."`
	LatencyRuns    int      `yaml:"latency_runs" doc:"Runs with a single image that are timed; the median counts."`
	LatencyThreads int      `yaml:"latency_threads" doc:"Threads of these runs; 0 takes the runtime's."`
}

// DefaultSettings returns no costs.
func DefaultSettings() Settings { return Settings{LatencyRuns: 30} }

// Validate reports every mistake, each as a *pipeline.SettingError whose path begins with path.
func (st Settings) Validate(path string) error {
	var errs []error
	at := func(setting string) string { return strings.TrimPrefix(path+"."+setting, ".") }
	for i, name := range st.Metrics {
		if !slices.Contains(Names(), name) {
			errs = append(errs, pipeline.UnknownValue(at(fmt.Sprintf("metrics[%d]", i)), name, Names()))
		}
	}
	if st.LatencyRuns < 1 {
		errs = append(errs, &pipeline.SettingError{Path: at("latency_runs"), Err: fmt.Errorf("%d runs; at least 1 is needed", st.LatencyRuns)})
	}
	if st.LatencyThreads < 0 {
		errs = append(errs, &pipeline.SettingError{Path: at("latency_threads"), Err: fmt.Errorf("%d threads; give a number of at least 0", st.LatencyThreads)})
	}
	return errors.Join(errs...)
}

// Evaluator asks another evaluator and adds costs to its results. It may be used by several goroutines at once if the other may.
type Evaluator struct {
	evaluator score.Evaluator
	settings  Settings
	runtime   *runtime.Runtime // nil unless latencies are measured
	space     *space.Space
	macro     supernet.Macro
	counter   *Counter

	mu    sync.Mutex
	known map[string]map[string]float64
}

var _ score.Evaluator = (*Evaluator)(nil)

// New returns an evaluator in front of e, for networks of the space in the skeleton. The runtime may be nil unless the settings
// have Latency, and e may be nil where only Costs is asked.
func New(e score.Evaluator, rt *runtime.Runtime, s *space.Space, m supernet.Macro, st Settings) (*Evaluator, error) {
	if err := errors.Join(st.Validate(""), m.CheckFor(s)); err != nil {
		return nil, fmt.Errorf("computing costs: %w", err)
	}
	c, err := NewCounter(s, m)
	if err != nil {
		return nil, err
	}
	return &Evaluator{evaluator: e, settings: st, runtime: rt, space: s, macro: m, counter: c, known: map[string]map[string]float64{}}, nil
}

// Evaluate implements score.Evaluator. Architectures that failed have no costs.
func (e *Evaluator) Evaluate(ctx context.Context, architectures []space.Architecture) ([]score.Result, error) {
	results, err := e.evaluator.Evaluate(ctx, architectures)
	if err != nil || len(e.settings.Metrics) == 0 {
		return results, err
	}
	out := slices.Clone(results)
	for i := range out {
		if !out[i].OK() {
			continue
		}
		costs, err := e.of(ctx, architectures[i])
		if err != nil {
			return nil, fmt.Errorf("computing what %s costs: %w", e.space.Format(architectures[i]), err)
		}
		merged := maps.Clone(costs)
		maps.Copy(merged, out[i].Metrics)
		out[i].Metrics = merged
	}
	return out, nil
}

// Costs returns what an architecture costs, by the names of the settings' metrics.
func (e *Evaluator) Costs(ctx context.Context, a space.Architecture) (map[string]float64, error) {
	costs, err := e.of(ctx, a)
	if err != nil {
		return nil, fmt.Errorf("computing what %s costs: %w", e.space.Format(a), err)
	}
	return maps.Clone(costs), nil
}

// of returns the costs of an architecture. Latencies are measured one after the other, so that they do not disturb each other, and
// once for each architecture.
func (e *Evaluator) of(ctx context.Context, a space.Architecture) (map[string]float64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if known, ok := e.known[a.Key()]; ok {
		return known, nil
	}
	size, largest := e.counter.Of(a), e.counter.Largest()
	out := map[string]float64{}
	for _, name := range e.settings.Metrics {
		switch name {
		case Parameters:
			out[name] = float64(size.Parameters)
		case MultiplyAdds:
			out[name] = float64(size.MultiplyAdds)
		case ParametersShare:
			out[name] = float64(size.Parameters) / float64(largest.Parameters)
		case MultiplyAddsShare:
			out[name] = float64(size.MultiplyAdds) / float64(largest.MultiplyAdds)
		case Latency:
			net := supernet.Network{Space: e.space.Reference(), Architecture: e.space.Format(a), Macro: e.macro}
			ms, err := LatencyOf(ctx, e.runtime, net, e.settings.LatencyRuns, e.settings.LatencyThreads)
			if err != nil {
				return nil, err
			}
			out[name] = ms
		}
	}
	e.known[a.Key()] = out
	return out, nil
}

// LatencyOf returns the median time in milliseconds that a network takes for one image in the form in which it is exported, of so
// many runs with so many threads; 0 threads are the runtime's. The network's weights do not matter.
func LatencyOf(ctx context.Context, rt *runtime.Runtime, net supernet.Network, runs, threads int) (float64, error) {
	index, running, err := net.Indexes()
	if err != nil {
		return 0, err
	}
	rng := rand.New(rand.NewPCG(1, 2))
	m, err := net.Inference(index.Initialize(rng), running.Initialize(rng))
	if err != nil {
		return 0, err
	}
	return latency(ctx, rt, m, net.Macro, runs, threads)
}

// latency times a network in the form in which it is exported.
func latency(ctx context.Context, rt *runtime.Runtime, m *onnx.ModelProto, macro supernet.Macro, runs, threads int) (_ float64, err error) {
	if err := rewrite.Simplify(m); err != nil {
		return 0, err
	}
	data, err := onnx.Encode(m)
	if err != nil {
		return 0, err
	}
	session, err := rt.NewSession(data, runtime.SessionOptions{Name: "the network", Threads: threads})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	image := make([]float32, macro.Image[0]*macro.Image[1]*macro.Image[2])
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range image {
		image[i] = rng.Float32()*2 - 1
	}
	in := map[string]runtime.Tensor{supernet.Images: {Shape: []int64{1, int64(macro.Image[0]), int64(macro.Image[1]), int64(macro.Image[2])}, Data: image}}
	const warmUp = 3
	var times []float64
	for i := range warmUp + runs {
		began := time.Now()
		if _, err := session.Run(ctx, in); err != nil {
			return 0, err
		}
		if i >= warmUp {
			times = append(times, float64(time.Since(began))/float64(time.Millisecond))
		}
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}
