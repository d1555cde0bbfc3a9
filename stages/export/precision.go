package export

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/quantize"
	"github.com/plateau-nas/plateau/exporter/rewrite"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
)

// Precision is how the numbers of a model are written.
type Precision string

// The precisions. Every model is written in float32; others are further files beside it.
const (
	Float32 Precision = "float32"
	// Int8 is whole numbers of eight bits between the first and the last product, with QuantizeLinear and DequantizeLinear around
	// each operator (QDQ).
	Int8    Precision = "int8"
	Float16 Precision = "float16"
)

// Precisions lists those that Settings.Also may hold.
func Precisions() []Precision { return []Precision{Int8, Float16} }

// PrecisionFile is the name of a model's file in another precision, beside its file in float32: model.int8.onnx beside model.onnx.
func PrecisionFile(model string, p Precision) string {
	if p == Float32 {
		return model
	}
	return strings.TrimSuffix(model, ".onnx") + "." + string(p) + ".onnx"
}

// Progress is told how far a long part of an export has come. It may be nil.
type Progress func(phase string, done, total int)

func (p Progress) report(phase string, done, total int) {
	if p != nil {
		p(phase, done, total)
	}
}

// in returns the model in a precision. The given one, in float32, stays as it is.
func (s Settings) in(ctx context.Context, rt *runtime.Runtime, m *onnx.ModelProto, p Precision, d *dataset.Dataset, progress Progress) (*onnx.ModelProto, error) {
	m = proto.Clone(m).(*onnx.ModelProto)
	if p == Float16 {
		_, err := quantize.Float16(m)
		return m, err
	}
	if _, err := rewrite.ScaleByConv(m); err != nil {
		return nil, err
	}
	rewrite.RemoveUnused(m)
	ranges, err := s.calibrate(ctx, rt, m, d, progress)
	if err != nil {
		return nil, fmt.Errorf("find the ranges of its values: %w", err)
	}
	return m, quantize.Int8(m, ranges)
}

// calibrationImages are training images as the model takes them, spread evenly over the split, so that all classes are among them
// where the images are in the order of their classes.
func (s Settings) calibrationImages(d *dataset.Dataset) (*dataset.Images, error) {
	from := d.Train
	n, size := min(s.CalibrationImages, from.Count), from.Values()
	out := &dataset.Images{Count: n, Channels: from.Channels, Height: from.Height, Width: from.Width}
	for i := range n {
		at := i * from.Count / n
		out.Pixels = append(out.Pixels, from.Pixels[at*size:(at+1)*size]...)
		out.Labels = append(out.Labels, from.Labels[at])
	}
	if out.Height == d.Test.Height && out.Width == d.Test.Width {
		return out, nil
	}
	return out.Downscale(d.Test.Height, d.Test.Width) // they are kept larger, to cut parts out of
}

// observedBytes is how much the values of a run may take that are looked at. More images a run are no faster.
const observedBytes = 64 << 20

// calibrate finds the ranges that int8 needs, by two runs of the model over training images.
func (s Settings) calibrate(ctx context.Context, rt *runtime.Runtime, m *onnx.ModelProto, d *dataset.Dataset, progress Progress) (ranges map[string]quantize.Range, err error) {
	observed, names, err := quantize.Observe(m)
	if err != nil {
		return nil, err
	}
	data, err := onnx.Encode(observed)
	if err != nil {
		return nil, err
	}
	session, err := rt.NewSession(data, runtime.SessionOptions{Name: "calibration", Outputs: names})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	images, err := s.calibrationImages(d)
	if err != nil {
		return nil, err
	}
	observers := make([]quantize.Observer, len(names))
	batch := 1
	for pass := range 2 {
		for first := 0; first < images.Count; {
			rows := min(batch, images.Count-first)
			y, err := session.Run(ctx, s.feed(images, d, first, rows))
			if err != nil {
				return nil, err
			}
			values := 0
			for i, name := range names {
				v, ok := y[name].Data.([]float32)
				if !ok {
					return nil, fmt.Errorf("the value %q is %T instead of float32", name, y[name].Data)
				}
				values += len(v)
				if pass == 0 {
					observers[i].Ends(v)
				} else {
					observers[i].Count(v)
				}
			}
			first += rows
			batch = min(max(observedBytes/(4*values/rows), 1), 64) // the same for every pass and machine
			progress.report("calibrate", pass*images.Count+first, 2*images.Count)
		}
	}
	ranges = map[string]quantize.Range{}
	for i, name := range names {
		if ranges[name], err = observers[i].Least(); err != nil {
			return nil, fmt.Errorf("value %q: %w", name, err)
		}
	}
	return ranges, nil
}

// feed is images as the model takes them.
func (s Settings) feed(im *dataset.Images, d *dataset.Dataset, first, rows int) map[string]runtime.Tensor {
	return feed(im, d, s.Input, first, rows)
}

// inInt8 counts the products of an int8 model, and those that the runtime runs in whole numbers. optimized is the graph as the
// runtime has rewritten it.
func inInt8(m, optimized *onnx.ModelProto) (products, whole int) {
	count := func(m *onnx.ModelProto, ops ...string) (n int) {
		for _, node := range m.GetGraph().GetNode() {
			if slices.Contains(ops, node.GetOpType()) {
				n++
			}
		}
		return n
	}
	return count(m, "Conv", "Gemm", "MatMul"), count(optimized, "QLinearConv", "QGemm", "QLinearMatMul", "MatMulIntegerToFloat", "ConvInteger", "MatMulInteger")
}

// Measured says in lines how good the further precisions are beside float32, and what is worse in them. output is the name of the file in
// float32.
func (m *Model) Measured(output string) []string {
	var out []string
	for _, p := range m.settings.Also {
		out = append(out, PrecisionFile(output, p)+": "+m.measured(p))
		out = append(out, m.warnings(p)...)
	}
	return out
}

// measured says in a line how good a precision is beside float32.
func (m *Model) measured(p Precision) string {
	f, o := m.Precisions.Of(string(Float32)), m.Precisions.Of(string(p))
	return fmt.Sprintf("test accuracy %.2f%% beside %.2f%%, %d of %d images in another class, %.3f ms beside %.3f ms an image, %.3f beside %.3f in batches of %d",
		100*o.Top1, 100*f.Top1, o.Changed, m.Precisions.Images, o.LatencyMS, f.LatencyMS, o.BatchLatencyMS, f.BatchLatencyMS, m.Precisions.Batch)
}

// warnings says plainly what is worse in a precision than in float32.
func (m *Model) warnings(p Precision) []string {
	f, o := m.Precisions.Of(string(Float32)), m.Precisions.Of(string(p))
	file := PrecisionFile("model.onnx", p)
	var out []string
	if o.P < 1-level && o.Lost > o.Gained {
		out = append(out, fmt.Sprintf("%s is less accurate than model.onnx: %.2f%% instead of %.2f%% (p = %.2g)", file, 100*o.Top1, 100*f.Top1, o.P))
	}
	switch one, many := o.LatencyMS > slower*f.LatencyMS, o.BatchLatencyMS > slower*f.BatchLatencyMS; {
	case one && many:
		out = append(out, fmt.Sprintf("%s is slower than model.onnx on this machine: %.3f ms an image instead of %.3f, and %.3f instead of %.3f in batches of %d", file, o.LatencyMS, f.LatencyMS, o.BatchLatencyMS, f.BatchLatencyMS, m.Precisions.Batch))
	case one:
		out = append(out, fmt.Sprintf("%s is slower than model.onnx on this machine for single images: %.3f ms instead of %.3f", file, o.LatencyMS, f.LatencyMS))
	case many:
		out = append(out, fmt.Sprintf("%s is slower than model.onnx on this machine in batches of %d: %.3f ms an image instead of %.3f", file, m.Precisions.Batch, o.BatchLatencyMS, f.BatchLatencyMS))
	}
	if o.InInt8 != nil && *o.InInt8 < o.Products {
		out = append(out, fmt.Sprintf("%s: %s runs %d of %d convolutions and matrix products in float32", file, m.Precisions.Library, o.Products-*o.InInt8, o.Products))
	}
	return out
}

// slower is how many times a time must be another one to count as more.
const slower = 1.05

// scores is what the model gives that evaluate measures.
func (s Settings) scores() evaluate.Scores {
	if s.Softmax {
		return evaluate.ScoresProbabilities
	}
	return evaluate.ScoresLogits
}
