// Package fsx writes files so that a reader, or a process that is killed in the middle, never meets half of one.
package fsx

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// WriteFile puts data at path: it writes a temporary file in tmpDir, which must be on path's file system, syncs it
// and renames it. Readers see the old bytes or the new ones. The folder of path must exist.
func WriteFile(tmpDir, path string, data []byte, perm os.FileMode) error {
	return write(tmpDir, path, perm, true, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// WriteHint is WriteFile without the sync, for files whose loss in a power cut costs nothing but an explanation. A killed
// process leaves the old bytes or the new ones here, too.
func WriteHint(tmpDir, path string, data []byte, perm os.FileMode) error {
	return write(tmpDir, path, perm, false, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Write is WriteFile for bytes that fill writes. When fill fails nothing is left behind.
func Write(tmpDir, path string, perm os.FileMode, fill func(io.Writer) error) error {
	return write(tmpDir, path, perm, true, fill)
}

// WriteHintFrom is WriteHint for bytes that fill writes.
func WriteHintFrom(tmpDir, path string, perm os.FileMode, fill func(io.Writer) error) error {
	return write(tmpDir, path, perm, false, fill)
}

func write(tmpDir, path string, perm os.FileMode, sync bool, fill func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(tmpDir, ".write-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close() // already failing; the first error is the one to report
			_ = os.Remove(f.Name())
			err = fmt.Errorf("writing %s: %w", path, err)
		}
	}()
	if err = fill(f); err != nil {
		return err
	}
	if err = f.Chmod(perm); err != nil {
		return err
	}
	if sync {
		if err = f.Sync(); err != nil {
			return err
		}
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil || !sync {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncFile flushes the file at path to the disk. The file may be read-only.
func SyncFile(path string) error {
	f, err := os.Open(path)
	if runtime.GOOS == "windows" { // it flushes only what is open for writing
		f, err = os.OpenFile(path, os.O_RDWR, 0)
		if errors.Is(err, fs.ErrPermission) {
			return nil
		}
	}
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// SyncDir flushes a folder, so that the names in it survive a power cut. Windows has no such call and needs none.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		_ = d.Close()
		return err
	}
	return d.Close()
}
