//go:build unix

package command

import (
	"os/exec"
	"syscall"
)

// ownGroup puts the program and what it starts into a process group of their own, and has an ended context end them all.
// An interrupt from the terminal then reaches only this program, which decides.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// endGroup ends what the program has left running. The group of a program that left nothing is gone, which is no error.
func endGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
