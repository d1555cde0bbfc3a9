// Command plateau searches for neural architectures that sit on a plateau instead of a peak, and leaves a verified
// ONNX model. See plateau --help.
package main

import (
	"os"

	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages"
)

// version is set when a release is built: -ldflags "-X main.version=1.2.3".
var version string

func main() {
	prober := runtime.ProbeMain() // in a child process that tries a provider, this does not return
	os.Exit(execute(&app{
		args:     os.Args[1:],
		stdout:   os.Stdout,
		stderr:   os.Stderr,
		registry: stages.Registry,
		prober:   prober,
	}))
}
