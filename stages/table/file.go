package table

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"

	"github.com/plateau-nas/plateau/exporter/atomicfile"
)

// format is the first member of table.json, so that no other file is taken for one.
const format = "plateau table 1"

// The content of table.json. Arrays are in the order of ranks: lexicographic by operations, the last edge changing fastest.
type fileTable struct {
	Format        string       `json:"format"`
	Benchmark     string       `json:"benchmark"`
	Space         string       `json:"space"`
	Architectures int          `json:"architectures"` // that are listed
	Score         string       `json:"score"`         // column that serves as the score
	Sources       []Source     `json:"sources"`
	Index         numbers      `json:"index"` // public index, null where there is none
	Columns       []fileColumn `json:"columns"`
}

type fileColumn struct {
	Name    string  `json:"name"`
	File    string  `json:"file"`
	Meaning Meaning `json:"meaning"`
	Values  numbers `json:"values"`
}

// numbers are written on one line, what is not a number as null.
type numbers []float64

// MarshalJSON implements json.Marshaler.
func (n numbers) MarshalJSON() ([]byte, error) {
	out := append(make([]byte, 0, 10*len(n)+2), '[')
	for i, v := range n {
		if i > 0 {
			out = append(out, ',')
		}
		if math.IsNaN(v) {
			out = append(out, "null"...)
			continue
		}
		out = strconv.AppendFloat(out, v, 'g', -1, 64)
	}
	return append(out, ']'), nil
}

// UnmarshalJSON implements json.Unmarshaler. The decoder has checked that the text is JSON.
func (n *numbers) UnmarshalJSON(text []byte) error {
	text = bytes.TrimSpace(text)
	if len(text) < 2 || text[0] != '[' {
		return errors.New("want an array of numbers")
	}
	*n = (*n)[:0]
	if text = bytes.TrimSpace(text[1 : len(text)-1]); len(text) == 0 {
		return nil
	}
	for part := range bytes.SplitSeq(text, []byte(",")) {
		part = bytes.TrimSpace(part)
		if string(part) == "null" {
			*n = append(*n, math.NaN())
			continue
		}
		v, err := strconv.ParseFloat(string(part), 64)
		if err != nil {
			return fmt.Errorf("want an array of numbers: %w", err)
		}
		*n = append(*n, v)
	}
	return nil
}

// Save writes the table as table.json. Equal tables give equal bytes.
func (t *Table) Save(path string) error {
	f := fileTable{
		Format: format, Benchmark: t.benchmark.Name, Space: t.space.Name, Architectures: t.count, Score: t.score,
		Sources: t.sources, Index: make(numbers, t.Size()),
	}
	for rank := range f.Index {
		f.Index[rank] = math.NaN()
		if index, ok := t.Index(rank); ok {
			f.Index[rank] = float64(index)
		}
	}
	for _, c := range t.columns {
		f.Columns = append(f.Columns, fileColumn{Name: c.Name, File: c.File, Meaning: c.Meaning, Values: c.Values})
	}
	text, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("write table to %s: %w", path, err)
	}
	return atomicfile.WriteBytes(path, append(text, '\n'))
}

// Open reads a table.json that Save has written, and checks it.
func Open(path string) (*Table, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read table: %w", err)
	}
	t, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("read table from %s: %w; let the stage that wrote it run again", path, err)
	}
	return t, nil
}

func decode(data []byte) (*Table, error) {
	var f fileTable
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return nil, err
	}
	if f.Format != format {
		return nil, fmt.Errorf("its format is %q, not %q", abridged(f.Format), format)
	}
	b, err := BenchmarkByName(f.Benchmark)
	if err != nil {
		return nil, err
	}
	if f.Space != b.Space.Name {
		return nil, fmt.Errorf("benchmark %s is of space %s, not %s", b.Name, b.Space.Name, f.Space)
	}
	t, err := newTable(b)
	if err != nil {
		return nil, err
	}
	t.score, t.sources = f.Score, f.Sources
	if err := t.takeIndex(f.Index); err != nil {
		return nil, err
	}
	for _, c := range f.Columns {
		if len(c.Values) != t.Size() {
			return nil, fmt.Errorf("column %s: %d values for %d architectures", c.Name, len(c.Values), t.Size())
		}
		if _, err := t.Describe(c.Name); err == nil || c.Name == "" {
			return nil, fmt.Errorf("column %q has no name of its own", c.Name)
		}
		t.columns = append(t.columns, &Column{Name: c.Name, File: c.File, Meaning: c.Meaning, Values: c.Values, Missing: missing(c.Values)})
	}
	if t.tally(); t.count != f.Architectures {
		return nil, fmt.Errorf("it holds %d architectures, not %d", t.count, f.Architectures)
	}
	if f.Score != "" {
		if _, err := t.Describe(f.Score); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// takeIndex sets the public indices.
func (t *Table) takeIndex(index numbers) error {
	if len(index) != t.Size() {
		return fmt.Errorf("%d indices for %d architectures", len(index), t.Size())
	}
	for rank, v := range index {
		if math.IsNaN(v) {
			continue
		}
		if v != math.Trunc(v) || v < 0 || v > math.MaxInt32 {
			return fmt.Errorf("%v is no index", v)
		}
		if _, twice := t.ranks[int(v)]; twice {
			return fmt.Errorf("index %v is given twice", v)
		}
		t.index[rank], t.ranks[int(v)] = int32(v), rank
	}
	return nil
}
