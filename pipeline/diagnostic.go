package pipeline

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mattn/go-runewidth"
)

// Diagnostic is one mistake in a document or in an override of it.
type Diagnostic struct {
	File     string // as the document was named; empty for an override
	Line     int    // from 1; 0 when the mistake has no place of its own
	Column   int    // from 1, in characters
	Override string // the text of the override that is wrong, such as "search.epochs=ten"; empty for the document
	Summary  string // what is wrong, in one line
	Excerpt  string // the line with carets under what is meant; empty when there is none
	Hint     string // how to mend it, in one line; may be empty
}

// String formats the diagnostic for people: the place and the summary, the excerpt, the hint.
func (d Diagnostic) String() string {
	var b strings.Builder
	switch {
	case d.Override != "":
		fmt.Fprintf(&b, "--set %s: ", d.Override)
	case d.Line > 0:
		fmt.Fprintf(&b, "%s:%d:%d: ", d.File, d.Line, d.Column)
	case d.File != "":
		fmt.Fprintf(&b, "%s: ", d.File)
	}
	b.WriteString(d.Summary)
	if d.Excerpt != "" {
		b.WriteString("\n" + d.Excerpt)
	}
	if d.Hint != "" {
		b.WriteString("\n  " + d.Hint)
	}
	return b.String()
}

// DiagnosticsError is every mistake found in a document, in the order of the text; those of overrides come last.
type DiagnosticsError struct {
	Name        string // the document's name or file
	Diagnostics []Diagnostic
}

// Error lists the mistakes, each with its place and excerpt.
func (e *DiagnosticsError) Error() string {
	var b strings.Builder
	switch n := len(e.Diagnostics); n {
	case 1:
		fmt.Fprintf(&b, "%s has a mistake\n", e.Name)
	default:
		fmt.Fprintf(&b, "%s has %d mistakes\n", e.Name, n)
	}
	for _, d := range e.Diagnostics {
		b.WriteString("\n" + d.String() + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// text is a file that places are in.
type text struct {
	name  string   // under which it is reported
	lines []string // for excerpts
}

// place is where something stands: in the document's text, or in an override.
type place struct {
	in           *text // nil: the document itself, and not one that it extends
	line, column int
	width        int // characters that a caret line marks; at least 1 is shown
	override     string
	reported     bool // something is wrong here that has been said; what follows from it is no news
}

// findings gathers mistakes while a document is checked.
type findings struct {
	text
	overrides []string // in the order given
	list      []Diagnostic
	said      map[Diagnostic]bool // what is in list, as plain gives it
}

func (f *findings) add(at place, hint, format string, args ...any) {
	if at.reported {
		return
	}
	d := Diagnostic{Summary: fmt.Sprintf(format, args...), Hint: hint}
	if at.override != "" {
		d.Override = at.override
	} else {
		in := &f.text
		if at.in != nil {
			in = at.in
		}
		d.File, d.Line, d.Column = in.name, at.line, at.column
		d.Excerpt = in.excerpt(at)
	}
	if f.said == nil {
		f.said = map[Diagnostic]bool{}
		for _, old := range f.list {
			f.said[old.plain()] = true
		}
	}
	if p := d.plain(); !f.said[p] { // an anchor that is used twice is one mistake
		f.said[p] = true
		f.list = append(f.list, d)
	}
}

// drop forgets what was added after the first n findings.
func (f *findings) drop(n int) {
	f.list, f.said = f.list[:n], nil
}

// variantSuffix is what tells the stages apart that one stage of a document stands for.
var variantSuffix = regexp.MustCompile(`@[A-Za-z0-9_+-][A-Za-z0-9_.+-]*`)

// plain is equal for diagnostics that are one mistake. What is wrong with a stage that stands for many is said once.
func (d Diagnostic) plain() Diagnostic {
	if d.Line > 0 {
		d.Summary, d.Hint = variantSuffix.ReplaceAllString(d.Summary, ""), variantSuffix.ReplaceAllString(d.Hint, "")
	}
	return d
}

func (f *findings) err(name string) error {
	if len(f.list) == 0 {
		return nil
	}
	list := slices.Clone(f.list)
	slices.SortStableFunc(list, func(a, b Diagnostic) int {
		return cmp.Or(
			cmp.Compare(slices.Index(f.overrides, a.Override), slices.Index(f.overrides, b.Override)), // -1 for the document
			f.compareFiles(a.File, b.File),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
		)
	})
	return &DiagnosticsError{Name: name, Diagnostics: list}
}

// compareFiles puts the document before those that it extends.
func (f *findings) compareFiles(a, b string) int {
	if a == b {
		return 0
	}
	if a == f.name || b == f.name {
		return map[bool]int{true: -1, false: 1}[a == f.name]
	}
	return cmp.Compare(a, b)
}

// excerpt shows the line of at with carets below the marked characters.
func (t *text) excerpt(at place) string {
	if at.line < 1 || at.line > len(t.lines) {
		return ""
	}
	line := []rune(t.lines[at.line-1])
	column := min(max(at.column, 1), len(line)+1)
	end := min(column-1+max(at.width, 1), len(line))
	// Keep very long lines readable: show the part around the mistake.
	const before, after = 60, 100
	start, prefix := 0, ""
	if column-1 > before+after/2 {
		start, prefix = column-1-before, "..."
	}
	shown, suffix := line[start:], ""
	if len(shown) > before+after {
		shown, suffix = shown[:before+after], "..."
	}
	end = min(end, start+len(shown))
	var pad strings.Builder
	pad.WriteString(strings.Repeat(" ", len(prefix)))
	for _, r := range line[start : column-1] {
		if r == '\t' {
			pad.WriteRune('\t')
			continue
		}
		pad.WriteString(strings.Repeat(" ", runewidth.RuneWidth(r)))
	}
	carets := 1
	if end > column-1 {
		carets = max(runewidth.StringWidth(string(line[column-1:end])), 1)
	}
	number := strconv.Itoa(at.line)
	gutter := strings.Repeat(" ", len(number))
	return fmt.Sprintf("  %s | %s%s%s\n  %s | %s%s", number, prefix, string(shown), suffix, gutter, pad.String(), strings.Repeat("^", carets))
}
