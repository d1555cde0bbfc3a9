package export

import (
	"context"
	"fmt"
	"slices"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/rewrite"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// Kind returns the stage kind "export", which runs on the runtime that open gives.
func Kind(open runtime.Opener) pipeline.Kind {
	return pipeline.Kind{
		Name:    "export",
		Version: 1,
		Doc:     "Writes a trained network as an ONNX classifier for use, and checks the file.",
		Inputs: []pipeline.Port{
			{Name: "network", Type: "network", Doc: "Architecture and skeleton of the network."},
			{Name: "weights", Type: "weights", Doc: "Its trained weights and running statistics."},
			{Name: "dataset", Type: "dataset", Doc: "Gives class names and normalization, and the test images that the file is measured and checked on."},
			{Name: "architecture", Type: "architecture", Optional: true, Doc: "Adds the scores of the architecture to the metadata."},
			{Name: "history", Type: "train-history", Optional: true, Doc: "Adds how training ended to the metadata."},
		},
		Outputs: []pipeline.Output{
			{Name: "model", Type: "model", File: "model.onnx", Doc: "The classifier: images [batch, channels, height, width] give one score a class."},
			{Name: "checks", Type: "checks", File: "checks.json", Doc: "What the file was tested for."},
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
	path := func(port string) string {
		a, _ := job.Input(port)
		return a.Path
	}
	network, reference, err := load(path("network"), path("weights"))
	if err != nil {
		return err
	}
	a := about{network: network, settings: s.Settings}
	if a.data, err = dataset.Load(path("dataset")); err != nil {
		return err
	}
	if err := fits(network, a.data); err != nil {
		return err
	}
	if p := path("architecture"); p != "" {
		if a.architecture, err = result.ReadArchitecture(p); err != nil {
			return err
		}
		if a.architecture.Architecture != network.Architecture {
			return fmt.Errorf("the scores in %s are of architecture %s, the network is %s; connect the input architecture to the stage that the training was given", p, a.architecture.Architecture, network.Architecture)
		}
	}
	if p := path("history"); p != "" {
		if a.history, err = result.ReadTrainHistory(p); err != nil {
			return err
		}
	}
	if a.cost, err = rewrite.CostOf(reference, nil); err != nil {
		return err
	}
	m, err := build(reference, a.data, s.Settings)
	if err != nil {
		return fmt.Errorf("build the model: %w", err)
	}
	rt, err := s.open(ctx)
	if err != nil {
		return err
	}
	if a.test, err = s.measure(ctx, rt, m, a); err != nil {
		return err
	}
	if err := a.stamp(m); err != nil {
		return err
	}
	// An artifact is one file, so all weights stay in it.
	if err := onnx.Save(job.Output("model"), m, onnx.SaveOptions{ExternalThreshold: -1}); err != nil {
		return err
	}
	original, err := onnx.Encode(reference)
	if err != nil {
		return err
	}
	checks, err := (&checker{
		runtime: rt, path: job.Output("model"), reference: original, images: a.data.Test, data: a.data, settings: s.Settings, metadata: onnx.Metadata(m),
	}).run(ctx)
	if err != nil {
		return fmt.Errorf("check the exported model: %w", err)
	}
	for _, c := range checks.Checks {
		if c.Passed {
			job.Info("check %s passed: %s", c.Name, c.Detail)
		} else {
			job.Warn("check %s failed: %s", c.Name, c.Detail)
		}
	}
	if err := result.WriteChecks(job.Output("checks"), checks); err != nil {
		return err
	}
	if err := failure(checks); err != nil {
		return err
	}
	job.Summary(fmt.Sprintf("model.onnx: %s [batch, %d, %d, %d] in, %s out, test accuracy %.2f%%, %d checks passed",
		supernet.Images, network.Image[0], network.Image[1], network.Image[2], s.output(), 100*a.test.Top1, len(checks.Checks)))
	return nil
}

// measure runs the finished graph over the test images.
func (s *stage) measure(ctx context.Context, rt *runtime.Runtime, m *onnx.ModelProto, a about) (*result.Metrics, error) {
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
