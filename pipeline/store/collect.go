package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// ErrInUse is wrapped by the error of Collect while a run uses the store.
var ErrInUse = errors.New("a run is using the store")

// CollectOptions say what Collect may remove. What a run directory names always stays.
type CollectOptions struct {
	// MaxBytes is the size to which the store is brought, oldest results first. 0 removes all results that no run names.
	MaxBytes int64
	// Age keeps results that finished later than so long ago.
	Age time.Duration
	// DryRun only counts.
	DryRun bool
}

// Collected is what Collect removed, or would have.
type Collected struct {
	Before  int64 // bytes of all artifacts and checkpoints in the store
	After   int64
	Records int // finished stages
	Objects int // artifacts
	Scratch int // checkpoints of unfinished stages
	Corrupt int // damaged files that had been set aside
	Runs    int // notes of run directories that are gone
	Named   int // finished stages that run directories name
}

// Collect removes what no run directory names any more. It has the store to itself: the error wraps ErrInUse while a run is using
// it. A record is removed before its artifacts, so that whenever Collect is killed no record is left without them.
func (s *Store) Collect(ctx context.Context, o CollectOptions) (*Collected, error) {
	l := flock.New(s.path("locks", "use.lock"))
	ok, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("locking the store %s: %w", s.root, err)
	}
	if !ok {
		return nil, fmt.Errorf("removing unneeded results from %s: %w; wait for it to end", s.root, ErrInUse)
	}
	defer func() { _ = l.Close() }() // it holds no data
	c := &collector{store: s, options: o, keep: map[string]bool{}, digests: map[string]bool{}, sizes: map[string]int64{}}
	if err := c.run(ctx); err != nil {
		return nil, fmt.Errorf("removing unneeded results from %s: %w", s.root, err)
	}
	return &c.out, nil
}

type collector struct {
	store   *Store
	options CollectOptions
	keep    map[string]bool  // keys that runs name
	digests map[string]bool  // objects that stay
	sizes   map[string]int64 // of the objects, by digest
	records []*Record        // that no run names, oldest first
	out     Collected
}

func (c *collector) run(ctx context.Context) error {
	for _, step := range []func() error{c.roots, c.readObjects, c.readRecords, c.removeScratch, c.removeRecords, c.removeObjects, c.removeRest} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// roots finds what runs name.
func (c *collector) roots() error {
	runs, err := c.store.Runs()
	if err != nil {
		return err
	}
	for _, r := range runs {
		if r.gone() {
			c.out.Runs++
			if err := c.remove(c.store.runPath(r.Dir)); err != nil {
				return err
			}
			continue
		}
		keys, digests := r.names()
		for _, k := range keys {
			c.keep[k] = true
		}
		for _, d := range digests {
			c.digests[d] = true
		}
	}
	return nil
}

func (c *collector) readObjects() error {
	root := c.store.path("objects", "sha256")
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		digest := digestPrefix + filepath.Base(filepath.Dir(path)) + d.Name()
		c.sizes[digest] = info.Size()
		c.out.Before += info.Size()
		return nil
	})
}

func (c *collector) readRecords() error {
	err := filepath.WalkDir(c.store.path("stages"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		key := strings.TrimSuffix(d.Name(), ".json")
		r, err := c.store.Record(key)
		var corrupt *CorruptError
		switch {
		case errors.As(err, &corrupt): // set aside: what it named is in nobody's record now
			return nil
		case err != nil:
			return err
		case r == nil:
			return nil
		}
		if c.keep[key] {
			c.out.Named++
			c.hold(r)
		} else {
			c.records = append(c.records, r)
		}
		return nil
	})
	slices.SortFunc(c.records, func(a, b *Record) int {
		return cmp.Or(a.Finished.Compare(b.Finished), strings.Compare(a.Key, b.Key))
	})
	return err
}

// hold keeps the objects of a record.
func (c *collector) hold(r *Record) {
	for _, o := range r.Outputs {
		c.digests[o.Digest] = true
	}
}

// removeScratch removes checkpoints of stages that no run names.
func (c *collector) removeScratch() error {
	entries, err := os.ReadDir(c.store.path("scratch"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		dir := c.store.path("scratch", e.Name())
		size := folderSize(dir)
		c.out.Before += size
		c.out.After += size
		info, err := e.Info()
		if err != nil || c.keep[e.Name()] || time.Since(info.ModTime()) < c.options.Age {
			continue
		}
		c.out.Scratch++
		c.out.After -= size
		if !c.options.DryRun {
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

func folderSize(dir string) int64 {
	var size int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error { // what cannot be read counts as nothing
		if err == nil && !d.IsDir() {
			if info, err := d.Info(); err == nil {
				size += info.Size()
			}
		}
		return nil
	})
	return size
}

// removeRecords goes from the newest to the oldest, and keeps what fits.
func (c *collector) removeRecords() error {
	total := c.out.After
	for d := range c.digests {
		total += c.sizes[d]
	}
	for _, r := range slices.Backward(c.records) {
		more := int64(0)
		for i, o := range r.Outputs {
			twice := slices.ContainsFunc(r.Outputs[:i], func(p Output) bool { return p.Digest == o.Digest })
			if !c.digests[o.Digest] && !twice {
				more += c.sizes[o.Digest]
			}
		}
		young := time.Since(r.Finished) < c.options.Age
		if young || c.options.MaxBytes > 0 && total+more <= c.options.MaxBytes {
			total += more
			c.hold(r)
			continue
		}
		c.out.Records++
		if err := c.remove(c.store.recordPath(r.Key)); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) removeObjects() error {
	for digest, size := range c.sizes {
		if c.digests[digest] {
			c.out.After += size
			continue
		}
		c.out.Objects++
		c.store.verified.Forget(digest)
		if err := c.remove(c.store.ObjectPath(digest)); err != nil {
			return err
		}
	}
	return nil
}

// removeRest removes damaged files, and lock files: nobody holds one, since nobody uses the store.
func (c *collector) removeRest() error {
	for _, dir := range []string{"corrupt", "locks"} {
		entries, err := os.ReadDir(c.store.path(dir))
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.Name() == "use.lock" {
				continue
			}
			if dir == "corrupt" {
				c.out.Corrupt++
			}
			if err := c.remove(c.store.path(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if c.options.DryRun {
		return nil
	}
	return c.store.SaveHints()
}

func (c *collector) remove(path string) error {
	if c.options.DryRun {
		return nil
	}
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
