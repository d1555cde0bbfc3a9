package result

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/plateau-nas/plateau/exporter/atomicfile"
)

// Number is null in JSON where v is not a number or infinite.
func Number(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// Value is not a number where there is none.
func Value(p *float64) float64 {
	if p == nil {
		return math.NaN()
	}
	return *p
}

// Text writes a number for a cell of a table: the shortest text that reads as the same number, empty where it is none.
func Text(v float64) string {
	if math.IsNaN(v) {
		return ""
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// WriteFigures writes a file of figures that people and their tools read and no stage does. what stands for it in errors.
func WriteFigures(path, what string, figures any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(figures); err != nil {
		return fmt.Errorf("writing %s to %s: %w", what, path, err)
	}
	return atomicfile.WriteBytes(path, b.Bytes())
}

// WriteRows writes such figures as a CSV file; the first row is the names of the columns.
func WriteRows(path, what string, rows [][]string) error {
	var b bytes.Buffer
	if err := csv.NewWriter(&b).WriteAll(rows); err != nil {
		return fmt.Errorf("writing %s to %s: %w", what, path, err)
	}
	return atomicfile.WriteBytes(path, b.Bytes())
}
