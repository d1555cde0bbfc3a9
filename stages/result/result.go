// Package result holds the files by which stages hand results to each other and to people: found architectures,
// rankings, metrics, checks and histories.
//
// Each kind of file is a Go type here, with a function that reads it and one that writes it. Reading is strict: unknown
// fields, missing ones where they matter, strings that are no architecture and tables of the wrong size are errors that
// name the file and, where there is one, the line. Writing is atomic, refuses what reading would refuse, and gives
// equal bytes for equal values; nothing in a file depends on when it was written.
package result

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/goccy/go-yaml"

	"github.com/plateau-nas/plateau/stages/space"
)

// Settings is what a stage was set to, by the names that a document uses. Nested settings are maps again.
type Settings map[string]any

// SettingsOf turns a stage's settings struct, with its yaml tags, into Settings.
func SettingsOf(settings any) (Settings, error) {
	text, err := yaml.Marshal(settings)
	if err != nil {
		return nil, fmt.Errorf("recording settings: %w", err)
	}
	out := Settings{}
	if err := yaml.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("recording settings: %w", err)
	}
	return out, nil
}

// checker is a file's content that can say what is wrong with it.
type checker interface{ check() error }

func writeJSON(path, what string, v checker) error {
	if err := v.check(); err != nil {
		return fmt.Errorf("writing %s to %s: %w", what, path, err)
	}
	return WriteFigures(path, what, v)
}

func readJSON(path, what string, v checker) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading %s: %w", what, err)
	}
	if err := decode(data, v); err != nil {
		return fmt.Errorf("reading %s from %s: %w; let the stage that wrote it run again", what, path, err)
	}
	return nil
}

// decode reads exactly one JSON value without unknown fields.
func decode(data []byte, v checker) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	dec.UseNumber() // in Settings, a number must print as it was written
	if err := dec.Decode(v); err != nil {
		at := dec.InputOffset()
		var syntax *json.SyntaxError
		var kind *json.UnmarshalTypeError
		switch {
		case errors.As(err, &syntax):
			at = syntax.Offset
		case errors.As(err, &kind):
			at = kind.Offset
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			at, err = int64(len(data)), errors.New("the file ends early")
		}
		return fmt.Errorf("line %d: %w", line(data, at), err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("line %d: something follows the end of the value", line(data, dec.InputOffset()))
	}
	return v.check()
}

func line(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:min(int(offset), len(data))], []byte("\n"))
}

// architecture checks one string of a file against the file's space.
func architecture(s *space.Space, where, text string) error {
	if _, err := s.Parse(text); err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	return nil
}

// table checks that rows is a table edge x operation of the space.
func table[T any](s *space.Space, where string, rows [][]T) error {
	if len(rows) != len(s.Edges) {
		return fmt.Errorf("%s has %d rows, space %s has %d edges", where, len(rows), s.Name, len(s.Edges))
	}
	for e, row := range rows {
		if len(row) != len(s.Operations) {
			return fmt.Errorf("%s: row %d has %d columns, space %s has %d operations", where, e, len(row), s.Name, len(s.Operations))
		}
	}
	return nil
}
