package stagetest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
)

// shared is the runtime of tests that load many training graphs and run each a few times.
var shared struct {
	once    sync.Once
	runtime *runtime.Runtime
	err     error
}

// Runtime returns a runtime that the tests of this process share and that loads graphs as they are: for graphs that run
// a few times only, rewriting them takes most of the time. Main closes it.
func Runtime(t testing.TB) *runtime.Runtime {
	t.Helper()
	if os.Getenv(runtimetest.NoRuntimeVariable) != "" {
		t.Skipf("%s is set", runtimetest.NoRuntimeVariable)
	}
	shared.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		s := runtimetest.Settings()
		s.Optimization = "off"
		shared.runtime, shared.err = runtime.Open(ctx, s)
	})
	if shared.err != nil {
		t.Fatalf("ONNX Runtime is needed by this test (set %s to skip those that need it): %v", runtimetest.NoRuntimeVariable, shared.err)
	}
	return shared.runtime
}

// Opener returns an opener of Runtime.
func Opener(t testing.TB) runtime.Opener {
	t.Helper()
	return func(context.Context) (*runtime.Runtime, error) { return Runtime(t), nil }
}

// Main runs a package's tests, closes what they share and fails when goroutines are left:
//
//	func TestMain(m *testing.M) { stagetest.Main(m) }
func Main(m *testing.M) {
	code := m.Run()
	if shared.runtime != nil {
		if err := shared.runtime.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "close the shared runtime:", err)
			code = max(code, 1)
		}
	}
	if err := runtimetest.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "close the shared runtime:", err)
		code = max(code, 1)
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}
