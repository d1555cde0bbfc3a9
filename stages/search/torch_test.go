package search

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/plateau-nas/plateau/exporter/safetensors"
	"github.com/plateau-nas/plateau/exporter/torchtest"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/space"
)

// fixture reads what testdata/generate_gradients.py has written.
func fixture(t *testing.T) func(name string) []float64 {
	t.Helper()
	file, err := safetensors.Read("testdata/gradients.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	return func(name string) []float64 {
		t.Helper()
		v, ok := file.Tensor(name)
		if !ok {
			t.Fatalf("the fixture has no %s", name)
		}
		data, err := v.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		return float64s(data)
	}
}

// scripted is a bench with the weights and the batches of the script.
func scripted(t *testing.T) (*bench, batches) {
	t.Helper()
	b := newBenchOf(t, 8)
	if err := b.weights.Write(torchtest.Fill(b.index)); err != nil {
		t.Fatal(err)
	}
	valid := &dataset.Batch{X: torchtest.Noise(2, 8*3*12*12), Y: []int64{1, 5, 2, 9, 0, 3, 7, 4}, Count: 8}
	train := &dataset.Batch{X: torchtest.Noise(5, 8*3*12*12), Y: []int64{0, 1, 2, 3, 4, 5, 6, 7}, Count: 8}
	b.batch = valid
	b.neighborhood(t, func(st *neighborhood.Settings) { st.Radius = 0 })
	return b, batches{valid: valid, train: train, rate: 0.25}
}

// use makes alpha anew for other settings, at the given values.
func (b *bench) use(t *testing.T, change func(*Settings), values []float32) {
	t.Helper()
	a := DefaultSettings().Alpha
	a.Beta1, a.WeightDecay, a.LearningRate = 0, 0, 0.01
	b.Algorithm, b.Alpha = DARTS, a
	b.Weights.At = AtCenter
	change(b.Settings)
	var err error
	if b.alpha, err = b.newAlpha(); err != nil {
		t.Fatal(err)
	}
	if b.alpha.second != nil {
		if b.alpha.second.momentum, err = b.rt.NewState(b.index.Total()); err != nil {
			t.Fatal(err)
		}
		b.closers = append(b.closers, b.alpha.second.momentum.Close)
		m, rest := make([]float32, b.index.Total()), torchtest.Noise(7, b.index.Total())
		for _, p := range torchtest.Sorted(b.index) {
			for i, v := range rest[:p.Size()] {
				p.Of(m)[i] = v / 10
			}
			rest = rest[p.Size():]
		}
		if err := b.alpha.second.momentum.Write(m); err != nil {
			t.Fatal(err)
		}
	}
	b.set(t, values)
}

// stepped returns the gradient by alpha, and beta, of one move.
func (b *bench) stepped(t *testing.T, on batches, rng *rand.Rand) []float64 {
	t.Helper()
	if _, _, _, err := b.alpha.move(t.Context(), on, rng); err != nil {
		t.Fatal(err)
	}
	v := make([]float32, b.alpha.moments[0].Len())
	b.alpha.moments[0].Read(v)
	return float64s(v)
}

// uniforms is a source of the given numbers from 0 to 1.
type uniforms []float64

func (u *uniforms) Uint64() uint64 {
	v := (*u)[0]
	*u = (*u)[1:]
	return uint64(v * (1 << 53) * (1 << 11))
}

func TestStepsOfAlphaAgreeWithPyTorch(t *testing.T) {
	b, on := scripted(t)
	want := fixture(t)
	alpha := torchtest.Noise(1, 30)

	b.use(t, func(s *Settings) { s.Alpha.Order = 2 }, alpha)
	second := b.stepped(t, on, nil)
	// What is compared is a difference of gradients in float32, on top of a gradient.
	near(t, "second order", second, want("second/grad_alpha"), 5e-3)
	b.use(t, func(*Settings) {}, alpha)
	first := b.stepped(t, on, nil)
	if d := moved(second, -1, first); length(d) < 0.05*length(first) {
		t.Errorf("the second order differs from the first by %v of %v only: the test says nothing", length(d), length(first))
	}

	b.use(t, func(s *Settings) { s.Algorithm, s.Alpha.Rho = A2M, 0.1 }, alpha)
	sharper := b.stepped(t, on, nil)
	near(t, "A2M", sharper, want("a2m/grad_alpha"), 5e-3)
	if d := moved(sharper, -1, first); length(d) < 0.01*length(first) {
		t.Errorf("the sharpness step changes the gradient by %v of %v only", length(d), length(first))
	}

	b.use(t, func(s *Settings) { s.Algorithm = PCDARTS }, append(slices.Clone(alpha), torchtest.Noise(3, 6)...))
	near(t, "edge weights", b.stepped(t, on, nil), append(want("pc/grad_alpha"), want("pc/grad_beta")...), 1e-3)

	b.use(t, func(s *Settings) { s.Algorithm, s.Alpha.Temperature, s.Alpha.TemperatureEnd = GDAS, 0.5, 0.5 }, alpha)
	var u uniforms
	for _, v := range torchtest.Noise(9, 30) {
		u = append(u, (float64(v)+1)/2)
	}
	near(t, "GDAS", b.stepped(t, on, rand.New(&u)), want("gdas/grad_alpha"), 1e-3)

	b.use(t, func(s *Settings) { s.Algorithm = DrNAS }, alpha)
	p := b.alpha.at(float64s(alpha))
	sample := *p
	sample.mean, sample.probabilities = false, space.Probabilities(rows(want("drnas/sample"), 5))
	copy(b.alpha.images, on.valid.X)
	copy(b.alpha.labels, on.valid.Y)
	out, err := b.alpha.aggregate(&sample, b.alpha.around(&sample, nil), func(w space.Probabilities) (float64, float64, [][]float64, error) {
		return b.alpha.evaluate(t.Context(), w)
	})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "DrNAS", out.gradient, want("drnas/grad_alpha"), 5e-3)
}

func rows(v []float64, columns int) [][]float64 {
	var out [][]float64
	for ; len(v) > 0; v = v[columns:] {
		out = append(out, slices.Clone(v[:columns]))
	}
	return out
}
