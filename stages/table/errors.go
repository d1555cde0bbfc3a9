package table

import (
	"errors"
	"fmt"
	"strings"
)

// What can be wrong with a row or a cell. A *CellError wraps one of these.
var (
	ErrMalformed           = errors.New("malformed")
	ErrUnknownArchitecture = errors.New("not an architecture of the space")
	ErrDuplicate           = errors.New("architecture is listed twice")
	ErrNotFinite           = errors.New("not a finite number")
	ErrEmpty               = errors.New("empty cell")
	ErrIndex               = errors.New("public index does not fit")
)

// CellError says where a file cannot be read as a table.
type CellError struct {
	File   string // base name
	Line   int    // 1-based line of a CSV file, the header being 1; 1-based row of a Parquet file
	Column int    // 1-based byte of the line at which the cell of a CSV file begins, 1-based number of a Parquet column; 0 where it is the whole row
	Name   string // of the column, "" where it is the whole row
	Err    error  // what is wrong; wraps one of the Err values of this package
}

// Error implements error.
func (e *CellError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d", e.File, e.Line)
	if e.Column > 0 {
		fmt.Fprintf(&b, ":%d", e.Column)
	}
	if e.Name != "" {
		fmt.Fprintf(&b, ": column %s", e.Name)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	return b.String()
}

// Unwrap returns the cause.
func (e *CellError) Unwrap() error { return e.Err }

// MissingError says that a table does not list every architecture of its space.
type MissingError struct {
	File    string // base name
	Missing int    // architectures that it does not list
	Total   int    // architectures of the space
	Example string // one that is missing, as the space writes it
}

// Error implements error.
func (e *MissingError) Error() string {
	return fmt.Sprintf("%s lists %d of %d architectures; %s is one of those missing. Give the whole table, or set partial: true to go on without them",
		e.File, e.Total-e.Missing, e.Total, e.Example)
}

// ColumnError says that no file has a column of the name.
type ColumnError struct {
	Name    string
	Known   []string // columns there are
	Problem string   // what is wrong with it when it is not just absent
}

// Error implements error.
func (e *ColumnError) Error() string {
	problem := e.Problem
	if problem == "" {
		problem = "there is no such column"
	}
	return fmt.Sprintf("column %q: %s; the numeric columns are %s", e.Name, problem, strings.Join(e.Known, ", "))
}

// MeaningError says that it is not known, or not sure, what a column means.
type MeaningError struct {
	File, Column string
	Conflict     string   // how what is given contradicts the names of file and column, "" when it does not
	Unknown      []string // what must be said: names of Meaning's fields as in its JSON form
}

// Error implements error.
func (e *MeaningError) Error() string {
	if e.Conflict != "" {
		return fmt.Sprintf("column %s of %s: going by the names of file and column, %s; correct the setting, or rename the file if it is the one to be wrong",
			e.Column, e.File, e.Conflict)
	}
	return fmt.Sprintf("column %s of %s: the layout of the file is not a known one, so say what the numbers are: %s must be set. "+
		"Accuracies of other epochs or another split are another truth", e.Column, e.File, list(e.Unknown))
}
