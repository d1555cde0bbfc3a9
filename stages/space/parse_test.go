package space_test

import (
	"encoding/csv"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/pipeline/publicdata"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/space/spacetest"
)

const allSkip = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"

func TestFormatAndParse(t *testing.T) {
	s := space.NASBench201()
	tests := []struct {
		text string
		arch space.Architecture
	}{
		{allSkip, space.Architecture{1, 1, 1, 1, 1, 1}},
		// Rows 0 and 1 of the public table.
		{"|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|", space.Architecture{4, 2, 1, 2, 1, 1}},
		{"|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|", space.Architecture{3, 3, 4, 1, 3, 1}},
		{"|none~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|nor_conv_3x3~1|avg_pool_3x3~2|", space.Architecture{0, 0, 1, 2, 3, 4}},
	}
	for _, tt := range tests {
		got, err := s.Parse(tt.text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.arch, got); diff != "" {
			t.Errorf("Parse(%q) differs (-want +got):\n%s", tt.text, diff)
		}
		if text := s.Format(tt.arch); text != tt.text {
			t.Errorf("Format(%v) = %q, want %q", tt.arch, text, tt.text)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a := spacetest.Architectures(s).Draw(t, "a")
		got, err := s.Parse(s.Format(a))
		if err != nil || !got.Equal(a) {
			t.Fatalf("Parse(Format(%v)) = %v, %v", a, got, err)
		}
	})
}

func TestParseSaysWhereAndWhat(t *testing.T) {
	tests := []struct {
		name, text string
		want       space.ParseError
	}{
		{"empty", "", space.ParseError{Position: 1, Found: "", Want: `"|"`}},
		{"not an architecture", "hello", space.ParseError{Position: 1, Found: "hello", Want: `"|"`}},
		{
			"misspelled operation", strings.Replace(allSkip, "skip_connect~1", "skip_conect~1", 1),
			space.ParseError{Position: 34, Found: "skip_conect", Nearest: "skip_connect"},
		},
		{
			"operation of another space", strings.Replace(allSkip, "skip_connect~2", "sep_conv_5x5~2", 1),
			space.ParseError{Position: 81, Found: "sep_conv_5x5"},
		},
		{"nothing like it", strings.Replace(allSkip, "skip_connect~2", "zzz~2", 1), space.ParseError{Position: 81, Found: "zzz"}},
		{"no operation", "||", space.ParseError{Position: 2, Found: "|"}},
		{"wrong input node", strings.Replace(allSkip, "~1", "~0", 1), space.ParseError{Position: 46, Found: "~0", Want: `"~1"`}},
		{"missing node", allSkip[:strings.LastIndex(allSkip, "+")], space.ParseError{Position: 49, Found: "", Want: `"+"`}},
		{"cut short", allSkip[:20], space.ParseError{Position: 19, Found: "sk", Want: ""}},
		{"something after it", allSkip + "\n", space.ParseError{Position: 96, Found: "\n", Want: "the end after the 6 operations of a cell"}},
	}
	const operations = "one of none, skip_connect, nor_conv_1x1, nor_conv_3x3, avg_pool_3x3"
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := space.NASBench201().Parse(tt.text)
			var got *space.ParseError
			if !errors.As(err, &got) {
				t.Fatalf("Parse = %v, %v, want a *ParseError", a, err)
			}
			tt.want.Space, tt.want.Text = "nasbench201", tt.text
			if tt.want.Want == "" {
				tt.want.Want = operations
			}
			if diff := cmp.Diff(tt.want, *got); diff != "" {
				t.Errorf("error differs (-want +got):\n%s\n%v", diff, err)
			}
		})
	}
	_, err := space.NASBench201().Parse("|conv_3x3~0|")
	const message = `architecture "|conv_3x3~0|" of space nasbench201: at character 2 found "conv_3x3", want ` + operations + `; did you mean "nor_conv_3x3"?`
	if err == nil || err.Error() != message {
		t.Errorf("message is\n%v\nwant\n%s", err, message)
	}
}

// The public table names every architecture of the space once.
func TestEveryStringOfThePublicTable(t *testing.T) {
	f, err := os.Open(publicdata.Path(t, "nasbench201", "accuracy_12ep.csv"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the public table is not here: set PLATEAU_DATA to the folder that holds nasbench201")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	if _, err := r.Read(); err != nil {
		t.Fatal(err)
	}
	s := space.NASBench201()
	seen := map[string]bool{}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		a, err := s.Parse(row[1])
		if err != nil {
			t.Fatalf("row %s: %v", row[0], err)
		}
		if text := s.Format(a); text != row[1] {
			t.Fatalf("row %s: %q is printed as %q", row[0], row[1], text)
		}
		if row[0] == "1835" && row[1] != allSkip {
			t.Errorf("row 1835 is %q, want all skip connections", row[1])
		}
		seen[a.Key()] = true
	}
	for a := range s.All() {
		if !seen[a.Key()] {
			t.Errorf("%s is not in the table", s.Format(a))
		}
	}
	if len(seen) != s.Size() {
		t.Errorf("the table names %d architectures, the space has %d", len(seen), s.Size())
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{allSkip, "", "|", allSkip[:30], strings.Replace(allSkip, "skip", "sk\xffip", 2), strings.Repeat("|", 300)} {
		f.Add(text)
	}
	s := space.NASBench201()
	f.Fuzz(func(t *testing.T, text string) {
		a, err := s.Parse(text)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		if err := s.Check(a); err != nil {
			t.Errorf("Parse(%q) = %v: %v", text, a, err)
		}
		if back := s.Format(a); back != text {
			t.Errorf("Parse(%q) prints as %q", text, back)
		}
	})
}
