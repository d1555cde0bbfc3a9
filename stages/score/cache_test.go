package score_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/checkpoint"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/space"
)

// table answers with a number made of the architecture, and remembers what it was asked for.
type table struct {
	mu    sync.Mutex
	asked map[string]int
	calls []int // architectures a call
	err   error
}

func (e *table) Evaluate(_ context.Context, architectures []space.Architecture) ([]score.Result, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err != nil {
		return nil, e.err
	}
	if e.asked == nil {
		e.asked = map[string]int{}
	}
	e.calls = append(e.calls, len(architectures))
	out := make([]score.Result, len(architectures))
	for i, a := range architectures {
		e.asked[a.Key()]++
		out[i] = of(a)
	}
	return out, nil
}

func of(a space.Architecture) score.Result {
	loss := 0.1
	for e, op := range a {
		loss += float64(op) / float64(e+3)
	}
	return score.Result{Score: -loss, Loss: loss, Accuracy: 1 / (1 + loss)}
}

func architectures(t *rapid.T) []space.Architecture {
	sp := space.NASBench201()
	// Few different ones, so that many are met again.
	one := rapid.Custom(func(t *rapid.T) space.Architecture {
		return sp.Random(rand.New(rand.NewPCG(rapid.Uint64Range(0, 30).Draw(t, "architecture"), 0)))
	})
	return rapid.SliceOfN(one, 0, 60).Draw(t, "architectures")
}

func TestCacheAsksForEachArchitectureOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := &table{}
		c := score.NewCache(e)
		c.Chunk = rapid.IntRange(0, 7).Draw(t, "chunk")
		limit := c.Chunk
		if limit == 0 {
			limit = 32
		}
		for range 3 {
			asked := architectures(t)
			missing := c.Missing(asked)
			var told []int
			c.Answered = func(done, total int) error {
				if total != len(missing) {
					t.Fatalf("%d are wanted, %d were missing", total, len(missing))
				}
				told = append(told, done)
				return nil
			}
			got, err := c.Evaluate(context.Background(), asked)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(asked) {
				t.Fatalf("%d answers to %d architectures", len(got), len(asked))
			}
			for i, a := range asked {
				if !cmp.Equal(got[i], of(a)) {
					t.Fatalf("answer %d is %v, want %v", i, got[i], of(a))
				}
			}
			if n := (len(missing) + limit - 1) / limit; len(told) != n || n > 0 && told[n-1] != len(missing) {
				t.Fatalf("told %v of %d missing in chunks of %d", told, len(missing), limit)
			}
			if len(c.Missing(asked)) != 0 {
				t.Fatal("some are still missing")
			}
		}
		for key, n := range e.asked {
			if n != 1 {
				t.Fatalf("%q was asked for %d times", key, n)
			}
		}
		for _, n := range e.calls {
			if n < 1 || n > limit {
				t.Fatalf("%d architectures at once, chunks of %d", n, limit)
			}
		}
		if len(c.Known()) != len(e.asked) {
			t.Fatalf("%d are known, %d were asked for", len(c.Known()), len(e.asked))
		}
	})
}

func TestKnownKeepsTheOrderInWhichResultsCame(t *testing.T) {
	sp := space.NASBench201()
	c := score.NewCache(&table{})
	a, b, d := space.Architecture{0, 0, 0, 0, 0, 1}, space.Architecture{0, 0, 0, 0, 0, 2}, space.Architecture{4, 4, 4, 4, 4, 4}
	c.Add(d, of(d))
	if _, err := c.Evaluate(context.Background(), []space.Architecture{b, d, a, b}); err != nil {
		t.Fatal(err)
	}
	c.Add(b, of(b)) // again: its place stays
	if diff := cmp.Diff([]space.Architecture{d, b, a}, c.Known()); diff != "" {
		t.Errorf("order differs (-want +got):\n%s", diff)
	}
	b[0] = 3 // what the caller does with its slices afterwards does not matter
	if _, ok := c.Lookup(space.Architecture{0, 0, 0, 0, 0, 2}); !ok || c.Known()[1][0] != 0 {
		t.Error("the cache shares the caller's architecture")
	}
	if got := c.Record(sp, score.Sample{Images: 7, Batch: 5}).Scores[1].Architecture; got != sp.Format(space.Architecture{0, 0, 0, 0, 0, 2}) {
		t.Errorf("the record says %s", got)
	}
}

func TestCacheStops(t *testing.T) {
	sp := space.NASBench201()
	all := sp.Neighbors(space.Architecture{1, 1, 1, 1, 1, 1}, 1)
	t.Run("when the evaluator fails", func(t *testing.T) {
		e := &table{err: errors.New("out of order")}
		if _, err := score.NewCache(e).Evaluate(context.Background(), all); !errors.Is(err, e.err) {
			t.Error(err)
		}
	})
	t.Run("when answers are missing", func(t *testing.T) {
		if _, err := score.NewCache(silent{}).Evaluate(context.Background(), all[:2]); err == nil {
			t.Error("no error")
		}
	})
	t.Run("when the listener says so, and keeps what is known", func(t *testing.T) {
		c, stop := score.NewCache(&table{}), errors.New("disk is full")
		c.Chunk, c.Answered = 5, func(done, _ int) error {
			if done == 10 {
				return stop
			}
			return nil
		}
		if _, err := c.Evaluate(context.Background(), all); !errors.Is(err, stop) {
			t.Error(err)
		}
		if len(c.Known()) != 10 {
			t.Errorf("%d are known instead of 10", len(c.Known()))
		}
	})
	t.Run("when the context ends, between chunks", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		c := score.NewCache(&table{})
		c.Chunk, c.Answered = 5, func(int, int) error { cancel(); return nil }
		if _, err := c.Evaluate(ctx, all); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if len(c.Known()) != 5 {
			t.Errorf("%d are known instead of 5", len(c.Known()))
		}
	})
}

type silent struct{}

func (silent) Evaluate(context.Context, []space.Architecture) ([]score.Result, error) {
	return nil, nil
}

func TestCacheServesSeveralGoroutines(t *testing.T) {
	sp := space.NASBench201()
	c := score.NewCache(&table{})
	c.Chunk = 3
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			around := sp.Neighbors(space.Architecture{1, 1, 1, 1, 1, i}, 1)
			got, err := c.Evaluate(context.Background(), around)
			if err != nil {
				t.Error(err)
				return
			}
			for j, a := range around {
				if !cmp.Equal(got[j], of(a)) {
					t.Errorf("%v has the answer of another", a)
				}
			}
			c.Known()
		})
	}
	wg.Wait()
}

func filled(t *testing.T, n int) *score.Cache {
	t.Helper()
	c := score.NewCache(&table{})
	if _, err := c.Evaluate(context.Background(), space.NASBench201().Neighbors(space.Architecture{3, 2, 1, 0, 4, 3}, 1)[:n]); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRecordedScoresAreRecalled(t *testing.T) {
	sp := space.NASBench201()
	record := filled(t, 9).Record(sp, score.Sample{Images: 250, Batch: 5})
	path := filepath.Join(t.TempDir(), "scores.json")
	if err := result.WriteScores(path, record); err != nil {
		t.Fatal(err)
	}
	read, err := result.ReadScores(path)
	if err != nil {
		t.Fatal(err)
	}
	fresh := score.NewCache(&table{})
	if n := fresh.Recall(sp, score.Sample{Images: 250, Batch: 5}, read); n != 9 {
		t.Errorf("%d of 9 were recalled", n)
	}
	if diff := cmp.Diff(record, fresh.Record(sp, score.Sample{Images: 250, Batch: 5})); diff != "" {
		t.Errorf("what is recalled differs (-recorded +recalled):\n%s", diff)
	}
}

func TestMetricsAndFailuresAreRecordedAndKept(t *testing.T) {
	sp, on := space.NASBench201(), score.Sample{Evaluator: "table accuracy_12ep"}
	a, b := space.Architecture{0, 1, 2, 3, 4, 0}, space.Architecture{1, 1, 1, 1, 1, 1}
	c := score.NewCache(nil)
	c.Add(a, score.Result{Score: 71, Metrics: map[string]float64{"latency_ms": 2.5}})
	c.Add(b, score.Failed(errors.New("the board does not answer")))
	path := filepath.Join(t.TempDir(), "scores")
	if err := c.Keep(path, sp, on); err != nil {
		t.Fatal(err)
	}
	fresh := score.NewCache(nil)
	if n, err := fresh.Restore(path, sp, on); n != 2 || err != nil {
		t.Fatalf("%d of 2 restored: %v", n, err)
	}
	for _, x := range []space.Architecture{a, b} {
		want, _ := c.Lookup(x)
		got, _ := fresh.Lookup(x)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("what is restored differs (-kept +restored):\n%s", diff)
		}
	}
	if n := score.NewCache(nil).Recall(sp, score.Sample{}, c.Record(sp, on)); n != 0 {
		t.Errorf("%d scores of a table passed for those of weight sharing", n)
	}
}

func TestNumbersOfAResultByName(t *testing.T) {
	r := score.Result{Score: -2, Loss: 2, Accuracy: 0.5, Metrics: map[string]float64{"latency_ms": 7}}
	for name, want := range map[string]float64{"score": -2, "loss": 2, "accuracy": 0.5, "latency_ms": 7} {
		if got, ok := r.Metric(name); got != want || !ok {
			t.Errorf("%s is %v (%v), want %v", name, got, ok, want)
		}
	}
	if _, ok := r.Metric("energy"); ok {
		t.Error("there is a metric that was not measured")
	}
	r.Failure = "out of memory"
	if _, ok := r.Metric("latency_ms"); ok || r.OK() {
		t.Error("a failed architecture has numbers")
	}
}

func TestScoresOfOtherImagesOrSpacesAreNotRecalled(t *testing.T) {
	sp := space.NASBench201()
	for what, change := range map[string]func(*result.Scores){
		"fewer images":  func(s *result.Scores) { s.Images = 125 },
		"other batches": func(s *result.Scores) { s.Batch = 10 },
		"another space": func(s *result.Scores) { s.Space = "darts" },
	} {
		record, fresh := filled(t, 3).Record(sp, score.Sample{Images: 250, Batch: 5}), score.NewCache(&table{})
		change(record)
		if n := fresh.Recall(sp, score.Sample{Images: 250, Batch: 5}, record); n != 0 || len(fresh.Known()) != 0 {
			t.Errorf("%s: %d were recalled", what, n)
		}
	}
}

func TestKeptScoresAreRestored(t *testing.T) {
	sp, path := space.NASBench201(), filepath.Join(t.TempDir(), "scores")
	fresh := score.NewCache(&table{})
	if n, err := fresh.Restore(path, sp, score.Sample{Images: 100, Batch: 5}); n != 0 || err != nil {
		t.Errorf("nothing was kept, but %d are restored: %v", n, err)
	}
	kept := filled(t, 12)
	if err := kept.Keep(path, sp, score.Sample{Images: 100, Batch: 5}); err != nil {
		t.Fatal(err)
	}
	if n, err := fresh.Restore(path, sp, score.Sample{Images: 100, Batch: 5}); n != 12 || err != nil {
		t.Errorf("%d of 12 restored: %v", n, err)
	}
	if diff := cmp.Diff(kept.Record(sp, score.Sample{Images: 100, Batch: 5}), fresh.Record(sp, score.Sample{Images: 100, Batch: 5})); diff != "" {
		t.Errorf("what is restored differs (-kept +restored):\n%s", diff)
	}
	if n, err := score.NewCache(&table{}).Restore(path, sp, score.Sample{Images: 50, Batch: 5}); n != 0 || err != nil {
		t.Errorf("%d restored for other images: %v", n, err)
	}
}

func TestDamagedScoresAreNotRestored(t *testing.T) {
	sp, path := space.NASBench201(), filepath.Join(t.TempDir(), "scores")
	if err := filled(t, 4).Keep(path, sp, score.Sample{Images: 100, Batch: 5}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range data {
		if b < '0' || b > '9' {
			continue
		}
		data[i] = '0' + (b-'0'+1)%10 // another number, and the file is as well formed as before
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		data[i] = b
		fresh := score.NewCache(&table{})
		_, err := fresh.Restore(path, sp, score.Sample{Images: 100, Batch: 5})
		var damaged *checkpoint.Damaged
		if !errors.As(err, &damaged) || len(fresh.Known()) != 0 {
			t.Fatalf("digit %d changed: %d restored: %v", i, len(fresh.Known()), err)
		}
	}
}

func ExampleCache() {
	cache := score.NewCache(&table{})
	cache.Answered = func(done, total int) error {
		fmt.Printf("%d of %d\n", done, total)
		return nil
	}
	a, b := space.Architecture{0, 1, 2, 3, 4, 0}, space.Architecture{1, 1, 1, 1, 1, 1}
	_, _ = cache.Evaluate(context.Background(), []space.Architecture{a, b, a})
	_, _ = cache.Evaluate(context.Background(), []space.Architecture{b})
	// Output: 2 of 2
}
