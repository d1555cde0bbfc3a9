package pipeline_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/store"
)

// manyStages is a document of n stages that do next to nothing.
func manyStages(n int) string {
	var doc strings.Builder
	doc.WriteString("name: many\nstages:\n  data: {kind: numbers, settings: {count: 1}, resources: {cores: 1}}\n")
	for i := range n - 1 {
		fmt.Fprintf(&doc, "  s%d: {kind: sum, inputs: {numbers: data}, resources: {cores: 1}, settings: {digits: %d}}\n", i, i)
	}
	return doc.String()
}

// What the engine itself costs. The bounds are far from what is measured on the busiest machine, so that only what has got out of
// hand fails; PLATEAU_TEST_OVERHEAD=1 holds a thousand stages to the bounds that are promised: 200 ms to plan, 5 ms a stage to
// run, 1 s to reuse all.
func TestTheEngineCostsLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short")
	}
	n, slack := 200, time.Duration(100)
	if os.Getenv("PLATEAU_TEST_OVERHEAD") != "" {
		n, slack = 1000, 1
	}
	b := newBench(t)
	doc := manyStages(n)
	timed := func(what string, limit time.Duration, do func()) {
		started := time.Now()
		do()
		took := time.Since(started)
		t.Logf("%d stages: %s took %v, %v a stage", n, what, took.Round(time.Millisecond), (took / time.Duration(n)).Round(time.Microsecond))
		if took > limit*slack {
			t.Errorf("%d stages: %s took %v, more than %v", n, what, took, limit*slack)
		}
	}
	scale := time.Duration(n)
	reopen := func() {
		var err error
		if b.store, err = store.Open(filepath.Join(b.store.Dir())); err != nil { // as another process would
			t.Fatal(err)
		}
	}
	timed("planning", 200*time.Microsecond*scale, func() { b.plan(doc, pipeline.PlanOptions{}) })
	timed("running", 5*time.Millisecond*scale, func() { b.run(doc) })
	reopen()
	timed("planning again", 200*time.Microsecond*scale, func() { b.plan(doc, pipeline.PlanOptions{}) })
	reopen()
	timed("planning and reusing", time.Millisecond*scale, func() {
		if got := len(strings.Fields(cached(b.run(doc)))); got != n {
			t.Errorf("%d reused", got)
		}
	})
}

// A large file that nobody has touched is not read again: what a failing disk would give then is not what decides.
func TestKnownFilesAreNotReadAgain(t *testing.T) {
	b := newBench(t)
	const doc = "name: toy\nstages: {blob: {kind: blob, settings: {bytes: 4000000}}}"
	if _, err := b.attempt(doc); err != nil {
		t.Fatal(err)
	}
	before := bytesRead(t)
	res, err := b.attempt(doc)
	if err != nil || cached(res) != "blob" {
		t.Fatal(err)
	}
	if n := bytesRead(t) - before; n > 2_000_000 {
		t.Errorf("%d bytes were read to reuse a file of 4000000", n)
	}
}

// bytesRead returns how many bytes this process has read from files so far.
func bytesRead(t *testing.T) int64 {
	t.Helper()
	data, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skipf("this system does not tell what is read: %v", err)
	}
	var n int64
	if _, err := fmt.Sscanf(string(data), "rchar: %d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}
