package table

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"

	"github.com/plateau-nas/plateau/stages/internal/words"
)

// byteOrderMark is what some spreadsheets put at the front of a UTF-8 file.
const byteOrderMark = "\xef\xbb\xbf"

// readCSV gives the header and every row of a comma-separated file to b.
func readCSV(ctx context.Context, data []byte, b *builder) error {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte(byteOrderMark))))
	r.ReuseRecord = true
	r.FieldsPerRecord = -1 // counted here, for a better message
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return &CellError{File: b.file, Line: 1, Err: fmt.Errorf("%w: the file is empty; its first line must name the columns", ErrMalformed)}
	}
	if err != nil {
		return csvError(b.file, err)
	}
	columns := len(header)
	if err := b.header(header); err != nil {
		return err
	}
	cells := make([]cell, columns)
	for n := 0; ; n++ {
		if n%1024 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return csvError(b.file, err)
		}
		line, _ := r.FieldPos(0)
		if len(record) != columns {
			return &CellError{File: b.file, Line: line, Err: fmt.Errorf("%w: %s, where the header has %d", ErrMalformed, words.Count(len(record), "cell"), columns)}
		}
		for i, text := range record {
			cells[i] = cell{text: text}
		}
		if err := b.row(line, cells, r.FieldPos); err != nil {
			return err
		}
	}
}

// csvError gives the position that the CSV reader found to our own error.
func csvError(file string, err error) error {
	var p *csv.ParseError
	if errors.As(err, &p) {
		return &CellError{File: file, Line: p.Line, Column: p.Column, Err: fmt.Errorf("%w: %w", ErrMalformed, p.Err)}
	}
	return err
}
