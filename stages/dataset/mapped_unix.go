//go:build unix

package dataset

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// mapFile returns the content of a file as memory that must not be written to, and a function that ends the mapping.
func mapFile(path string) (b []byte, unmap func() error, err error) {
	none := func() error { return nil }
	file, err := os.Open(path)
	if err != nil {
		return nil, none, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return nil, none, err // nothing cannot be mapped
	}
	b, err = unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, none, &os.PathError{Op: "mmap", Path: path, Err: err}
	}
	return b, func() error { return unix.Munmap(b) }, nil
}
