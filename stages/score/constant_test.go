package score

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

func constants(t *testing.T) *constantEngine {
	t.Helper()
	rt, rng := runtimetest.Open(t), rand.New(rand.NewPCG(1, 1))
	sn, err := supernet.New(space.NASBench201(), supernet.Macro{Channels: 2, Cells: 1, Classes: 10, Image: [3]int{3, 8, 8}})
	if err != nil {
		t.Fatal(err)
	}
	state, err := rt.NewState(sn.Index.Total())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := state.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := state.Write(sn.Index.Initialize(rng)); err != nil {
		t.Fatal(err)
	}
	batches := make([]batch, 5)
	for i := range batches {
		batches[i] = batch{make([]float32, 4*3*8*8), []int64{1, 2, 3, 4}}
		for k := range batches[i].x {
			batches[i].x[k] = float32(rng.NormFloat64())
		}
	}
	return newConstantEngine(rt, sn, state, batches, 2)
}

func tallies(t *testing.T, c *constantEngine, archs []space.Architecture) []tally {
	t.Helper()
	out, err := c.evaluate(context.Background(), archs)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// However few features are kept at once, the sums are the same bits.
func TestScoresDoNotDependOnHowManyFeaturesAreKept(t *testing.T) {
	c := constants(t)
	archs := c.supernet.Space.Neighbors(space.Architecture{3, 2, 1, 4, 3, 0}, 1)[:5]
	if c.round != 5 {
		t.Fatalf("%d of 5 small batches are kept", c.round)
	}
	want := tallies(t, c, archs)
	for _, round := range []int{1, 2, 4} {
		c.round, c.features = round, nil
		if diff := cmp.Diff(want, tallies(t, c, archs), cmp.AllowUnexported(tally{})); diff != "" {
			t.Errorf("%d batches at once (-all at once):\n%s", round, diff)
		}
	}
	c.batches[0].y = make([]int64, 1<<20)
	if huge := newConstantEngine(c.rt, c.supernet, c.state, c.batches, 2); huge.round != 1 {
		t.Errorf("%d batches of half a gigabyte are kept", huge.round)
	}
}

// The stem runs once for weights that stay, and again when they have changed.
func TestFeaturesAreKeptWhileTheWeightsStay(t *testing.T) {
	c := constants(t)
	a := []space.Architecture{{1, 1, 1, 1, 1, 1}}
	tallies(t, c, a)
	kept := &c.features[0][0]
	tallies(t, c, a)
	if &c.features[0][0] != kept {
		t.Error("the stem ran again, although the weights are the same")
	}
	flat := make([]float32, c.state.Len())
	c.state.Read(flat)
	flat[0]++
	if err := c.state.Write(flat); err != nil {
		t.Fatal(err)
	}
	tallies(t, c, a)
	if &c.features[0][0] == kept {
		t.Error("the weights have changed, and the features are the old ones")
	}
}

func TestFastestForm(t *testing.T) {
	small, large := supernet.Macro{Channels: 2, Cells: 1, Image: [3]int{3, 8, 8}}, supernet.Macro{Channels: 16, Cells: 5, Image: [3]int{3, 32, 32}}
	for _, c := range []struct {
		provider string
		macro    supernet.Macro
		images   int
		want     Form
	}{
		{runtime.ProviderCPU, large, 1000, Constant},
		{runtime.ProviderCPU, small, 100, Path},
		{runtime.ProviderCPU, small, 100_000, Constant},
		{runtime.ProviderCUDA, large, 1000, Path},
	} {
		if got := fastest(c.provider, c.macro, c.images); got != c.want {
			t.Errorf("%s, %d channels, %d images: form %d, want %d", c.provider, c.macro.Channels, c.images, got, c.want)
		}
	}
}

// standIn is a network that only notes whether it is open.
type standIn struct {
	network
	open *atomic.Int64
}

func (s standIn) Close() error { s.open.Add(-1); return nil }

func TestSpreadDoesEveryRunOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, parts := rapid.IntRange(1, 12).Draw(t, "jobs"), rapid.IntRange(1, 5).Draw(t, "parts")
		workers := rapid.IntRange(1, 6).Draw(t, "workers")
		broken := rapid.IntRange(-1, n*parts-1).Draw(t, "broken run")
		unreadable := rapid.IntRange(-5, n-1).Draw(t, "graph that cannot be loaded")
		failure := errors.New("broken")
		runs, opened, open := make([]atomic.Int64, n*parts), make([]atomic.Int64, n), make([]atomic.Int64, n)
		jobs := make([]*job, n)
		for i := range jobs {
			jobs[i] = &job{
				tallies: make([]tally, parts),
				open: func() (network, error) {
					opened[i].Add(1)
					if i == unreadable {
						return nil, failure
					}
					open[i].Add(1)
					return standIn{open: &open[i]}, nil
				},
				run: func(_ context.Context, s network, part int) (tally, error) {
					runs[i*parts+part].Add(1)
					if i*parts+part == broken {
						return tally{}, failure
					}
					if s.(standIn).open.Load() != 1 {
						t.Errorf("job %d runs on a closed network", i)
					}
					return tally{hits: i*parts + part}, nil
				},
			}
		}
		err := spread(context.Background(), workers, jobs)
		if fails := broken >= 0 || unreadable >= 0; fails != errors.Is(err, failure) {
			t.Fatalf("broken run %d, graph that cannot be loaded %d: %v", broken, unreadable, err)
		}
		for i, j := range jobs {
			if opened[i].Load() > 1 || open[i].Load() != 0 {
				t.Errorf("job %d was opened %d times and is left open %d times", i, opened[i].Load(), open[i].Load())
			}
			for p, got := range j.tallies {
				if k := i*parts + p; runs[k].Load() > 1 || err == nil && (runs[k].Load() != 1 || got.hits != k) {
					t.Errorf("run %d of job %d was done %d times and has %d", p, i, runs[k].Load(), got.hits)
				}
			}
		}
	})
}
