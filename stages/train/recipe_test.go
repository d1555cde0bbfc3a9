package train

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/exporter/optimizer"
	"github.com/plateau-nas/plateau/exporter/safetensors"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// short is a recipe for short trainings.
var short = []string{
	"schedule: one_cycle", "learning_rate: 0.2", "average: 0.9",
	"training: {batch: 8, momentum: 0.9, nesterov: true, weight_decay: 0.0005, clip: 0, label_smoothing: 0.1, spare_normalization: true}",
}

func TestOneCycleRisesAndFallsOverTheWholeTraining(t *testing.T) {
	in := inputs(t, stagetest.DefaultImages())
	for _, c := range []struct {
		name    string
		changes []string
		want    func(step int) float64
	}{
		{"by iterations", []string{"learning_rate: 0.2", "schedule: one_cycle"}, optimizer.OneCycle(0.2/25, 0.2, 0, 0.3, 12, false)},
		{"along lines, with another rise and end", []string{"learning_rate: 0.2", "learning_rate_min: 0.001", "schedule: one_cycle", "rise: 0.5", "anneal: linear"}, optimizer.OneCycle(0.2/25, 0.2, 0.001, 0.5, 12, true)},
		{"by epochs", []string{"learning_rate: 0.2", "schedule: one_cycle", "learning_rate_each: epoch", "rise: 0.5"}, func(step int) float64 {
			return optimizer.OneCycle(0.2/25, 0.2, 0, 0.5, 3, false)(step / 4)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for i, row := range rows(t, training(t, in, c.changes...).Must(t)) {
				if want := c.want((i+1)*4 - 1); math.Abs(row.LR-want) > 1e-15 {
					t.Errorf("epoch %d ends at the rate %v, want %v", i+1, row.LR, want)
				}
			}
		})
	}
}

// weightsOf returns what a training has written, by name.
func weightsOf(t *testing.T, res *stagetest.Result) map[string][]float32 {
	t.Helper()
	f, err := safetensors.Read(res.Outputs["weights"])
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]float32{}
	for _, name := range f.Names() {
		v, _ := f.Tensor(name)
		if out[name], err = v.Float32s(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// The average is over the weights of all steps: it ends behind the last ones, on the way that they came. Decay that is nearly nothing
// ends at the last weights.
func TestAveragedWeightsAreWhatATrainingGives(t *testing.T) {
	in := inputs(t, stagetest.DefaultImages())
	last := weightsOf(t, training(t, in, append(slices.Clone(short), "average: 0")...).Must(t))
	near := weightsOf(t, training(t, in, append(slices.Clone(short), "average: 1.0e-9")...).Must(t))
	far := weightsOf(t, training(t, in, short...).Must(t))
	distance := func(a map[string][]float32) (sum float64) {
		for name, v := range last {
			for i := range v {
				sum += math.Pow(float64(v[i]-a[name][i]), 2)
			}
		}
		return math.Sqrt(sum)
	}
	if len(far) != len(last) {
		t.Errorf("%d tensors with an average, %d without", len(far), len(last))
	}
	if n, f := distance(near), distance(far); n > 1e-4 || f < 1e-2 {
		t.Errorf("the averages lie %v (short memory) and %v from the last weights", n, f)
	}
}

// What decay spares is found by the parameters' shapes: with a decay that is felt and a gradient that is not, weights shrink and
// scales stay.
func TestDecayThatSparesNormalizations(t *testing.T) {
	in := inputs(t, stagetest.DefaultImages())
	settings := func(spare string) string {
		return "training: {batch: 8, momentum: 0, nesterov: false, weight_decay: 1000, clip: 1.0e-9, spare_normalization: " + spare + "}"
	}
	for spare, stays := range map[string]bool{"true": true, "false": false} {
		w := weightsOf(t, training(t, in, "epochs: 1", "learning_rate: 0.0001", settings(spare)).Must(t))
		if scale := w["head.bn.weight"][0]; (scale > 0.999) != stays {
			t.Errorf("spare_normalization %s: a scale of a normalization is %v after a decay to %v", spare, scale, math.Pow(0.9, 4))
		}
		bound := 1 / math.Sqrt(27) // of the first weights, before any decay
		if largest := slices.Max(w["stem.weight"]); float64(largest) > 0.9*bound {
			t.Errorf("spare_normalization %s: a weight is %v after a decay of weights of up to %v", spare, largest, bound)
		}
	}
}

func TestInterruptedShortRecipeEndsWithTheSameBytes(t *testing.T) {
	in := inputs(t, stagetest.DefaultImages())
	run := training(t, in, append(slices.Clone(short), "stem: whitened", "reduction: pooled", "stages: 2")...)
	want := run.Must(t)
	run.Scratch = interrupted(t, run, inSecondEpoch).Scratch
	last := run.Must(t)
	if said := last.Logged("info"); !strings.Contains(said, "continuing in epoch 2 of 3") {
		t.Errorf("what was said: %s", said)
	}
	stagetest.SameBytes(t, want, last)
	net, err := supernet.ReadNetwork(want.Outputs["network"])
	if err != nil || net.Stem != supernet.StemWhitened || net.Reduction != supernet.ReductionPooled || net.Stages != 2 {
		t.Errorf("the network is %+v: %v", net, err)
	}
}

func TestMistakesInAShortRecipe(t *testing.T) {
	for want, change := range map[string]func(*Settings){
		"rise":      func(s *Settings) { s.Rise = 1.5 },
		"anneal":    func(s *Settings) { s.Anneal = "step" },
		"average":   func(s *Settings) { s.Average = 1 },
		"stem":      func(s *Settings) { s.Stem = "patch" },
		"reduction": func(s *Settings) { s.Reduction = "strided" },
		"warmup":    func(s *Settings) { s.Schedule, s.Warmup = ScheduleOneCycle, 1 },
	} {
		s := DefaultSettings()
		change(&s)
		if got := settingPaths(s.Validate()); !slices.Equal(got, []string{want}) {
			t.Errorf("mistakes are %v, want %s", got, want)
		}
	}
}
