// Package runtimetest opens ONNX Runtime for tests, the way users get it: from PLATEAU_ONNXRUNTIME, the system or
// the user's cache, else fetched with npm.
package runtimetest

import (
	"context"
	"fmt"
	"os"
	goruntime "runtime"
	"sync"
	"testing"
	"time"

	"github.com/plateau-nas/plateau/runtime"
)

// NoRuntimeVariable is the environment variable that, when set to anything, skips tests that need ONNX Runtime.
const NoRuntimeVariable = "PLATEAU_TEST_NO_RUNTIME"

// shared is the runtime of this test process. Loading the library for each test would dominate their time.
var shared struct {
	once    sync.Once
	runtime *runtime.Runtime
	err     error
}

// Settings returns what Open uses: the CPU with at most two threads, so that results do not depend on the machine's
// number of cores beyond that and packages tested side by side do not fight for them.
func Settings() runtime.Settings {
	return runtime.Settings{
		Library:  os.Getenv(runtime.LibraryVariable),
		CacheDir: os.Getenv(runtime.CacheVariable),
		Provider: runtime.ProviderCPU,
		Threads:  min(2, goruntime.GOMAXPROCS(0)),
		Log:      func(line string) { fmt.Fprintln(os.Stderr, line) },
	}
}

// Open returns the runtime that the tests of this process share, opened at the first call. Tests do not close it. A
// library that cannot be had fails the test; only PLATEAU_TEST_NO_RUNTIME skips it.
func Open(t testing.TB) *runtime.Runtime {
	t.Helper()
	if os.Getenv(NoRuntimeVariable) != "" {
		t.Skipf("%s is set", NoRuntimeVariable)
	}
	shared.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		shared.runtime, shared.err = runtime.Open(ctx, Settings())
	})
	if shared.err != nil {
		t.Fatalf("ONNX Runtime is needed by this test (set %s to skip those that need it): %v", NoRuntimeVariable, shared.err)
	}
	return shared.runtime
}

// Opener returns an opener of the shared runtime, for what is tested through one.
func Opener(t testing.TB) runtime.Opener {
	t.Helper()
	return func(context.Context) (*runtime.Runtime, error) { return Open(t), nil }
}

// Main runs a package's tests and then closes the shared runtime, which shows what they left open:
//
//	func TestMain(m *testing.M) { runtimetest.Main(m) }
func Main(m *testing.M) {
	code := m.Run()
	if err := Close(); err != nil {
		fmt.Fprintln(os.Stderr, "close the shared runtime:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// Close closes the shared runtime if a test has opened it. Only a TestMain that does not use Main calls it.
func Close() error {
	if shared.runtime == nil {
		return nil
	}
	return shared.runtime.Close()
}
