// Package checkpoint saves the state of a long stage so that a killed run continues where it was.
//
// A checkpoint is one safetensors file: vectors under readable names, a JSON document with everything else, and the
// hash of both. It is replaced in one step, so there is always a whole one, and a damaged one is recognized.
package checkpoint

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"

	"github.com/plateau-nas/plateau/exporter/safetensors"
)

const (
	stateKey  = "plateau.state"
	digestKey = "plateau.sha256"
)

// Damaged is the error for a checkpoint that exists but cannot be trusted. The stage should say so and start over.
type Damaged struct {
	Path string
	Err  error
}

// Error implements error.
func (d *Damaged) Error() string { return fmt.Sprintf("checkpoint %s is damaged: %v", d.Path, d.Err) }

// Unwrap returns the cause.
func (d *Damaged) Unwrap() error { return d.Err }

// Save replaces the checkpoint at path. state is encoded as JSON; vectors are float32.
func Save(path string, state any, vectors map[string][]float32) error {
	doc, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("saving checkpoint %s: %w", path, err)
	}
	f := &safetensors.File{Metadata: map[string]string{stateKey: string(doc), digestKey: digest(doc, vectors)}}
	for _, name := range names(vectors) {
		f.Tensors = append(f.Tensors, safetensors.Float32(name, []int{len(vectors[name])}, vectors[name]))
	}
	if err := safetensors.Write(path, f); err != nil {
		return fmt.Errorf("saving checkpoint: %w", err)
	}
	return nil
}

// Load reads the checkpoint at path into state, and each vector into the slice of its name, whose length it must have.
// It returns false when there is none. A checkpoint that does not fit or whose hash is wrong gives a *Damaged error, and
// then state and vectors must not be used.
func Load(path string, state any, vectors map[string][]float32) (bool, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	f, err := safetensors.Read(path)
	if err != nil {
		return false, &Damaged{path, err}
	}
	read := map[string][]float32{}
	for _, name := range names(vectors) {
		v, err := f.Float32(name, len(vectors[name]))
		if err != nil {
			return false, &Damaged{path, err}
		}
		read[name] = v
	}
	doc := []byte(f.Metadata[stateKey])
	if digest(doc, read) != f.Metadata[digestKey] {
		return false, &Damaged{path, errors.New("its bytes are not those that were written")}
	}
	if err := json.Unmarshal(doc, state); err != nil {
		return false, &Damaged{path, err}
	}
	for name, v := range read {
		copy(vectors[name], v)
	}
	return true, nil
}

// Fingerprint returns a short text that is equal for equal values and, for all that happens by accident, different for
// different ones: what a checkpoint keeps of rows that lie in a file beside it. Numbers count by their value, so rows that
// were written and read again have the fingerprint that they had. Values with pointers or maps have none.
func Fingerprint(v any) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%#v", v))
	return hex.EncodeToString(sum[:])
}

func names(vectors map[string][]float32) []string {
	out := make([]string, 0, len(vectors))
	for name := range vectors {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func digest(doc []byte, vectors map[string][]float32) string {
	h := sha256.New()
	h.Write(doc)
	var buf []byte
	for _, name := range names(vectors) {
		h.Write([]byte(name))
		buf = buf[:0]
		for _, v := range vectors[name] {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
		}
		h.Write(buf)
	}
	return hex.EncodeToString(h.Sum(nil))
}
