package report

import (
	"context"
	"fmt"
	"io"

	"github.com/plateau-nas/plateau/exporter/atomicfile"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/result"
)

// Settings are the settings of the stage kind "report".
type Settings struct {
	Title   string `yaml:"title" doc:"Heading of the page; empty names the data set."`
	Seconds bool   `yaml:"seconds" doc:"With baselines: whether the page has the seconds that searches and trainings took. They differ from run to run, and the page with them."`
	Images  int    `yaml:"images" doc:"Sample images shown of each class; 0 shows none."`
	// Mistakes is at most result.MostMistakes.
	Mistakes int `yaml:"mistakes" doc:"Images shown that are classified wrong, those first of which the model is surest; 0 shows none."`
}

// DefaultSettings returns what the kind starts from.
func DefaultSettings() Settings { return Settings{Images: 6, Mistakes: 24, Seconds: true} }

// Kind declares the stage kind "report": any results of a run in, report.html out.
func Kind() pipeline.Kind {
	return pipeline.Kind{
		Name:      "report",
		Version:   3,
		Resources: pipeline.Resources{Cores: 1}, // it computes on one core, so others may run beside it
		Doc:       "Makes one self-contained page of what the run has found.",
		Inputs: []pipeline.Port{
			{Name: "architecture", Type: "architecture", Doc: "The architecture that the page is about."},
			{Name: "dataset", Type: "dataset", Optional: true, Doc: "Adds sample images and the names of the splits."},
			{Name: "search_history", Type: "search-history", Optional: true, Doc: "Adds the curves of the search."},
			{Name: "ranking", Type: "ranking", Optional: true, Doc: "Adds the neighborhoods of the finalists."},
			{Name: "train_history", Type: "train-history", Optional: true, Doc: "Adds the curves of the training."},
			{Name: "metrics", Type: "metrics", Optional: true, Doc: "Adds accuracy, size, speed and mistakes by class."},
			{Name: "baselines", Type: "metrics", Many: true, Optional: true, Explicit: true, Doc: "Adds whether the search paid: what was measured on other networks trained alike, such as the largest architecture's and a plain one."},
			{Name: "folds", Type: "folds", Optional: true, Doc: "Adds a cross-validation."},
			{Name: "curve", Type: "learning-curve", Optional: true, Doc: "Adds a learning curve: whether more pictures would help."},
			{Name: "checks", Type: "checks", Optional: true, Doc: "Adds what the exported model was tested for."},
			{Name: "model", Type: "model", Optional: true, Doc: "Adds what the exported file contains."},
		},
		Outputs: []pipeline.Output{{Name: "report", Type: "report", File: "report.html", Doc: "The page."}},
		New: func() pipeline.Stage {
			s := DefaultSettings()
			return &s
		},
	}
}

var (
	_ pipeline.Stage     = (*Settings)(nil)
	_ pipeline.Validator = (*Settings)(nil)
)

// Validate implements pipeline.Validator.
func (s *Settings) Validate() error {
	const most = 24
	if s.Images < 0 || s.Images > most {
		return &pipeline.SettingError{Path: "images", Err: fmt.Errorf("%d sample images of each class: use 0 to %d", s.Images, most)}
	}
	if s.Mistakes < 0 || s.Mistakes > result.MostMistakes {
		return &pipeline.SettingError{Path: "mistakes", Err: fmt.Errorf("%d images that are classified wrong: use 0 to %d", s.Mistakes, result.MostMistakes)}
	}
	return nil
}

// Run implements pipeline.Stage.
func (s *Settings) Run(ctx context.Context, job *pipeline.Job) error {
	content, err := load(job, s.Seconds)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	content.Title, content.Images, content.Mistakes = s.Title, s.Images, s.Mistakes
	if v := newBaselines(content); v != nil {
		job.Summary(v.Verdict)
	}
	return atomicfile.Write(job.Output("report"), func(w io.Writer) error { return Render(w, content) })
}
