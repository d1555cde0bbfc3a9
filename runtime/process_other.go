//go:build !unix

package runtime

import "os/exec"

// ownGroup does nothing where there are no process groups to signal: a cancelled context ends the child alone.
func ownGroup(*exec.Cmd) {}
