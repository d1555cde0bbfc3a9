package pipeline

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
)

// This file says what the paths in a document mean. A relative path that stands in a document is relative to that document's folder,
// wherever plateau is started; one that an override gives is relative to the working directory, as on any command line. In a shipped
// document, which has no folder, the working directory stands for it. Of documents that extend each other the one in which the
// path stands counts.

// begins is the place that decides what a path is relative to: of the text, or of the variable that it begins with.
func (n *node) begins() *place {
	if n.start != nil {
		return n.start
	}
	return &n.at
}

// locateFile returns what a path opens that a setting has, n being where it stands.
func (f *findings) locateFile(n *node, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(f.folder(n.begins()), filepath.FromSlash(path))
}

// folder is the folder that paths at a place are relative to; empty for the working directory.
func (f *findings) folder(at *place) string {
	if at.override != "" {
		return ""
	}
	in := &f.text
	if at.in != nil {
		in = at.in
	}
	if dir := filepath.Dir(in.name); dir != "." {
		return dir
	}
	return ""
}

// aboutText is a hint about the text of a setting that err was returned for; empty when nothing is known.
func (f *findings) aboutText(n *node, err error) string {
	if n.escapes() {
		return escapesHint
	}
	if n.found == "" || !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	full, aerr := filepath.Abs(n.found)
	if aerr != nil || full == n.text {
		return ""
	}
	if dir := f.folder(n.begins()); dir != "" && !filepath.IsAbs(n.text) {
		hint := "a relative path in a document is relative to the document's folder, so this is " + full
		if _, serr := os.Stat(n.text); serr == nil {
			hint += "; there is one in the working directory: move it there, write the whole path, or give the path with --set"
		}
		return hint
	}
	return "looked for " + full
}

// escapesHint tells what happened to a path in double quotes.
const escapesHint = `in double quotes a backslash begins an escape, such as \t for a tab; write the path in single quotes, or with / in place of \`

// escapes says whether the text has characters that nobody writes into a name on purpose, but escapes of double-quoted YAML give.
func (n *node) escapes() bool {
	return n.at.override == "" && strings.ContainsFunc(n.text, unicode.IsControl)
}

// plainly returns a message in which the text stands as it is written with escapes, where it has characters that would garble it.
func (n *node) plainly(message string) string {
	if !strings.ContainsFunc(n.text, unicode.IsControl) {
		return message
	}
	for _, text := range []string{n.found, n.text} { // the longer one first
		if text != "" {
			message = strings.ReplaceAll(message, text, strconv.Quote(text))
		}
	}
	return message
}
