//go:build !unix

package command

import "os/exec"

// ownGroup does nothing where there are no process groups to signal: an ended context ends the program alone.
func ownGroup(*exec.Cmd) {}

// endGroup does nothing there either.
func endGroup(*exec.Cmd) {}
