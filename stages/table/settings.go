package table

import (
	"errors"
	"fmt"
	"slices"

	"github.com/plateau-nas/plateau/pipeline"
)

// Settings are the settings of the stage kind "table". Start from DefaultSettings.
type Settings struct {
	Benchmark string   `yaml:"benchmark" enum:"nasbench201" doc:"The public table: its space, how its files name architectures, and what is known of its columns."`
	Path      string   `yaml:"path" file:"true" doc:"A CSV (also .csv.gz) or Parquet file with a row for each architecture, or a folder of such files, which are joined by architecture."`
	Join      []string `yaml:"join" doc:"Further files or folders whose columns are joined by architecture, such as costs and latencies."`
	Column    string   `yaml:"column" doc:"The column that serves as the score."`
	Columns   []string `yaml:"columns" doc:"Further columns to keep; empty keeps every numeric one."`
	Quantity  string   `yaml:"quantity" enum:"auto,accuracy,loss,latency,parameters,flops,count,other" doc:"What the column holds. auto, as an empty text or 0 in the four settings below, goes by the names of file and column; what these do not tell must be set."`
	Unit      string   `yaml:"unit" doc:"Unit of the column: percent, share (0 to 1), ms and the like."`
	Dataset   string   `yaml:"dataset" doc:"Data set on which the architectures were trained and measured: cifar100 and the like."`
	Split     string   `yaml:"split" enum:"auto,train,valid,test" doc:"Split that the column was measured on."`
	Epochs    int      `yaml:"epochs" doc:"Epochs of training behind the column; 0 when the file's name tells, or nothing is trained."`
	Partial   bool     `yaml:"partial" doc:"Accept a table that does not list every architecture, and empty cells."`
}

// auto leaves it to the names of file and column.
const auto = "auto"

// DefaultSettings returns NAS-Bench-201 without a file.
func DefaultSettings() Settings {
	return Settings{Benchmark: "nasbench201", Quantity: auto, Split: auto}
}

var _ pipeline.Validator = (*Settings)(nil)

// Validate implements pipeline.Validator. It looks at no files.
func (s *Settings) Validate() error {
	var errs []error
	add := func(bad bool, path, format string, args ...any) {
		if bad {
			errs = append(errs, &pipeline.SettingError{Path: path, Err: fmt.Errorf(format, args...)})
		}
	}
	b, err := BenchmarkByName(s.Benchmark)
	if err != nil {
		return pipeline.UnknownValue("benchmark", s.Benchmark, Benchmarks())
	}
	add(s.Path == "", "path", "no table is given: give its file, or a folder of such files, as --set table.path=PATH (with table the stage's id). %s", b.Where)
	add(slices.Contains(s.Join, ""), "join", "a name is empty")
	add(s.Column == "", "column", "no column is named: name the one that serves as the score, such as cifar100_valid")
	add(s.Epochs < 0, "epochs", "%d epochs, want 1 or more, or 0 when the file's name tells", s.Epochs)
	for _, f := range []struct {
		name, value string
		known       []string
	}{{"quantity", s.Quantity, append([]string{auto}, Quantities()...)}, {"split", s.Split, []string{auto, "train", "valid", "test"}}} {
		if !slices.Contains(f.known, f.value) {
			errs = append(errs, pipeline.UnknownValue(f.name, f.value, f.known))
		}
	}
	return errors.Join(errs...)
}

// meaning returns what the settings say of the score column.
func (s *Settings) meaning() Meaning {
	set := func(value string) string {
		if value == auto {
			return ""
		}
		return value
	}
	return Meaning{Quantity: set(s.Quantity), Unit: s.Unit, Dataset: s.Dataset, Split: set(s.Split), Epochs: s.Epochs}
}

// options returns how the files are read.
func (s *Settings) options(b Benchmark) Options {
	o := Options{Benchmark: b, Partial: s.Partial}
	if len(s.Columns) > 0 {
		o.Columns = append(slices.Clone(s.Columns), s.Column)
		slices.Sort(o.Columns)
		o.Columns = slices.Compact(o.Columns)
	}
	return o
}

func (s *Settings) paths() []string { return append([]string{s.Path}, s.Join...) }
