package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/plateau-nas/plateau/exporter/atomicfile"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/checkpoint"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/space"
)

// Budget is what a network may cost. Where one of its bounds is given the network is stacked and widened to it: of all widths and
// depths that keep every bound, that with the most multiply-adds is trained; but of those that come within a tenth of it the one
// with the fewest cells, since wide networks are trained faster than deep ones of the same size. The zero value bounds nothing.
type Budget struct {
	ProcessorMinutes float64 `yaml:"processor_minutes" doc:"Minutes of processor time that the training may take on this machine, all threads together, by step times that are measured first; so what is chosen depends on the machine. 0 for any."`
	Minutes          float64 `yaml:"minutes" doc:"The same in minutes of the clock."`
	Parameters       int     `yaml:"parameters" doc:"Most parameters of the network; 0 for any."`
	MultiplyAdds     float64 `yaml:"multiply_adds" doc:"Most multiply-adds for one image; 0 for any."`
	LatencyMS        float64 `yaml:"latency_ms" doc:"Most milliseconds for one image, as exported and measured on this machine; 0 for any."`
	MostChannels     int     `yaml:"most_channels" doc:"Most channels of the first cells that are considered; channels is the least."`
	MostCells        int     `yaml:"most_cells" doc:"Most cells a stage (in the darts space in all) that are considered; cells is the least."`
	LeastSteps       int     `yaml:"least_steps" doc:"Fewest training steps to which a bound on time may shorten the training, in whole epochs, so that the network can be larger; 0 for all epochs. Counted in steps since with more images fewer epochs do."`
}

// DefaultBudget has no bounds.
func DefaultBudget() Budget { return Budget{MostChannels: 128, MostCells: 3} }

// given tells whether there is any bound, timed whether there is one on the training's time.
func (b Budget) given() bool {
	return b.Measured() || b.Parameters > 0 || b.MultiplyAdds > 0
}

// Measured tells whether there is a bound on what has to be measured on this machine: time or latency.
func (b Budget) Measured() bool { return b.timed() || b.LatencyMS > 0 }

func (b Budget) timed() bool { return b.ProcessorMinutes > 0 || b.Minutes > 0 }

// Validate reports every mistake, each as a *pipeline.SettingError with a path below path. The other settings are those beside the
// budget.
func (b Budget) Validate(path string, s *Settings) error {
	var errs []error
	check := func(ok bool, name, format string, args ...any) {
		if !ok {
			errs = append(errs, &pipeline.SettingError{Path: path + "." + name, Err: fmt.Errorf(format, args...)})
		}
	}
	bound := func(name string, v float64) {
		check(v >= 0 && !math.IsInf(v, 0), name, "%v is not a number of at least 0", v)
	}
	bound("processor_minutes", b.ProcessorMinutes)
	bound("minutes", b.Minutes)
	bound("parameters", float64(b.Parameters))
	bound("multiply_adds", b.MultiplyAdds)
	bound("latency_ms", b.LatencyMS)
	if !b.given() {
		return errors.Join(errs...)
	}
	check(b.MostChannels >= s.Channels, "most_channels", "%d is less than the %d channels that are the least", b.MostChannels, s.Channels)
	check(b.MostCells >= s.Cells, "most_cells", "%d is less than the %d cells that are the least", b.MostCells, s.Cells)
	check(b.LeastSteps >= 0, "least_steps", "%d steps; give a number of at least 0", b.LeastSteps)
	check(b.LeastSteps == 0 || b.timed(), "least_steps", "only a bound on time shortens a training; give processor_minutes or minutes too, or leave it out")
	check(b.LeastSteps == 0 || s.Warmup == 0, "least_steps", "the epochs of warm-up are a part of all epochs, so the training cannot be shortened; leave warmup out, or least_steps")
	return errors.Join(errs...)
}

// choice is what a budget comes to.
type choice struct {
	Channels     int     `json:"channels"`
	Cells        int     `json:"cells"`
	Epochs       int     `json:"epochs"`
	Parameters   int     `json:"parameters"`
	MultiplyAdds int     `json:"multiply_adds"`
	Considered   int     `json:"considered"` // networks that were compared
	Why          string  `json:"why"`
	Processor    float64 `json:"processor_seconds,omitempty"` // of an epoch, as measured
	Clock        float64 `json:"seconds,omitempty"`
	LatencyMS    float64 `json:"latency_ms,omitempty"`
}

const choiceFile = "choice.json"

// Fitted returns the settings with channels, cells and epochs that fit the budget, and one sentence on what was chosen and why; without
// a budget the settings themselves and "". Since times are measured, the choice is kept in the job's Scratch folder, and whoever
// continues there keeps it. A budget that is too small for the smallest network is a *pipeline.SettingError that says what the least
// is.
func (s *Settings) Fitted(ctx context.Context, rt *runtime.Runtime, job *pipeline.Job, sp *space.Space, architecture string, data *dataset.Dataset) (Settings, string, error) {
	if !s.Budget.given() {
		return *s, "", nil
	}
	c, err := s.keptChoice(job)
	if err != nil {
		job.Warn("%v; the network is chosen anew", err)
	}
	if c == nil {
		if c, err = s.choose(ctx, rt, job, sp, architecture, data); err != nil {
			return *s, "", fmt.Errorf("fitting a network to the budget: %w", err)
		}
		// What was trained before was another network, or another schedule, if the choice is not known any more.
		if err := s.keepChoice(job, c); err != nil {
			return *s, "", err
		}
	}
	out := *s
	out.Channels, out.Cells, out.Epochs = c.Channels, c.Cells, c.Epochs
	job.Info("%s", c.Why)
	job.Metric("channels", float64(c.Channels))
	job.Metric("cells", float64(c.Cells))
	job.Metric("epochs", float64(c.Epochs))
	job.Metric("multiply_adds", float64(c.MultiplyAdds))
	return out, c.Why, nil
}

// kept is a choice with what tells whether it is whole.
type kept struct {
	Choice      choice `json:"choice"`
	Fingerprint string `json:"fingerprint"`
}

// keptChoice returns what an earlier attempt has chosen, or nil.
func (s *Settings) keptChoice(job *pipeline.Job) (*choice, error) {
	if job.Scratch == "" {
		return nil, nil
	}
	data, err := os.ReadFile(filepath.Join(job.Scratch, choiceFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var k kept
	if err == nil {
		err = json.Unmarshal(data, &k)
	}
	if err == nil && checkpoint.Fingerprint(k.Choice) != k.Fingerprint {
		err = errors.New("its content is not what was written")
	}
	if err != nil {
		return nil, fmt.Errorf("reading what was chosen before: %w", err)
	}
	return &k.Choice, nil
}

func (s *Settings) keepChoice(job *pipeline.Job, c *choice) error {
	if job.Scratch == "" {
		return nil
	}
	data, err := json.Marshal(kept{*c, checkpoint.Fingerprint(*c)})
	if err != nil {
		return fmt.Errorf("keeping what was chosen: %w", err)
	}
	if err := os.Remove(filepath.Join(job.Scratch, checkpointFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keeping what was chosen: %w", err)
	}
	return atomicfile.WriteBytes(filepath.Join(job.Scratch, choiceFile), data)
}

// widths returns the numbers of channels that are considered: the least, then even numbers up to 32 and multiples of 4 beyond, which lie an
// eighth apart or more.
func (s *Settings) widths() []int {
	out := []int{s.Channels}
	for c := s.Channels; ; {
		if c < 32 {
			c = (c/2 + max(1, c/16)) * 2
		} else {
			c = (c/4 + max(1, c/32)) * 4
		}
		if c > s.Budget.MostChannels {
			return out
		}
		out = append(out, c)
	}
}

// candidate is a size that a network may have.
type candidate struct {
	channels, cells          int
	parameters, multiplyAdds int
}

// larger orders candidates by size; of equal ones the wider is larger.
func larger(a, b candidate) int {
	if a.multiplyAdds != b.multiplyAdds {
		return a.multiplyAdds - b.multiplyAdds
	}
	return b.cells - a.cells
}

// choose finds the largest network that keeps the budget.
func (s *Settings) choose(ctx context.Context, rt *runtime.Runtime, job *pipeline.Job, sp *space.Space, architecture string, data *dataset.Dataset) (*choice, error) {
	f := &fitter{Settings: s, runtime: rt, job: job, space: sp, architecture: architecture, data: data, steps: s.images(data).Count / s.Training.Batch}
	all, err := f.candidates(ctx)
	if err != nil {
		return nil, err
	}
	smallest := slices.MinFunc(all, larger)
	if err := f.affordable(ctx, smallest); err != nil {
		return nil, err
	}
	if s.Budget.Measured() {
		for range mostMeasured {
			next, ok := f.next(all)
			if !ok {
				break
			}
			if err := f.measure(ctx, next); err != nil {
				return nil, err
			}
		}
		all = slices.DeleteFunc(all, func(c candidate) bool { return !f.measured(c) })
	}
	return f.choice(f.best(all, f.guess), len(f.sizes)), nil
}
