package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// lockPoll is how often a process that waits for another one's lock tries again.
const lockPoll = 100 * time.Millisecond

// Lock takes the lock of key, so that one process at a time computes it. When another holds it, waiting is called once (nil
// is allowed) and Lock waits until it is free or ctx is done. The lock ends with unlock, or with the process.
func (s *Store) Lock(ctx context.Context, key string, waiting func()) (unlock func(), err error) {
	l := flock.New(s.lockPath(key))
	ok, err := l.TryLock()
	if err == nil && !ok {
		if waiting != nil {
			waiting()
		}
		_, err = l.TryLockContext(ctx, lockPoll) // false only with an error
	}
	if err != nil {
		return nil, fmt.Errorf("locking stage key %s in the store: %w", key, err)
	}
	// The file stays: were it removed, a process that waits on it and one that makes it anew would both hold "the" lock.
	return func() { _ = l.Close() }, nil
}

func (s *Store) lockPath(key string) string { return s.path("locks", key+".lock") }

// Work is the place where a stage is computed.
type Work struct {
	Checkpoint string // kept over kill -9, the same whenever the key is computed
	Outputs    string // empty at the start
	dir        string
}

func workIn(dir string) *Work {
	return &Work{Checkpoint: filepath.Join(dir, "checkpoint"), Outputs: filepath.Join(dir, "outputs"), dir: dir}
}

// Work prepares the folders of key. The caller holds its lock. When fresh, an earlier checkpoint is removed first.
func (s *Store) Work(key string, fresh bool) (*Work, error) {
	dir := s.path("scratch", key)
	w := workIn(dir)
	err := os.Mkdir(dir, 0o777)
	if errors.Is(err, fs.ErrExist) {
		stale := w.Outputs
		if fresh {
			stale = dir
		}
		if err := os.RemoveAll(stale); err != nil {
			return nil, fmt.Errorf("clearing the scratch folder %s: %w", stale, err)
		}
		err = os.MkdirAll(dir, 0o777)
	}
	for _, d := range []string{w.Checkpoint, w.Outputs} {
		if err == nil {
			err = os.Mkdir(d, 0o777)
		}
		if errors.Is(err, fs.ErrExist) {
			err = nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("preparing the scratch folder %s: %w", dir, err)
	}
	return w, nil
}

// Remove removes the folders, once the stage has been recorded.
func (w *Work) Remove() error {
	// As a rule the folders are empty by now, and to remove them so is cheaper.
	if os.Remove(w.Checkpoint) == nil && os.Remove(w.Outputs) == nil && os.Remove(w.dir) == nil {
		return nil
	}
	if err := os.RemoveAll(w.dir); err != nil {
		return fmt.Errorf("removing the scratch folder %s: %w", w.dir, err)
	}
	return nil
}

// RemoveStaleWork removes the scratch folders of a key that has been recorded: a process that was killed right after it had
// written the record leaves them. They stay when another process holds the key's lock.
func (s *Store) RemoveStaleWork(key string) error {
	dir := s.path("scratch", key)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	l := flock.New(s.lockPath(key))
	ok, err := l.TryLock()
	if err != nil {
		return fmt.Errorf("locking stage key %s in the store: %w", key, err)
	}
	defer func() { _ = l.Close() }() // it holds no data
	if !ok {
		return nil
	}
	return workIn(dir).Remove()
}

// HasCheckpoint says whether an earlier, unfinished computation of key left something to continue from.
func (s *Store) HasCheckpoint(key string) bool {
	found := false
	// An unreadable folder counts as no checkpoint; the stage that meets it says what is wrong.
	_ = filepath.WalkDir(s.path("scratch", key, "checkpoint"), func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		if !d.IsDir() {
			found = true
			return fs.SkipAll
		}
		return nil
	})
	return found
}
