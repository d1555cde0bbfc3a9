package fsx

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
)

// Pending is files that have been written and renamed but not yet synced. To sync each of a thousand small files on its own takes
// seconds; together they take one flush of the file system. The zero value is empty and ready.
type Pending struct {
	mu    sync.Mutex
	files []string
}

// manyFiles is from how many files on the whole file system is flushed instead of each.
const manyFiles = 64

// Add notes that the file at path, and its name, are not on the disk yet.
func (p *Pending) Add(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files = append(p.files, path)
}

// Flush brings all that was added before to the disk, in that order. Files that are gone are no error.
func (p *Pending) Flush() error {
	p.mu.Lock()
	files := p.files
	p.files = nil
	p.mu.Unlock()
	if len(files) == 0 {
		return nil
	}
	if len(files) >= manyFiles && syncFileSystem(filepath.Dir(files[0])) == nil {
		return nil
	}
	dirs := map[string]bool{}
	for _, f := range files {
		if err := SyncFile(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("writing %s to the disk: %w", f, err)
		}
		dirs[filepath.Dir(f)] = true
	}
	for d := range dirs {
		if err := SyncDir(d); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("writing the folder %s to the disk: %w", d, err)
		}
	}
	return nil
}
