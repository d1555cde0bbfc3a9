package table

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// errNoArchitectures says that a file is no table of this benchmark.
var errNoArchitectures = errors.New("no column holds the architecture")

// maxColumns bounds what a hostile header can make us hold.
const maxColumns = 1024

// cell is a value of a row, text as in CSV files or already a number.
type cell struct {
	text   string
	number float64
	kind   cellKind
}

type cellKind int

const (
	textCell cellKind = iota
	numberCell
	emptyCell
)

// builder collects the rows of one file, whatever its format.
type builder struct {
	file    string
	options Options
	scratch *Table // of the space, for ranks
	arch    int    // position of the column that holds the architecture
	at      int    // position of the public index, -1 where there is none
	fields  []*field

	rows    int
	present []bool  // by rank
	line    []int   // by rank
	index   []int32 // by rank, -1 where there is none
	indices map[int32]int
	columns []*Column
}

// field is a column that may turn out to be numeric.
type field struct {
	name           string
	position       int // in a row
	values         []float64
	numbers, texts int
	text           *CellError // the first cell that is no number
	bad            *CellError // the first cell that is empty or not finite
}

func newBuilder(file string, o Options) (*builder, error) {
	t, err := newTable(o.Benchmark)
	if err != nil {
		return nil, err
	}
	n := t.Size()
	// A builder's table has no index yet, and its array can serve.
	return &builder{file: file, options: o, scratch: t, arch: -1, at: -1, present: t.present, line: make([]int, n), index: t.index, indices: map[int32]int{}}, nil
}

// header takes the names of the columns.
func (b *builder) header(names []string) error {
	if len(names) > maxColumns {
		return &CellError{File: b.file, Line: 1, Err: fmt.Errorf("%w: %d columns, more than the %d that are read", ErrMalformed, len(names), maxColumns)}
	}
	seen := map[string]bool{}
	for i, name := range names {
		name = strings.TrimSpace(name)
		if name == "" {
			continue // a row number that an export has added
		}
		if seen[name] {
			return &CellError{File: b.file, Line: 1, Name: name, Err: fmt.Errorf("%w: the header names it twice", ErrMalformed)}
		}
		seen[name] = true
		switch {
		case name == b.options.Benchmark.Arch:
			b.arch = i
		case name == b.options.Benchmark.Index:
			b.at = i
		case b.options.Columns == nil || slices.Contains(b.options.Columns, name):
			b.fields = append(b.fields, &field{name: name, position: i})
		}
	}
	if b.arch < 0 {
		return fmt.Errorf("%w: there is no column %s, only %s", errNoArchitectures, b.options.Benchmark.Arch, list(names))
	}
	return nil
}

// list joins the first names.
func list(names []string) string {
	const most = 12
	if len(names) > most {
		return strings.Join(names[:most], ", ") + " and others"
	}
	return strings.Join(names, ", ")
}

// row takes a row of as many cells as the header has. where gives the position of a cell: its line and the place in it.
func (b *builder) row(line int, cells []cell, where func(position int) (line, column int)) error {
	fail := func(position int, name string, err error) error {
		l, c := where(position)
		return &CellError{File: b.file, Line: l, Column: c, Name: name, Err: err}
	}
	text := strings.TrimSpace(cells[b.arch].text)
	a, err := b.scratch.space.Parse(text)
	if err != nil {
		return fail(b.arch, b.options.Benchmark.Arch, fmt.Errorf("%w: %w", ErrUnknownArchitecture, err))
	}
	rank := b.scratch.Rank(a)
	if b.present[rank] {
		return fail(b.arch, b.options.Benchmark.Arch, fmt.Errorf("%w: %s is also on line %d", ErrDuplicate, text, b.line[rank]))
	}
	b.present[rank], b.line[rank] = true, line
	b.rows++
	if b.at >= 0 {
		index, err := cells[b.at].whole()
		if err != nil {
			return fail(b.at, b.options.Benchmark.Index, fmt.Errorf("%w: %w", ErrMalformed, err))
		}
		if other, ok := b.indices[index]; ok {
			return fail(b.at, b.options.Benchmark.Index, fmt.Errorf("%w: %d is also on line %d", ErrIndex, index, b.line[other]))
		}
		b.index[rank], b.indices[index] = index, rank
	}
	for _, f := range b.fields {
		b.take(f, rank, cells[f.position], where)
	}
	return nil
}

// take notes one cell. What is wrong with it is said at the end, when it is known whether the column is one of numbers.
func (b *builder) take(f *field, rank int, c cell, where func(int) (int, int)) {
	note := func(err error) *CellError {
		l, column := where(f.position)
		return &CellError{File: b.file, Line: l, Column: column, Name: f.name, Err: err}
	}
	value, kind := c.value()
	switch {
	case kind == textCell:
		if f.texts++; f.text == nil {
			f.text = note(fmt.Errorf("%w: %q is no number", ErrMalformed, abridged(c.text)))
		}
		return
	case kind == emptyCell:
		if f.bad == nil && !b.options.Partial {
			f.bad = note(fmt.Errorf("%w; set partial: true where values may be missing", ErrEmpty))
		}
		return
	case math.IsNaN(value) || math.IsInf(value, 0):
		if f.bad == nil {
			f.bad = note(fmt.Errorf("%w: %v", ErrNotFinite, value))
		}
	}
	f.numbers++
	if f.values == nil {
		f.values = make([]float64, len(b.present))
		for i := range f.values {
			f.values[i] = math.NaN()
		}
	}
	f.values[rank] = value
}

// finish says what is wrong with columns of numbers, and keeps those that are right. A column in which at least half of the
// cells are no numbers is one of text, and left out.
func (b *builder) finish() error {
	for _, f := range b.fields {
		if f.numbers == 0 || f.texts >= f.numbers {
			if f.text != nil && slices.Contains(b.options.Columns, f.name) {
				return f.text
			}
			continue
		}
		if f.text != nil {
			return f.text
		}
		if f.bad != nil {
			return f.bad
		}
		b.columns = append(b.columns, &Column{
			Name: f.name, File: b.file, Values: f.values, Missing: missing(f.values),
			Meaning: b.options.Benchmark.describe(b.file, f.name),
		})
	}
	return nil
}

// value reads the cell as a number.
func (c cell) value() (float64, cellKind) {
	if c.kind != textCell {
		return c.number, c.kind
	}
	text := strings.TrimSpace(c.text)
	if text == "" {
		return 0, emptyCell
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) { // out of range is infinite, which is reported as that
		return 0, textCell
	}
	return v, numberCell
}

// whole reads the cell as a public index.
func (c cell) whole() (int32, error) {
	v, kind := c.value()
	if kind != numberCell || v < 0 || v > math.MaxInt32 || v != math.Trunc(v) {
		shown := abridged(c.text)
		if c.kind == numberCell {
			shown = fmt.Sprint(c.number)
		}
		return 0, fmt.Errorf("%q is no index, which is a whole number from 0", shown)
	}
	return int32(v), nil
}

// abridged cuts a text that is quoted in a message.
func abridged(text string) string {
	const most = 40
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}
