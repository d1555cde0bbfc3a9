package train

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/checkpoint"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

func newFitter(t *testing.T, s Settings, sp *space.Space, architecture string) *fitter {
	t.Helper()
	o := dataset.DefaultSettings()
	o.Size, o.TrainImages, o.TestImages, o.ValidFraction = 16, 10, 10, 0
	data, err := dataset.Make(t.Context(), o, 1)
	if err != nil {
		t.Fatal(err)
	}
	return &fitter{Settings: &s, space: sp, architecture: architecture, data: data}
}

// The sizes of networks that were never built are those of the networks.
func TestSizesAreThoseOfTheNetworks(t *testing.T) {
	var darts space.Genotype
	for _, known := range space.DARTS().Published() {
		if known.Name == "DARTS_V2" {
			darts, _ = space.GenotypeOf(known.Architecture)
		}
	}
	for _, c := range []struct {
		space              *space.Space
		architecture, stem string
		most               int // cells
		reduction          string
	}{
		{space.NASBench201(), space.NASBench201().Format(chosen), "cifar", 2, "residual"},
		{space.NASBench201(), space.NASBench201().Format(space.Architecture{3, 3, 3, 3, 2, 3}), "deep", 2, "residual"},
		{space.NASBench201(), space.NASBench201().Format(space.Architecture{3, 3, 0, 3, 2, 3}), "whitened", 2, "pooled"},
		{space.DARTS(), darts.String(), "cifar", 4, "residual"},
		{space.Plain(), "resnet9", "cifar", 3, "residual"},
	} {
		t.Run(c.space.Name+"/"+c.stem, func(t *testing.T) {
			s := DefaultSettings()
			s.Channels, s.Cells, s.Stem, s.Reduction = 4, 1, c.stem, c.reduction
			s.Budget.MostChannels, s.Budget.MostCells, s.Budget.Parameters = 40, c.most, 1<<40
			f := newFitter(t, s, c.space, c.architecture)
			all, err := f.candidates(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			depths := c.most
			if c.space.Whole {
				depths = 1
			}
			if want := depths * len(s.widths()); len(all) != want {
				t.Errorf("%d sizes, want %d", len(all), want)
			}
			for _, got := range all {
				if got.channels%3 != 1 { // some of them
					continue
				}
				want, err := f.count(got.channels, got.cells)
				if err != nil {
					t.Fatal(err)
				}
				if got != want {
					t.Errorf("%+v, but the network has %+v", got, want)
				}
			}
		})
	}
}

func TestWidths(t *testing.T) {
	for _, c := range []struct {
		least, most int
		want        []int
	}{
		{16, 40, []int{16, 18, 20, 22, 24, 26, 28, 30, 32, 36, 40}},
		{3, 9, []int{3, 4, 6, 8}},
		{60, 140, []int{60, 64, 72, 80, 88, 96, 108, 120, 132}},
		{8, 8, []int{8}},
	} {
		s := DefaultSettings()
		s.Channels, s.Budget.MostChannels = c.least, c.most
		if got := s.widths(); !slices.Equal(got, c.want) {
			t.Errorf("widths from %d to %d are %v, want %v", c.least, c.most, got, c.want)
		}
	}
}

// Whatever a network's costs are, as long as they grow along a line with its size, what is chosen was measured and fits, and nothing
// that fits is much larger.
func TestTheLargestThatFitsIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := DefaultSettings()
		s.Epochs, s.Budget.Minutes = 10, rapid.Float64Range(0.2, 20).Draw(t, "minutes")
		fixed, slope := rapid.Float64Range(0, 1).Draw(t, "fixed"), rapid.Float64Range(0.01, 1).Draw(t, "slope")
		f := &fitter{Settings: &s, space: space.NASBench201()}
		var all []candidate
		for channels := 4; channels <= 64; channels += 4 {
			for cells := 1; cells <= 3; cells++ {
				all = append(all, candidate{channels: channels, cells: cells, multiplyAdds: 100 * channels * channels * cells})
			}
		}
		cost := func(c candidate) costs { return costs{clock: fixed + slope*float64(c.multiplyAdds)/1e4} }
		put := func(c candidate) {
			at, _ := slices.BinarySearchFunc(f.points, c, func(p point, c candidate) int { return larger(p.candidate, c) })
			f.points = slices.Insert(f.points, at, point{c, cost(c)})
		}
		smallest := slices.MinFunc(all, larger)
		put(smallest)
		if !f.fits(cost(smallest)) {
			return
		}
		for range mostMeasured {
			next, ok := f.next(all)
			if !ok {
				break
			}
			put(next)
		}
		want := f.best(all, cost)
		if chosen := f.best(slices.DeleteFunc(slices.Clone(all), func(c candidate) bool { return !f.measured(c) }), f.guess); !f.fits(cost(chosen)) {
			t.Fatalf("%+v does not fit", chosen)
		} else if 10*chosen.multiplyAdds < 7*want.multiplyAdds {
			t.Fatalf("%+v was chosen, %+v fits", chosen, want)
		}
	})
}

func TestOfNearlyEqualSizesTheShallowestIsTaken(t *testing.T) {
	s := DefaultSettings()
	f := &fitter{Settings: &s, space: space.NASBench201()}
	free := func(candidate) costs { return costs{} }
	deep, wide, small := candidate{16, 3, 5, 1000}, candidate{28, 1, 9, 901}, candidate{24, 1, 7, 800}
	if got := f.best([]candidate{deep, small, wide}, free); got != wide {
		t.Errorf("%+v", got)
	}
	if got := f.best([]candidate{deep, small}, free); got != deep {
		t.Errorf("%+v", got)
	}
}

func TestBudgetOfParametersIsFilled(t *testing.T) {
	in := inputs(t, stagetest.DefaultImages())
	res := training(t, in, "epochs: 1", "budget: {parameters: 20000, most_channels: 24, most_cells: 2}").Must(t)
	net, err := supernet.ReadNetwork(res.Outputs["network"])
	if err != nil {
		t.Fatal(err)
	}
	size := func(channels, cells int) int {
		n := net
		n.Channels, n.Cells = channels, cells
		ix, _, err := n.Indexes()
		if err != nil {
			t.Fatal(err)
		}
		return ix.Total()
	}
	got := size(net.Channels, net.Cells)
	if got > 20000 || size(net.Channels+4, net.Cells) <= 20000 {
		t.Errorf("%d channels and %d cells have %d parameters, four channels more %d", net.Channels, net.Cells, got, size(net.Channels+4, net.Cells))
	}
	if res.Metrics["parameters"] != float64(got) || res.Metrics["channels"] != float64(net.Channels) || res.Metrics["multiply_adds"] <= 0 {
		t.Errorf("metrics are %v", res.Metrics)
	}
	if !strings.Contains(res.Summary, "the largest within the budget, with ") || !strings.Contains(res.Summary, "of 20,000 parameters") {
		t.Errorf("the summary is %q", res.Summary)
	}
}

// A budget that nothing exceeds gives the largest network there is, whatever the machine; interrupted, it ends with the same bytes.
func TestBudgetOfTimeIsKeptWhenTrainingContinues(t *testing.T) {
	in := inputs(t, stagetest.DefaultImages())
	run := training(t, in, "budget: {minutes: 1000, processor_minutes: 4000, latency_ms: 60000, most_channels: 8, most_cells: 1}")
	want := run.Must(t)
	if want.Metrics["channels"] != 8 || want.Metrics["epochs"] != 3 {
		t.Errorf("metrics are %v", want.Metrics)
	}
	if !strings.Contains(want.Summary, "larger ones are ruled out by most_channels and most_cells") {
		t.Errorf("the summary is %q", want.Summary)
	}
	run.Scratch = interrupted(t, run, inSecondEpoch).Scratch
	last := run.Must(t)
	if said := last.Logged("info"); !strings.Contains(said, "continuing in epoch 2 of 3") || strings.Contains(said, "an epoch takes") {
		t.Errorf("what was said: %s", said)
	}
	stagetest.SameBytes(t, want, last)
}

// What was chosen before is not chosen again, and what cannot be read is.
func TestKeptChoice(t *testing.T) {
	in := inputs(t, stagetest.DefaultImages())
	run := training(t, in, "budget: {minutes: 1000, most_channels: 8, most_cells: 1}")
	run.Scratch = t.TempDir()
	c := choice{Channels: 4, Cells: 1, Epochs: 2, Why: "as before"}
	data, err := json.Marshal(kept{c, checkpoint.Fingerprint(c)})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(run.Scratch, choiceFile)
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	res := run.Must(t)
	if res.Metrics["channels"] != 4 || len(rows(t, res)) != 2 || !strings.Contains(res.Summary, "as before") {
		t.Errorf("metrics are %v, the summary %q", res.Metrics, res.Summary)
	}
	// The checkpoint that is there is of the network that is not known any more.
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), `"epochs":2`, `"epochs":3`, 1)), 0o666); err != nil {
		t.Fatal(err)
	}
	res = run.Must(t)
	if said := res.Logged("warn"); !strings.Contains(said, "the network is chosen anew") {
		t.Errorf("what was said: %s", said)
	}
	if res.Metrics["channels"] != 8 || len(rows(t, res)) != 3 || strings.Contains(res.Logged("info"), "continuing") {
		t.Errorf("metrics are %v", res.Metrics)
	}
}

// Of a bound on time that all epochs exceed as many are left as fit, down to the least.
func TestEpochsFollowFromTheTime(t *testing.T) {
	s := DefaultSettings()
	s.Epochs, s.Budget.Minutes, s.Budget.LeastSteps, s.Training.Batch = 30, 1, 78, 8
	f := &fitter{Settings: &s, space: space.NASBench201(), steps: 4}
	for seconds, want := range map[float64]int{1: 30, 2: 30, 2.5: 24, 3: 20, 3.1: 0} {
		if got := f.epochs(costs{clock: seconds}); got != want {
			t.Errorf("with %v s an epoch: %d epochs, want %d", seconds, got, want)
		}
	}
}

func TestBudgetsThatAreTooSmall(t *testing.T) {
	in := inputs(t, stagetest.DefaultImages())
	for setting, want := range map[string]string{
		"budget: {parameters: 100}":                       "parameters: the smallest network, of 2 channels and 1 cell a stage, has ",
		"budget: {multiply_adds: 100}":                    "multiply_adds: the smallest network, of 2 channels and 1 cell a stage, has ",
		"budget: {minutes: 1.0e-9}":                       "budget.minutes: the smallest network, of 2 channels and 1 cell a stage, needs ",
		"budget: {processor_minutes: 1.0e-9}":             "minutes for 3 epochs; give at least so many",
		"budget: {minutes: 1.0e-9, least_steps: 1}":       "minutes for 1 epoch;",
		"budget: {latency_ms: 1.0e-9, most_channels: 8}":  "latency_ms: the smallest network",
		"budget: {parameters: 100, multiply_adds: 100.5}": "budget.multiply_adds",
	} {
		res := training(t, in, setting).Do(t)
		if res.Err == nil || !strings.Contains(res.Err.Error(), want) {
			t.Errorf("%s: %v", setting, res.Err)
		}
		if one := new(pipeline.SettingError); !errors.As(res.Err, &one) {
			t.Errorf("%s: no setting is named by %v", setting, res.Err)
		}
	}
}

func TestMistakesInABudget(t *testing.T) {
	for want, change := range map[string]func(*Settings){
		"budget.parameters":    func(s *Settings) { s.Budget.Parameters = -1 },
		"budget.minutes":       func(s *Settings) { s.Budget.Minutes = -1 },
		"budget.most_channels": func(s *Settings) { s.Budget.Parameters, s.Budget.MostChannels = 1, 8 },
		"budget.most_cells":    func(s *Settings) { s.Budget.Parameters, s.Budget.MostCells = 1, 0 },
		"budget.least_steps":   func(s *Settings) { s.Budget.Minutes, s.Budget.LeastSteps, s.Warmup = 1, 31, 2 },
	} {
		s := DefaultSettings()
		change(&s)
		if got := settingPaths(s.Validate()); !slices.Equal(got, []string{want}) {
			t.Errorf("mistakes are %v, want %s", got, want)
		}
	}
	s := DefaultSettings()
	s.Budget.Parameters, s.Budget.LeastSteps = 1, 3
	if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "only a bound on time shortens a training") {
		t.Error(err)
	}
}
