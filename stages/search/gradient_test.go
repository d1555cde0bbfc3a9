package search

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

func TestStepsThroughNeighborhoods(t *testing.T) {
	b, on := scripted(t) // loading the graphs takes longer than all that is done with them
	t.Run("gradients equal finite differences", func(t *testing.T) { b.gradientsThroughNeighborhoods(t, on) })
	t.Run("a sharpness step is made over one draw", func(t *testing.T) { b.sharpnessStep(t, on) })
	t.Run("samples of Dirichlet distributions", func(t *testing.T) { b.dirichletGradient(t, on) })
	t.Run("curvature", func(t *testing.T) { b.curvature(t, on) })
}

// What an algorithm follows is the slope of the aggregated loss over the neighbors that were drawn, their permutations and
// distances held.
func (b *bench) gradientsThroughNeighborhoods(t *testing.T, on batches) {
	rng := rand.New(rand.NewPCG(12, 1))
	for _, c := range []struct {
		name   string
		change func(*Settings)
		extra  int // values of beta
	}{
		{"pc_darts", func(s *Settings) { s.Algorithm = PCDARTS }, 6},
		{"second order", func(s *Settings) { s.Alpha.Order = 2 }, 0},
		{"pc_darts, second order", func(s *Settings) { s.Algorithm, s.Alpha.Order = PCDARTS, 2 }, 6},
	} {
		for _, st := range []neighborhood.Settings{
			{Radius: 1, Samples: 4, Kind: neighborhood.Swap, IncludeCenter: true, AggregatorSettings: aggregator("soft_min")},
			{Radius: 2, Samples: 3, Kind: neighborhood.Shuffle, AggregatorSettings: aggregator("mean_std")},
		} {
			t.Run(fmt.Sprintf("%s/%s", c.name, st.Kind), func(t *testing.T) {
				values := spread(rng)
				for range c.extra {
					values = append(values, float32(rng.NormFloat64()))
				}
				b.use(t, c.change, values)
				b.neighborhood(t, func(s *neighborhood.Settings) { *s = st })
				theta := float64s(values)
				neighbors := b.alpha.around(b.alpha.at(theta), rand.New(rand.NewPCG(9, 9)))
				on := on
				if b.alpha.second != nil {
					near(t, "gradient", b.stepped(t, on, rand.New(rand.NewPCG(9, 9))), b.unrolledByParts(t, on, theta, neighbors), 1e-3)
					// The losses have a kink wherever a ReLU changes its mind, and this network is so small that over 0.01 / |v| the training
					// loss is all kinks: the difference that the method takes is not the derivative (neither is PyTorch's). So finite
					// differences tell about the rest, when the way through the weights is short.
					on.rate = 2e-5
					b.set(t, values)
				}
				got := b.stepped(t, on, rand.New(rand.NewPCG(9, 9)))
				objective := func(theta []float64) float64 { return b.objective(t, on, theta, neighbors) }
				const h, tolerance = 1.5e-3, 0.08
				slope := (objective(moved(theta, h/length(got), got)) - objective(moved(theta, -h/length(got), got))) / (2 * h)
				if math.Abs(slope-length(got)) > tolerance*length(got) {
					t.Errorf("along the gradient the loss changes by %v, its norm is %v", slope, length(got))
				}
			})
		}
	}
}

// unrolledByParts puts the second-order gradient together from its parts.
func (b *bench) unrolledByParts(t *testing.T, on batches, theta []float64, s surroundings) []float64 {
	t.Helper()
	u, p := b.alpha.second, b.alpha.at(theta)
	w, m, n := make([]float32, b.index.Total()), make([]float32, b.index.Total()), b.index.Total()
	b.weights.Read(w)
	u.momentum.Read(m)
	training := func(at []float32) ([]float64, [][]float64) {
		if err := u.virtual.Write(at); err != nil {
			t.Fatal(err)
		}
		_, _, g, err := u.ofTrain.at(t.Context(), on.train, p.weights())
		if err != nil {
			t.Fatal(err)
		}
		return float64s(u.ofTrain.byParam), g
	}
	direction, _ := training(w)
	for i := range direction {
		direction[i] += 0.9*float64(m[i]) + 5e-4*float64(w[i])
	}
	if err := u.virtual.Write(float32s(moved(float64s(w), -on.rate, direction))); err != nil {
		t.Fatal(err)
	}
	scores, byParam, byWeights := []float64{}, [][]float64{}, [][][]float64{}
	for _, nb := range s.neighbors {
		loss, _, g, err := u.ofValid.at(t.Context(), on.valid, nb.Apply(p.weights()))
		if err != nil {
			t.Fatal(err)
		}
		scores, byParam, byWeights = append(scores, -loss), append(byParam, float64s(u.ofValid.byParam)), append(byWeights, nb.Pullback(g))
	}
	v, want := make([]float64, n), make([]float64, len(theta))
	for i := range scores {
		const h = 1e-6
		up, down := slices.Clone(scores), slices.Clone(scores)
		up[i], down[i] = up[i]+h, down[i]-h
		share := (b.alpha.aggregator.Aggregate(up, s.distances) - b.alpha.aggregator.Aggregate(down, s.distances)) / (2 * h)
		v, want = moved(v, share, byParam[i]), moved(want, share, p.back(byWeights[i]))
	}
	h := 0.01 / length(v)
	_, up := training(float32s(moved(float64s(w), h, v)))
	_, down := training(float32s(moved(float64s(w), -h, v)))
	return moved(want, -on.rate/(2*h), moved(p.back(up), -1, p.back(down)))
}

func float32s(v []float64) []float32 {
	out := make([]float32, len(v))
	for i := range v {
		out[i] = float32(v[i])
	}
	return out
}

func aggregator(name string) neighborhood.AggregatorSettings {
	st := neighborhood.DefaultAggregatorSettings()
	st.Aggregate = name
	return st
}

// objective is the aggregated validation loss by forward passes: with the shared weights or, for the second order, those after the
// virtual step.
func (b *bench) objective(t *testing.T, on batches, theta []float64, s surroundings) float64 {
	t.Helper()
	p := b.alpha.at(theta)
	w := make([]float32, b.index.Total())
	b.weights.Read(w)
	defer func(before []float32) {
		if err := b.weights.Write(before); err != nil {
			t.Fatal(err)
		}
	}(slices.Clone(w))
	if u := b.alpha.second; u != nil {
		if err := u.virtual.Write(w); err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := u.ofTrain.at(t.Context(), on.train, p.weights()); err != nil {
			t.Fatal(err)
		}
		m := make([]float32, len(w))
		u.momentum.Read(m)
		for i := range w {
			w[i] -= float32(on.rate) * (0.9*m[i] + u.ofTrain.byParam[i] + 5e-4*w[i])
		}
		if err := b.weights.Write(w); err != nil {
			t.Fatal(err)
		}
	}
	scores := make([]float64, len(s.neighbors))
	for i, nb := range s.neighbors {
		scores[i] = -b.loss(t, nb.Apply(p.weights()))
	}
	return -b.alpha.aggregator.Aggregate(scores, s.distances)
}

// The sharpness step is made of gradients over the same neighbors, drawn once.
func (b *bench) sharpnessStep(t *testing.T, on batches) {
	values := spread(rand.New(rand.NewPCG(4, 4)))
	b.use(t, func(s *Settings) { s.Algorithm, s.Alpha.Rho, s.Alpha.Epsilon = A2M, 0.2, 0.02 }, values)
	b.neighborhood(t, func(st *neighborhood.Settings) { st.Samples, st.Aggregate = 3, "soft_min" })
	got := b.stepped(t, on, rand.New(rand.NewPCG(9, 9)))
	theta := float64s(values)
	s := b.alpha.around(b.alpha.at(theta), rand.New(rand.NewPCG(9, 9)))
	gradient := func(theta []float64) []float64 {
		return b.composed(t, b.alpha.at(theta).probabilities, s.neighbors, s.distances)
	}
	up := moved(theta, 0.2, gradient(theta))
	g := gradient(up)
	want := slices.Clone(g)
	plus, minus := gradient(moved(up, 0.02, g)), gradient(moved(up, -0.02, g))
	for i := range want {
		want[i] += 0.2 * (plus[i] - minus[i]) / 0.04
	}
	near(t, "gradient", got, want, 2e-3)
}

// Where alpha goes through a Dirichlet distribution, the gradient at the sample and its neighbors is drawn back to the sample.
func (b *bench) dirichletGradient(t *testing.T, on batches) {
	values := spread(rand.New(rand.NewPCG(6, 4)))
	b.use(t, func(s *Settings) { s.Algorithm, s.Alpha.Anchor = DrNAS, 0.1 }, values)
	b.neighborhood(t, func(st *neighborhood.Settings) { st.Samples, st.Kind = 3, neighborhood.Shuffle })
	got := b.stepped(t, on, rand.New(rand.NewPCG(9, 9)))
	rng := rand.New(rand.NewPCG(9, 9))
	p := b.alpha.at(float64s(values)).sample(rng)
	s := b.alpha.around(p, rng)
	var want []float64
	sum := make([][]float64, 6)
	for _, nb := range s.neighbors {
		for e, row := range nb.Pullback(b.byProbabilities(t, nb.Apply(p.probabilities))) {
			for o, v := range row {
				if sum[e] == nil {
					sum[e] = make([]float64, 5)
				}
				sum[e][o] += v / float64(len(s.neighbors))
			}
		}
	}
	for e, g := range sum {
		_, anchor := anchorGradient(p.concentrations[e])
		for o, v := range dirichletGradient(p.probabilities[e], p.concentrations[e], g) {
			want = append(want, (v+0.1*anchor[o])*p.slopes[e][o])
		}
	}
	near(t, "gradient", got, want, 1e-4)
}

func TestLargestEigenvalue(t *testing.T) {
	for _, c := range []struct {
		diagonal []float64
		want     float64
	}{{[]float64{3, -1, 0.5, 2}, 3}, {[]float64{-5, 2, 1, -3}, 2}, {[]float64{-1, -4, -2, -3}, -1}, {[]float64{0, 0, 0, 0}, 0}} {
		// A rotation of a diagonal matrix: I - 2 v v^T on both sides.
		v := []float64{0.5, 0.5, 0.5, 0.5}
		reflected := func(x []float64) []float64 { return moved(x, -2*dot(v, x), v) }
		got, err := largestEigenvalue(4, 60, rand.New(rand.NewPCG(1, 1)), func(x []float64) ([]float64, error) {
			x = reflected(x)
			for i := range x {
				x[i] *= c.diagonal[i]
			}
			return reflected(x), nil
		})
		if err != nil || math.Abs(got-c.want) > 1e-3 {
			t.Errorf("of %v the largest is %v, %v", c.diagonal, got, err)
		}
	}
}

// The curvature along a direction is what the loss says, and no direction has more than the largest eigenvalue.
func (b *bench) curvature(t *testing.T, on batches) {
	values := spread(rand.New(rand.NewPCG(2, 4)))
	b.use(t, func(s *Settings) { s.Alpha.Hessian = 12 }, values)
	largest, err := b.alpha.curvature(t.Context(), on.valid, rand.New(rand.NewPCG(3, 3)))
	if err != nil {
		t.Fatal(err)
	}
	if !(largest > 0) {
		t.Fatalf("the largest eigenvalue is %v", largest)
	}
	// Of gradients, since the loss itself has kinks.
	rng := rand.New(rand.NewPCG(5, 5))
	gradient := func(theta []float64) (*evaluated, error) {
		p := b.alpha.at(theta)
		_, _, g, err := b.alpha.evaluate(t.Context(), p.weights())
		return &evaluated{gradient: p.back(g)}, err
	}
	for range 5 {
		v := float64s(spread(rng))
		v = moved(make([]float64, len(v)), 1/length(v), v)
		along, err := alongHessian(float64s(values), v, hessianStep, gradient)
		if err != nil {
			t.Fatal(err)
		}
		if c := dot(v, along); c > 1.05*largest {
			t.Errorf("along a direction the curvature is %v, the largest eigenvalue %v", c, largest)
		}
	}
}

// gradientSettings has a search of each algorithm.
var gradientSettings = map[string]string{
	"darts_2nd": "algorithm: darts\nalpha: {order: 2, hessian: 2}",
	"pc_darts":  "algorithm: pc_darts\nalpha: {hessian: 2}",
	"gdas":      "algorithm: gdas",
	"drnas":     "algorithm: drnas\nalpha: {anchor: 0.01, hessian: 2}",
	"a2m":       "algorithm: a2m",
}

func partialInputs(t *testing.T) map[string]pipeline.Artifact {
	t.Helper()
	return stagetest.InputsOf(t, stagetest.DefaultImages(), func(s *supernet.Settings) { s.Partial = 2 })
}

// At radius 0 each algorithm is the plain one, whatever else is said of neighborhoods; a killed run continues to the same bytes.
func TestGradientSearches(t *testing.T) {
	if testing.Short() {
		t.Skip("several searches of each algorithm")
	}
	whole, partial := stagetest.Inputs(t, stagetest.DefaultImages()), partialInputs(t)
	for name, settings := range gradientSettings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := whole
			if name == "pc_darts" {
				in = partial
			}
			settings += "\nfinalists: 1\nweights: {at: center}\nneighborhood: "
			plain := search(t, in, "epochs: 1\n"+settings+"{radius: 0}").Must(t)
			other := search(t, in, "epochs: 1\n"+settings+"{radius: 0, samples: 3, kind: shuffle, include_center: false, aggregate: soft_min, temperature: 0.1}").Must(t)
			if diff := cmp.Diff(withoutSettings(t, plain.Bytes(t)), withoutSettings(t, other.Bytes(t))); diff != "" {
				t.Error("at radius 0 the results differ")
			}
			a, sp, arch := found(t, plain)
			if a.Algorithm != name {
				t.Errorf("the algorithm is %q", a.Algorithm)
			}
			rows, _ := history(t, plain)
			last := rows[len(rows)-1]
			measured := strings.Contains(settings, "hessian")
			if last.Architecture != a.Architecture || last.Skips != sp.CountOperation(arch, "skip_connect") || measured == math.IsNaN(last.Eigenvalue) {
				t.Errorf("the last epoch is %+v", last)
			}
			for e, row := range a.Probabilities {
				sum := 0.0
				for _, v := range row {
					sum += v
				}
				if math.Abs(sum-1) > 1e-9 {
					t.Errorf("the probabilities of edge %d sum to %v", e, sum)
				}
			}
			if w := a.EdgeWeights; (name == "pc_darts") != (len(w) == 6) || len(w) == 6 && (w[0] != 1 || math.Abs(w[1]+w[2]-1) > 1e-9) {
				t.Errorf("the weights of edges are %v", w)
			}

			// What a checkpoint must hold differs with beta and with what draws random numbers.
			if name != "pc_darts" && name != "drnas" {
				return
			}
			run := search(t, in, "epochs: 2\n"+settings+"{samples: 1, kind: shuffle, include_center: false}")
			want := run.Must(t)
			if a, _, _ := found(t, want); a.Algorithm != "na_"+name {
				t.Errorf("the algorithm is %q", a.Algorithm)
			}
			run.Scratch = copyOf(t, interrupted(t, run, inSecondEpoch).Scratch)
			again := run.Must(t)
			logged(t, again, "info", "continuing in epoch 2 of 2, after 1 of 2 steps")
			stagetest.SameBytes(t, want, again)
		})
	}
}

// Genotypes are searched for with the weights of edges as well: those decide which two edges a node keeps.
func TestPartialChannelsInTheDARTSSpace(t *testing.T) {
	if testing.Short() {
		t.Skip("graphs of the DARTS space take seconds")
	}
	in := stagetest.InputsOf(t, stagetest.DefaultImages(), func(s *supernet.Settings) { s.Space, s.Partial, s.Cells = "darts", 2, 1 })
	res := search(t, in, "algorithm: pc_darts\nepochs: 1\nfinalists: 2\nalpha: {hessian: 1}\nweights: {at: center}\nneighborhood: {samples: 1}").Must(t)
	a, sp, arch := found(t, res)
	p := space.Probabilities(a.Probabilities).Clone()
	for e, row := range p {
		for o := range row {
			row[o] *= a.EdgeWeights[e]
		}
	}
	if !sp.Derive(p).Equal(arch) {
		t.Errorf("%s is not what alpha and beta stand for", a.Architecture)
	}
}

func TestPCDARTSNeedsPartialChannels(t *testing.T) {
	res := search(t, stagetest.Inputs(t, stagetest.DefaultImages()), "algorithm: pc_darts\nneighborhood: {radius: 0}").Do(t)
	if res.Err == nil || !strings.Contains(res.Err.Error(), "partial_channels") {
		t.Error(res.Err)
	}
}

// A search that has gone to skip connections ends there, with the epochs until then as they would have been.
func TestSearchesStopAtSkipConnections(t *testing.T) {
	in := stagetest.Inputs(t, stagetest.DefaultImages())
	run := search(t, in, "algorithm: darts\nepochs: 4\nfinalists: 1\nalpha: {stop_skips: 1, learning_rate: 0.5}\nweights: {at: center}\nneighborhood: {radius: 0}")
	run.Seed = 7
	free := run
	free.Settings = strings.Replace(run.Settings, "stop_skips: 1, ", "", 1)
	rows, err := result.ReadSearchHistory(free.Must(t).Outputs["history"])
	if err != nil {
		t.Fatal(err)
	}
	end := slices.IndexFunc(rows, func(e result.SearchEpoch) bool { return e.Skips >= 1 })
	if end < 0 || end == len(rows)-1 {
		t.Fatalf("with this seed nothing is to be stopped: %+v", rows)
	}
	res := run.Must(t)
	stopped, err := result.ReadSearchHistory(res.Outputs["history"])
	if err != nil {
		t.Fatal(err)
	}
	if len(stopped) != end+1 {
		t.Errorf("stopped after %d epochs instead of %d", len(stopped), end+1)
	}
	logged(t, res, "info", fmt.Sprintf("stopped after epoch %d of 4", end+1))
}

func TestTemperaturesOfGDAS(t *testing.T) {
	s := DefaultSettings()
	s.Algorithm, s.Epochs, s.Alpha.Start = GDAS, 6, 1
	for epoch, want := range []float64{10, 10, 7.525, 5.05, 2.575, 0.1} {
		if got := s.temperature(epoch); math.Abs(got-want) > 1e-9 {
			t.Errorf("epoch %d: %v, want %v", epoch, got, want)
		}
	}
	if s.Algorithm = DARTS; s.temperature(3) != 1 {
		t.Errorf("of darts: %v", s.temperature(3))
	}
	s.Alpha.Temperature = 2
	if s.temperature(5) != 2 {
		t.Errorf("a temperature that was set became %v", s.temperature(5))
	}
}

// What belongs to another algorithm is a mistake.
func TestSettingsOfOtherAlgorithmsAreMistakes(t *testing.T) {
	for _, c := range []struct {
		algorithm, path string
		change          func(*Settings)
	}{
		{DARTS, "alpha.temperature", func(s *Settings) { s.Alpha.Temperature = 2 }},
		{DARTS, "alpha.temperature_end", func(s *Settings) { s.Alpha.TemperatureEnd = 2 }},
		{DARTS, "alpha.relaxation", func(s *Settings) { s.Alpha.Relaxation = Dirichlet }},
		{DARTS, "alpha.anchor", func(s *Settings) { s.Alpha.Anchor = 1 }},
		{DARTS, "alpha.rho", func(s *Settings) { s.Alpha.Rho = 1 }},
		{DrNAS, "alpha.epsilon", func(s *Settings) { s.Alpha.Epsilon = 1 }},
		{DrNAS, "alpha.anchor", func(s *Settings) { s.Alpha.Anchor = -1 }},
		{A2M, "alpha.rho", func(s *Settings) { s.Alpha.Rho = math.NaN() }},
		{GDAS, "alpha.relaxation", func(s *Settings) { s.Alpha.Relaxation = Softmax }},
		{PCDARTS, "alpha.relaxation", func(s *Settings) { s.Alpha.Relaxation = Gumbel }},
		{GDAS, "alpha.order", func(s *Settings) { s.Alpha.Order = 2 }},
		{A2M, "alpha.order", func(s *Settings) { s.Alpha.Order = 2 }},
		{DARTS, "alpha.order", func(s *Settings) { s.Alpha.Order = 0 }},
		{DARTS, "weights.at", func(s *Settings) { s.Alpha.Order, s.Weights.At = 2, AtPath }},
		{DARTS, "weights.epochs", func(s *Settings) { s.Alpha.Order, s.Weights.Epochs = 2, 5 }},
		{A2M, "alpha.hessian", func(s *Settings) { s.Alpha.Hessian = -1 }},
		{A2M, "alpha.stop_skips", func(s *Settings) { s.Alpha.StopSkips = -1 }},
		{PCDARTS, "budget", func(s *Settings) { s.Budget = &BudgetSettings{} }},
	} {
		s := valid()
		s.Algorithm = c.algorithm
		if err := s.Validate(); err != nil {
			t.Fatalf("%s without a mistake: %v", c.algorithm, err)
		}
		c.change(&s)
		if diff := cmp.Diff([]string{c.path}, settingPaths(s.Validate())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.algorithm, diff)
		}
	}
	s := valid()
	s.Algorithm = "pc-darts"
	var one *pipeline.SettingError
	if err := s.Validate(); !errors.As(err, &one) || !slices.Contains(one.Known, PCDARTS) {
		t.Error(one)
	}
}
