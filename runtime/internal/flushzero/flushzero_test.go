package flushzero_test

import (
	"math"
	"runtime"
	"testing"

	"github.com/plateau-nas/plateau/runtime/internal/flushzero"
)

//go:noinline
func product(a, b float32) float32 { return a * b }

func denormal() float32 { return product(float32(math.Ldexp(1, -100)), float32(math.Ldexp(1, -40))) }

func TestDenormalsAreZeroBetweenEnterAndLeave(t *testing.T) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("denormals stay as they are on this processor")
	}
	if denormal() == 0 {
		t.Fatal("denormals are zero before Enter")
	}
	outer := flushzero.Enter()
	if got := denormal(); got != 0 {
		t.Errorf("a denormal product is %g after Enter, expected 0", got)
	}
	inner := flushzero.Enter()
	flushzero.Leave(inner)
	if got := denormal(); got != 0 {
		t.Errorf("a denormal product is %g after an inner Leave, expected 0", got)
	}
	flushzero.Leave(outer)
	if denormal() == 0 {
		t.Error("denormals are zero after Leave")
	}
}

func TestKeepUndoesWhatHappensInBetween(t *testing.T) {
	s := flushzero.Keep()
	if denormal() == 0 {
		t.Error("Keep itself changes how denormals are treated")
	}
	flushzero.Enter()
	flushzero.Leave(s)
	runtime.UnlockOSThread() // for the Enter without a Leave of its own
	if denormal() == 0 {
		t.Error("denormals are zero after Leave")
	}
}
