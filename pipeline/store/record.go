package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/internal/fsx"
)

// Record is what is known of a finished stage: what its key was made of, and what came out.
type Record struct {
	Key      string `json:"key"`      // 64 hexadecimal digits
	Document string `json:"document"` // name of the document that it first ran for
	Stage    string `json:"stage"`    // id in that document

	// What the key was made of.
	Kind        string            `json:"kind"`
	Version     int               `json:"version"`
	Settings    json.RawMessage   `json:"settings"` // canonical: only what can change results
	Seed        uint64            `json:"seed,string"`
	Inputs      []Input           `json:"inputs,omitempty"`      // by port name, sorted; those of one port in their order
	Fingerprint map[string]string `json:"fingerprint,omitempty"` // what the kind said of the world outside the document

	Outputs  []Output      `json:"outputs"`
	Metrics  []event.Value `json:"metrics,omitempty"`
	Summary  string        `json:"summary,omitempty"`
	Seconds  float64       `json:"seconds"`  // time that the attempt took which finished
	Finished time.Time     `json:"finished"` // UTC
}

// Input is an artifact that a stage read.
type Input struct {
	Port   string `json:"port"`
	Stage  string `json:"stage"`
	Kind   string `json:"kind"`
	Output string `json:"output"`
	Type   string `json:"type"`
	Digest string `json:"digest"`
	// Labels tell which variant of a stage it comes from; empty for a stage that stands for itself only.
	Labels []Label `json:"labels,omitempty"`
}

// Label says what a variant of a stage has on one axis of a document's matrix.
type Label struct {
	Axis  string `json:"axis"`
	Value string `json:"value"`
}

// Equal says whether both are the same artifact of the same origin.
func (in Input) Equal(o Input) bool {
	return in.Port == o.Port && in.Stage == o.Stage && in.Kind == o.Kind && in.Output == o.Output && in.Type == o.Type &&
		in.Digest == o.Digest && slices.Equal(in.Labels, o.Labels)
}

// Output is an artifact that a stage wrote.
type Output struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	File   string `json:"file"`
	Digest string `json:"digest"`
	Size   int64  `json:"size"` // bytes
}

// sealed is how a record lies on disk.
type sealed struct {
	Checksum string          `json:"checksum"`
	Body     json.RawMessage `json:"body"`
}

// PutRecord keeps r under its key, and as the latest of its stage in its document. Every output must be in the store. The
// record is safe from a power cut after [Store.Flush].
func (s *Store) PutRecord(r *Record) error {
	for _, o := range r.Outputs {
		if !s.Has(o.Digest) {
			return fmt.Errorf("recording stage %s: output %s, object %s: %w", r.Stage, o.Name, o.Digest, ErrMissing)
		}
	}
	path := s.recordPath(r.Key)
	if err := s.writeSealed(path, r); err != nil {
		return fmt.Errorf("recording stage %s: %w", r.Stage, err)
	}
	s.pending.Add(path)
	s.SetLatest(r.Document, r.Stage, r.Key)
	return nil
}

// Record returns what is recorded under key: nil when there is nothing. The error is a *CorruptError when a record was
// there but damaged; it has been set aside.
func (s *Store) Record(key string) (*Record, error) {
	var r Record
	path := s.recordPath(key)
	found, err := s.readSealed(path, "record "+key, &r)
	if err != nil || !found {
		return nil, err
	}
	if r.Key != key {
		aside, err := s.setAside(path, key+".json")
		if err != nil {
			return nil, err
		}
		return nil, &CorruptError{What: "record " + key, Detail: "it is the record of " + r.Key, Aside: aside}
	}
	return &r, nil
}

func (s *Store) recordPath(key string) string {
	prefix := "00"
	if len(key) >= 2 {
		prefix = key[:2]
	}
	return s.path("stages", prefix, key+".json")
}

func (s *Store) writeSealed(path string, body any) error {
	text, err := encode(body, "")
	if err != nil {
		return err
	}
	out, err := encode(sealed{Checksum: checksum(text), Body: text}, "  ")
	if err != nil {
		return err
	}
	err = fsx.WriteHint(s.path("tmp"), path, append(out, '\n'), 0o644)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return fsx.WriteHint(s.path("tmp"), path, append(out, '\n'), 0o644)
}

// encode is json.Marshal without the escapes for HTML, so that a text within stays as it was given.
func encode(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

func (s *Store) readSealed(path, what string, body any) (found bool, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", what, err)
	}
	if problem := unseal(data, body); problem != "" {
		aside, err := s.setAside(path, filepath.Base(path))
		if err != nil {
			return false, err
		}
		return false, &CorruptError{What: what, Detail: problem, Aside: aside}
	}
	return true, nil
}

// unseal decodes a sealed body and says what is wrong with it, or "".
func unseal(data []byte, body any) string {
	var file sealed
	if err := json.Unmarshal(data, &file); err != nil {
		return "it is no JSON: " + err.Error()
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, file.Body); err != nil {
		return "it is no JSON: " + err.Error()
	}
	if got := checksum(compact.Bytes()); got != file.Checksum {
		return fmt.Sprintf("its checksum is %s and the text's is %s", file.Checksum, got)
	}
	if err := json.Unmarshal(compact.Bytes(), body); err != nil {
		return "it does not decode: " + err.Error()
	}
	return ""
}

func checksum(data []byte) string {
	sum := sha256.Sum256(data)
	return digestPrefix + hex.EncodeToString(sum[:])
}
