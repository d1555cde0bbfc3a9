package cmd

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
)

// table is rows of text in columns, for people or as CSV.
type table struct {
	head []string
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// text writes the table in columns of equal width. A row with a single cell is a heading. Cells are cut at a width of limit;
// 0 cuts nothing.
func (t *table) text(limit int) string {
	rows := t.rows
	if t.head != nil {
		rows = append([][]string{t.head}, rows...)
	}
	show := func(cell string) string {
		cell = strings.ReplaceAll(cell, "\n", " ")
		if limit > 0 {
			cell = runewidth.Truncate(cell, limit, "...")
		}
		return cell
	}
	var widths []int
	for _, r := range rows {
		for len(widths) < len(r) {
			widths = append(widths, 0)
		}
		for i, c := range r {
			if len(r) > 1 {
				widths[i] = max(widths[i], runewidth.StringWidth(show(c)))
			}
		}
	}
	var b strings.Builder
	for _, r := range rows {
		var line strings.Builder
		for i, c := range r {
			line.WriteString(runewidth.FillRight(show(c), widths[i]) + "  ")
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

// csv writes the table as RFC 4180 has it.
func (t *table) csv(w io.Writer) error {
	c := csv.NewWriter(w)
	if err := c.Write(t.head); err != nil {
		return fmt.Errorf("writing the output: %w", err)
	}
	if err := c.WriteAll(t.rows); err != nil {
		return fmt.Errorf("writing the output: %w", err)
	}
	return nil
}
