package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
)

// crowd counts what runs at the same time.
type crowd struct {
	mu      sync.Mutex
	running map[string]bool
	most    int
	order   []string
}

func (c *crowd) Emit(e event.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e.Type {
	case event.StageStarted:
		c.running[e.Stage] = true
		c.order = append(c.order, e.Stage)
		c.most = max(c.most, len(c.running))
	case event.StageFinished, event.StageFailed:
		delete(c.running, e.Stage)
	}
}

func (b *bench) runner(sink event.Sink) *pipeline.Runner {
	return &pipeline.Runner{Store: b.store, Dir: b.dir, Events: sink, Version: "test", Backoff: time.Millisecond, Resources: pipeline.Resources{Cores: 4, Memory: 1000}}
}

func statuses(r *pipeline.Result) string {
	var out []string
	for _, s := range r.Stages {
		out = append(out, s.ID+" "+string(s.Status))
	}
	return strings.Join(out, ", ")
}

func TestStagesThatFitTogetherRunSideBySide(t *testing.T) {
	for resources, want := range map[string]int{
		"{}": 1, "{cores: 1}": 4, "{cores: 2}": 2, "{cores: 3}": 1, "{cores: 99}": 1, "{cores: 1, memory: 500}": 2, "{cores: 1, memory: 0.3kB}": 3,
	} {
		t.Run(resources, func(t *testing.T) {
			most := 0
			for pause := 20 * time.Millisecond; most < want && pause < 2*time.Second; pause *= 4 { // a busy machine starts them slowly
				b, c := newBench(t), &crowd{running: map[string]bool{}}
				doc := fmt.Sprintf("stages:\n  d:\n    kind: numbers\n    foreach: [1, 2, 3, 4, 5, 6]\n    resources: %s\n    settings: {count: 2, pause: %v, scale: '${item}'}\n", resources, pause)
				if _, err := b.runner(c).Run(t.Context(), b.plan(doc, pipeline.PlanOptions{})); err != nil {
					t.Fatal(err)
				}
				most = max(most, c.most)
			}
			if most != want {
				t.Errorf("%d ran side by side, want %d", most, want)
			}
		})
	}
}

// A stage that does not say what it takes is taken for what stages compute with.
func TestStagesTakeWhatTheyComputeWith(t *testing.T) {
	for cores, want := range map[int]int{0: 1, 1: 4, 2: 2, 9: 1} {
		most := 0
		for pause := 20 * time.Millisecond; most < want && pause < 2*time.Second; pause *= 4 { // a busy machine starts them slowly
			b, c := newBench(t), &crowd{running: map[string]bool{}}
			r := b.runner(c)
			r.StageCores = cores
			doc := fmt.Sprintf("stages:\n  d:\n    kind: numbers\n    foreach: [1, 2, 3, 4, 5, 6]\n    settings: {count: 2, pause: %v, scale: '${item}'}\n", pause)
			if _, err := r.Run(t.Context(), b.plan(doc, pipeline.PlanOptions{})); err != nil {
				t.Fatal(err)
			}
			most = max(most, c.most)
		}
		if most != want {
			t.Errorf("of stages on %d cores %d ran side by side on four, want %d", cores, most, want)
		}
	}
}

const branches = `
name: branches
stages:
  bad: {kind: fail}
  page: {kind: report, inputs: {total: one, extra: bad}}
  last: {kind: gather, inputs: {totals: [one, two]}}
  data: {kind: numbers}
  one: {kind: sum, inputs: {numbers: data}}
  two: {kind: mean, inputs: {numbers: data}}
`

func TestAfterAFailureNothingElseStarts(t *testing.T) {
	b := newBench(t)
	res, err := b.runner(nil).Run(t.Context(), b.plan(branches, pipeline.PlanOptions{}))
	var se *pipeline.StageError
	if !errors.As(err, &se) || se.Stage != "bad" || res.Status != pipeline.StatusFailed {
		t.Errorf("error %v, status %s", err, res.Status)
	}
	if got, want := statuses(res), "bad failed, data not_run, one not_run, page not_run, two not_run, last not_run"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestKeepGoingRunsWhatDoesNotDependOnTheFailure(t *testing.T) {
	b := newBench(t)
	r := b.runner(nil)
	r.KeepGoing = true
	res, err := r.Run(t.Context(), b.plan(branches, pipeline.PlanOptions{}))
	var se *pipeline.StageError
	if !errors.As(err, &se) || se.Stage != "bad" || res.Status != pipeline.StatusFailed {
		t.Errorf("error %v, status %s", err, res.Status)
	}
	if got, want := statuses(res), "bad failed, data done, one done, page not_run, two done, last done"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := res.Stages[3].Reason; got != "needs stage bad, which did not finish" {
		t.Errorf("page: %s", got)
	}
}

func TestErrorsThatMayPassAreTriedAgain(t *testing.T) {
	const doc = "stages: {busy: {kind: fail, settings: {how: twice}%s}}"
	b := newBench(t)
	b.saw = &recorder{}
	if _, err := b.runner(b.saw).Run(t.Context(), b.plan(fmt.Sprintf(doc, ""), pipeline.PlanOptions{})); err != nil {
		t.Error(err)
	}
	want := []string{"busy: the line is busy; trying again in 1ms (1 of 2)", "busy: the line is busy; trying again in 2ms (2 of 2)"}
	if diff := cmp.Diff(want, b.saw.messages(event.StageLog)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	b = newBench(t)
	_, err := b.runner(nil).Run(t.Context(), b.plan(fmt.Sprintf(doc, ", retries: 1"), pipeline.PlanOptions{}))
	if err == nil || !strings.Contains(err.Error(), "the line is busy") {
		t.Errorf("with one retry: %v", err)
	}
}

func TestAStageThatTakesTooLongFailsAndContinuesLater(t *testing.T) {
	b := newBench(t)
	const doc = "stages: {data: {kind: numbers, timeout: 50ms, settings: {count: 8, pause: 15ms}}}"
	for tries := 1; ; tries++ {
		res, err := b.runner(nil).Run(t.Context(), b.plan(doc, pipeline.PlanOptions{}))
		if err == nil {
			if tries < 2 {
				t.Error("it was never stopped")
			}
			break
		}
		if !strings.Contains(err.Error(), "did not end within its timeout of 50ms") || res.Status != pipeline.StatusFailed || errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("status %s, error %v", res.Status, err)
		}
		if tries > 20 {
			t.Fatal("it never gets on")
		}
	}
}

func TestWhichStagesARunIsAbout(t *testing.T) {
	show := func(p *pipeline.Plan) string {
		var out []string
		for _, s := range p.Stages {
			out = append(out, s.ID+" "+string(s.Action))
		}
		return strings.Join(out, ", ")
	}
	doc := strings.Replace(branches, "  bad: {kind: fail}\n", "", 1)
	doc = strings.Replace(doc, ", extra: bad", "", 1)
	fresh, done := newBench(t), newBench(t)
	done.run(doc)
	for _, c := range []struct {
		b       *bench
		options pipeline.PlanOptions
		want    string
	}{
		{fresh, pipeline.PlanOptions{Until: []string{"one"}}, "data run, one run, page skip, two skip, last skip"},
		{done, pipeline.PlanOptions{Only: []string{"one"}}, "data reuse, one reuse, page skip, two skip, last skip"},
		{done, pipeline.PlanOptions{Only: []string{"one"}, Force: true}, "data reuse, one run, page skip, two skip, last skip"},
		{done, pipeline.PlanOptions{From: []string{"one"}, Force: true}, "data reuse, one run, page run, two reuse, last run"},
		{done, pipeline.PlanOptions{From: []string{"one"}, Until: []string{"last"}, Force: true}, "data reuse, one run, page skip, two reuse, last run"},
		{done, pipeline.PlanOptions{Only: []string{"data", "two"}, Force: true}, "data run, one skip, page skip, two run, last skip"},
	} {
		if got := show(c.b.plan(doc, c.options)); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.options, got, c.want)
		}
	}
	res, err := fresh.try(t.Context(), doc, pipeline.PlanOptions{Until: []string{"one"}})
	if err != nil || res.Status != pipeline.StatusDone || statuses(res) != "data done, one done, page not_run, two not_run, last not_run" {
		t.Errorf("%v, %s", err, statuses(res))
	}
	for _, c := range []struct {
		options pipeline.PlanOptions
		want    string
	}{
		{pipeline.PlanOptions{Only: []string{"last"}}, "--only last: it needs stage two, which is not chosen and must run: it has not run before"},
		{pipeline.PlanOptions{From: []string{"tow"}}, "--from tow: the document has no such stage\n  did you mean two?"},
	} {
		d, err := pipeline.Load("toy.yaml", []byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		_, err = d.Plan(t.Context(), fresh.registry(), fresh.store, c.options)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %s", c.options, err, c.want)
		}
	}
}

// tangle is a document of random shape, with what each stage reads and takes.
type tangle struct {
	document string
	reads    map[string][]string
	cores    map[string]int
}

var tangles = rapid.Custom(func(t *rapid.T) tangle {
	out := tangle{
		document: "stages:\n  data: {kind: numbers, resources: {cores: 1}}\n  first: {kind: sum}\n",
		reads:    map[string][]string{"first": {"data"}, "all": {"first"}},
		cores:    map[string]int{"data": 1, "first": 3, "all": 3},
	}
	list := "first"
	for i := range rapid.IntRange(1, 8).Draw(t, "stages") {
		id := fmt.Sprintf("s%d", i)
		out.reads[id], out.cores[id] = []string{"data"}, rapid.IntRange(1, 3).Draw(t, "cores")
		out.document += fmt.Sprintf("  %s: {kind: sum, inputs: {numbers: data}, resources: {cores: %d}, settings: {digits: %d}}\n",
			id, out.cores[id], rapid.IntRange(0, 9).Draw(t, "digits"))
		if rapid.Bool().Draw(t, "gathered") {
			list += ", " + id
			out.reads["all"] = append(out.reads["all"], id)
		}
	}
	out.document += "  all: {kind: gather, inputs: {totals: [" + list + "]}}\n"
	return out
})

// Whatever the shape of the graph, each stage runs once, after all that it reads, and within the budget.
func TestEveryOrderOfARunIsRight(t *testing.T) {
	for seed := range 15 { // each is a run with files, so these are fewer than a property's usual hundred
		tangle := tangles.Example(seed)
		b := newBench(t)
		var mu sync.Mutex
		busy, done := 0, map[string]bool{}
		r := b.runner(event.Func(func(e event.Event) {
			mu.Lock()
			defer mu.Unlock()
			switch e.Type {
			case event.StageStarted:
				for _, in := range tangle.reads[e.Stage] {
					if !done[in] {
						t.Errorf("%s started before %s had ended", e.Stage, in)
					}
				}
				if busy += tangle.cores[e.Stage]; busy > 3 {
					t.Errorf("%d cores are taken", busy)
				}
			case event.StageFinished:
				busy -= tangle.cores[e.Stage]
				done[e.Stage] = true
			case event.StageReused: // two stages that compute the same
				done[e.Stage] = true
			}
		}))
		r.Resources = pipeline.Resources{Cores: 3}
		res, err := r.Run(t.Context(), b.plan(tangle.document, pipeline.PlanOptions{}))
		if err != nil || slices.ContainsFunc(res.Stages, func(s *pipeline.StageResult) bool { return s.Status != pipeline.StatusDone }) {
			t.Fatalf("%v: %s\n%s", err, statuses(res), tangle.document)
		}
	}
}
