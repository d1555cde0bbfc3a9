package export

import (
	"context"
	"fmt"
	"slices"

	"github.com/plateau-nas/plateau/exporter/atomicfile"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// Kind returns the stage kind "export", which runs on the runtime that open gives.
func Kind(open runtime.Opener) pipeline.Kind {
	outputs := []pipeline.Output{
		{Name: "model", Type: "model", File: "model.onnx", Doc: "The classifier: images [batch, channels, height, width] give one score a class."},
		{Name: "checks", Type: "checks", File: "checks.json", Doc: "What the file was tested for."},
	}
	outputs = append(outputs, precisionOutputs()...)
	for _, c := range companions() {
		outputs = append(outputs, c.output)
	}
	return pipeline.Kind{
		Name:    "export",
		Version: 4,
		Doc:     "Writes a trained network as an ONNX classifier for use, checks the file, and puts beside it what a program needs.",
		Inputs: []pipeline.Port{
			{Name: "network", Type: "network", Doc: "Architecture and skeleton of the network."},
			{Name: "weights", Type: "weights", Doc: "Its trained weights and running statistics."},
			{Name: "dataset", Type: "dataset", Doc: "Gives class names and normalization, and the test images that the file is measured and checked on."},
			{Name: "architecture", Type: "architecture", Optional: true, Doc: "Adds the scores of the architecture to the metadata."},
			{Name: "history", Type: "train-history", Optional: true, Doc: "Adds how training ended to the metadata."},
		},
		Outputs: outputs,
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
	_ pipeline.Stage         = (*stage)(nil)
	_ pipeline.Validator     = (*stage)(nil)
	_ pipeline.OutputChooser = (*stage)(nil)
)

const (
	precisionPrefix  = "model_"
	precisionsOutput = "precisions"
)

// precisionOutputs are those that the setting also brings. Their types are their own, so that an input that takes a model takes the one in
// float32.
func precisionOutputs() []pipeline.Output {
	var out []pipeline.Output
	for _, p := range Precisions() {
		out = append(out, pipeline.Output{
			Name: precisionPrefix + string(p), Type: pipeline.Type("model-" + string(p)), File: PrecisionFile("model.onnx", p),
			Doc: fmt.Sprintf("The same classifier in %s, with also: [%s].", p, p),
		})
	}
	return append(out, pipeline.Output{Name: precisionsOutput, Type: "precisions", File: "precisions.json", Doc: "Accuracy and latency of the precisions side by side, with also."})
}

// Writes implements pipeline.OutputChooser.
func (s *stage) Writes(output string) bool {
	for _, p := range Precisions() {
		if output == precisionPrefix+string(p) {
			return slices.Contains(s.Also, p)
		}
	}
	return output != precisionsOutput || len(s.Also) > 0
}

// Run implements pipeline.Stage.
func (s *stage) Run(ctx context.Context, job *pipeline.Job) error {
	path := func(port string) string {
		a, _ := job.Input(port)
		return a.Path
	}
	model, failed := Write(ctx, s.open, job.Output("model"), Files{
		Network: path("network"), Weights: path("weights"), Dataset: path("dataset"), Architecture: path("architecture"), History: path("history"),
	}, s.Settings, func(phase string, done, total int) {
		unit := "image"
		if phase == phaseTime {
			unit = "round"
		}
		job.Progress(event.Progress{Phase: phase, Done: done, Total: total, Unit: unit, Final: done == total})
	})
	if model == nil {
		return failed
	}
	for _, c := range model.Checks.Checks {
		if c.Passed {
			job.Info("check %s passed: %s", c.Name, c.Detail)
		} else if c.Skipped {
			job.Info("check %s was not made: %s", c.Name, c.Detail)
		} else {
			job.Warn("check %s failed: %s", c.Name, c.Detail)
		}
	}
	if err := result.WriteChecks(job.Output("checks"), model.Checks); err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	for _, c := range companions() {
		data, err := c.bytes(model)
		if err != nil {
			return err
		}
		if err := atomicfile.WriteBytes(job.Output(c.output.Name), data); err != nil {
			return err
		}
	}
	summary := "model.onnx: " + model.String()
	if model.Precisions != nil {
		if err := result.WritePrecisions(job.Output(precisionsOutput), model.Precisions); err != nil {
			return err
		}
		for _, m := range model.Precisions.Models {
			job.Metric(m.Name+"_test_top1", m.Top1)
			job.Metric(m.Name+"_latency_ms", m.LatencyMS)
			job.Metric(m.Name+"_batch_latency_ms", m.BatchLatencyMS)
			if m.Name != string(Float32) {
				job.Metric(m.Name+"_changed", float64(m.Changed))
			}
		}
		for _, p := range s.Also {
			summary += "; " + PrecisionFile("model.onnx", p) + ": " + model.measured(p)
			for _, w := range model.warnings(p) {
				job.Warn("%s", w)
			}
		}
	}
	job.Summary(summary)
	return nil
}

// measure runs a finished graph over the test images.
func (a about) measure(ctx context.Context, rt *runtime.Runtime, m *onnx.ModelProto, f *form, progress Progress) error {
	data, err := onnx.Encode(m)
	if err != nil {
		return err
	}
	s, o := a.settings, evaluate.DefaultOptions()
	o.Batch, o.Input, o.Output, o.LatencyRuns = s.Batch, s.Input, s.output(), 0
	o.Dataset, o.DataMean, o.DataStd = a.data.Name, a.data.Mean, a.data.Std
	o.Scores = s.scores()
	o.Progress = func(done, total int) { progress.report("test", done, total) }
	o.Predicted = func(_, class int) { f.predicted = append(f.predicted, class) }
	f.test, err = evaluate.Bytes(ctx, rt, data, a.data.Test, a.data.Classes, o)
	return err
}

// fits reports whether a network was made for images and classes like those of the data set.
func fits(n supernet.Network, d *dataset.Dataset) error {
	image := []int{d.Test.Channels, d.Test.Height, d.Test.Width}
	if n.Classes != len(d.Classes) || !slices.Equal(n.Image[:], image) {
		return fmt.Errorf("the network takes images of %v (channels, height, width) and tells %d classes, the data set %s has images of %v and %d classes; give export the data set that the network was trained on",
			n.Image, n.Classes, d.Name, image, len(d.Classes))
	}
	return nil
}
