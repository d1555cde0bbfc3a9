package export

import (
	"context"
	"fmt"
	"slices"

	"github.com/plateau-nas/plateau/exporter/atomicfile"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/pipeline"
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
	for _, c := range companions() {
		outputs = append(outputs, c.output)
	}
	return pipeline.Kind{
		Name:    "export",
		Version: 3,
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
	_ pipeline.Stage     = (*stage)(nil)
	_ pipeline.Validator = (*stage)(nil)
)

// Run implements pipeline.Stage.
func (s *stage) Run(ctx context.Context, job *pipeline.Job) error {
	path := func(port string) string {
		a, _ := job.Input(port)
		return a.Path
	}
	model, failed := Write(ctx, s.open, job.Output("model"), Files{
		Network: path("network"), Weights: path("weights"), Dataset: path("dataset"), Architecture: path("architecture"), History: path("history"),
	}, s.Settings)
	if model == nil {
		return failed
	}
	for _, c := range model.Checks.Checks {
		if c.Passed {
			job.Info("check %s passed: %s", c.Name, c.Detail)
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
	job.Summary("model.onnx: " + model.String())
	return nil
}

// measure runs the finished graph over the test images.
func (s Settings) measure(ctx context.Context, rt *runtime.Runtime, m *onnx.ModelProto, a about) (*result.Metrics, error) {
	data, err := onnx.Encode(m)
	if err != nil {
		return nil, err
	}
	o := evaluate.DefaultOptions()
	o.Batch, o.Input, o.Output, o.LatencyRuns = s.Batch, s.Input, s.output(), 0
	o.Dataset, o.DataMean, o.DataStd = a.data.Name, a.data.Mean, a.data.Std
	o.Scores = evaluate.ScoresLogits
	if s.Softmax {
		o.Scores = evaluate.ScoresProbabilities
	}
	return evaluate.Bytes(ctx, rt, data, a.data.Test, a.data.Classes, o)
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
