//go:build unix

package runtime

import (
	"os/exec"
	"syscall"
)

// ownGroup puts a child and what it starts into a process group of their own, and has a cancelled context end them
// all. An interrupt from the terminal then reaches only this program, which decides.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
