package evaluate

import (
	"context"
	"fmt"
	"time"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/result"
)

// Kind returns the stage kind "evaluate", which runs on the runtime that open gives.
func Kind(open runtime.Opener) pipeline.Kind {
	return pipeline.Kind{
		Name:    "evaluate",
		Version: 2,
		Doc:     "Measures accuracy, loss, size and speed of an ONNX classifier on images.",
		Inputs: []pipeline.Port{
			{Name: "model", Type: "model", Doc: "The classifier, an ONNX file."},
			{Name: "dataset", Type: "dataset", Doc: "The images to measure on."},
		},
		Outputs: []pipeline.Output{
			{Name: "metrics", Type: "metrics", File: "metrics.json", Doc: "Accuracy, also by class, loss, confusion matrix, size, cost and latency."},
		},
		New: func() pipeline.Stage {
			return &stage{Settings: DefaultSettings(), open: open}
		},
	}
}

type stage struct {
	Settings `yaml:",inline"`
	open     runtime.Opener
}

var (
	_ pipeline.Stage     = (*stage)(nil)
	_ pipeline.Validator = (*stage)(nil)
)

// Run implements pipeline.Stage.
func (s *stage) Run(ctx context.Context, job *pipeline.Job) error {
	model, _ := job.Input("model")
	in, _ := job.Input("dataset")
	data, err := dataset.Load(in.Path)
	if err != nil {
		return err
	}
	images := map[string]*dataset.Images{"test": data.Test, "valid": data.Valid, "train": data.Train}[s.Split]
	if images == nil || images.Count == 0 {
		return &pipeline.SettingError{Path: "split", Err: fmt.Errorf("the data set %s has no %s images", data.Name, s.Split)}
	}
	rt, err := s.open(ctx)
	if err != nil {
		return err
	}
	shown := time.Now()
	m, err := Model(ctx, rt, model.Path, images, data.Classes, Options{
		Settings: s.Settings, Dataset: data.Name, DataMean: data.Mean, DataStd: data.Std, Warn: job.Warn,
		Progress: func(done, total int) {
			if done == total || time.Since(shown) > 200*time.Millisecond {
				shown = time.Now()
				job.Progress(event.Progress{Phase: "evaluate", Done: done, Total: total, Unit: "image", Final: done == total})
			}
		},
	})
	if err != nil {
		return err
	}
	if err := result.WriteMetrics(job.Output("metrics"), m); err != nil {
		return err
	}
	job.Metric(s.Split+"_top1", m.Top1)
	job.Metric(s.Split+"_loss", m.Loss)
	if m.Parameters > 0 {
		job.Metric("parameters", float64(m.Parameters))
		job.Metric("multiply_adds", float64(m.MultiplyAdds))
	}
	line := fmt.Sprintf("%s accuracy %.2f%% on %d images, loss %.4f, %s", s.Split, 100*m.Top1, m.Count, m.Loss, kilobytes(m.SizeBytes))
	if m.Latency != nil {
		job.Metric("latency_ms", m.Latency.P50)
		line += fmt.Sprintf(", %.3g ms an image", m.Latency.P50)
	}
	job.Info("%s", line)
	job.Summary(line)
	return nil
}

func kilobytes(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.0f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
