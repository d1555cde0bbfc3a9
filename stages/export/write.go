package export

import (
	"context"
	"fmt"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/rewrite"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// Files are what an exported model is made of.
type Files struct {
	Network      string // network.json: architecture and skeleton
	Weights      string // weights.safetensors: trained weights and running statistics
	Dataset      string // dataset.safetensors: class names, normalization, and the test images to measure and check on
	Architecture string // architecture.json: adds scores to the metadata; empty for none
	History      string // history.csv of the training: adds how it ended to the metadata; empty for none
}

// Model is an exported model.
type Model struct {
	Network supernet.Network
	Test    *result.Metrics // on the data set's test images, without latency
	Checks  *result.Checks
	Output  string // name of the output that was measured
	// Precisions compares the files of Settings.Also with the model in float32; nil when there are none.
	Precisions *result.Precisions
	about
}

// String says in one line what the model takes and gives, and how good it is.
func (m *Model) String() string {
	gives := supernet.Logits + " and " + Probabilities
	if m.settings.Softmax {
		gives = Probabilities
	}
	i := evaluate.Interval(m.Test)
	return fmt.Sprintf("%s [batch, %d, %d, %d] in, %s out, test accuracy %.2f%% (95%% interval %.1f to %.1f), %d checks passed",
		supernet.Images, m.Network.Image[0], m.Network.Image[1], m.Network.Image[2], gives, 100*m.Test.Top1, 100*i.Low, 100*i.High, m.Checks.Made())
}

// Write writes a trained network to path as an ONNX classifier, and beside it (PrecisionFile) in the further precisions that the
// settings ask for, and checks the files. The model is returned together with the error when only checks have failed; the files must not
// be used then.
func Write(ctx context.Context, open runtime.Opener, path string, f Files, s Settings, progress Progress) (*Model, error) {
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	network, reference, err := load(f.Network, f.Weights)
	if err != nil {
		return nil, err
	}
	a := about{network: network, settings: s}
	if a.data, err = dataset.Load(f.Dataset); err != nil {
		return nil, err
	}
	if err := fits(network, a.data); err != nil {
		return nil, err
	}
	if f.Architecture != "" {
		if a.architecture, err = result.ReadArchitecture(f.Architecture); err != nil {
			return nil, err
		}
		if a.architecture.Architecture != network.Architecture {
			return nil, fmt.Errorf("the scores in %s are of architecture %s, the network is %s; connect the input architecture to the stage that the training was given", f.Architecture, a.architecture.Architecture, network.Architecture)
		}
	}
	if f.History != "" {
		if a.history, err = result.ReadTrainHistory(f.History); err != nil {
			return nil, err
		}
	}
	if a.cost, err = rewrite.CostOf(reference, nil); err != nil {
		return nil, err
	}
	m, err := build(reference, a.data, s, s.outputs())
	if err != nil {
		return nil, fmt.Errorf("build the model: %w", err)
	}
	rt, err := open(ctx)
	if err != nil {
		return nil, err
	}
	float := &form{precision: Float32, path: path}
	if err = a.measure(ctx, rt, m, float, progress); err != nil {
		return nil, err
	}
	a.test = float.test
	if err := a.stamp(m); err != nil {
		return nil, err
	}
	// An artifact is one file, so all weights stay in it.
	if err := onnx.Save(path, m, onnx.SaveOptions{ExternalThreshold: -1}); err != nil {
		return nil, err
	}
	original, err := onnx.Encode(reference)
	if err != nil {
		return nil, err
	}
	checks, err := (&checker{
		runtime: rt, path: path, reference: original, images: a.data.Test, data: a.data, settings: s, metadata: onnx.Metadata(m),
	}).run(ctx)
	if err != nil {
		return nil, fmt.Errorf("check the exported model: %w", err)
	}
	out := &Model{Network: network, Test: a.test, Checks: checks, Output: s.output(), about: a}
	if err := failure(checks); err != nil || len(s.Also) == 0 {
		return out, err
	}
	forms := []*form{float}
	for _, p := range s.Also {
		other, err := a.other(ctx, rt, m, p, float, checks, progress)
		if err != nil {
			return nil, fmt.Errorf("the model in %s: %w; take %s out of also to do without it", p, err, p)
		}
		forms = append(forms, other)
	}
	if err := failure(checks); err != nil {
		return out, err
	}
	if out.Precisions, err = a.sideBySide(ctx, rt, forms, progress); err != nil {
		return nil, fmt.Errorf("measure the model in its precisions: %w", err)
	}
	return out, nil
}

// other writes the model in another precision, measures and checks it. m is the one in float32.
func (a about) other(ctx context.Context, rt *runtime.Runtime, m *onnx.ModelProto, p Precision, float *form, checks *result.Checks, progress Progress) (*form, error) {
	m, err := a.settings.in(ctx, rt, m, p, a.data, progress)
	if err != nil {
		return nil, err
	}
	f := &form{precision: p, path: PrecisionFile(float.path, p)}
	if err := a.measure(ctx, rt, m, f, progress); err != nil {
		return nil, err
	}
	a.test, a.precision = f.test, p // a copy
	if err := a.stamp(m); err != nil {
		return nil, err
	}
	if err := onnx.Save(f.path, m, onnx.SaveOptions{ExternalThreshold: -1}); err != nil {
		return nil, err
	}
	c := &checker{runtime: rt, path: f.path, images: a.data.Test, data: a.data, settings: a.settings, metadata: onnx.Metadata(m)}
	return f, c.runOther(ctx, p, float.path, checks)
}
