package table_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/plateau-nas/plateau/stages/table"
)

func gzipped(t testing.TB, text string) string {
	t.Helper()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.String()
}

type parquetRow struct {
	Index int64    `parquet:"index"`
	Arch  string   `parquet:"arch"`
	V     *float32 `parquet:"v,optional"`
	Text  string   `parquet:"text"`
	Flag  bool     `parquet:"flag"`
	List  []int32  `parquet:"list"`
}

// writeParquet writes a whole table of the tiny space, changed as told.
func writeParquet(t testing.TB, change func(rows []parquetRow)) string {
	t.Helper()
	s := tiny().Space
	archs := slices.Collect(s.All())
	rows := make([]parquetRow, len(archs))
	for i := range rows {
		v := float32(100 - rankOfRow(i))
		rows[i] = parquetRow{Index: int64(i), Arch: s.Format(archs[rankOfRow(i)]), V: &v, Text: "words", List: []int32{1, 2}}
	}
	if change != nil {
		change(rows)
	}
	path := filepath.Join(t.TempDir(), "a.parquet")
	if err := parquet.WriteFile(path, rows); err != nil {
		t.Fatal(err)
	}
	return path
}

// Gzip, Parquet, a byte order mark, Windows line ends, spaces and quotes change nothing.
func TestHowAFileIsWrittenDoesNotMatter(t *testing.T) {
	b, plain := tiny(), joined()
	want := load(t, table.Options{Benchmark: b}, write(t, "a.csv", plain))
	for name, path := range map[string]string{
		"packed":         write(t, "a.csv.gz", gzipped(t, plain)),
		"byte order":     write(t, "a.csv", "\xef\xbb\xbf"+plain),
		"Windows":        write(t, "a.csv", strings.ReplaceAll(plain, "\n", "\r\n")),
		"spaces":         write(t, "a.csv", strings.ReplaceAll(plain, ",", " , ")),
		"quotes":         write(t, "a.csv", strings.ReplaceAll(plain, "words", `"words, words"`)),
		"unnamed column": write(t, "a.csv", ","+strings.ReplaceAll(plain, "\n", "\n7,")),
		"Parquet":        writeParquet(t, nil),
	} {
		got := load(t, table.Options{Benchmark: b}, path)
		if diff := cmp.Diff(column(t, want, "v"), column(t, got, "v")); diff != "" {
			t.Errorf("%s: values (-want +got):\n%s", name, diff)
		}
		for rank := range want.Size() {
			w, _ := want.Index(rank)
			if g, ok := got.Index(rank); !ok || w != g {
				t.Errorf("%s: rank %d has index %d, want %d", name, rank, g, w)
			}
		}
		if diff := cmp.Diff(want.Columns(), got.Columns()); diff != "" {
			t.Errorf("%s: columns (-want +got):\n%s", name, diff)
		}
	}
	packed := load(t, table.Options{Benchmark: b}, write(t, "a.csv.gz", gzipped(t, plain)))
	if want.Sources()[0] != packed.Sources()[0] {
		t.Errorf("the packed file is another source: %v, want %v", packed.Sources()[0], want.Sources()[0])
	}
}

// Every mistake names the file, the line, the column and what is wrong.
func TestMistakesAreFound(t *testing.T) {
	b := tiny()
	good := lines(b)
	change := func(line int, old, new string) string {
		out := slices.Clone(good)
		out[line-1] = strings.Replace(out[line-1], old, new, 1)
		return strings.Join(out, "\n")
	}
	for name, c := range map[string]struct {
		text         string
		is           error
		line, column int
		says         string
	}{
		"empty file":            {"", table.ErrMalformed, 1, 0, "the file is empty"},
		"too few cells":         {change(4, ",words", ""), table.ErrMalformed, 4, 0, "3 cells, where the header has 4"},
		"a quote":               {change(4, "words", `w"ords`), table.ErrMalformed, 4, 0, "bare"},
		"unknown operation":     {change(5, "conv", "convv"), table.ErrUnknownArchitecture, 5, 3, `"conv"`},
		"twice":                 {strings.Join(append(slices.Clone(good), good[2]), "\n"), table.ErrDuplicate, 29, 3, "also on line 3"},
		"no number":             {change(9, ",75,", ",eight,"), table.ErrMalformed, 9, 0, `column v: malformed: "eight" is no number`},
		"not finite":            {change(3, ",90,", ",inf,"), table.ErrNotFinite, 3, 0, "+Inf"},
		"out of range":          {change(3, ",90,", ",1e999,"), table.ErrNotFinite, 3, 0, "+Inf"},
		"not a number":          {change(3, ",90,", ",NaN,"), table.ErrNotFinite, 3, 0, "NaN"},
		"empty cell":            {change(3, ",90,", ",,"), table.ErrEmpty, 3, 0, "partial: true"},
		"index twice":           {change(3, "1,", "0,"), table.ErrIndex, 3, 1, "0 is also on line 2"},
		"index is no number":    {change(3, "1,", "one,"), table.ErrMalformed, 3, 1, `"one" is no index`},
		"index is not whole":    {change(3, "1,", "1.5,"), table.ErrMalformed, 3, 1, `"1.5" is no index`},
		"header names it twice": {change(1, "text", "v"), table.ErrMalformed, 1, 0, "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := table.Load(t.Context(), []string{write(t, "a.csv", c.text)}, table.Options{Benchmark: b})
			var cell *table.CellError
			if !errors.Is(err, c.is) || !errors.As(err, &cell) {
				t.Fatalf("error %v, want one that is %v", err, c.is)
			}
			if cell.Line != c.line || c.column > 0 && cell.Column != c.column || cell.File != "a.csv" {
				t.Errorf("at %s:%d:%d, want line %d, column %d: %v", cell.File, cell.Line, cell.Column, c.line, c.column, err)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %q does not say %q", err, c.says)
			}
		})
	}
}

func TestMistakesInParquetFilesNameTheRow(t *testing.T) {
	inf := float32(math.Inf(-1))
	for name, c := range map[string]struct {
		change func(rows []parquetRow)
		is     error
		line   int
	}{
		"architecture": {func(rows []parquetRow) { rows[4].Arch = "|conv~0|" }, table.ErrUnknownArchitecture, 5},
		"twice":        {func(rows []parquetRow) { rows[7].Arch = rows[2].Arch }, table.ErrDuplicate, 8},
		"not finite":   {func(rows []parquetRow) { rows[9].V = &inf }, table.ErrNotFinite, 10},
		"empty":        {func(rows []parquetRow) { rows[9].V = nil }, table.ErrEmpty, 10},
		"index":        {func(rows []parquetRow) { rows[1].Index = -1 }, table.ErrMalformed, 2},
	} {
		_, err := table.Load(t.Context(), []string{writeParquet(t, c.change)}, table.Options{Benchmark: tiny()})
		var cell *table.CellError
		if !errors.Is(err, c.is) || !errors.As(err, &cell) || cell.Line != c.line {
			t.Errorf("%s: error %v, want one on row %d that is %v", name, err, c.line, c.is)
		}
	}
	whole, err := os.ReadFile(writeParquet(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(9, 9))
	for range 300 {
		damaged := slices.Clone(whole)
		for range 1 + rng.IntN(4) {
			damaged[rng.IntN(len(damaged))] ^= byte(1 + rng.IntN(255))
		}
		// Whatever is in the bytes, it is an error or a table, and no panic.
		_, _ = table.Load(t.Context(), []string{write(t, "a.parquet", string(damaged))}, table.Options{Benchmark: tiny()})
	}
}

func TestAPartialTableIsAllowedWhereSaid(t *testing.T) {
	b := tiny()
	part := strings.Join(lines(b)[:20], "\n")
	_, err := table.Load(t.Context(), []string{write(t, "a.csv", part)}, table.Options{Benchmark: b})
	var missing *table.MissingError
	if !errors.As(err, &missing) || missing.Missing != 8 || missing.Total != 27 {
		t.Errorf("error %v, want one that says that 8 of 27 are missing", err)
	}
	part = strings.Replace(part, ",90,", ",,", 1)
	tab := load(t, table.Options{Benchmark: b, Partial: true}, write(t, "a.csv", part))
	c, _ := tab.Describe("v")
	if tab.Count() != 19 || c.Missing != 9 {
		t.Errorf("%d architectures are listed, %d without a value; want 19 and 9", tab.Count(), c.Missing)
	}
}

func TestFilesAreJoinedByArchitecture(t *testing.T) {
	b := tiny()
	shuffled := lines(b)
	rand.New(rand.NewPCG(1, 2)).Shuffle(27, func(i, j int) { shuffled[i+1], shuffled[j+1] = shuffled[j+1], shuffled[i+1] })
	shuffled[0] = "index,arch,cost,text"
	second := strings.Join(shuffled, "\n")
	one, two := write(t, "a.csv", joined()), write(t, "b.csv", second)
	tab := load(t, table.Options{Benchmark: b}, one, two)
	if diff := cmp.Diff(column(t, tab, "v"), column(t, tab, "cost")); diff != "" {
		t.Errorf("equal columns of two files in different order (-first +second):\n%s", diff)
	}
	if c, _ := tab.Describe("cost"); c.File != "b.csv" {
		t.Errorf("cost comes from %s", c.File)
	}

	// A folder stands for the tables in it, and what is no table is left out.
	folder := t.TempDir()
	for name, text := range map[string]string{"a.csv": joined(), "b.csv": second, "notes.csv": "name,remark\nx,y\n", "README.md": "#"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := load(t, table.Options{Benchmark: b}, folder).Columns(); !slices.Equal(got, []string{"v", "cost"}) {
		t.Errorf("columns of the folder: %v", got)
	}
	if got := load(t, table.Options{Benchmark: b, Columns: []string{"cost"}}, folder).Columns(); !slices.Equal(got, []string{"cost"}) {
		t.Errorf("columns kept: %v", got)
	}

	var column *table.ColumnError
	if _, err := table.Load(t.Context(), []string{one, one}, table.Options{Benchmark: b}); !errors.As(err, &column) || !strings.Contains(err.Error(), "need not mean the same") {
		t.Errorf("the same column twice: %v", err)
	}
	if _, err := table.Load(t.Context(), []string{folder}, table.Options{Benchmark: b, Columns: []string{"cots"}}); !errors.As(err, &column) || column.Name != "cots" {
		t.Errorf("a column that no file has: %v", err)
	}
	other := strings.NewReplacer("\n0,", "\n1,", "\n1,", "\n0,").Replace(second)
	if _, err := table.Load(t.Context(), []string{one, write(t, "b.csv", other)}, table.Options{Benchmark: b}); !errors.Is(err, table.ErrIndex) {
		t.Errorf("files that disagree about the index: %v", err)
	}
}

func TestWhatIsNoTableIsRefused(t *testing.T) {
	b := tiny()
	for name, path := range map[string]string{
		"absent":             filepath.Join(t.TempDir(), "no.csv"),
		"empty folder":       t.TempDir(),
		"no architectures":   write(t, "a.csv", "a,b\n1,2\n"),
		"not gzip":           write(t, "a.csv.gz", "a,b\n"),
		"not really Parquet": write(t, "a.parquet", "PAR1 and then nothing of the sort PAR1"),
	} {
		if _, err := table.Load(t.Context(), []string{path}, table.Options{Benchmark: b}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := table.Load(ctx, []string{write(t, "a.csv", "arch\n")}, table.Options{Benchmark: b}); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancellation: %v", err)
	}
}

func FuzzReadCSV(f *testing.F) {
	b := tiny()
	for _, seed := range []string{joined(), "", "arch,v\n", "\xef\xbb\xbfarch,v\n|none~0|+|none~0|none~1|,1\n", "index,arch\n-1,x", "arch,\"v\n", "arch,v\n|none~0|+|none~0|none~1|,\n"} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	path := filepath.Join(f.TempDir(), "a.csv")
	f.Fuzz(func(t *testing.T, data []byte, partial bool) {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		tab, err := table.Load(t.Context(), []string{path}, table.Options{Benchmark: b, Partial: partial})
		if err != nil {
			return
		}
		if !partial && tab.Count() != tab.Size() {
			t.Errorf("%d of %d architectures pass for a whole table", tab.Count(), tab.Size())
		}
		for _, name := range tab.Columns() {
			for rank, v := range column(t, tab, name) {
				if math.IsInf(v, 0) || math.IsNaN(v) && !partial {
					t.Errorf("column %s, rank %d: %v", name, rank, v)
				}
			}
		}
	})
}
