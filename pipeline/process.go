package pipeline

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"syscall"
)

// processThere says whether a process with the id, as text, runs on this machine.
func processThere(text string) bool {
	pid, err := strconv.Atoi(text)
	if err != nil || pid < 1 {
		return false
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	defer func() { _ = p.Release() }() // nothing was waited for
	if runtime.GOOS == "windows" {
		return true // it is found only when it is there
	}
	err = p.Signal(syscall.Signal(0))
	return err == nil || errors.Is(err, os.ErrPermission)
}
