package table

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// readParquet gives the names and every row of a Parquet file to b. Nested and repeated columns are left out.
func readParquet(ctx context.Context, data []byte, b *builder) (err error) {
	broken := func(row int, err error) error {
		return &CellError{File: b.file, Line: row, Err: fmt.Errorf("%w: not a readable Parquet file: %w", ErrMalformed, err)}
	}
	// The library panics on some damaged files; they are damaged files to us, too.
	defer func() {
		if r := recover(); r != nil {
			err = broken(1, fmt.Errorf("%v", r))
		}
	}()
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return broken(1, err)
	}
	paths := f.Schema().Columns()
	names := make([]string, len(paths)) // "" is left out
	for _, path := range paths {
		if leaf, ok := f.Schema().Lookup(path...); ok && len(path) == 1 && !leaf.Node.Repeated() {
			names[leaf.ColumnIndex] = path[0]
		}
	}
	if err := b.header(names); err != nil {
		return err
	}
	line := 0
	for _, group := range f.RowGroups() {
		if line, err = readRowGroup(ctx, group, line, len(names), b); err != nil {
			var cell *CellError
			if errors.As(err, &cell) || ctx.Err() != nil {
				return err
			}
			return broken(line+1, err)
		}
	}
	return nil
}

// readRowGroup gives the rows of a group to b and returns the number of the last one; line is that of the row before.
func readRowGroup(ctx context.Context, group parquet.RowGroup, line, columns int, b *builder) (int, error) {
	rows := group.Rows()
	defer rows.Close() //nolint:errcheck // only read from
	where := func(position int) (int, int) { return line, position + 1 }
	buffer, cells := make([]parquet.Row, 256), make([]cell, columns)
	for {
		if err := ctx.Err(); err != nil {
			return line, err
		}
		n, err := rows.ReadRows(buffer)
		for _, row := range buffer[:n] {
			line++
			for i := range cells {
				cells[i] = cell{kind: emptyCell}
			}
			for _, v := range row {
				if i := v.Column(); i >= 0 && i < len(cells) {
					cells[i] = parquetCell(v)
				}
			}
			if err := b.row(line, cells, where); err != nil {
				return line, err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return line, nil
		case err != nil:
			return line, err
		case n == 0:
			return line, io.ErrUnexpectedEOF
		}
	}
}

func parquetCell(v parquet.Value) cell {
	if v.IsNull() {
		return cell{kind: emptyCell}
	}
	switch v.Kind() {
	case parquet.Int32:
		return cell{kind: numberCell, number: float64(v.Int32())}
	case parquet.Int64:
		return cell{kind: numberCell, number: float64(v.Int64())}
	case parquet.Float:
		return cell{kind: numberCell, number: float64(v.Float())}
	case parquet.Double:
		return cell{kind: numberCell, number: v.Double()}
	case parquet.ByteArray, parquet.FixedLenByteArray:
		return cell{text: string(v.ByteArray())}
	}
	return cell{text: v.String()} // truth values and times: not numbers that a search could compare
}
