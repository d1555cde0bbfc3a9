// Package configs holds the pipelines that ship inside the binary.
package configs

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

//go:embed *.yaml
var files embed.FS

// ErrUnknown is wrapped by the error of Read for a name that no shipped document has.
var ErrUnknown = errors.New("no shipped document has this name")

// Names returns the names of the shipped documents, sorted.
func Names() []string {
	// The pattern is well-formed and the file system is in memory; there is nothing that can fail.
	matches, _ := fs.Glob(files, "*.yaml")
	names := make([]string, len(matches))
	for i, m := range matches {
		names[i] = strings.TrimSuffix(path.Base(m), ".yaml")
	}
	return names
}

// Read returns the text of a shipped document, comments included.
func Read(name string) ([]byte, error) {
	text, err := files.ReadFile(name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("reading the shipped document %q: %w", name, ErrUnknown)
	}
	return text, nil
}
