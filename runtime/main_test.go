package runtime_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/plateau-nas/plateau/runtime/runtimetest"
)

func TestMain(m *testing.M) { _ = goleak.IgnoreCurrent; runtimetest.Main(m) }
