// Command plateau searches for neural architectures that sit on a plateau instead of a peak, and leaves a verified
// ONNX model. See plateau --help.
package main

import "github.com/plateau-nas/plateau/cmd"

// version is set when a release is built: -ldflags "-X main.version=1.2.3".
var version string

func main() {
	cmd.Main(cmd.Options{Version: version})
}
