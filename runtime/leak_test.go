package runtime_test

import (
	"bytes"
	"os"
	goruntime "runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/internal/tinymodel"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
)

// residentKiB returns the memory that this process holds, after what Go can give back is given back.
func residentKiB(t *testing.T) int {
	t.Helper()
	if goruntime.GOOS != "linux" {
		t.Skip("reads the resident size as Linux tells it")
	}
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := bytes.Cut(status, []byte("VmRSS:"))
	n, err := strconv.Atoi(strings.Fields(string(after))[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// flat runs something often enough to settle, then more often, and fails when the memory has grown meanwhile.
func flat(t *testing.T, settle, more, allowedKiB int, run func()) {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector keeps memory of its own")
	}
	for range settle {
		run()
	}
	before := residentKiB(t)
	for range more {
		run()
	}
	if grown := residentKiB(t) - before; grown > allowedKiB {
		t.Errorf("memory grew by %d KiB over %d rounds, at most %d allowed", grown, more, allowedKiB)
	}
}

// Each step reads and writes 64 KiB, so a lost buffer would show after a few rounds.
const leakSize = 8192

func TestMemoryIsFlatOverSteps(t *testing.T) {
	rt := runtimetest.Open(t)
	w := newState(t, rt, make([]float32, leakSize)...)
	step := newStep(t, rt, counter(leakSize), map[string]*runtime.State{"w": w})
	flat(t, 500, 5000, 2048, func() {
		if err := step.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestMemoryIsFlatOverRuns(t *testing.T) {
	s := newSession(t, runtimetest.Open(t), tinymodel.Model{
		Inputs:  []tinymodel.Value{floats("x", -1)},
		Outputs: []tinymodel.Value{floats("y", -1)},
		Nodes:   []tinymodel.Node{node("Relu", "y", "x")},
	}.Bytes(), runtime.SessionOptions{})
	x := runtime.Tensor{Shape: []int64{leakSize}, Data: make([]float32, leakSize)}
	flat(t, 500, 3000, 4096, func() {
		if _, err := s.Run(t.Context(), map[string]runtime.Tensor{"x": x}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestMemoryIsFlatOverSessions(t *testing.T) {
	rt := runtimetest.Open(t)
	flat(t, 50, 250, 4096, func() {
		w, err := rt.NewState(leakSize)
		if err != nil {
			t.Fatal(err)
		}
		step, err := rt.NewStep(counter(leakSize), runtime.StepOptions{States: map[string]*runtime.State{"w": w}})
		if err != nil {
			t.Fatal(err)
		}
		if err := step.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := step.Close(); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := rt.NewSession([]byte("no model"), runtime.SessionOptions{}); err == nil {
			t.Fatal("no model was loaded")
		}
	})
}

func TestMemoryIsFlatOverFailedSteps(t *testing.T) {
	rt := runtimetest.Open(t)
	w := newState(t, rt, 1)
	flat(t, 50, 200, 4096, func() {
		if step, err := rt.NewStep(counter(leakSize), runtime.StepOptions{States: map[string]*runtime.State{"w": w}}); err == nil {
			step.Close()
			t.Fatal("a state of another length was taken")
		}
	})
}
