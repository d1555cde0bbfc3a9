package fsx

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Pending is files that have been written and renamed but not yet synced. To sync each of a thousand small files after it was
// written takes seconds; side by side the file system brings many to the disk at once. The zero value is empty and ready.
type Pending struct {
	mu    sync.Mutex
	files []string
}

// syncers is how many files are synced side by side.
const syncers = 16

// Add notes that the file at path, and its name, are not on the disk yet.
func (p *Pending) Add(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files = append(p.files, path)
}

// Flush brings all that was added before to the disk, the files before their names. Files that are gone are no error.
func (p *Pending) Flush() error {
	p.mu.Lock()
	files := p.files
	p.files = nil
	p.mu.Unlock()
	dirs := map[string]bool{}
	for _, f := range files {
		dirs[filepath.Dir(f)] = true
	}
	if err := syncAll(files, SyncFile); err != nil {
		return err
	}
	return syncAll(slices.Collect(maps.Keys(dirs)), SyncDir)
}

func syncAll(paths []string, do func(string) error) error {
	var g errgroup.Group
	g.SetLimit(syncers)
	for _, path := range paths {
		g.Go(func() error {
			if err := do(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("writing %s to the disk: %w", path, err)
			}
			return nil
		})
	}
	return g.Wait()
}
