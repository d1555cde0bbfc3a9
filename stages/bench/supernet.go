// Package bench times what a search spends its time on.
package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// SupernetOptions say what Supernet times.
type SupernetOptions struct {
	Space     string
	Channels  int
	Cells     int // cells a stage; in the space darts, which has no stages, layers
	Batch     int
	ImageSize int // height and width in pixels
	Runs      int // timed runs, after two that are not
	// Recompute is supernet.Training's: less memory for the training step.
	Recompute bool
	// Without names formulations of the graphs that are not used (supernet.Formulations): to see what each is worth.
	Without []string
	// Profile has the graphs run once more, as many times, to see which operators the time goes to.
	Profile bool
}

// Timing is the time of repeated runs.
type Timing struct {
	Best   float64 `json:"best_ms"`
	Median float64 `json:"median_ms"`
}

// SupernetReport is what Supernet found. Train is a step of SGD with momentum on the weights together with the
// gradient by alpha; Forward is a pass without gradients that normalizes by the statistics of the batch.
type SupernetReport struct {
	Space      string `json:"space"`
	Channels   int    `json:"channels"`
	Cells      int    `json:"cells"`
	Batch      int    `json:"batch"`
	ImageSize  int    `json:"image_size"`
	Library    string `json:"onnxruntime"`
	Provider   string `json:"provider"`
	Threads    int    `json:"threads"`
	Parameters int    `json:"parameters"` // weights, without alpha
	Train      Timing `json:"train"`
	Forward    Timing `json:"forward"`
	Recompute  bool   `json:"recompute,omitempty"`
	// Without lists the formulations that were switched off.
	Without []string `json:"without,omitempty"`
	// TrainProfile and ForwardProfile are there where they were asked for.
	TrainProfile   []OperatorTime `json:"train_profile,omitempty"`
	ForwardProfile []OperatorTime `json:"forward_profile,omitempty"`
	// PeakRSS is the largest resident memory of the process in MiB; 0 where the system does not tell.
	PeakRSS int64 `json:"peak_rss_mib"`
}

// classes is how many classes the random images have.
const classes = 10

// subject is the supernet of a space.
type subject struct {
	*supernet.Supernet
	index      *params.Index
	operations int // of an edge
}

// darts is the space whose supernet has a skeleton of its own.
const darts = "darts"

func newSubject(o SupernetOptions) (*subject, error) {
	for _, name := range o.Without {
		if known := supernet.Formulations(); !slices.Contains(known, name) {
			return nil, fmt.Errorf("no formulation is called %q; these are: %s", name, strings.Join(known, ", "))
		}
	}
	image := [3]int{3, o.ImageSize, o.ImageSize}
	var sn *supernet.Supernet
	var err error
	if o.Space == darts {
		sn, err = supernet.NewDARTS(supernet.DARTSMacro{Channels: o.Channels, Layers: o.Cells, Classes: classes, Image: image})
	} else {
		var sp *space.Space
		if sp, err = space.ByName(o.Space); err != nil {
			return nil, err
		}
		sn, err = supernet.New(sp, supernet.Macro{Channels: o.Channels, Cells: o.Cells, Classes: classes, Image: image})
	}
	if err != nil {
		return nil, err
	}
	sn.Without = o.Without
	return &subject{sn, sn.Index, len(sn.Space.Operations)}, nil
}

// Supernet times the supernet of a space on random images.
func Supernet(ctx context.Context, rt *runtime.Runtime, o SupernetOptions) (*SupernetReport, error) {
	if o.Runs < 1 || o.Batch < 2 {
		return nil, fmt.Errorf("%d runs of batches of %d: at least one run and two images a batch are needed", o.Runs, o.Batch)
	}
	sub, err := newSubject(o)
	if err != nil {
		return nil, err
	}
	r := &SupernetReport{
		Space: o.Space, Channels: o.Channels, Cells: o.Cells, Batch: o.Batch, ImageSize: o.ImageSize,
		Library: rt.LibraryVersion(), Provider: rt.Provider(), Threads: rt.Threads(), Parameters: sub.index.Total(), Recompute: o.Recompute, Without: o.Without,
	}
	rng := rand.New(rand.NewPCG(1, 1))
	training := supernet.Training{Batch: o.Batch, Momentum: 0.9, WeightDecay: 3e-4, Recompute: o.Recompute}
	for _, graph := range []struct {
		what    string
		build   func() (*onnx.ModelProto, error)
		timing  *Timing
		profile *[]OperatorTime
	}{
		{"a training step", func() (*onnx.ModelProto, error) { return sub.JointStep(training) }, &r.Train, &r.TrainProfile},
		{"a forward pass", func() (*onnx.ModelProto, error) { return sub.Forward(o.Batch) }, &r.Forward, &r.ForwardProfile},
	} {
		if *graph.timing, err = timed(ctx, rt, sub, graph.build, o.Runs, rng); err != nil {
			return nil, fmt.Errorf("timing %s: %w", graph.what, err)
		}
		if !o.Profile {
			continue
		}
		if *graph.profile, err = profiled(ctx, rt, sub, graph.build, o.Runs, rng); err != nil {
			return nil, fmt.Errorf("profiling %s: %w", graph.what, err)
		}
	}
	r.PeakRSS = peakRSS()
	return r, nil
}

// timed loads one graph of the supernet, fills its inputs and runs it.
func timed(ctx context.Context, rt *runtime.Runtime, sub *subject, build func() (*onnx.ModelProto, error), runs int, rng *rand.Rand) (_ Timing, err error) {
	l, err := load(rt, sub, build, runtime.SessionOptions{}, rng)
	if err != nil {
		return Timing{}, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	var times []float64
	for i := range runs + untimed {
		began := time.Now()
		if err := l.step.Run(ctx); err != nil {
			return Timing{}, err
		}
		if i >= untimed {
			times = append(times, float64(time.Since(began).Microseconds())/1000)
		}
	}
	slices.Sort(times)
	return Timing{Best: times[0], Median: times[len(times)/2]}, nil
}

// untimed is the number of runs before those that count.
const untimed = 2

// loaded is a graph of a supernet, ready to run.
type loaded struct {
	step   *runtime.Step
	states map[string]*runtime.State
}

func (l *loaded) close() error {
	var err error
	if l.step != nil {
		err = l.step.Close()
	}
	for _, s := range l.states {
		err = errors.Join(err, s.Close())
	}
	return err
}

// load builds and loads a graph and gives random values to its weights and inputs.
func load(rt *runtime.Runtime, sub *subject, build func() (*onnx.ModelProto, error), options runtime.SessionOptions, rng *rand.Rand) (_ *loaded, err error) {
	m, err := build()
	if err != nil {
		return nil, err
	}
	model, err := onnx.Encode(m)
	if err != nil {
		return nil, err
	}
	l := &loaded{states: map[string]*runtime.State{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	for _, in := range m.GetGraph().GetInput() {
		if name := in.GetName(); name == supernet.Params || name == supernet.Momentum {
			if l.states[name], err = rt.NewState(sub.index.Total()); err != nil {
				delete(l.states, name)
				return nil, err
			}
		}
	}
	if err := l.states[supernet.Params].Write(sub.index.Initialize(rng)); err != nil {
		return nil, err
	}
	if l.step, err = rt.NewStep(model, runtime.StepOptions{SessionOptions: options, States: l.states}); err != nil {
		return nil, err
	}
	return l, fill(l.step, m, sub, rng)
}

// fill gives random values to the inputs that are no states.
func fill(step *runtime.Step, m *onnx.ModelProto, sub *subject, rng *rand.Rand) error {
	for _, in := range m.GetGraph().GetInput() {
		switch in.GetName() {
		case supernet.Params, supernet.Momentum:
		case supernet.Labels:
			v, err := step.Int64(in.GetName())
			if err != nil {
				return err
			}
			for i := range v {
				v[i] = int64(rng.IntN(classes))
			}
		default:
			v, err := step.Float32(in.GetName())
			if err != nil {
				return err
			}
			for i := range v {
				switch in.GetName() {
				case supernet.LearningRate:
					v[i] = 0.025
				case supernet.Probabilities:
					v[i] = 1 / float32(sub.operations)
				case supernet.Alpha:
					v[i] = 1e-3 * float32(rng.NormFloat64())
				default:
					v[i] = float32(rng.NormFloat64())
				}
			}
		}
	}
	return nil
}
