package safetensors

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"unicode/utf8"
)

const (
	metadataKey = "__metadata__"
	alignment   = 8
	// maxHeader is the reference implementation's limit.
	maxHeader = 100_000_000
	// writtenAtOnce is how many bytes are written before File.Written is told.
	writtenAtOnce = 8 << 20
)

// Write writes the file at path whole or not at all: it writes a temporary file beside it, flushes it to the
// disk and renames it. An existing file is replaced. Equal content gives equal bytes.
func Write(path string, f *File) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreNotExist(os.Remove(tmp.Name())))
		}
	}()
	err = errors.Join(encodeTo(tmp, f), tmp.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	// The rename itself is durable only once the folder is flushed. Not every system can do that; the file
	// is whole either way.
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
	return nil
}

func encodeTo(tmp *os.File, f *File) error {
	// CreateTemp makes files that only their owner can read; results are ordinary files.
	if err := tmp.Chmod(0o644); err != nil {
		return err
	}
	w := bufio.NewWriterSize(tmp, 1<<20)
	if err := Encode(w, f); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return tmp.Sync()
}

func ignoreNotExist(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// Encode writes the file's bytes to w. Nothing is written when the content is not valid: a name that is empty,
// not UTF-8, reserved or given twice, or data that does not fit its type and shape.
func Encode(w io.Writer, f *File) error {
	if err := f.check(); err != nil {
		return err
	}
	tensors := slices.Clone(f.Tensors)
	slices.SortFunc(tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(b.DType.Size(), a.DType.Size()), cmp.Compare(a.Name, b.Name))
	})
	header, err := encodeHeader(f.Metadata, tensors)
	if err != nil {
		return err
	}
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(header)))
	if _, err := w.Write(length[:]); err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	for _, t := range tensors {
		for _, piece := range append([][]byte{t.Data}, t.Parts...) {
			for part := range slices.Chunk(piece, writtenAtOnce) {
				if _, err := w.Write(part); err != nil {
					return fmt.Errorf("tensor %q: %w", t.Name, err)
				}
				if f.Written != nil {
					f.Written(part)
				}
			}
		}
	}
	return nil
}

func (f *File) check() error {
	for k, v := range f.Metadata {
		if !utf8.ValidString(k) || !utf8.ValidString(v) {
			return fmt.Errorf("metadata %q is not valid UTF-8", k)
		}
	}
	seen := make(map[string]bool, len(f.Tensors))
	for i, t := range f.Tensors {
		switch {
		case t.Name == "":
			return fmt.Errorf("tensor number %d has no name", i)
		case t.Name == metadataKey:
			return fmt.Errorf("tensor name %q is reserved by the format", t.Name)
		case !utf8.ValidString(t.Name):
			return fmt.Errorf("tensor name %q is not valid UTF-8", t.Name)
		case seen[t.Name]:
			return fmt.Errorf("two tensors have the name %q", t.Name)
		}
		seen[t.Name] = true
		if err := t.checkSize(); err != nil {
			return err
		}
	}
	return nil
}

// encodeHeader writes the JSON by hand as far as the order of the keys matters: metadata first, then the tensors
// as they lie in the file.
func encodeHeader(metadata map[string]string, tensors []Tensor) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	put := func(v any) error {
		if err := enc.Encode(v); err != nil {
			return fmt.Errorf("header: %w", err)
		}
		b.Truncate(b.Len() - 1) // the encoder ends every value with a newline
		return nil
	}
	entry := func(name string, v any) error {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		if err := put(name); err != nil {
			return err
		}
		b.WriteByte(':')
		return put(v)
	}
	b.WriteByte('{')
	if len(metadata) > 0 {
		if err := entry(metadataKey, metadata); err != nil {
			return nil, err
		}
	}
	offset := 0
	for _, t := range tensors {
		e := struct {
			DType   DType  `json:"dtype"`
			Shape   []int  `json:"shape"`
			Offsets [2]int `json:"data_offsets"`
		}{t.DType, t.Shape, [2]int{offset, offset + t.bytes()}}
		if e.Shape == nil {
			e.Shape = []int{} // a scalar's shape is [], not null
		}
		if err := entry(t.Name, e); err != nil {
			return nil, err
		}
		offset += t.bytes()
	}
	b.WriteByte('}')
	for b.Len()%alignment != 0 {
		b.WriteByte(' ')
	}
	if b.Len() > maxHeader {
		return nil, fmt.Errorf("the header has %d bytes, more than the format's limit of %d", b.Len(), maxHeader)
	}
	return b.Bytes(), nil
}
