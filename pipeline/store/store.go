package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/plateau-nas/plateau/pipeline/internal/fsx"
	"github.com/plateau-nas/plateau/pipeline/internal/statcache"
)

const formatLine = "plateau store 1\n"

// Store is an open store. Its methods may be called from several goroutines, and several processes may have
// the same folder open.
type Store struct {
	root string

	verified *statcache.Cache // by digest: what the objects were like when their bytes were last found right
	pending  fsx.Pending      // objects and records that are not on the disk yet

	mu     sync.Mutex
	latest map[string]*latestFile // by document
}

// DefaultDir returns the store's place when none is named: the folder plateau/store of the user's cache directory.
func DefaultDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the user's cache directory for the store: %w; name a folder with --store or PLATEAU_STORE", err)
	}
	return filepath.Join(dir, "plateau", "store"), nil
}

// Open opens the store in dir, and makes one where there is none. It fails when dir holds something else, a
// store of another format, or cannot be written.
func Open(dir string) (*Store, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", dir, err)
	}
	s := &Store{root: abs, latest: map[string]*latestFile{}}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", abs, err)
	}
	s.verified = statcache.Load(s.path("verified.json"))
	return s, nil
}

// Flush brings all that was put into the store to the disk, so that it survives a power cut. (A killed process loses nothing
// of it in any case.)
func (s *Store) Flush() error {
	if err := s.pending.Flush(); err != nil {
		return fmt.Errorf("store %s: %w", s.root, err)
	}
	return s.SaveHints()
}

// SaveHints writes what only saves time or explains: which results were the latest, and which objects are known to be right.
func (s *Store) SaveHints() error {
	if err := s.saveLatest(); err != nil {
		return err
	}
	if err := s.verified.Save(s.path("tmp"), s.path("verified.json"), s.Has); err != nil {
		return fmt.Errorf("store %s: %w", s.root, err)
	}
	return nil
}

func (s *Store) open() error {
	err := s.checkFormat()
	if errors.Is(err, fs.ErrNotExist) {
		err = s.create()
	}
	if err != nil {
		return err
	}
	for _, d := range []string{"objects/sha256", "stages", "latest", "locks", "scratch", "corrupt", "runs", "tmp"} {
		if err := os.MkdirAll(s.path(d), 0o777); err != nil {
			return err
		}
	}
	// Find out now, not after an hour of computing, that nothing can be kept.
	probe, err := os.CreateTemp(s.path("tmp"), ".probe-*")
	if err != nil {
		return fmt.Errorf("it cannot be written: %w; name another folder with --store or PLATEAU_STORE", err)
	}
	_ = probe.Close()
	_ = os.Remove(probe.Name())
	s.removeOldTemporaries()
	return nil
}

// checkFormat fails with [fs.ErrNotExist] where there is no store yet, and with an explanation where there is one of another format.
func (s *Store) checkFormat() error {
	line, err := os.ReadFile(s.path("format"))
	if err != nil {
		return err
	}
	if !bytes.Equal(line, []byte(formatLine)) {
		return fmt.Errorf("its format is %q and this version of plateau reads %q; name another folder with --store or PLATEAU_STORE",
			bytes.TrimSpace(line), formatLine[:len(formatLine)-1])
	}
	return nil
}

// removeOldTemporaries clears what killed processes were writing. Nobody writes one file for a day.
func (s *Store) removeOldTemporaries() {
	entries, err := os.ReadDir(s.path("tmp"))
	if err != nil {
		return // litter does no harm
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			_ = os.Remove(s.path("tmp", e.Name()))
		}
	}
}

// create lays out a new store. It refuses a folder that already holds other things, because a mistyped --store would
// otherwise scatter files over somebody's work.
func (s *Store) create() error {
	entries, err := os.ReadDir(s.root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if e.Name() == "tmp" { // another process may be creating the same store at this moment
			continue
		}
		// Another process may have finished creating it since the format was looked for. It writes the format first of all that
		// stays, so whatever else of a store is seen here, the format is there by now.
		if err := s.checkFormat(); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the folder holds other files (%s) and is no store; name an empty or new folder with --store or PLATEAU_STORE", e.Name())
		} else {
			return err
		}
	}
	if err := os.MkdirAll(s.path("tmp"), 0o777); err != nil {
		return err
	}
	return fsx.WriteFile(s.path("tmp"), s.path("format"), []byte(formatLine), 0o644)
}

// Dir returns the store's folder.
func (s *Store) Dir() string { return s.root }

func (s *Store) path(elem ...string) string {
	return filepath.Join(append([]string{s.root}, elem...)...)
}

// setAside moves a damaged file into the folder for such, under a name that is free, and returns where it is now.
func (s *Store) setAside(path, name string) (string, error) {
	for i := 1; ; i++ {
		dst := s.path("corrupt", fmt.Sprintf("%s-%d", name, i))
		if _, err := os.Lstat(dst); err == nil {
			continue
		}
		if err := os.Rename(path, dst); err != nil {
			return "", fmt.Errorf("setting aside the damaged file %s: %w", path, err)
		}
		return dst, nil
	}
}
