package runtime_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
)

// prober tries providers in child processes of the test binary.
var prober runtime.Prober

func TestMain(m *testing.M) {
	prober = runtime.ProbeMain()
	runtime.FetchMain()
	code := m.Run()
	if err := runtimetest.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
