//go:build unix

package dataset

import (
	"errors"
	"os"
	"unsafe"

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

// forgetMapped tells the system that a part of a mapped file is not used for now: its pages leave the memory of the process, and are
// read again where they are used after all.
func forgetMapped(part []byte) {
	page := uintptr(os.Getpagesize())
	from := uintptr(unsafe.Pointer(unsafe.SliceData(part)))
	skip := (page - from%page) % page
	if uintptr(len(part)) < skip+page {
		return
	}
	whole := (uintptr(len(part)) - skip) / page * page
	_ = unix.Madvise(part[skip:skip+whole], unix.MADV_DONTNEED) // it is but advice
}
