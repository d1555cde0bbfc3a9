//go:build unix

package train

import (
	"time"

	"golang.org/x/sys/unix"
)

// processorTime returns what the process has used of all processors so far, or a negative time when that is not known.
func processorTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return -1
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
