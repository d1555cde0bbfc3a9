package table

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/space"
)

// Kind returns the stage kind "table".
//
// Its metrics begin with the id of the stage, since a document often has two tables and a reader must not take the figures
// of one for those of the other: table_architectures (listed), table_columns (numeric ones), and of the score column
// table_epochs (0 for what needs no training), table_min, table_max and table_best_index (public index of the best
// architecture, where there are indices; of equals the lowest).
func Kind() pipeline.Kind {
	return pipeline.Kind{
		Name:      "table",
		Version:   1,
		Resources: pipeline.Resources{Cores: 1}, // it computes on one core, so others may run beside it
		Doc:       "Reads a public table of what every architecture achieves, from CSV or Parquet, and says which epochs and split its score is of.",
		Outputs: []pipeline.Output{{
			Name: "table", Type: "table", File: "table.json",
			Doc: "The numeric columns by architecture, what each means, and which of them is the score.",
		}},
		New: func() pipeline.Stage {
			s := DefaultSettings()
			return &s
		},
	}
}

var (
	_ pipeline.Stage         = (*Settings)(nil)
	_ pipeline.Fingerprinter = (*Settings)(nil)
	_ pipeline.Inspector     = (*Settings)(nil)
	_ space.Chooser          = (*Settings)(nil)
)

// SearchSpace implements space.Chooser.
func (s *Settings) SearchSpace() (*space.Space, error) {
	b, err := BenchmarkByName(s.Benchmark)
	return b.Space, err
}

// Read reads the table that the settings describe. The errors that a setting is to blame for are a *pipeline.SettingError.
func (s *Settings) Read(ctx context.Context) (*Table, error) {
	b, err := BenchmarkByName(s.Benchmark)
	if err != nil {
		return nil, err
	}
	t, err := Load(ctx, s.paths(), s.options(b))
	if err != nil {
		return nil, s.blame(b, err)
	}
	if t, err = t.WithMeaning(s.Column, s.meaning()); err != nil {
		return nil, s.blame(b, err)
	}
	return t, nil
}

// blame names the setting that is at fault.
func (s *Settings) blame(b Benchmark, err error) error {
	var column *ColumnError
	var meaning *MeaningError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &pipeline.SettingError{Path: "path", Err: fmt.Errorf("%w. %s", err, b.Where)}
	case errors.As(err, &meaning) && meaning.Conflict == "":
		return &pipeline.SettingError{Path: meaning.Unknown[0], Err: err}
	case errors.As(err, &meaning):
		return &pipeline.SettingError{Path: strings.Fields(meaning.Conflict)[0], Err: err}
	case errors.As(err, &column) && column.Problem == "" && column.Name == s.Column:
		return &pipeline.SettingError{Path: "column", Err: err, Known: column.Known}
	case errors.As(err, &column) && column.Problem == "":
		return &pipeline.SettingError{Path: "columns", Err: err, Known: column.Known}
	}
	return err
}

// Fingerprint implements pipeline.Fingerprinter: the SHA-256 of each file by its name. It does not change when the
// files are moved or packed with gzip. A column that no file has, or one of unknown meaning, is found here, while the
// run is planned.
func (s *Settings) Fingerprint(ctx context.Context) (map[string]string, error) {
	b, err := BenchmarkByName(s.Benchmark)
	if err != nil {
		return nil, err
	}
	files, err := find(s.paths())
	if err != nil {
		return nil, s.blame(b, err)
	}
	sums := map[string]string{}
	for _, f := range files {
		data, err := f.read(ctx)
		if err != nil {
			return nil, s.blame(b, err)
		}
		name := f.name()
		if _, taken := sums[name]; taken {
			name = filepath.Clean(f.path)
		}
		sums[name] = fmt.Sprintf("sha256:%x", sha256.Sum256(data))
	}
	var wrong *pipeline.SettingError
	if _, err := s.Read(ctx); errors.As(err, &wrong) { // what else is wrong, in the files, stops the stage itself
		return nil, err
	}
	return sums, nil
}

// Inspect implements pipeline.Inspector: it reads the table.
func (s *Settings) Inspect(ctx context.Context) error {
	_, err := s.Read(ctx)
	return err
}

// Run implements pipeline.Stage.
func (s *Settings) Run(ctx context.Context, job *pipeline.Job) error {
	t, err := s.Read(ctx)
	if err != nil {
		return err
	}
	e, err := NewEvaluator(t, "")
	if err != nil {
		return err
	}
	c := e.Column()
	for _, f := range t.Sources() {
		job.Info("%s: %d architectures", f.File, f.Rows)
	}
	job.Info("the score is %s: %s", c.Name, c.Meaning)
	if c.Meaning.From == FromLayout {
		job.Info("what it means is told by the names of file and column; set dataset, split and epochs to have them checked")
	}
	if t.Count() < t.Size() || c.Missing > 0 {
		job.Warn("%d of %d architectures have no %s; they count as failed", c.Missing, t.Size(), c.Name)
	}
	if err := t.Save(job.Output("table")); err != nil {
		return err
	}
	job.Metric(job.ID+"_architectures", float64(t.Count()))
	job.Metric(job.ID+"_columns", float64(len(t.Columns())))
	job.Metric(job.ID+"_epochs", float64(c.Meaning.Epochs))
	least, most := math.Inf(1), math.Inf(-1)
	for _, v := range c.Values {
		if !math.IsNaN(v) {
			least, most = min(least, v), max(most, v)
		}
	}
	if best := t.Best(e.Scores()); best >= 0 {
		job.Metric(job.ID+"_min", least)
		job.Metric(job.ID+"_max", most)
		if index, ok := t.Index(best); ok {
			job.Metric(job.ID+"_best_index", float64(index))
		}
	}
	job.Summary(fmt.Sprintf("%s: %s. %d architectures of %s", c.Name, c.Meaning, t.Count(), t.Space().Name))
	return nil
}
