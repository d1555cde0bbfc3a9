// Package pipelinetest has small stage kinds for tests of the engine and of the command line. They need no library and
// finish at once unless told to take their time, and each can be made to go wrong in its own way.
package pipelinetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/seed"
)

// Registry returns a registry of the toy kinds: numbers -> sum, mean -> report, gather, blob, and fail.
func Registry() (*pipeline.Registry, error) {
	return pipeline.NewRegistry(Numbers(), Sum(), Mean(), Report(), Gather(), Blob(), Fail())
}

// NumbersSettings are the settings of the kind numbers.
type NumbersSettings struct {
	Count   int           `yaml:"count" doc:"How many numbers to draw."`
	Scale   float64       `yaml:"scale" doc:"The largest number."`
	Source  string        `yaml:"source" enum:"random,ones,zeros" doc:"What the numbers are."`
	File    string        `yaml:"file" file:"true" doc:"A file whose size is added to each number."`
	Pause   time.Duration `yaml:"pause" key:"-" doc:"How long one number takes."`
	Workers int           `yaml:"workers" key:"-" doc:"Changes nothing."`
	Shape   Shape         `yaml:"shape" doc:"Nested settings."`
	Tags    []string      `yaml:"tags" doc:"Words."`
}

// Shape is a nested group of settings.
type Shape struct {
	Width  int  `yaml:"width" doc:"Numbers a line."`
	Signed bool `yaml:"signed" doc:"Negate every other number."`
}

// Numbers writes random numbers, one a step, and leaves a checkpoint after each.
func Numbers() pipeline.Kind {
	return pipeline.Kind{
		Name: "numbers", Version: 1, Doc: "Draws numbers.",
		Outputs: []pipeline.Output{{Name: "numbers", Type: "numbers", File: "numbers.txt", Doc: "One number a line."}},
		New: func() pipeline.Stage {
			return &NumbersSettings{Count: 5, Scale: 1, Source: "random", Shape: Shape{Width: 1}}
		},
	}
}

var (
	_ pipeline.Validator     = (*NumbersSettings)(nil)
	_ pipeline.Fingerprinter = (*NumbersSettings)(nil)
)

// Validate implements pipeline.Validator.
func (s *NumbersSettings) Validate() error {
	var errs []error
	if s.Count < 1 {
		errs = append(errs, &pipeline.SettingError{Path: "count", Err: fmt.Errorf("%d numbers; at least 1 is needed", s.Count)})
	}
	if s.Shape.Width < 1 {
		err := &pipeline.SettingError{Path: "width", Err: fmt.Errorf("%d numbers a line; at least 1 is needed", s.Shape.Width)}
		errs = append(errs, &pipeline.SettingError{Path: "shape", Err: err})
	}
	return errors.Join(errs...)
}

// Fingerprint implements pipeline.Fingerprinter.
func (s *NumbersSettings) Fingerprint(context.Context) (map[string]string, error) {
	if s.File == "" {
		return nil, nil
	}
	info, err := os.Stat(s.File)
	if err != nil {
		return nil, &pipeline.SettingError{Path: "file", Err: err}
	}
	return map[string]string{"size of " + filepath.Base(s.File): strconv.FormatInt(info.Size(), 10)}, nil
}

// Run implements pipeline.Stage.
func (s *NumbersSettings) Run(ctx context.Context, job *pipeline.Job) error {
	checkpoint := filepath.Join(job.Scratch, "numbers")
	data, err := os.ReadFile(checkpoint)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if len(data) == 0 {
		lines = nil
	}
	for i := len(lines); i < s.Count; i++ {
		select {
		case <-ctx.Done():
		case <-time.After(s.Pause):
		}
		if ctx.Err() != nil { // both may have been ready
			return context.Cause(ctx)
		}
		v := s.Scale
		switch s.Source {
		case "random":
			v *= seed.At(job.Seed, uint64(i)).Float64()
		case "zeros":
			v = 0
		}
		if s.Shape.Signed && i%2 == 1 {
			v = -v
		}
		lines = append(lines, strconv.FormatFloat(v, 'g', -1, 64))
		tmp := checkpoint + ".tmp"
		if err := os.WriteFile(tmp, []byte(strings.Join(lines, "\n")+"\n"), 0o666); err != nil {
			return err
		}
		if err := os.Rename(tmp, checkpoint); err != nil {
			return err
		}
		job.Progress(event.Progress{
			Phase: "draw", Done: i + 1, Total: s.Count, Unit: "number", Final: true, Rate: 12.5,
			Values: []event.Value{{Name: "value", Value: v}}, Remaining: float64(s.Count-i-1) * s.Pause.Seconds(),
		})
	}
	job.Metric("count", float64(len(lines)))
	job.Summary(fmt.Sprintf("%d numbers, %s", len(lines), s.Source))
	return os.WriteFile(job.Output("numbers"), []byte(strings.Join(lines, "\n")+"\n"), 0o666)
}

// ReduceSettings are the settings of the kinds sum and mean.
type ReduceSettings struct {
	Digits int `yaml:"digits" doc:"Digits after the point."`

	mean bool
}

// Sum adds numbers up. Mean takes their mean. Both write a total, so that documents can be ambiguous.
func Sum() pipeline.Kind { return reduce("sum", false) }

// Mean is the kind mean; see Sum.
func Mean() pipeline.Kind { return reduce("mean", true) }

func reduce(name string, mean bool) pipeline.Kind {
	return pipeline.Kind{
		Name: name, Version: 1, Doc: "Reduces numbers to one.",
		Inputs:  []pipeline.Port{{Name: "numbers", Type: "numbers", Doc: "What is reduced."}},
		Outputs: []pipeline.Output{{Name: "total", Type: "total", File: "total.txt", Doc: "The result."}},
		New:     func() pipeline.Stage { return &ReduceSettings{Digits: 6, mean: mean} },
	}
}

// Run implements pipeline.Stage.
func (s *ReduceSettings) Run(_ context.Context, job *pipeline.Job) error {
	in, _ := job.Input("numbers")
	data, err := os.ReadFile(in.Path)
	if err != nil {
		return err
	}
	total, n := 0.0, 0
	for line := range strings.Lines(string(data)) {
		v, err := strconv.ParseFloat(strings.TrimSpace(line), 64)
		if err != nil {
			return fmt.Errorf("reading %s: %w", in.Path, err)
		}
		total, n = total+v, n+1
	}
	if s.mean {
		total /= float64(n)
	}
	job.Metric("total", total)
	return os.WriteFile(job.Output("total"), fmt.Appendf(nil, "%.*f\n", s.Digits, total), 0o666)
}

// ReportSettings are the settings of the kind report.
type ReportSettings struct {
	Title string `yaml:"title" doc:"The first line."`
}

// Report writes its inputs below each other. The second input is optional.
func Report() pipeline.Kind {
	return pipeline.Kind{
		Name: "report", Version: 1, Doc: "Puts results on a page.",
		Inputs: []pipeline.Port{
			{Name: "total", Type: "total", Doc: "A result."},
			{Name: "extra", Type: "extra", Optional: true, Doc: "More."},
		},
		Outputs: []pipeline.Output{{Name: "page", Type: "page", File: "page.txt", Doc: "The page."}},
		New:     func() pipeline.Stage { return &ReportSettings{Title: "Results"} },
	}
}

// Run implements pipeline.Stage.
func (s *ReportSettings) Run(_ context.Context, job *pipeline.Job) error {
	in, _ := job.Input("total")
	total, err := os.ReadFile(in.Path)
	if err != nil {
		return err
	}
	return os.WriteFile(job.Output("page"), []byte(s.Title+"\n"+string(total)), 0o666)
}

// GatherSettings are the settings of the kind gather.
type GatherSettings struct{}

// Gather writes down where each of many totals comes from, and what it is.
func Gather() pipeline.Kind {
	return pipeline.Kind{
		Name: "gather", Version: 1, Doc: "Lists results.",
		Inputs:  []pipeline.Port{{Name: "totals", Type: "total", Many: true, Doc: "Results."}},
		Outputs: []pipeline.Output{{Name: "table", Type: "table", File: "table.txt", Doc: "One result a line."}},
		New:     func() pipeline.Stage { return &GatherSettings{} },
	}
}

// Run implements pipeline.Stage.
func (s *GatherSettings) Run(_ context.Context, job *pipeline.Job) error {
	var b strings.Builder
	for _, a := range job.List("totals") {
		total, err := os.ReadFile(a.Path)
		if err != nil {
			return err
		}
		b.WriteString(a.Stage)
		for _, l := range a.Labels {
			b.WriteString(" " + l.Axis + "=" + l.Value)
		}
		b.WriteString(": " + string(total))
	}
	return os.WriteFile(job.Output("table"), []byte(b.String()), 0o666)
}

// BlobSettings are the settings of the kind blob.
type BlobSettings struct {
	Bytes int `yaml:"bytes" doc:"How many bytes to write."`
}

// Blob writes many bytes at once.
func Blob() pipeline.Kind {
	return pipeline.Kind{
		Name: "blob", Version: 1, Doc: "Writes bytes.",
		Outputs: []pipeline.Output{{Name: "blob", Type: "blob", File: "blob.bin", Doc: "The bytes."}},
		New:     func() pipeline.Stage { return &BlobSettings{Bytes: 1000} },
	}
}

// Run implements pipeline.Stage.
func (s *BlobSettings) Run(_ context.Context, job *pipeline.Job) error {
	data := make([]byte, s.Bytes)
	rng := seed.New(job.Seed, "blob")
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	return os.WriteFile(job.Output("blob"), data, 0o666)
}

// FailSettings are the settings of the kind fail.
type FailSettings struct {
	How string `yaml:"how" enum:"error,panic,nothing,hang,stubborn,flaky,twice" doc:"What goes wrong."`
}

// Fail is a kind that goes wrong. "nothing" forgets its output, "hang" waits until it is cancelled, "stubborn" does not even
// stop then, "flaky" writes other bytes each time, "twice" fails two times with an error that may pass.
func Fail() pipeline.Kind {
	return pipeline.Kind{
		Name: "fail", Version: 1, Doc: "Goes wrong.",
		Outputs: []pipeline.Output{{Name: "extra", Type: "extra", File: "extra.txt", Doc: "Never mind."}},
		New:     func() pipeline.Stage { return &FailSettings{How: "error"} },
	}
}

// Run implements pipeline.Stage.
func (s *FailSettings) Run(ctx context.Context, job *pipeline.Job) error {
	switch s.How {
	case "panic":
		panic("index out of range [7] with length 3")
	case "nothing":
		return nil
	case "hang":
		job.Progress(event.Progress{Phase: "hang", Unit: "hour"})
		<-ctx.Done()
		return ctx.Err()
	case "stubborn":
		job.Progress(event.Progress{Phase: "hang", Unit: "hour"})
		select {}
	case "twice":
		tries := filepath.Join(job.Scratch, "tries")
		data, err := os.ReadFile(tries)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if len(data) < 2 {
			if err := os.WriteFile(tries, append(data, '.'), 0o666); err != nil {
				return err
			}
			return pipeline.Retryable(errors.New("the line is busy"))
		}
		return os.WriteFile(job.Output("extra"), []byte("through\n"), 0o666)
	case "flaky":
		return os.WriteFile(job.Output("extra"), fmt.Appendln(nil, time.Now().UnixNano()), 0o666)
	}
	return errors.New("the disk of the toy is full; empty it")
}
