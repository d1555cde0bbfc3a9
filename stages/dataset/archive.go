package dataset

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// maxMember bounds how much of one file is read, so that a damaged or hostile archive cannot fill the memory. The
// largest official file has 154 MB.
const maxMember = 1 << 30

// files is where the files of a data set are: a folder that holds them, a folder that holds the official folder, or
// the official archive.
type files struct {
	path    string
	folder  string // the official folder's name
	archive string // the official archive's name
}

func (f cifarFormat) open(path string) files {
	return files{path: path, folder: f.folder, archive: f.archive}
}

// read returns the content of each of the named files.
func (f files) read(ctx context.Context, names []string) (map[string][]byte, error) {
	content := map[string][]byte{}
	err := f.each(ctx, names, func(name string, r io.Reader, size int64) error {
		if size > maxMember {
			return fmt.Errorf("%s has %d bytes, more than the %d that are read of one file", name, size, maxMember)
		}
		var b bytes.Buffer
		b.Grow(int(size) + bytes.MinRead)
		_, err := io.Copy(&b, reader{ctx, io.LimitReader(r, maxMember)})
		content[name] = b.Bytes()
		return err
	})
	return content, err
}

// digests returns the SHA-256 of each of the named files, which does not depend on where they lie or on how they
// are packed.
func (f files) digests(ctx context.Context, names []string) (map[string]string, error) {
	sums := map[string]string{}
	err := f.each(ctx, names, func(name string, r io.Reader, _ int64) error {
		h := sha256.New()
		_, err := io.Copy(h, reader{ctx, io.LimitReader(r, maxMember)})
		sums[name] = fmt.Sprintf("sha256:%x", h.Sum(nil))
		return err
	})
	return sums, err
}

// each calls visit once for each of the named files, in any order, and returns an error when one is missing.
func (f files) each(ctx context.Context, names []string, visit func(name string, r io.Reader, size int64) error) error {
	info, err := os.Stat(f.path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return f.eachInFolder(ctx, names, visit)
	}
	return f.eachInArchive(ctx, names, visit)
}

func (f files) eachInFolder(ctx context.Context, names []string, visit func(string, io.Reader, int64) error) error {
	folder := f.path
	lacks := absent(folder, names)
	if len(lacks) == len(names) {
		nested := filepath.Join(folder, f.folder)
		if l := absent(nested, names); len(l) < len(names) {
			folder, lacks = nested, l
		}
	}
	if len(lacks) > 0 {
		return f.missing("the folder", lacks)
	}
	for _, n := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := visitFile(filepath.Join(folder, n), n, visit); err != nil {
			return err
		}
	}
	return nil
}

// absent returns those of the named files that the folder does not hold.
func absent(folder string, names []string) []string {
	var out []string
	for _, n := range names {
		if _, err := os.Stat(filepath.Join(folder, n)); errors.Is(err, fs.ErrNotExist) {
			out = append(out, n)
		}
	}
	return out
}

func visitFile(path, name string, visit func(string, io.Reader, int64) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read from
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return visit(name, file, info.Size())
}

// eachInArchive reads the archive from front to back once. Files are known by their base name, in whatever folder
// the archive keeps them.
func (f files) eachInArchive(ctx context.Context, names []string, visit func(string, io.Reader, int64) error) error {
	file, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read from
	zipped, err := gzip.NewReader(reader{ctx, file})
	if err != nil {
		return fmt.Errorf("it is neither a folder nor a .tar.gz: want the files of %s or that archive itself: %w", f.archive, err)
	}
	lacks := slices.Clone(names)
	// To the very end, also when nothing is missing any more: the checksum is there.
	for archive := tar.NewReader(zipped); ; {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("the archive is damaged or no .tar.gz: %w", err)
		}
		i := slices.Index(lacks, path.Base(h.Name))
		if h.Typeflag != tar.TypeReg || i < 0 {
			continue
		}
		if err := visit(lacks[i], archive, h.Size); err != nil {
			return fmt.Errorf("%s in the archive: %w", h.Name, err)
		}
		lacks = slices.Delete(lacks, i, i+1)
	}
	if _, err := io.Copy(io.Discard, zipped); err != nil {
		return fmt.Errorf("the archive is damaged: %w", err)
	}
	if len(lacks) > 0 {
		return f.missing("the archive", lacks)
	}
	return nil
}

func (f files) missing(where string, names []string) error {
	return fmt.Errorf("%s lacks %s: want the files of %s: %w", where, strings.Join(names, ", "), f.archive, fs.ErrNotExist)
}

// reader ends with the context's error once that is done.
type reader struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (r reader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}
