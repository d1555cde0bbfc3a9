package evaluate

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/stat"
)

// Kind returns the stage kind "evaluate", which runs on the runtime that open gives.
func Kind(open runtime.Opener) pipeline.Kind {
	return pipeline.Kind{
		Name:    "evaluate",
		Version: 4,
		Doc:     "Measures accuracy, loss, size and speed of an ONNX classifier on images.",
		Inputs: []pipeline.Port{
			{Name: "model", Type: "model", Doc: "The classifier, an ONNX file."},
			{Name: "dataset", Type: "dataset", Doc: "The images to measure on."},
		},
		Outputs: []pipeline.Output{
			{Name: "metrics", Type: "metrics", File: "metrics.json", Doc: "Accuracy, also by class and balanced, loss, confusion matrix, mistakes, size, cost and latency."},
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
	if images, err = images.Decoded(ctx); err != nil {
		return err
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
	interval := Interval(m)
	job.Metric(s.Split+"_top1_low", interval.Low)
	job.Metric(s.Split+"_top1_high", interval.High)
	if b := m.Balanced; b.Unequal() {
		job.Metric(s.Split+"_balanced_top1", b.Top1)
		job.Metric(s.Split+"_balanced_top1_low", b.Low)
		job.Metric(s.Split+"_balanced_top1_high", b.High)
		job.Metric(s.Split+"_largest_class_share", b.Share)
	}
	job.Metric(s.Split+"_loss", m.Loss)
	if m.Parameters > 0 {
		job.Metric("parameters", float64(m.Parameters))
		job.Metric("multiply_adds", float64(m.MultiplyAdds))
	}
	line := fmt.Sprintf("%s accuracy %.2f%% on %d images (95%% interval %.1f to %.1f), loss %.4f, %s", s.Split, 100*m.Top1, m.Count, 100*interval.Low, 100*interval.High, m.Loss, kilobytes(m.SizeBytes))
	if b := m.Balanced; b.Unequal() {
		line += fmt.Sprintf("; balanced accuracy, the mean over classes, %.2f%% (%.1f to %.1f); always saying %s is right for %.1f%%", 100*b.Top1, 100*b.Low, 100*b.High, b.Largest, 100*b.Share)
	}
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

// intervalLevel is the confidence level of the intervals beside accuracies.
const intervalLevel = 0.95

// Interval returns the 95% confidence interval of the top-1 accuracy (Wilson 1927), from 0 to 1: what so few or many images leave open, not
// what images of another kind bring.
func Interval(m *result.Metrics) stat.Interval {
	return stat.Wilson(int(math.Round(m.Top1*float64(m.Count))), m.Count, intervalLevel)
}
