// Package statcache remembers the digests of files that have not been touched since they were hashed, also from one process
// to the next.
//
// A file counts as untouched when its size, time of modification, time of change and inode are the same. Nobody can set the time of
// change, so a file whose bytes were altered and whose other times were put back is found out. What cannot be found
// out is a disk that gives other bytes than were written; who fears that removes the cache.
package statcache

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/plateau-nas/plateau/pipeline/internal/fsx"
)

// smallest is the size in bytes from which on files are remembered on disk. Smaller ones are hashed faster than looked up.
const smallest = 64 << 10

// settled is how long ago a file must have been written before its times tell of the next write: file systems count time in
// steps, and two writes may fall into one.
const settled = 100 * time.Millisecond

// State tells whether a file may have been written to.
type State struct {
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"` // nanoseconds since 1970
	Changed  int64  `json:"changed"`  // the same of the inode; 0 where the system does not tell
	Inode    uint64 `json:"inode"`    // 0 where the system does not tell
}

// StateOf reads a file's state.
func StateOf(info fs.FileInfo) State {
	s := State{Size: info.Size(), Modified: info.ModTime().UnixNano()}
	s.Changed, s.Inode = inode(info)
	return s
}

// Cache holds digests by name. Its methods may be called from several goroutines.
type Cache struct {
	mu      sync.Mutex
	entries map[string]entry
	dirty   bool
}

type entry struct {
	State  State  `json:"state"`
	Digest string `json:"digest"`
}

// file is how a cache lies on disk.
type file struct {
	Checksum string          `json:"checksum"` // SHA-256 of the entries' text
	Entries  json.RawMessage `json:"entries"`
}

// Load reads the cache at path. A cache that is missing or damaged is empty: it only costs time.
func Load(path string) *Cache {
	c := &Cache{entries: map[string]entry{}}
	data, err := os.ReadFile(path)
	if err != nil {
		return c
	}
	var f file
	if json.Unmarshal(data, &f) != nil || checksum(f.Entries) != f.Checksum || json.Unmarshal(f.Entries, &c.entries) != nil || c.entries == nil {
		c.entries = map[string]entry{}
	}
	return c
}

// Save writes the cache to path, by way of tmpDir, when something has changed. keep says which entries are still of use; nil keeps
// all.
func (c *Cache) Save(tmpDir, path string, keep func(name string) bool) error {
	c.mu.Lock()
	if !c.dirty {
		c.mu.Unlock()
		return nil
	}
	c.dirty = false
	large := map[string]entry{}
	for name, e := range c.entries {
		if e.State.Size >= smallest && (keep == nil || keep(name)) {
			large[name] = e
		}
	}
	c.mu.Unlock()
	entries, err := json.Marshal(large)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	text, err := json.Marshal(file{Checksum: checksum(entries), Entries: entries})
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return fsx.WriteHint(tmpDir, path, append(text, '\n'), 0o644)
}

// Known returns the digest under name when the file is in the state in which it was hashed.
func (c *Cache) Known(name string, s State) (digest string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[name]
	if !ok || e.State != s {
		return "", false
	}
	return e.Digest, true
}

// Set notes the digest of a file. before is its state from before it was read. A file that was just written is not noted,
// unless trusted says that nobody else writes to it.
func (c *Cache) Set(name string, before State, digest string, trusted bool) {
	if latest := time.Unix(0, max(before.Modified, before.Changed)); !trusted && time.Since(latest) < settled {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries[name] = entry{before, digest}
	c.dirty = c.dirty || before.Size >= smallest
}

// Forget removes what is known under name.
func (c *Cache) Forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[name]; ok {
		delete(c.entries, name)
		c.dirty = c.dirty || e.State.Size >= smallest
	}
}

func checksum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
