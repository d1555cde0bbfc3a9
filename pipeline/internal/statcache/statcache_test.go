package statcache_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/plateau-nas/plateau/pipeline/internal/statcache"
)

func write(t *testing.T, path string, size int) statcache.State {
	t.Helper()
	if err := os.WriteFile(path, make([]byte, size), 0o666); err != nil {
		t.Fatal(err)
	}
	return state(t, path)
}

func state(t *testing.T, path string) statcache.State {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return statcache.StateOf(info)
}

// saved saves a cache and loads it again.
func saved(t *testing.T, c *statcache.Cache, keep func(string) bool) *statcache.Cache {
	t.Helper()
	dir := t.TempDir()
	if err := c.Save(dir, filepath.Join(dir, "cache"), keep); err != nil {
		t.Fatal(err)
	}
	return statcache.Load(filepath.Join(dir, "cache"))
}

func TestWhatIsKnownIsKnownInTheNextProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	s := write(t, path, 100_000)
	c := statcache.Load("none")
	c.Set("large", s, "digest", true)
	c.Set("other", s, "digest", true)
	c.Set("small", write(t, path+"2", 10), "digest", true)
	again := saved(t, c, func(name string) bool { return name != "other" })
	for name, want := range map[string]bool{"large": true, "small": false, "other": false, "none": false} {
		if got, ok := again.Known(name, s); ok != want || ok && got != "digest" {
			t.Errorf("%s: %q, %v", name, got, ok)
		}
	}
	again.Forget("large")
	if _, ok := saved(t, again, nil).Known("large", s); ok {
		t.Error("what was forgotten is known")
	}
}

// A file with other bytes is found out, even when its size and its time of modification are as they were.
func TestATouchedFileIsNotKnown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	s := write(t, path, 100)
	c := statcache.Load("none")
	c.Set("file", s, "digest", true)
	time.Sleep(20 * time.Millisecond) // more than the file system's step of time
	write(t, path, 100)
	modified := time.Unix(0, s.Modified)
	if err := os.Chtimes(path, modified, modified); err != nil {
		t.Fatal(err)
	}
	if s.Changed == 0 {
		t.Skip("this system does not tell the time of change")
	}
	if _, ok := c.Known("file", state(t, path)); ok {
		t.Error("the touched file counts as known")
	}
}

// A file that was written a moment ago may be written again within the same step of time.
func TestAFileThatWasJustWrittenIsNotNoted(t *testing.T) {
	c := statcache.Load("none")
	s := write(t, filepath.Join(t.TempDir(), "file"), 100)
	if c.Set("file", s, "digest", false); known(c, s) {
		t.Error("a fresh file is known")
	}
	s.Modified, s.Changed = s.Modified-1e9, s.Changed-1e9
	if c.Set("file", s, "digest", false); !known(c, s) {
		t.Error("a settled file is not known")
	}
}

func known(c *statcache.Cache, s statcache.State) bool {
	_, ok := c.Known("file", s)
	return ok
}

func TestADamagedCacheIsEmpty(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache")
	c := statcache.Load(path)
	s := write(t, path+"2", 100_000)
	c.Set("file", s, "digest", true)
	if err := c.Save(t.TempDir(), path, nil); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		flipped := append([]byte(nil), data...)
		flipped[i] ^= 1
		if err := os.WriteFile(path, flipped, 0o666); err != nil {
			t.Fatal(err)
		}
		if got, ok := statcache.Load(path).Known("file", s); ok && got != "digest" {
			t.Fatalf("byte %d flipped: %q is taken for known", i, got)
		}
	}
}
