package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// Run is a run directory that uses the store. What its run names stays in the store as long as the directory is there.
type Run struct {
	Dir      string    `json:"dir"`
	Document string    `json:"document"`
	Keys     []string  `json:"keys"` // of its stages, as far as they are known
	Updated  time.Time `json:"updated"`
}

// Use says that a run begins to use the store. Nothing is removed from it until release is called, or the process ends.
// While another process removes what is no longer needed, waiting is called once (nil is allowed) and Use waits.
func (s *Store) Use(ctx context.Context, waiting func()) (release func(), err error) {
	l := flock.New(s.path("locks", "use.lock"))
	ok, err := l.TryRLock()
	if err == nil && !ok {
		if waiting != nil {
			waiting()
		}
		_, err = l.TryRLockContext(ctx, lockPoll)
	}
	if err != nil {
		return nil, fmt.Errorf("locking the store %s: %w", s.root, err)
	}
	return func() { _ = l.Close() }, nil
}

// PutRun keeps what a run directory names, in place of what it named before.
func (s *Store) PutRun(r Run) error {
	if err := s.writeSealed(s.runPath(r.Dir), r); err != nil {
		return fmt.Errorf("noting the run directory %s in the store: %w", r.Dir, err)
	}
	return nil
}

func (s *Store) runPath(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return s.path("runs", hex.EncodeToString(sum[:8])+".json")
}

// Runs lists the run directories that use the store, those included that are gone. A file that cannot be read is an error, for
// what it named must not be taken for unneeded.
func (s *Store) Runs() ([]Run, error) {
	entries, err := os.ReadDir(s.path("runs"))
	if err != nil {
		return nil, fmt.Errorf("listing the runs of the store %s: %w", s.root, err)
	}
	var out []Run
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		path := s.path("runs", e.Name())
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("listing the runs of the store: %w", err)
		}
		var r Run
		if problem := unseal(data, &r); problem != "" {
			return nil, fmt.Errorf("the store's note of a run, %s, is damaged: %s; remove it if no run directory depends on it any more", path, problem)
		}
		out = append(out, r)
	}
	return out, nil
}

// gone says whether the run directory has been removed. One whose parent is missing, too, may lie on a disk that is not mounted
// now, and counts as there.
func (r Run) gone() bool {
	if _, err := os.Stat(r.Dir); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	_, err := os.Stat(filepath.Dir(r.Dir))
	return err == nil
}

// names lists the keys and digests that the run directory names: those noted in the store, and those of its run.json,
// which may be newer. (The file is pipeline.RunFile; only what is needed of it is known here.)
func (r Run) names() (keys, digests []string) {
	keys = r.Keys
	var file struct {
		Stages []struct {
			Key     string   `json:"key"`
			Outputs []Output `json:"outputs"`
		} `json:"stages"`
	}
	data, err := os.ReadFile(filepath.Join(r.Dir, "run.json"))
	if err != nil || json.Unmarshal(data, &file) != nil {
		return keys, nil
	}
	for _, st := range file.Stages {
		if st.Key != "" {
			keys = append(keys, st.Key)
		}
		for _, o := range st.Outputs {
			digests = append(digests, o.Digest)
		}
	}
	return keys, digests
}
