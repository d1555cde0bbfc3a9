package evaluate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/rewrite"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/result"
)

// Model measures the classifier in an .onnx file on labeled images. classes names the labels, in the order of the model's
// scores. The model needs one input that takes images of this size (float32 or uint8, any batch or a fixed one) and an
// output with one float32 score for each class.
func Model(ctx context.Context, rt *runtime.Runtime, path string, im *dataset.Images, classes []string, o Options) (*result.Metrics, error) {
	wrap := func(err error) error { return fmt.Errorf("evaluate %s: %w", path, err) }
	m, err := onnx.Load(path)
	if err != nil {
		return nil, wrap(err)
	}
	size, err := sizeOf(path)
	if err != nil {
		return nil, wrap(err)
	}
	s, err := rt.NewSessionFile(path, runtime.SessionOptions{})
	if err != nil {
		return nil, wrap(err)
	}
	out, err := measure(ctx, rt, s, m, im, classes, o)
	if err = errors.Join(err, s.Close()); err != nil {
		return nil, wrap(err)
	}
	out.SizeBytes = size
	return out, nil
}

// Bytes is Model for a model in memory, without external data.
func Bytes(ctx context.Context, rt *runtime.Runtime, model []byte, im *dataset.Images, classes []string, o Options) (*result.Metrics, error) {
	m, err := onnx.Decode(model)
	if err != nil {
		return nil, fmt.Errorf("evaluate model: %w", err)
	}
	s, err := rt.NewSession(model, runtime.SessionOptions{})
	if err != nil {
		return nil, fmt.Errorf("evaluate model: %w", err)
	}
	out, err := measure(ctx, rt, s, m, im, classes, o)
	if err = errors.Join(err, s.Close()); err != nil {
		return nil, fmt.Errorf("evaluate model: %w", err)
	}
	out.SizeBytes = int64(len(model))
	return out, nil
}

// measure does everything that needs the session.
func measure(ctx context.Context, rt *runtime.Runtime, s *runtime.Session, m *onnx.ModelProto, im *dataset.Images, classes []string, o Options) (*result.Metrics, error) {
	if err := checkImages(im, classes); err != nil {
		return nil, err
	}
	if err := checkClassMap(o.ClassMap, len(classes)); err != nil {
		return nil, err
	}
	files := im.Files
	im, _, err := o.Channels.convert(im)
	if err != nil {
		return nil, err
	}
	if o.Warn == nil {
		o.Warn = func(string, ...any) {}
	}
	f, err := newFeed(s, im, o)
	if err != nil {
		return nil, err
	}
	if o.ClassMap == nil {
		warnOfClasses(s.Metadata(), classes, o.Warn)
	}
	t := newTally(len(classes), o.ClassMap)
	t.predicted = o.Predicted
	output, err := chooseOutput(s, wanted{fits: t.fits, classes: fmt.Sprintf("%d classes", t.classes), shape: fmt.Sprintf("[batch, %d]", t.classes)}, o.Output)
	if err != nil {
		return nil, err
	}
	scores, from, err := scoresOf(s.Metadata(), o.Scores)
	if err != nil {
		return nil, err
	}
	out := &result.Metrics{
		Model: m.GetGraph().GetName(), Dataset: o.Dataset, Split: o.Split,
		Provider: rt.Provider(), Threads: rt.Threads(), Library: rt.LibraryVersion(),
	}
	if out.Throughput, err = f.run(ctx, s, output, im, o, t); err != nil {
		return nil, err
	}
	t.fill(out, scores, from, classes, files)
	cost(out, m, f, s.Metadata(), o.Warn)
	if o.LatencyRuns > 0 {
		if out.Latency, err = f.latency(ctx, s, im, o); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func checkImages(im *dataset.Images, classes []string) error {
	if im == nil || im.Count == 0 {
		return errors.New("there are no images to measure on")
	}
	if len(im.Pixels) != im.Count*im.Values() || len(im.Labels) != im.Count {
		return fmt.Errorf("%d pixel values and %d labels do not make %d images", len(im.Pixels), len(im.Labels), im.Count)
	}
	for i, l := range im.Labels {
		if l < 0 || l >= int64(len(classes)) {
			return fmt.Errorf("image %d has the label %d, but there are %d classes", i, l, len(classes))
		}
	}
	return nil
}

func checkClassMap(scoreOf []int, classes int) error {
	if scoreOf == nil {
		return nil
	}
	if len(scoreOf) != classes {
		return fmt.Errorf("the class map names %d scores for %d classes", len(scoreOf), classes)
	}
	for class, score := range scoreOf {
		if score < 0 || slices.Index(scoreOf, score) != class {
			return fmt.Errorf("the class map gives class %d the score %d, which is below 0 or that of another class", class, score)
		}
	}
	return nil
}

// warnOfClasses tells when the model was made for other classes than those of the labels.
func warnOfClasses(metadata map[string]string, classes []string, warn func(string, ...any)) {
	text, ok := metadata[KeyClasses]
	if !ok {
		return
	}
	var own []string
	if err := json.Unmarshal([]byte(text), &own); err != nil {
		warn("the model's metadata %s cannot be read: %v", KeyClasses, err)
	} else if !slices.Equal(own, classes) {
		warn("the model was made for the classes %q, the data set has %q; they are compared by their numbers", own, classes)
	}
}

// run passes all images through the model. It also times the full batches behind the first one; the result is nil when
// there are none.
func (f *feed) run(ctx context.Context, s *runtime.Session, output string, im *dataset.Images, o Options, t *tally) (*result.Throughput, error) {
	full := int(f.shape[0])
	if full == 0 {
		full = o.Batch
	}
	var timed time.Duration
	rows, images := full, 0
	for first := 0; first < im.Count; first += rows {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(rows, im.Count-first)
		if f.shape[0] == 0 {
			rows = n // the last batch may be smaller
		}
		in := map[string]runtime.Tensor{f.name: f.batch(im, first, rows)}
		start := time.Now()
		y, err := s.Run(ctx, in)
		if err != nil {
			return nil, err
		}
		if first > 0 && rows == full {
			timed += time.Since(start)
			images += rows
		}
		scores, ok := y[output].Data.([]float32)
		each := len(scores) / rows
		if !ok || len(scores) != rows*each || !t.fits(int64(each)) {
			return nil, fmt.Errorf("its output %q has the shape %v for %d images; it must give one float32 score for each of the data set's %d classes", output, y[output].Shape, rows, t.classes)
		}
		for i := range n {
			if err := t.add(scores[i*each:(i+1)*each], im.Labels[first+i]); err != nil {
				return nil, err
			}
		}
		if o.Progress != nil {
			o.Progress(first+n, im.Count)
		}
	}
	if images == 0 || timed <= 0 {
		return nil, nil
	}
	return &result.Throughput{Batch: full, ImagesPerSecond: float64(images) / timed.Seconds()}, nil
}

// latency times single images, or single runs of a model with a fixed batch.
func (f *feed) latency(ctx context.Context, s *runtime.Session, im *dataset.Images, o Options) (*result.Latency, error) {
	rows := max(int(f.shape[0]), 1)
	in := map[string]runtime.Tensor{f.name: f.batch(im, 0, rows)}
	times := make([]float64, 0, o.LatencyRuns)
	for i := range o.LatencyWarmUp + o.LatencyRuns {
		start := time.Now()
		if _, err := s.Run(ctx, in); err != nil {
			return nil, err
		}
		if i >= o.LatencyWarmUp {
			times = append(times, float64(time.Since(start))/float64(time.Millisecond)/float64(rows))
		}
	}
	return summarize(times), nil
}

// summarize gives mean and quantiles (nearest rank) of times, which it sorts.
func summarize(times []float64) *result.Latency {
	slices.Sort(times)
	var sum float64
	for _, t := range times {
		sum += t
	}
	at := func(q float64) float64 { return times[max(int(math.Ceil(q*float64(len(times))))-1, 0)] }
	return &result.Latency{Mean: sum / float64(len(times)), P50: at(0.5), P90: at(0.9), P95: at(0.95), P99: at(0.99)}
}

// cost adds parameters and multiply-adds. A model that cannot be measured leaves them at 0.
func cost(out *result.Metrics, m *onnx.ModelProto, f *feed, metadata map[string]string, warn func(string, ...any)) {
	shape := slices.Clone(f.shape)
	shape[0] = max(shape[0], 1)
	c, err := rewrite.CostOf(m, map[string][]int64{f.name: shape})
	if err != nil {
		warn("parameters and multiply-adds are not known: %v", err)
		return
	}
	out.Parameters, out.MultiplyAdds = c.Parameters, c.MultiplyAdds
	// Folding has merged scales and biases of normalizations; the number that the field compares is that before.
	if n, err := strconv.ParseInt(metadata[KeyParameters], 10, 64); err == nil && n > 0 {
		out.Parameters = n
	}
}

// wanted is what an output with scores must be.
type wanted struct {
	fits    func(scores int64) bool // tells whether a picture may have so many scores
	classes string                  // "10 classes"
	shape   string                  // "[batch, 10]"
}

// chooseOutput finds the output with the scores: the one that is named, else the only one that fits, else of those that fit the one that
// has the name of what the model's metadata say its scores are, as in models that give both logits and probabilities.
func chooseOutput(s *runtime.Session, want wanted, name string) (string, error) {
	fits := func(o runtime.IOInfo) bool {
		if o.DType != runtime.Float32 {
			return false
		}
		elements := int64(1)
		for _, d := range o.Shape[min(1, len(o.Shape)):] {
			if d < 0 {
				return true
			}
			elements *= d
		}
		if len(o.Shape) == 1 { // a single image without a batch dimension, or a size that is not declared
			return o.Shape[0] < 0 || want.fits(o.Shape[0])
		}
		return o.Shape == nil || len(o.Shape) > 1 && want.fits(elements)
	}
	outputs, said := s.Outputs(), s.Metadata()[KeyOutput]
	var found []string
	for _, o := range outputs {
		if o.Name == name {
			if !fits(o) {
				return "", fmt.Errorf("its output %s does not hold float32 scores of %s", o, want.classes)
			}
			return o.Name, nil
		}
		if fits(o) {
			found = append(found, o.Name)
		}
	}
	switch {
	case name != "":
		return "", fmt.Errorf("it has no output %q; it gives %s", name, describe(outputs))
	case len(found) == 0:
		return "", fmt.Errorf("it is no classifier for %s: it gives %s, none of which is %s float32", want.classes, describe(outputs), want.shape)
	case len(found) > 1 && slices.Contains(found, said):
		return said, nil
	case len(found) > 1:
		return "", fmt.Errorf("it has several outputs that could hold the scores: %s; name one with output", describe(outputs))
	}
	return found[0], nil
}

// scoresOf returns what the scores are, as far as settings or metadata say, and which of the two did.
func scoresOf(metadata map[string]string, wanted Scores) (s Scores, from string, err error) {
	if wanted != ScoresAuto && wanted != "" {
		return wanted, "settings", nil
	}
	switch s := Scores(metadata[KeyOutput]); s {
	case "":
		return ScoresAuto, "", nil
	case ScoresLogits, ScoresProbabilities:
		return s, "metadata", nil
	default:
		return "", "", fmt.Errorf("its metadata say %s = %q, which is not known; set scores", KeyOutput, s)
	}
}

// describe lists inputs or outputs.
func describe(list []runtime.IOInfo) string {
	if len(list) == 0 {
		return "nothing"
	}
	texts := make([]string, len(list))
	for i, o := range list {
		texts[i] = o.String()
	}
	return strings.Join(texts, ", ")
}

// sizeOf is the size of a model file and of the data files beside it that it names.
func sizeOf(path string) (int64, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	m, err := onnx.Decode(data)
	if err != nil {
		return 0, err
	}
	size, seen := int64(len(data)), map[string]bool{}
	for _, t := range m.GetGraph().GetInitializer() {
		for _, e := range t.GetExternalData() {
			if e.GetKey() != "location" || seen[e.GetValue()] {
				continue
			}
			seen[e.GetValue()] = true
			info, err := os.Stat(filepath.Join(filepath.Dir(path), e.GetValue()))
			if err != nil {
				return 0, err
			}
			size += info.Size()
		}
	}
	return size, nil
}
