package table

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Options say how a table is read.
type Options struct {
	Benchmark Benchmark // NASBench201() when its Space is nil
	Columns   []string  // numeric columns to keep; nil keeps every one
	// Partial allows a table that does not list every architecture, and empty cells. What is missing is NaN.
	Partial bool
}

// maxFile bounds how much of one file is read, so that a damaged or hostile archive cannot fill the memory.
const maxFile = 1 << 30

// Load reads the files, in CSV (also .csv.gz) or Parquet, and joins them by architecture. A folder stands for
// the tables in it; files of a folder that have no column of architectures are left out. Columns are found by name; those
// that are not numbers are left out. The error is or wraps a *CellError, *MissingError or *ColumnError where one of
// these is what is wrong.
func Load(ctx context.Context, paths []string, o Options) (*Table, error) {
	if o.Benchmark.Space == nil {
		o.Benchmark = NASBench201()
	}
	t, err := newTable(o.Benchmark)
	if err != nil {
		return nil, fmt.Errorf("read table: %w", err)
	}
	files, err := find(paths)
	if err != nil {
		return nil, fmt.Errorf("read table: %w", err)
	}
	read := 0
	for _, f := range files {
		data, err := f.read(ctx)
		if err != nil {
			return nil, fmt.Errorf("read table: %w", err)
		}
		b, err := readFile(ctx, f.name(), data, o)
		if errors.Is(err, errNoArchitectures) && f.listed {
			continue
		}
		if err == nil {
			err = t.join(b, o, Source{File: f.name(), SHA256: fmt.Sprintf("%x", sha256.Sum256(data)), Rows: b.rows})
		}
		if err != nil {
			return nil, fmt.Errorf("read table %s: %w", f.path, err)
		}
		read++
	}
	if read == 0 {
		return nil, fmt.Errorf("read table: none of the files of %s has the column %s that holds the architecture", strings.Join(paths, ", "), o.Benchmark.Arch)
	}
	t.tally()
	for _, name := range o.Columns {
		if _, err := t.Describe(name); err != nil {
			return nil, fmt.Errorf("read table: %w", err)
		}
	}
	return t, nil
}

// source is a file to read.
type source struct {
	path   string
	listed bool // found in a folder, so that it may be something else
}

// name is the base name without .gz: what the file is called once it is unpacked.
func (s source) name() string { return strings.TrimSuffix(filepath.Base(s.path), ".gz") }

func (s source) packed() bool { return strings.HasSuffix(s.path, ".gz") }

// find lists the files that paths stand for, those of a folder sorted by name.
func find(paths []string) ([]source, error) {
	var out []source
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			out = append(out, source{path: p})
			continue
		}
		entries, err := os.ReadDir(p)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			f := source{path: filepath.Join(p, e.Name()), listed: true}
			if !e.IsDir() && slices.Contains([]string{".csv", ".parquet"}, strings.ToLower(filepath.Ext(f.name()))) {
				out = append(out, f)
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no .csv, .csv.gz or .parquet in %s", strings.Join(paths, ", "))
	}
	return out, nil
}

// read returns the bytes of the file, unpacked.
func (s source) read(ctx context.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	file, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // only read from
	var r io.Reader = file
	if s.packed() {
		z, err := gzip.NewReader(file)
		if err != nil {
			return nil, fmt.Errorf("unpack %s: %w", s.path, err)
		}
		r = z
	}
	var b bytes.Buffer
	if _, err := io.Copy(&b, io.LimitReader(r, maxFile+1)); err != nil {
		return nil, fmt.Errorf("read %s: %w", s.path, err)
	}
	if b.Len() > maxFile {
		return nil, fmt.Errorf("%s has more than the %d bytes that are read of one file", s.path, maxFile)
	}
	return b.Bytes(), nil
}

// parquetMagic is how a Parquet file begins, whatever its name.
const parquetMagic = "PAR1"

func readFile(ctx context.Context, name string, data []byte, o Options) (*builder, error) {
	b, err := newBuilder(name, o)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(data, []byte(parquetMagic)) {
		err = readParquet(ctx, data, b)
	} else {
		err = readCSV(ctx, data, b)
	}
	if err != nil {
		return nil, err
	}
	return b, b.finish()
}

// join adds what a file holds to the table.
func (t *Table) join(b *builder, o Options, from Source) error {
	if missing := len(t.present) - b.rows; missing > 0 && !o.Partial {
		rank := slices.Index(b.present, false)
		return &MissingError{File: b.file, Missing: missing, Total: len(t.present), Example: t.space.Format(t.Architecture(rank))}
	}
	for _, c := range b.columns {
		if known, err := t.Describe(c.Name); err == nil {
			return &ColumnError{Name: c.Name, Known: t.Columns(), Problem: fmt.Sprintf(
				"both %s and %s have it, and they need not mean the same; give only one of the files, or name the columns to keep", known.File, b.file)}
		}
	}
	for rank, index := range b.index {
		if index < 0 {
			continue
		}
		if t.index[rank] >= 0 && t.index[rank] != index {
			return &CellError{File: b.file, Line: b.line[rank], Name: o.Benchmark.Index, Err: fmt.Errorf(
				"%w: %d here and %d in another file for the same architecture", ErrIndex, index, t.index[rank])}
		}
		if other, ok := t.ranks[int(index)]; ok && other != rank {
			return &CellError{File: b.file, Line: b.line[rank], Name: o.Benchmark.Index, Err: fmt.Errorf(
				"%w: %d is also that of %s", ErrIndex, index, t.space.Format(t.Architecture(other)))}
		}
		t.index[rank], t.ranks[int(index)] = index, rank
	}
	t.columns = append(t.columns, b.columns...)
	t.sources = append(t.sources, from)
	return nil
}
