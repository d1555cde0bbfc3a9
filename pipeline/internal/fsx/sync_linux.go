package fsx

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncFileSystem flushes everything that was written to the file system of dir.
func syncFileSystem(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }() // nothing was written through it
	return unix.Syncfs(int(d.Fd()))
}
