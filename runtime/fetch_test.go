package runtime

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fakeNPM is an npm on the PATH that hands out a small package, and a cache that expects it.
type fakeNPM struct {
	cache cache
	calls string // a file with one line for each call
	lines *[]string
}

const fakeLibrary = "not really a library"

// newFakeNPM puts a shell script named npm first on the PATH. The script writes down that it was called, runs
// extra, and then leaves an archive as npm pack does.
func newFakeNPM(t *testing.T, extra string) fakeNPM {
	t.Helper()
	if goruntime.GOOS == "windows" {
		t.Skip("the stand-in for npm is a shell script")
	}
	dir := t.TempDir()
	archive := packageArchive(t, map[string]string{
		"package/package.json":                                "{}",
		"package/bin/napi-v6/linux/x64/libonnxruntime.so.1":   fakeLibrary,
		"package/bin/napi-v6/linux/arm64/libonnxruntime.so.1": "another processor's",
	})
	source := filepath.Join(dir, "source.tgz")
	write(t, source, archive)
	calls := filepath.Join(dir, "calls")
	bin := filepath.Join(dir, "bin")
	script := fmt.Sprintf("#!/bin/sh\necho \"$@\" >> %s\n%s\ncp %s ./onnxruntime-node-%s.tgz\necho '[]'\n", calls, extra, source, Version)
	write(t, filepath.Join(bin, "npm"), []byte(script))
	if err := os.Chmod(filepath.Join(bin, "npm"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	var lines []string
	c := newCache(filepath.Join(dir, "cache"), platformOf("linux", "amd64"), func(line string) { lines = append(lines, line) })
	c.integrity = integrityOf(archive)
	return fakeNPM{cache: c, calls: calls, lines: &lines}
}

func (f fakeNPM) finder() *finder {
	return &finder{
		platform: f.cache.platform,
		cache:    f.cache,
		log:      f.cache.log,
		fetch:    func(ctx context.Context) error { return fetchNPM(ctx, f.cache, f.cache.log) },
	}
}

func (f fakeNPM) called(t *testing.T) int {
	t.Helper()
	data, err := os.ReadFile(f.calls)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Count(string(data), "\n")
}

// entries lists what lies in the cache's root.
func (f fakeNPM) entries(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(f.cache.root)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func packageArchive(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	w := tar.NewWriter(zipped)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func integrityOf(archive []byte) string {
	sum := sha512.Sum512(archive)
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// wantEnvironmentError checks that err is one, holds every text, and says how to mend it.
func wantEnvironmentError(t *testing.T, err error, texts ...string) {
	t.Helper()
	e, ok := errors.AsType[*EnvironmentError](err)
	if !ok {
		t.Fatalf("got error %v, expected an *EnvironmentError", err)
	}
	if e.Remedy == "" || e.Problem == "" {
		t.Errorf("the error lacks a problem or a remedy: %#v", e)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error does not say %q: %v", text, err)
		}
	}
}

func TestFetchesOnceAndThenUsesTheCache(t *testing.T) {
	npm := newFakeNPM(t, "")
	first, err := npm.finder().find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := located{Path: filepath.Join(npm.cache.dir(), "libonnxruntime.so.1"), Version: Version, Source: FromNPM}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Error(diff)
	}
	if data, err := os.ReadFile(first.Path); err != nil || string(data) != fakeLibrary {
		t.Errorf("the library holds %q, %v; expected this platform's file", data, err)
	}
	second, err := npm.finder().find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if second.Source != FromCache || second.Path != first.Path {
		t.Errorf("the second search found %+v, expected the cached library", second)
	}
	if n := npm.called(t); n != 1 {
		t.Errorf("npm ran %d times, expected 1", n)
	}
	if got, _ := os.ReadFile(npm.calls); string(got) != "pack onnxruntime-node@1.27.0 --ignore-scripts --json --pack-destination=. --dry-run=false --workspaces=false\n" {
		t.Errorf("npm was called with %q", got)
	}
	if diff := cmp.Diff([]string{"linux-amd64", "linux-amd64.lock"}, npm.entries(t)); diff != "" {
		t.Errorf("the cache holds other than the library and its lock: %s", diff)
	}
	if lines := strings.Join(*npm.lines, "\n"); !strings.Contains(lines, "fetching ONNX Runtime 1.27.0 with npm") {
		t.Errorf("nobody was told of the fetch: %q", lines)
	}
}

func TestCorruptCacheIsSetAsideAndFetchedAgain(t *testing.T) {
	damage := map[string]func(t *testing.T, dir string){
		"truncated library": func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, "libonnxruntime.so.1"), 5); err != nil {
				t.Fatal(err)
			}
		},
		"changed byte": func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "libonnxruntime.so.1"), []byte("Not really a library"))
		},
		"missing library": func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "libonnxruntime.so.1")); err != nil {
				t.Fatal(err)
			}
		},
		"missing manifest": func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, manifestName)); err != nil {
				t.Fatal(err)
			}
		},
		"unreadable manifest": func(t *testing.T, dir string) { write(t, filepath.Join(dir, manifestName), []byte("{")) },
		"another package": func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, manifestName), []byte(`{"integrity":"x"}`))
		},
	}
	for name, harm := range damage {
		t.Run(name, func(t *testing.T) {
			npm := newFakeNPM(t, "")
			for range 2 { // the second time there is an older one set aside
				if _, err := npm.finder().find(t.Context()); err != nil {
					t.Fatal(err)
				}
				harm(t, npm.cache.dir())
			}
			if _, err := npm.cache.library(); !errors.Is(err, errCorrupt) {
				t.Errorf("the damage is reported as %v", err)
			}
			offline := npm.finder()
			offline.fetch = nil
			_, err := offline.find(t.Context())
			wantEnvironmentError(t, err, "corrupt", "fetching is off", LibraryVariable)
			lib, err := npm.finder().find(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if lib.Source != FromNPM || npm.called(t) != 3 {
				t.Errorf("found %+v after %d calls of npm, expected it to be fetched a third time", lib, npm.called(t))
			}
			if diff := cmp.Diff([]string{"linux-amd64", "linux-amd64.corrupt", "linux-amd64.lock"}, npm.entries(t)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnotherArchiveIsRefused(t *testing.T) {
	npm := newFakeNPM(t, "")
	npm.cache.integrity = packageIntegrity
	_, err := npm.finder().find(t.Context())
	wantEnvironmentError(t, err, "is not the published one", "nothing was kept", LibraryVariable)
	if diff := cmp.Diff([]string{"linux-amd64.lock"}, npm.entries(t)); diff != "" {
		t.Errorf("something was kept: %s", diff)
	}
}

func TestFetchFailures(t *testing.T) {
	cases := map[string]struct {
		script  string
		texts   []string
		passing bool
	}{
		"no network": {
			`printf '%s\n' '{"error":{"code":"ENOTFOUND","summary":"request failed, reason: getaddrinfo ENOTFOUND\nmore","detail":""}}'; exit 1`,
			[]string{"ENOTFOUND request failed, reason: getaddrinfo ENOTFOUND", "check the network", LibraryVariable}, true,
		},
		"no such version": {
			`echo 'npm error code ETARGET' >&2; echo 'npm error notarget No matching version found' >&2; exit 1`,
			[]string{"code ETARGET, notarget No matching version found", "min-release-age"}, false,
		},
		"lost":       {`echo 'npm error code ECONNRESET' >&2; exit 1`, []string{"code ECONNRESET"}, true},
		"silent":     {"exit 3", []string{"it said nothing", "exit status 3"}, false},
		"no archive": {"exit 0", []string{"0 archives"}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			npm := newFakeNPM(t, c.script)
			_, err := npm.finder().find(t.Context())
			wantEnvironmentError(t, err, c.texts...)
			var retryable interface{ Retryable() bool }
			if !errors.As(err, &retryable) || retryable.Retryable() != c.passing {
				t.Errorf("to try again helps: %v, expected %v", !c.passing, c.passing)
			}
			if diff := cmp.Diff([]string{"linux-amd64.lock"}, npm.entries(t)); diff != "" {
				t.Errorf("something was kept: %s", diff)
			}
		})
	}
}

func TestArchiveWithoutTheLibrary(t *testing.T) {
	npm := newFakeNPM(t, "")
	npm.cache.platform = platformOf("darwin", "arm64")
	_, err := npm.finder().find(t.Context())
	if err == nil || !strings.Contains(err.Error(), "the archive has no package/bin/napi-v6/darwin/arm64/libonnxruntime.1.27.0.dylib") {
		t.Errorf("got %v", err)
	}
}

func TestWithoutNPM(t *testing.T) {
	npm := newFakeNPM(t, "")
	t.Setenv("PATH", t.TempDir())
	_, err := npm.finder().find(t.Context())
	wantEnvironmentError(t, err, "npm is not installed", "install npm", LibraryVariable, "libonnxruntime.so")
}

func TestPlatformWithoutPackage(t *testing.T) {
	npm := newFakeNPM(t, "")
	npm.cache.platform = platformOf("linux", "riscv64")
	_, err := npm.finder().find(t.Context())
	wantEnvironmentError(t, err, "has no library for linux/riscv64", LibraryVariable)
	if n := npm.called(t); n != 0 {
		t.Errorf("npm ran %d times, expected none", n)
	}
}

func TestUnwritableCache(t *testing.T) {
	npm := newFakeNPM(t, "")
	write(t, filepath.Dir(npm.cache.root), nil) // a file where a folder should be
	_, err := npm.finder().find(t.Context())
	wantEnvironmentError(t, err, "make room for ONNX Runtime", "writable")
}

func TestFetchIsCancelled(t *testing.T) {
	npm := newFakeNPM(t, "sleep 60")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	start := time.Now()
	_, err := npm.finder().find(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, expected the context's error", err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("returned %v after it was cancelled", took)
	}
	if diff := cmp.Diff([]string{"linux-amd64.lock"}, npm.entries(t)); diff != "" {
		t.Errorf("something was kept: %s", diff)
	}
}

func TestFetchSweepsWhatAKilledOneLeft(t *testing.T) {
	npm := newFakeNPM(t, "")
	write(t, filepath.Join(npm.cache.root, "fetch-linux-amd64-123", "onnxruntime-node-1.27.0.tgz"), []byte("half"))
	if _, err := npm.finder().find(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"linux-amd64", "linux-amd64.lock"}, npm.entries(t)); diff != "" {
		t.Error(diff)
	}
}

// The variables by which a test has a child process of the test binary fetch.
const (
	fetchCacheVariable     = "PLATEAU_TEST_FETCH_CACHE"
	fetchIntegrityVariable = "PLATEAU_TEST_FETCH_INTEGRITY"
)

// FetchMain makes this process a child that fetches, prints where the library came from, and exits.
func FetchMain() {
	dir := os.Getenv(fetchCacheVariable)
	if dir == "" {
		return
	}
	c := newCache(dir, platformOf("linux", "amd64"), func(string) {})
	c.integrity = os.Getenv(fetchIntegrityVariable)
	lib, err := fakeNPM{cache: c}.finder().find(context.Background())
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(lib.Path)
	os.Exit(0)
}

func TestTwoProcessesFetchOnce(t *testing.T) {
	npm := newFakeNPM(t, "sleep 0.3")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			cmd := exec.Command(self)
			cmd.Env = append(os.Environ(), fetchCacheVariable+"="+filepath.Dir(filepath.Dir(npm.cache.root)), fetchIntegrityVariable+"="+npm.cache.integrity)
			out, err := cmd.Output()
			if err != nil {
				t.Errorf("a process failed: %v: %s", err, out)
			}
			if got, want := strings.TrimSpace(string(out)), filepath.Join(npm.cache.dir(), "libonnxruntime.so.1"); got != want {
				t.Errorf("a process found %q, expected %q", got, want)
			}
		})
	}
	group.Wait()
	if n := npm.called(t); n != 1 {
		t.Errorf("npm ran %d times, expected 1", n)
	}
}

func TestWaitingForAnotherFetchIsCancelled(t *testing.T) {
	goOn := filepath.Join(t.TempDir(), "go-on")
	npm := newFakeNPM(t, fmt.Sprintf("until [ -e %s ]; do sleep 0.05; done", goOn))
	done := make(chan error)
	go func() {
		_, err := npm.finder().find(context.Background())
		done <- err
	}()
	for npm.called(t) == 0 {
		time.Sleep(5 * time.Millisecond)
	}
	second := npm.finder()
	second.cache.log = func(string) {}
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	if err := second.cache.fill(ctx, func(context.Context, string) error { panic("both fetch") }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, expected the context's error", err)
	}
	write(t, goOn, nil)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
