package runtime_test

import (
	"testing"

	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
)

// What a step costs besides its arithmetic.
func BenchmarkStepOverhead(b *testing.B) {
	rt := runtimetest.Open(b)
	w := newState(b, rt, 1)
	step := newStep(b, rt, counter(1), map[string]*runtime.State{"w": w})
	b.ReportAllocs()
	for b.Loop() {
		if err := step.Run(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
