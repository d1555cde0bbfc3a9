// Package scoretest holds the tests that every evaluator passes: what package score promises of one, as a suite that an
// evaluator's own tests run in a few lines.
package scoretest

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/space"
)

// Suite says what is tested.
type Suite struct {
	Space *space.Space
	// New returns an evaluator. Two of them give the same answers. What must be closed is closed by t.Cleanup.
	New func(t *testing.T) score.Evaluator
	// Architectures is how many different ones take part; 0 means 8. Slow evaluators take few, at least 3.
	Architectures int
	// Failing are architectures that the evaluator must answer with a failure; none where nothing can fail.
	Failing []space.Architecture
	// Measured says that numbers are measurements, which differ from one time to the next. Then only which architectures
	// fail and which metrics there are is compared.
	Measured bool
	// Except names metrics that are measurements among numbers that are not, such as latency_ms. They are not compared.
	Except []string
}

// Run runs the suite.
func Run(t *testing.T, s Suite) {
	t.Helper()
	if s.Architectures == 0 {
		s.Architectures = 8
	}
	if s.Architectures < 3 {
		t.Fatalf("%d architectures cannot be put in different orders; use at least 3", s.Architectures)
	}
	r := runner{Suite: s, archs: draw(s.Space, s.Architectures, s.Failing)}
	r.first = r.evaluate(t, s.New(t), r.archs)
	t.Run("results are usable", r.usable)
	t.Run("answers do not depend on the order", r.order)
	t.Run("answers do not depend on the batch", r.batch)
	t.Run("equal architectures have equal answers", r.duplicates)
	t.Run("asked again the answers are the same", r.again)
	t.Run("nothing is asked and nothing answered", r.nothing)
	t.Run("a context that has ended ends the evaluation", r.canceled)
	t.Run("the architectures are neither changed nor kept", r.kept)
	t.Run("what is no architecture of the space is an error", r.foreign)
	if len(s.Failing) > 0 {
		t.Run("failures are marked and harm no others", r.failures)
	}
}

type runner struct {
	Suite
	archs []space.Architecture
	first []score.Result // of archs, from an evaluator of its own
}

// draw returns different architectures, none of which is to fail; the same at every call.
func draw(s *space.Space, n int, failing []space.Architecture) []space.Architecture {
	rng := rand.New(rand.NewPCG(20, 26))
	var out []space.Architecture
	for len(out) < min(n, s.Size()-len(failing)) {
		a := s.Random(rng)
		if !slices.ContainsFunc(slices.Concat(out, failing), a.Equal) {
			out = append(out, a)
		}
	}
	return out
}

func (r *runner) evaluate(t *testing.T, e score.Evaluator, archs []space.Architecture) []score.Result {
	t.Helper()
	out, err := e.Evaluate(t.Context(), archs)
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != len(archs) {
		t.Fatalf("%d answers to %d architectures", len(out), len(archs))
	}
	return out
}

// comparable takes out of results what need not be equal.
func (r *runner) comparable(results []score.Result) []score.Result {
	out := make([]score.Result, len(results))
	for i, x := range results {
		out[i] = score.Result{Failure: x.Failure, Metrics: map[string]float64{}}
		if !r.Measured {
			out[i].Score, out[i].Loss, out[i].Accuracy = x.Score, x.Loss, x.Accuracy
		}
		for name, v := range x.Metrics {
			if r.Measured || slices.Contains(r.Except, name) {
				v = 0
			}
			out[i].Metrics[name] = v
		}
	}
	return out
}

func (r *runner) same(t *testing.T, what string, want, got []score.Result) {
	t.Helper()
	if diff := cmp.Diff(r.comparable(want), r.comparable(got)); diff != "" {
		t.Errorf("%s: answers differ (-want +got):\n%s", what, diff)
	}
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func (r *runner) usable(t *testing.T) {
	for i, x := range r.first {
		a := r.Space.Format(r.archs[i])
		if !x.OK() {
			t.Errorf("%s failed: %s", a, x.Failure)
			continue
		}
		for name, v := range map[string]float64{"score": x.Score, "loss": x.Loss, "accuracy": x.Accuracy} {
			if !finite(v) {
				t.Errorf("%s: %s is %v", a, name, v)
			}
		}
		for name, v := range x.Metrics {
			if !finite(v) {
				t.Errorf("%s: metric %s is %v", a, name, v)
			}
			if _, ok := r.first[0].Metrics[name]; !ok || len(x.Metrics) != len(r.first[0].Metrics) {
				t.Errorf("%s has other metrics than %s", a, r.Space.Format(r.archs[0]))
			}
		}
	}
	if r.Measured {
		return
	}
	for _, x := range r.first {
		if x.Score != r.first[0].Score {
			return
		}
	}
	t.Errorf("%d different architectures all have the score %v", len(r.first), r.first[0].Score)
}

func (r *runner) order(t *testing.T) {
	perm := rand.New(rand.NewPCG(4, 2)).Perm(len(r.archs))
	var archs []space.Architecture
	var want []score.Result
	for _, i := range perm {
		archs, want = append(archs, r.archs[i]), append(want, r.first[i])
	}
	r.same(t, "in another order", want, r.evaluate(t, r.New(t), archs))
	slices.Reverse(archs)
	slices.Reverse(want)
	r.same(t, "in the reverse order", want, r.evaluate(t, r.New(t), archs))
}

func (r *runner) batch(t *testing.T) {
	e := r.New(t)
	for i, a := range r.archs {
		r.same(t, "alone", r.first[i:i+1], r.evaluate(t, e, []space.Architecture{a}))
	}
	half := len(r.archs) / 2
	e = r.New(t)
	r.same(t, "the second half", r.first[half:], r.evaluate(t, e, r.archs[half:]))
	r.same(t, "the first half", r.first[:half], r.evaluate(t, e, r.archs[:half]))
}

func (r *runner) duplicates(t *testing.T) {
	a, b := r.archs[0], r.archs[1]
	got := r.evaluate(t, r.New(t), []space.Architecture{a, b, a.Clone(), a, b.Clone()})
	f := r.first
	r.same(t, "with repeats", []score.Result{f[0], f[1], f[0], f[0], f[1]}, got)
}

func (r *runner) again(t *testing.T) {
	e := r.New(t)
	r.same(t, "another evaluator", r.first, r.evaluate(t, e, r.archs))
	r.same(t, "the second time", r.first, r.evaluate(t, e, r.archs))
}

func (r *runner) nothing(t *testing.T) { r.evaluate(t, r.New(t), nil) }

func (r *runner) canceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := r.New(t)
	if _, err := e.Evaluate(ctx, r.archs); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v, want one that wraps %v", err, context.Canceled)
	}
	r.same(t, "after an evaluation that was ended", r.first[:1], r.evaluate(t, e, r.archs[:1]))
}

func (r *runner) kept(t *testing.T) {
	mine := make([]space.Architecture, len(r.archs))
	for i, a := range r.archs {
		mine[i] = a.Clone()
	}
	e := r.New(t)
	first := r.evaluate(t, e, mine)
	for i, a := range mine {
		if !a.Equal(r.archs[i]) {
			t.Fatalf("%s was changed to %s", r.Space.Format(r.archs[i]), r.Space.Format(a))
		}
	}
	before := r.comparable(first)
	for _, a := range mine { // what was the slice of one architecture becomes another
		for i := range a {
			a[i] = (a[i] + 1) % len(r.Space.Operations)
		}
	}
	r.same(t, "asked again after the caller changed its slices", before, r.evaluate(t, e, r.archs))
}

func (r *runner) foreign(t *testing.T) {
	e := r.New(t)
	long := append(r.archs[0].Clone(), 0)
	beyond := r.archs[1].Clone()
	beyond[0] = len(r.Space.Operations)
	below := r.archs[1].Clone()
	below[0] = -1
	for what, a := range map[string]space.Architecture{"too long": long, "too short": r.archs[0][1:], "an operation too high": beyond, "an operation too low": below} {
		if _, err := e.Evaluate(t.Context(), []space.Architecture{r.archs[2], a}); err == nil {
			t.Errorf("%s: %v was evaluated", what, a)
		}
	}
	r.same(t, "after an error", r.first[:1], r.evaluate(t, e, r.archs[:1]))
}

func (r *runner) failures(t *testing.T) {
	e := r.New(t)
	var mixed []space.Architecture
	for i := range max(len(r.archs), len(r.Failing)) {
		mixed = append(mixed, r.Failing[i%len(r.Failing)], r.archs[i%len(r.archs)])
	}
	for i, x := range r.evaluate(t, e, mixed) {
		switch {
		case i%2 == 1:
			r.same(t, "beside a failure", r.first[(i/2)%len(r.archs):][:1], []score.Result{x})
		case x.OK():
			t.Errorf("%s was to fail and has the score %v", r.Space.Format(mixed[i]), x.Score)
		}
	}
	for i, x := range r.evaluate(t, e, r.Failing) {
		if x.OK() {
			t.Errorf("%s was to fail and alone has the score %v", r.Space.Format(r.Failing[i]), x.Score)
		}
	}
}
