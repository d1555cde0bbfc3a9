package runtime

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// cache is the folder that keeps fetched libraries:
//
//	onnxruntime/1.27.0/linux-amd64/        the library and what it loads
//	onnxruntime/1.27.0/linux-amd64/manifest.json   size and SHA-256 of each file, written last
//	onnxruntime/1.27.0/linux-amd64.corrupt one folder that failed its check, kept to be looked at
//	onnxruntime/1.27.0/linux-amd64.lock    held by the process that fetches
//
// The platform's folder appears by a rename, so it is there whole or not at all.
type cache struct {
	root      string // .../onnxruntime/1.27.0
	platform  platform
	integrity string // of the package that the files are from
	log       func(string)
}

// manifest describes the files of a cached library.
type manifest struct {
	Package   string         `json:"package"`
	Integrity string         `json:"integrity"`
	Files     []manifestFile `json:"files"`
}

// manifestFile is one file of a manifest.
type manifestFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

const manifestName = "manifest.json"

// errCorrupt marks a cached library that is there but not what was fetched.
var errCorrupt = errors.New("the cached library is corrupt")

func newCache(cacheDir string, p platform, log func(string)) cache {
	return cache{root: filepath.Join(cacheDir, "onnxruntime", Version), platform: p, integrity: packageIntegrity, log: log}
}

func (c cache) dir() string { return filepath.Join(c.root, c.platform.os+"-"+c.platform.arch) }

// library returns the path of the cached library after checking every file against the manifest. The error is
// fs.ErrNotExist where nothing is cached and errCorrupt where the check failed.
func (c cache) library() (string, error) {
	if len(c.platform.files) == 0 {
		return "", fmt.Errorf("no library is published for %s: %w", c.platform, fs.ErrNotExist)
	}
	dir := c.dir()
	if _, err := os.Stat(dir); err != nil {
		return "", err
	}
	m, err := readManifest(filepath.Join(dir, manifestName))
	if err != nil {
		return "", err
	}
	if m.Integrity != c.integrity {
		return "", fmt.Errorf("%w: its manifest is for another package, %s", errCorrupt, m.Package)
	}
	listed := map[string]manifestFile{}
	for _, f := range m.Files {
		listed[f.Name] = f
	}
	for _, name := range c.platform.files {
		want, ok := listed[name]
		if !ok {
			return "", fmt.Errorf("%w: its manifest does not list %s", errCorrupt, name)
		}
		got, err := describe(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%w: %s is missing", errCorrupt, name)
		}
		if err != nil {
			return "", err
		}
		if got.Size != want.Size {
			return "", fmt.Errorf("%w: %s has %d bytes, %d were fetched", errCorrupt, name, got.Size, want.Size)
		}
		if got.SHA256 != want.SHA256 {
			return "", fmt.Errorf("%w: the bytes of %s have changed since it was fetched", errCorrupt, name)
		}
	}
	return filepath.Join(dir, c.platform.files[0]), nil
}

func readManifest(path string) (manifest, error) {
	var m manifest
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("%w: it has no %s", errCorrupt, manifestName)
	}
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("%w: its %s: %w", errCorrupt, manifestName, err)
	}
	return m, nil
}

// describe reads a file whole.
func describe(path string) (manifestFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return manifestFile{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return manifestFile{}, err
	}
	return manifestFile{Name: filepath.Base(path), Size: n, SHA256: hex.EncodeToString(h.Sum(nil))}, nil
}

// fill has produce put the platform's files into an empty folder and makes that folder the cached library. One
// process at a time does so; those that waited find the library there and produce nothing.
func (c cache) fill(ctx context.Context, produce func(ctx context.Context, dir string) error) error {
	unusable := func(doing string, err error) error {
		return &EnvironmentError{
			Problem: fmt.Sprintf("%s in the cache folder %s", doing, c.root),
			Remedy:  "make the folder writable and see that its disk has 200 MB free, or name another one (--cache-dir, PLATEAU_CACHE_DIR)",
			Err:     err,
		}
	}
	if err := os.MkdirAll(c.root, 0o755); err != nil {
		return unusable("make room for ONNX Runtime", err)
	}
	lock := flock.New(c.dir() + ".lock")
	defer lock.Close()
	locked, err := lock.TryLock()
	if err == nil && !locked {
		c.log("waiting for another process that fetches ONNX Runtime…")
		locked, err = lock.TryLockContext(ctx, 100*time.Millisecond)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("wait for another process that fetches ONNX Runtime: %w", context.Cause(ctx))
	}
	if err != nil || !locked {
		return unusable("lock the library's place", err)
	}
	switch _, err := c.library(); {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, errCorrupt):
		if err := c.setAside(); err != nil {
			return unusable("set the corrupt library aside", err)
		}
	default:
		return unusable("read the cached library", err)
	}
	c.sweep()
	temp, err := os.MkdirTemp(c.root, c.tempPrefix())
	if err != nil {
		return unusable("make a temporary folder", err)
	}
	defer os.RemoveAll(temp)
	files := filepath.Join(temp, "files")
	if err := os.Mkdir(files, 0o755); err != nil {
		return unusable("make a temporary folder", err)
	}
	if err := produce(ctx, files); err != nil {
		return err
	}
	if err := c.writeManifest(files); err != nil {
		return unusable("write the library's manifest", err)
	}
	if err := os.Rename(files, c.dir()); err != nil {
		return unusable("put the library in its place", err)
	}
	syncDir(c.root)
	return nil
}

func (c cache) tempPrefix() string { return "fetch-" + c.platform.os + "-" + c.platform.arch + "-" }

// sweep removes what a fetch that was killed has left. The caller holds the lock, so none is under way.
func (c cache) sweep() {
	entries, err := os.ReadDir(c.root)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), c.tempPrefix()) {
			os.RemoveAll(filepath.Join(c.root, e.Name()))
		}
	}
}

// setAside moves a corrupt library out of the way. Only the latest one is kept.
func (c cache) setAside() error {
	aside := c.dir() + ".corrupt"
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	if err := os.Rename(c.dir(), aside); err != nil {
		return err
	}
	c.log(fmt.Sprintf("the cached ONNX Runtime was corrupt; it is set aside in %s", aside))
	return nil
}

func (c cache) writeManifest(dir string) error {
	m := manifest{Package: packageName + "@" + Version, Integrity: c.integrity}
	for _, name := range c.platform.files {
		d, err := describe(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		m.Files = append(m.Files, d)
	}
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := writeSynced(filepath.Join(dir, manifestName), strings.NewReader(string(data)+"\n")); err != nil {
		return err
	}
	syncDir(dir)
	return nil
}

// writeSynced writes a new file and forces it to disk: after a rename the name must not point at bytes that a
// crash can still lose.
func writeSynced(path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// syncDir forces a folder's entries to disk where the system can (Windows cannot and needs not).
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		d.Close()
	}
}
