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

// About returns the first sentence of a shipped document's comment: what it is for.
func About(name string) (string, error) {
	text, err := Read(name)
	if err != nil {
		return "", err
	}
	var comment []string
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(line, "#")
		if !ok {
			break
		}
		comment = append(comment, strings.TrimSpace(rest))
	}
	about := strings.Join(comment, " ")
	for i, r := range about {
		if strings.ContainsRune(".?!", r) && strings.HasPrefix(about[i+1:]+" ", " ") {
			return about[:i+1], nil
		}
	}
	return about, nil
}
