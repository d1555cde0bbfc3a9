package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/plateau-nas/plateau/pipeline/internal/fsx"
	"github.com/plateau-nas/plateau/pipeline/internal/statcache"
)

// ErrMissing is wrapped by errors about an object that the store does not hold.
var ErrMissing = errors.New("not in the store")

// CorruptError says that a file of the store did not hold the bytes it should; it has been set aside.
type CorruptError struct {
	What   string // "object sha256:..." or "record ..."
	Detail string // what was wrong with it
	Aside  string // where the file is now
}

// Error implements error.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s is damaged: %s (set aside as %s)", e.What, e.Detail, e.Aside)
}

const digestPrefix = "sha256:"

// Digest returns the digest of the file at path, "sha256:" and 64 hexadecimal digits, and its size in bytes.
func Digest(path string) (digest string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = f.Close() }() // only read
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return "", 0, fmt.Errorf("reading %s: %w", path, err)
	}
	return digestPrefix + hex.EncodeToString(h.Sum(nil)), n, nil
}

// Put moves the file at path, which should lie in a folder of [Store.Work], into the store and returns its digest and size.
// The object is safe from a power cut after [Store.Flush].
func (s *Store) Put(path string) (digest string, size int64, err error) {
	fail := func(err error) (string, int64, error) {
		return "", 0, fmt.Errorf("storing %s: %w", path, err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		return fail(err)
	}
	if !info.Mode().IsRegular() {
		return fail(errors.New("it is not a regular file"))
	}
	digest, size, err = Digest(path)
	if err != nil {
		return fail(err)
	}
	if s.Verify(digest) == nil {
		return digest, size, os.Remove(path) // the same bytes are there already
	}
	if err := os.Chmod(path, 0o444); err != nil {
		return fail(err)
	}
	dst := s.ObjectPath(digest)
	if err := rename(path, dst); err != nil {
		return fail(err)
	}
	s.pending.Add(dst)
	if info, err := os.Stat(dst); err == nil {
		s.verified.Set(digest, statcache.StateOf(info), digest, true)
	}
	return digest, size, nil
}

// rename makes the folder of dst when it is not there yet.
func rename(path, dst string) error {
	err := os.Rename(path, dst)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dst), 0o777); err != nil {
		return err
	}
	return os.Rename(path, dst)
}

// ObjectPath returns where the object with the digest is, or would be.
func (s *Store) ObjectPath(digest string) string {
	hex := strings.TrimPrefix(digest, digestPrefix)
	if len(hex) != sha256.Size*2 {
		// A digest comes from a verified record; should one be odd all the same, it must not name a file elsewhere.
		return s.path("objects", "sha256", "invalid", "digest")
	}
	return s.path("objects", "sha256", hex[:2], hex[2:])
}

// Has says whether the store holds an object of that digest. It does not read the bytes.
func (s *Store) Has(digest string) bool {
	info, err := os.Stat(s.ObjectPath(digest))
	return err == nil && info.Mode().IsRegular()
}

// Verify reads the object and checks its bytes, unless that was done before, by this Store or an earlier one, and the file has
// not been touched since. The error wraps ErrMissing, or is a *CorruptError when the object was damaged and has been set aside.
func (s *Store) Verify(digest string) error {
	path := s.ObjectPath(digest)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("object %s: %w", digest, ErrMissing)
	}
	if err != nil {
		return fmt.Errorf("object %s: %w", digest, err)
	}
	state := statcache.StateOf(info)
	if _, ok := s.verified.Known(digest, state); ok {
		return nil
	}
	got, size, err := Digest(path)
	if err != nil {
		return fmt.Errorf("object %s: %w", digest, err)
	}
	if got != digest {
		s.verified.Forget(digest)
		aside, err := s.setAside(path, strings.TrimPrefix(digest, digestPrefix))
		if err != nil {
			return err
		}
		return &CorruptError{What: "object " + digest, Detail: fmt.Sprintf("its %d bytes hash to %s", size, got), Aside: aside}
	}
	s.verified.Set(digest, state, digest, false)
	return nil
}

// CopyTo verifies the object and writes its bytes to path, by way of a temporary file in tmpDir. The errors are those of
// Verify and of writing.
//
// It is a copy and no link: a user may edit a file in a run directory, and through a link the edit would change the
// stored object and every other run that shares it. On file systems that can, the kernel shares the blocks. The copy is not
// synced: whoever needs it after a power cut can make it again.
func (s *Store) CopyTo(digest, tmpDir, path string) error {
	if err := s.Verify(digest); err != nil {
		return err
	}
	src, err := os.Open(s.ObjectPath(digest))
	if err != nil {
		return fmt.Errorf("object %s: %w", digest, err)
	}
	defer func() { _ = src.Close() }() // only read
	return fsx.WriteHintFrom(tmpDir, path, 0o644, func(w io.Writer) error {
		_, err := io.Copy(w, src)
		return err
	})
}
