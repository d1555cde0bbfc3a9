package table_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/table"
)

// The neighbors by rank are those of the space, in its order.
func TestNeighborsAreThoseOfTheSpace(t *testing.T) {
	tab := synthetic(t)
	rapid.Check(t, func(t *rapid.T) {
		rank, radius := rapid.IntRange(0, tab.Size()-1).Draw(t, "rank"), rapid.IntRange(0, 3).Draw(t, "radius")
		var want []int32
		for _, a := range tab.Space().Neighbors(tab.Architecture(rank), radius) {
			want = append(want, int32(tab.Rank(a)))
		}
		if got := tab.AppendNeighbors(nil, rank, radius); !slices.Equal(want, got) {
			t.Fatalf("radius %d of rank %d: %v, want %v", radius, rank, got, want)
		}
	})
}

// What the whole table is aggregated to is what drawing and aggregating each neighborhood gives, to the last bit.
func TestAggregateIsTheAggregatorOverTheDrawnNeighborhood(t *testing.T) {
	tab := synthetic(t)
	values := column(t, tab, "cifar100_valid")
	rng := rand.New(rand.NewPCG(7, 8))
	for _, name := range neighborhood.Aggregators() {
		for radius := range 3 {
			if radius == 2 && name != "weighted_mean" {
				continue // takes its time, and only there distances differ
			}
			st := neighborhood.DefaultSettings()
			st.Aggregate, st.Radius, st.IncludeCenter = name, radius, rng.IntN(2) == 0
			st.Equivalents = neighborhood.Equivalents()[rng.IntN(3)]
			got, err := tab.Aggregate(t.Context(), values, st)
			if err != nil {
				t.Fatal(err)
			}
			agg, err := neighborhood.New(st.AggregatorSettings)
			if err != nil {
				t.Fatal(err)
			}
			for range 20 {
				rank := rng.IntN(tab.Size())
				center := tab.Architecture(rank)
				var scores, distances []float64
				for _, a := range neighborhood.Draw(tab.Space(), center, st, nil) {
					scores = append(scores, values[tab.Rank(a)])
					distances = append(distances, float64(space.Distance(a, center)))
				}
				want := agg.Aggregate(scores, distances)
				if radius == 0 {
					want = values[rank]
				}
				if got[rank] != want {
					t.Errorf("%s at radius %d, rank %d: %v, want %v", name, radius, rank, got[rank], want)
				}
			}
		}
	}
}

func TestAggregateLeavesOutWhatIsMissing(t *testing.T) {
	tab := load(t, table.Options{Benchmark: tiny()}, write(t, "a.csv", joined()))
	values := make([]float64, tab.Size())
	for i := range values {
		values[i] = float64(i)
	}
	// Rank 0 has the neighbors 1, 2, 3, 6, 9 and 18.
	values[2], values[18], values[26] = math.NaN(), math.NaN(), math.NaN()
	st := neighborhood.DefaultSettings()
	got, err := tab.Aggregate(t.Context(), values, st)
	if err != nil {
		t.Fatal(err)
	}
	if want := (0.0 + 1 + 3 + 6 + 9) / 5; math.Abs(got[0]-want) > 1e-12 || !math.IsNaN(got[26]) {
		t.Errorf("rank 0: %v, want %v; rank 26, which has no value: %v", got[0], want, got[26])
	}
	for name, change := range map[string]func(*neighborhood.Settings){
		"radius":    func(s *neighborhood.Settings) { s.Radius = 4 },
		"samples":   func(s *neighborhood.Settings) { s.Samples = 2 },
		"aggregate": func(s *neighborhood.Settings) { s.Aggregate = "mode" },
	} {
		wrong := st
		change(&wrong)
		if _, err := tab.Aggregate(t.Context(), values, wrong); err == nil {
			t.Errorf("wrong %s: no error", name)
		}
	}
	if _, err := tab.Aggregate(t.Context(), values[:3], st); err == nil {
		t.Error("too few values: no error")
	}
}

// The bounds are many times what it takes, so that only another order of growth breaks them; BenchmarkAggregate and
// BenchmarkEvaluate tell how long it takes.
func TestQueriesAreQuick(t *testing.T) {
	tab := synthetic(t)
	values := column(t, tab, "cifar100_valid")
	e, err := table.NewEvaluator(tab, "cifar100_valid")
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Collect(tab.Space().All())
	mean, query := time.Hour, time.Hour
	for range 5 {
		start := time.Now()
		if _, err := tab.Aggregate(t.Context(), values, neighborhood.DefaultSettings()); err != nil {
			t.Fatal(err)
		}
		mean = min(mean, time.Since(start))
		start = time.Now()
		if _, err := e.Evaluate(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		query = min(query, time.Since(start)/time.Duration(len(all)))
	}
	if mean > 500*time.Millisecond {
		t.Errorf("the neighborhood mean of all architectures takes %v", mean)
	}
	if query > 50*time.Microsecond {
		t.Errorf("a query takes %v", query)
	}
}

func BenchmarkAggregate(b *testing.B) {
	tab := synthetic(b)
	values := column(b, tab, "cifar100_valid")
	for _, name := range []string{"mean", "median", "mean_std"} {
		b.Run(name, func(b *testing.B) {
			st := neighborhood.DefaultSettings()
			st.Aggregate = name
			for b.Loop() {
				if _, err := tab.Aggregate(b.Context(), values, st); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEvaluate(b *testing.B) {
	tab := synthetic(b)
	e, err := table.NewEvaluator(tab, "cifar100_valid")
	if err != nil {
		b.Fatal(err)
	}
	one := []space.Architecture{tab.Architecture(777)}
	for b.Loop() {
		if _, err := e.Evaluate(b.Context(), one); err != nil {
			b.Fatal(err)
		}
	}
}
