package regret

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/table"
)

// TruthSettings are the settings of the stage kind "truth".
type TruthSettings struct {
	Path    string   `yaml:"path" file:"true" doc:"A table of its own for the truth, as for the kind table; empty takes a column of the input."`
	Column  string   `yaml:"column" doc:"Column that is the truth; empty takes the first of columns that there is."`
	Columns []string `yaml:"columns" doc:"Columns that can be the truth."`
	Dataset string   `yaml:"dataset" doc:"Data set that the truth is of; empty goes by the names of file and column."`
	Epochs  int      `yaml:"epochs" doc:"Epochs of training behind the truth; 0 when the names of file and column tell."`
}

// TruthKind returns the stage kind "truth", which offers what a search on a table is judged by. Its metrics begin with the
// stage's id: truth_epochs and truth_max.
func TruthKind() pipeline.Kind {
	return pipeline.Kind{
		Name:    "truth",
		Version: 1,
		Doc:     "Takes the truth that searches on a table are judged by from a table of its own or, without one, from another column of the same.",
		Inputs: []pipeline.Port{
			{Name: "table", Type: "table", Doc: "The table that the searches see."},
		},
		Outputs: []pipeline.Output{
			{Name: "table", Type: "table", File: "table.json", Doc: "The table whose score column is the truth."},
		},
		New: func() pipeline.Stage { return &TruthSettings{} },
	}
}

var (
	_ pipeline.Stage         = (*TruthSettings)(nil)
	_ pipeline.Validator     = (*TruthSettings)(nil)
	_ pipeline.Fingerprinter = (*TruthSettings)(nil)
)

// Validate implements pipeline.Validator.
func (s *TruthSettings) Validate() error {
	var errs []error
	if s.Column == "" && (len(s.Columns) == 0 || slices.Contains(s.Columns, "")) {
		errs = append(errs, &pipeline.SettingError{Path: "column", Err: errors.New("name the column that is the truth, such as cifar100_test")})
	}
	if s.Epochs < 0 {
		errs = append(errs, &pipeline.SettingError{Path: "epochs", Err: fmt.Errorf("%d epochs, want 1 or more, or 0 when the names of file and column tell", s.Epochs)})
	}
	return errors.Join(errs...)
}

// columns returns the columns that can be the truth, the one that is preferred first.
func (s *TruthSettings) columns() []string {
	if s.Column != "" {
		return []string{s.Column}
	}
	return s.Columns
}

// settings are those of a table stage that reads the file of its own.
func (s *TruthSettings) settings(column string) *table.Settings {
	st := table.DefaultSettings()
	st.Path, st.Column, st.Dataset, st.Epochs = s.Path, column, s.Dataset, s.Epochs
	return &st
}

// Fingerprint implements pipeline.Fingerprinter: what the files hold, where there are any of its own.
func (s *TruthSettings) Fingerprint(ctx context.Context) (map[string]string, error) {
	if s.Path == "" {
		return nil, nil
	}
	return s.settings(s.columns()[0]).Fingerprint(ctx)
}

// Run implements pipeline.Stage.
func (s *TruthSettings) Run(ctx context.Context, job *pipeline.Job) error {
	t, err := s.read(ctx, job)
	if err != nil {
		return err
	}
	c, err := t.Describe("")
	if err != nil {
		return err
	}
	job.Info("the truth is %s: %s", c.Name, c.Meaning)
	e, err := table.NewEvaluator(t, "")
	if err != nil {
		return err
	}
	if err := t.Save(job.Output("table")); err != nil {
		return err
	}
	job.Metric(job.ID+"_epochs", float64(c.Meaning.Epochs))
	if best := t.Best(e.Scores()); best >= 0 {
		job.Metric(job.ID+"_max", c.Values[best])
	}
	job.Summary(fmt.Sprintf("%s: %s", c.Name, c.Meaning))
	return nil
}

// read returns the table with the first of the columns that it has as its score.
func (s *TruthSettings) read(ctx context.Context, job *pipeline.Job) (*table.Table, error) {
	if s.Path != "" {
		var first error
		for _, column := range s.columns() {
			t, err := s.settings(column).Read(ctx)
			var none *table.ColumnError
			if err == nil || !errors.As(err, &none) {
				return t, err
			}
			first = errors.Join(first, err)
		}
		return nil, first
	}
	in, _ := job.Input("table")
	t, err := table.Open(in.Path)
	if err != nil {
		return nil, err
	}
	for _, column := range s.columns() {
		if slices.Contains(t.Columns(), column) {
			return t.WithMeaning(column, table.Meaning{Dataset: s.Dataset, Epochs: s.Epochs})
		}
	}
	return nil, &pipeline.SettingError{Path: "column", Err: fmt.Errorf("the table has none of %s; it has %s. Give a table that has one, as --set %s.path=PATH",
		strings.Join(s.columns(), ", "), strings.Join(t.Columns(), ", "), job.ID)}
}
