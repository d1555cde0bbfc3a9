package table

import (
	"fmt"
	"math"
	"slices"

	"github.com/plateau-nas/plateau/stages/space"
)

// Table holds the numeric columns of a benchmark's files by architecture. It is not changed once it is loaded, so
// it may be shared between goroutines.
type Table struct {
	benchmark Benchmark
	space     *space.Space
	strides   []int // rank = sum over the edges of operation x stride
	columns   []*Column
	index     []int32     // rank -> public index, -1 where there is none
	ranks     map[int]int // public index -> rank
	present   []bool      // rank -> listed in a file
	count     int
	sources   []Source
	score     string
}

// Column is a numeric column.
type Column struct {
	Name    string
	File    string // base name of the file that it comes from
	Meaning Meaning
	Values  []float64 // by rank; NaN where an architecture has none. Not to be changed.
	Missing int       // architectures without a value
}

// Source is a file that a table was read from.
type Source struct {
	File   string `json:"file"`   // base name, without .gz
	SHA256 string `json:"sha256"` // of its bytes, of those inside for .gz
	Rows   int    `json:"rows"`
}

// maxArchitectures bounds the spaces whose tables are held in memory.
const maxArchitectures = 1 << 22

func newTable(b Benchmark) (*Table, error) {
	n := b.Space.Size()
	if n <= 0 || n > maxArchitectures {
		return nil, fmt.Errorf("space %s has %d architectures; a table holds at most %d", b.Space.Name, n, maxArchitectures)
	}
	t := &Table{benchmark: b, space: b.Space, index: make([]int32, n), ranks: map[int]int{}, present: make([]bool, n)}
	for i := range t.index {
		t.index[i] = -1
	}
	t.strides = make([]int, len(b.Space.Edges))
	stride := 1
	for e := len(t.strides) - 1; e >= 0; e-- {
		t.strides[e] = stride
		stride *= len(b.Space.Operations)
	}
	if stride != n {
		return nil, fmt.Errorf("space %s is not any of %d operations on each of %d edges, so its architectures have no ranks", b.Space.Name, len(b.Space.Operations), len(b.Space.Edges))
	}
	return t, nil
}

// Space returns the space whose architectures the table lists.
func (t *Table) Space() *space.Space { return t.space }

// Benchmark returns what the table is an instance of.
func (t *Table) Benchmark() Benchmark { return t.benchmark }

// Sources returns the files that the table was read from.
func (t *Table) Sources() []Source { return slices.Clone(t.sources) }

// Size returns the number of architectures of the space: the ranks are 0 to Size()-1.
func (t *Table) Size() int { return len(t.present) }

// Count returns the number of architectures that the table lists. It is Size unless the table is partial.
func (t *Table) Count() int { return t.count }

// Columns returns the names of the numeric columns in the order of the files.
func (t *Table) Columns() []string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.Name
	}
	return names
}

// Describe returns a column with its meaning; "" names the score column. The error is a *ColumnError.
func (t *Table) Describe(name string) (*Column, error) {
	if name == "" {
		name = t.score
	}
	for _, c := range t.columns {
		if c.Name == name {
			return c, nil
		}
	}
	return nil, &ColumnError{Name: name, Known: t.Columns()}
}

// Column returns the values of a column by rank, NaN where an architecture has none; "" names the score column. The
// slice is the table's own and must not be changed. The error is a *ColumnError.
func (t *Table) Column(name string) ([]float64, error) {
	c, err := t.Describe(name)
	if err != nil {
		return nil, err
	}
	return c.Values, nil
}

// Score returns the name of the column that serves as the score, "" when none was chosen.
func (t *Table) Score() string { return t.score }

// WithMeaning returns a table in which the column serves as the score and means what the layout of its file tells, completed
// by what is given. The error is a *MeaningError when the two contradict each other or leave open what must be known, a
// *ColumnError when there is no such column.
func (t *Table) WithMeaning(column string, given Meaning) (*Table, error) {
	out := *t
	out.columns = slices.Clone(t.columns)
	i := slices.IndexFunc(out.columns, func(c *Column) bool { return c.Name == column })
	if i < 0 {
		return nil, &ColumnError{Name: column, Known: t.Columns()}
	}
	c := *out.columns[i]
	m, err := settle(c.File, c.Name, c.Meaning, given)
	if err != nil {
		return nil, err
	}
	c.Meaning = m
	out.columns[i], out.score = &c, column
	return &out, nil
}

// Rank returns the place of an architecture of the space in the lexicographic order of operations. It is not checked: what
// is no architecture of the space gives any number.
func (t *Table) Rank(a space.Architecture) int {
	rank := 0
	for e, op := range a {
		if e < len(t.strides) {
			rank += op * t.strides[e]
		}
	}
	return rank
}

// Architecture returns the architecture of a rank, which must be 0 to Size()-1.
func (t *Table) Architecture(rank int) space.Architecture {
	a := make(space.Architecture, len(t.strides))
	for e, stride := range t.strides {
		a[e] = rank / stride % len(t.space.Operations)
	}
	return a
}

// Index returns the public index of the architecture of a rank, and whether the table gives it one.
func (t *Table) Index(rank int) (int, bool) {
	if rank < 0 || rank >= len(t.index) || t.index[rank] < 0 {
		return 0, false
	}
	return int(t.index[rank]), true
}

// RankOf returns the rank of the architecture with a public index, and whether there is one.
func (t *Table) RankOf(index int) (int, bool) {
	rank, ok := t.ranks[index]
	return rank, ok
}

// Has reports whether the table lists the architecture of a rank.
func (t *Table) Has(rank int) bool { return rank >= 0 && rank < len(t.present) && t.present[rank] }

// Best returns the rank with the highest of the scores, which are by rank, NaN where there is none. Of equals it is the one
// with the lowest public index, or without indices the lowest rank; -1 when there is no score.
func (t *Table) Best(scores []float64) int {
	best := -1
	for rank, v := range scores {
		if math.IsNaN(v) {
			continue
		}
		if best < 0 || v > scores[best] || v == scores[best] && t.index[rank] < t.index[best] {
			best = rank
		}
	}
	return best
}

// tally notes which architectures are listed: those with an index or a value.
func (t *Table) tally() {
	t.count = 0
	for rank := range t.present {
		listed := t.index[rank] >= 0
		for _, c := range t.columns {
			listed = listed || !math.IsNaN(c.Values[rank])
		}
		if t.present[rank] = listed; listed {
			t.count++
		}
	}
}

// missing counts the values that are not there.
func missing(values []float64) int {
	n := 0
	for _, v := range values {
		if math.IsNaN(v) {
			n++
		}
	}
	return n
}
