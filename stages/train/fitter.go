package train

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/plateau-nas/plateau/exporter/rewrite"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/internal/words"
	"github.com/plateau-nas/plateau/stages/score/cost"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// costs are what has to be measured of a network.
type costs struct {
	processor, clock float64 // seconds of an epoch
	latency          float64 // milliseconds
}

// fitter looks for the largest network within a budget.
type fitter struct {
	*Settings
	runtime      *runtime.Runtime
	job          *pipeline.Job
	space        *space.Space
	architecture string
	data         *dataset.Dataset
	steps        int // of an epoch

	sizes  []candidate // all that are considered
	points []point     // what was measured, by size
}

type point struct {
	candidate
	costs
}

// network returns the network of a size.
func (f *fitter) network(channels, cells int) (supernet.Network, error) {
	s := *f.Settings
	s.Channels, s.Cells = channels, cells
	return s.Network(f.space, f.architecture, f.data)
}

// count returns the size of a network.
func (f *fitter) count(channels, cells int) (c candidate, err error) {
	net, err := f.network(channels, cells)
	if err != nil {
		return c, err
	}
	index, running, err := net.Indexes()
	if err != nil {
		return c, err
	}
	rng := rand.New(rand.NewPCG(1, 2)) // the values do not matter to the size
	m, err := net.Inference(index.Initialize(rng), running.Initialize(rng))
	if err != nil {
		return c, err
	}
	size, err := rewrite.CostOf(m, nil)
	if err != nil {
		return c, err
	}
	return candidate{channels: channels, cells: cells, parameters: index.Total(), multiplyAdds: int(size.MultiplyAdds)}, nil
}

// candidates returns the sizes that keep the bounds on parameters and multiply-adds, and the smallest of all. The error is that of
// the smallest one when it cannot be built; depths that a space does not have are left out.
func (f *fitter) candidates(ctx context.Context) ([]candidate, error) {
	if _, err := f.network(f.Channels, f.Cells); err != nil {
		return nil, err
	}
	var out []candidate
	for cells := f.Cells; cells <= f.Budget.MostCells; cells++ {
		if _, err := f.network(f.Channels, cells); err != nil {
			break
		}
		size, err := f.polynomials(cells)
		if err != nil {
			return nil, err
		}
		for i, channels := range f.widths() {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			c := candidate{channels: channels, cells: cells}
			if c.parameters, c.multiplyAdds = size(channels); channels%2 != 0 {
				if c, err = f.count(channels, cells); err != nil {
					return nil, err
				}
			}
			f.sizes = append(f.sizes, c)
			if cells == f.Cells && i == 0 || f.countable(c) {
				out = append(out, c)
			}
		}
	}
	return out, nil
}

// polynomials returns a function that gives parameters and multiply-adds of networks with so many cells for even numbers of channels.
// Every layer has a multiple of the channels on either side or on both, so both numbers are polynomials of degree two, which three
// small networks tell.
func (f *fitter) polynomials(cells int) (func(channels int) (parameters, multiplyAdds int), error) {
	var known [3]candidate
	for i := range known {
		c, err := f.count(8+2*i, cells)
		if err != nil {
			return nil, err
		}
		known[i] = c
	}
	at := func(of func(candidate) int, channels int) int {
		y0, y1, y2, t := of(known[0]), of(known[1]), of(known[2]), channels/2-4
		// Newton's form on the places 0, 1, 2.
		return y0 + t*(y1-y0) + t*(t-1)*(y2-2*y1+y0)/2
	}
	return func(channels int) (int, int) {
		return at(func(c candidate) int { return c.parameters }, channels), at(func(c candidate) int { return c.multiplyAdds }, channels)
	}, nil
}

// countable tells whether a size keeps the bounds that need no measuring.
func (f *fitter) countable(c candidate) bool {
	b := f.Budget
	return (b.Parameters == 0 || c.parameters <= b.Parameters) && (b.MultiplyAdds == 0 || float64(c.multiplyAdds) <= b.MultiplyAdds)
}

// least is the fewest epochs that the training may have.
func (f *fitter) least() int {
	if f.Budget.LeastSteps > 0 && f.steps > 0 {
		return min((f.Budget.LeastSteps+f.steps-1)/f.steps, f.Epochs)
	}
	return f.Epochs
}

// epochs returns how many epochs the bounds on time leave, at most all; 0 when it is fewer than the least.
func (f *fitter) epochs(c costs) int {
	n := float64(f.Epochs)
	if f.Budget.ProcessorMinutes > 0 {
		n = min(n, 60*f.Budget.ProcessorMinutes/c.processor)
	}
	if f.Budget.Minutes > 0 {
		n = min(n, 60*f.Budget.Minutes/c.clock)
	}
	if int(n) < f.least() {
		return 0
	}
	return int(n)
}

func (f *fitter) fits(c costs) bool {
	return f.epochs(c) > 0 && (f.Budget.LatencyMS == 0 || c.latency <= f.Budget.LatencyMS)
}

// affordable returns an error unless the smallest network keeps the budget.
func (f *fitter) affordable(ctx context.Context, c candidate) error {
	b := f.Budget
	size := fmt.Sprintf("the smallest network, of %d channels and %d %s,", c.channels, c.cells, f.unit(c.cells))
	fail := func(name, format string, args ...any) error {
		return &pipeline.SettingError{Path: "budget." + name, Err: fmt.Errorf(format, args...)}
	}
	var errs []error
	if b.Parameters > 0 && c.parameters > b.Parameters {
		errs = append(errs, fail("parameters", "%s has %d parameters; give at least so many, or fewer channels or cells", size, c.parameters))
	}
	if b.MultiplyAdds > 0 && float64(c.multiplyAdds) > b.MultiplyAdds {
		errs = append(errs, fail("multiply_adds", "%s has %d multiply-adds; give at least so many, or fewer channels or cells", size, c.multiplyAdds))
	}
	if len(errs) > 0 || !b.timed() && b.LatencyMS == 0 {
		return errors.Join(errs...)
	}
	if err := f.measure(ctx, c); err != nil {
		return err
	}
	got := f.points[0].costs
	minutes := func(name string, bound, seconds float64) {
		if need := seconds * float64(f.least()) / 60; bound > 0 && need > bound {
			errs = append(errs, fail(name, "%s needs %.3g minutes for %s; give at least so many, or fewer epochs, channels or cells", size, need*1.005, words.Count(f.least(), "epoch")))
		}
	}
	minutes("processor_minutes", b.ProcessorMinutes, got.processor)
	minutes("minutes", b.Minutes, got.clock)
	if b.LatencyMS > 0 && got.latency > b.LatencyMS {
		errs = append(errs, fail("latency_ms", "%s takes %.3g ms; give at least so many, or fewer channels or cells", size, got.latency*1.005))
	}
	return errors.Join(errs...)
}

// unit says what cells are counted by.
func (f *fitter) unit(n int) string {
	word := "cells"
	if n == 1 {
		word = "cell"
	}
	if f.space.Pairs {
		return word
	}
	return word + " a stage"
}

// best returns the largest of the sizes whose costs fit; but the one with the fewest cells of those that come within a tenth of it.
func (f *fitter) best(sizes []candidate, of func(candidate) costs) candidate {
	fitting := slices.DeleteFunc(slices.Clone(sizes), func(c candidate) bool { return !f.fits(of(c)) })
	if len(fitting) == 0 { // guesses can be so wrong; the smallest is known to fit
		return slices.MinFunc(sizes, larger)
	}
	most := slices.MaxFunc(fitting, larger)
	near := slices.DeleteFunc(fitting, func(c candidate) bool { return 10*c.multiplyAdds < 9*most.multiplyAdds })
	fewest := slices.MinFunc(near, func(a, b candidate) int { return a.cells - b.cells }).cells
	return slices.MaxFunc(slices.DeleteFunc(near, func(c candidate) bool { return c.cells != fewest }), larger)
}

// mostMeasured is how many sizes are measured beside the smallest.
const mostMeasured = 8

// next returns the size to measure next, or false when enough is known. Costs of what was not measured are guessed from what was.
// The best guess is measured; once it was right, one that is a good deal larger, to see that it does not fit.
func (f *fitter) next(sizes []candidate) (candidate, bool) {
	best := f.best(sizes, f.guess)
	if !f.measured(best) {
		return best, true
	}
	above := slices.DeleteFunc(slices.Clone(sizes), func(c candidate) bool { return 4*c.multiplyAdds < 5*best.multiplyAdds })
	if len(above) == 0 {
		return best, false
	}
	probe := slices.MinFunc(above, larger)
	for _, p := range f.points {
		if p.multiplyAdds > best.multiplyAdds && p.multiplyAdds <= probe.multiplyAdds && !f.fits(p.costs) {
			return best, false
		}
	}
	return probe, !f.measured(probe)
}

func (f *fitter) measured(c candidate) bool {
	return slices.ContainsFunc(f.points, func(p point) bool { return p.candidate == c })
}

// guess returns the costs of a size: as measured or, for sizes between two that were measured, on the line through both. Beyond the
// measured ones costs grow with the multiply-adds.
func (f *fitter) guess(c candidate) costs {
	if len(f.points) == 0 {
		return costs{}
	}
	after := 0
	for after < len(f.points) && larger(f.points[after].candidate, c) < 0 {
		after++
	}
	if after < len(f.points) && f.points[after].candidate == c {
		return f.points[after].costs
	}
	x := float64(c.multiplyAdds)
	on := func(p point) costs {
		k := x / float64(p.multiplyAdds)
		return costs{p.processor * k, p.clock * k, p.latency * k}
	}
	if after == 0 || after == len(f.points) && after < 2 {
		return on(f.points[0])
	}
	if after == len(f.points) {
		after--
	}
	a, b := f.points[after-1], f.points[after]
	if a.multiplyAdds == b.multiplyAdds {
		return on(b)
	}
	share := (x - float64(a.multiplyAdds)) / float64(b.multiplyAdds-a.multiplyAdds)
	between := func(u, v float64) float64 { return u + max(v-u, 0)*share }
	return costs{between(a.processor, b.processor), between(a.clock, b.clock), between(a.latency, b.latency)}
}

// measure measures a size.
func (f *fitter) measure(ctx context.Context, c candidate) error {
	net, err := f.network(c.channels, c.cells)
	if err != nil {
		return err
	}
	var got costs
	var said []string
	if f.Budget.timed() {
		if got.processor, got.clock, err = f.epochTime(ctx, net); err != nil {
			return err
		}
		said = append(said, fmt.Sprintf("an epoch takes %.3g s (%.3g s of processor time)", got.clock, got.processor))
	}
	if f.Budget.LatencyMS > 0 {
		if got.latency, err = cost.LatencyOf(ctx, f.runtime, net, cost.DefaultSettings().LatencyRuns, 0); err != nil {
			return err
		}
		said = append(said, fmt.Sprintf("an image takes %.3g ms", got.latency))
	}
	f.job.Info("%d channels, %d %s: %s", c.channels, c.cells, f.unit(c.cells), strings.Join(said, ", "))
	at, _ := slices.BinarySearchFunc(f.points, c, func(p point, c candidate) int { return larger(p.candidate, c) })
	f.points = slices.Insert(f.points, at, point{c, got})
	return nil
}

// How long a network's steps are timed.
const (
	timedFirst = 2 // steps before, in which memory is claimed
	timedLeast = 4 // steps
	timedFor   = 3 * time.Second
)

// epochTime makes steps of a training of the network as it would begin, and returns the seconds of an epoch.
func (f *fitter) epochTime(ctx context.Context, net supernet.Network) (processor, clock float64, err error) {
	quiet := pipeline.NewJob(pipeline.JobConfig{ID: f.job.ID, Seed: f.job.Seed})
	r, _, err := f.Settings.start(f.runtime, quiet, net, f.data, f.Epochs)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	rng := rand.New(rand.NewPCG(3, 4))
	done, began, used := 0, time.Now(), processorTime()
	for epoch := 0; ; epoch++ {
		for b, err := range r.loader.EpochFrom(ctx, epoch, 0) {
			if err != nil {
				return 0, 0, err
			}
			copy(r.images, b.X)
			copy(r.labels, b.Y)
			r.rate[0] = float32(f.LearningRate) / 1000 // no step that is timed has to learn
			r.dropPath(0, rng)
			if r.share != nil {
				r.share[0] = r.mixer.mix(r.images, r.labels, r.mixed, rng)
			}
			if err := r.step.Run(ctx); err != nil {
				return 0, 0, fmt.Errorf("timing a training step: %w", err)
			}
			if done++; done == timedFirst {
				began, used = time.Now(), processorTime()
			}
			if n := done - timedFirst; n >= timedLeast && time.Since(began) >= timedFor || n >= 10*timedLeast {
				steps := float64(r.loader.Batches()) / float64(n)
				clock = time.Since(began).Seconds() * steps
				if processor = (processorTime() - used).Seconds() * steps; used < 0 || processor <= 0 {
					processor = clock * float64(f.runtime.Threads())
				}
				return processor, clock, nil
			}
		}
	}
}

// choice says what was chosen and why.
func (f *fitter) choice(c candidate, considered int) *choice {
	got := f.guess(c)
	out := &choice{
		Channels: c.channels, Cells: c.cells, Epochs: f.Epochs, Parameters: c.parameters, MultiplyAdds: c.multiplyAdds,
		Considered: considered, Processor: got.processor, Clock: got.clock, LatencyMS: got.latency,
	}
	var bounds []string
	say := func(format string, args ...any) { bounds = append(bounds, fmt.Sprintf(format, args...)) }
	b := f.Budget
	if b.timed() {
		out.Epochs = f.epochs(got)
	}
	if b.ProcessorMinutes > 0 {
		say("%.3g of %.3g minutes of processor time", got.processor*float64(out.Epochs)/60, b.ProcessorMinutes)
	}
	if b.Minutes > 0 {
		say("%.3g of %.3g minutes", got.clock*float64(out.Epochs)/60, b.Minutes)
	}
	if b.Parameters > 0 {
		say("%s of %s parameters", words.Grouped(c.parameters), words.Grouped(b.Parameters))
	}
	if b.MultiplyAdds > 0 {
		say("%s of %s multiply-adds", words.Grouped(c.multiplyAdds), words.Grouped(int64(b.MultiplyAdds)))
	}
	if b.LatencyMS > 0 {
		say("%.3g of %.3g ms", got.latency, b.LatencyMS)
	}
	out.Why = fmt.Sprintf("%d channels, %d %s and %s: of %d sizes the largest within the budget, with %s",
		c.channels, c.cells, f.unit(c.cells), words.Count(out.Epochs, "epoch"), considered, strings.Join(bounds, ", "))
	if c.channels == f.widths()[len(f.widths())-1] && c.cells == f.Budget.MostCells {
		out.Why += "; larger ones are ruled out by most_channels and most_cells"
	}
	return out
}
