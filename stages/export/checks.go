package export

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/verify"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// Names of the checks, in the order in which they are made.
const (
	CheckParityOne = "parity_batch_1"      // same scores as the unfolded network, images one at a time
	CheckParity    = "parity_batch"        // the same for a large batch
	CheckSoftmax   = "probabilities"       // the second output is the softmax of the first
	CheckBatch     = "dynamic_batch"       // a picture's scores do not depend on the batch it comes in
	CheckDecoder   = "independent_decoder" // onnx-go reads the same operators, attributes, edges and initializers
	CheckMetadata  = "metadata"            // metadata come back as they were written
)

// checkScores is the check of a file in another precision, behind the precision and "_": its scores are near those of float32. The others
// are named as above.
const checkScores = "scores"

// farthest is how far the scores of a precision may be from those of float32, as a share of what they are (root mean square). It is far
// more than a trained network loses, and far less than a wrong scale does. What little is lost is measured, not checked.
func farthest(p Precision) float64 {
	if p == Float16 {
		return 0.02
	}
	return 0.3
}

// singles is the number of images that are compared one at a time.
const singles = 8

// checker holds a written file against the network that was meant.
type checker struct {
	runtime   *runtime.Runtime
	path      string
	reference []byte // the unfolded network: normalized images in, logits out
	images    *dataset.Images
	data      *dataset.Dataset
	settings  Settings
	metadata  map[string]string
}

// run makes all checks. The error is of the surroundings; a check that fails is in the result.
func (c *checker) run(ctx context.Context) (out *result.Checks, err error) {
	out = &result.Checks{Library: "ONNX Runtime " + c.runtime.LibraryVersion(), Opset: onnx.Opset}
	add := func(name, detail string, err error) {
		if err != nil {
			detail = err.Error()
		}
		out.Checks = append(out.Checks, result.Check{Name: name, Passed: err == nil, Detail: detail})
	}
	// The reference runs without any rewriting of its graph, as its nodes stand in it.
	reference, err := c.runtime.NewSession(c.reference, runtime.SessionOptions{Name: "unfolded network", Optimization: "off"})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, reference.Close()) }()
	exported, err := c.runtime.NewSessionFile(c.path, runtime.SessionOptions{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, exported.Close()) }()

	one, err := c.parity(ctx, reference, exported, min(singles, c.images.Count), 1)
	add(CheckParityOne, one, err)
	n := min(c.settings.Batch, c.images.Count)
	many, err := c.parity(ctx, reference, exported, n, n)
	add(CheckParity, many, err)
	if c.settings.outputs() == logitsAndProbabilities {
		same, err := c.softmax(ctx, exported, n)
		add(CheckSoftmax, same, err)
	}
	batches, err := c.batches(ctx, exported, n)
	add(CheckBatch, batches, err)
	reading, err := verify.DecodedFile(c.path)
	add(CheckDecoder, reading.String(), err)
	add(CheckMetadata, fmt.Sprintf("%d properties", len(c.metadata)), c.sameMetadata(exported))
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return out, nil
}

// runOther checks a file in another precision and adds what it finds. float is the file in float32.
func (c *checker) runOther(ctx context.Context, p Precision, float string, out *result.Checks) (err error) {
	add := func(name, detail string, err error) {
		one := result.Check{Name: string(p) + "_" + name, Passed: err == nil, Detail: detail}
		var unsupported *verify.UnsupportedError
		switch {
		case errors.As(err, &unsupported):
			one.Skipped, one.Detail = true, fmt.Sprintf("it does not know %s; it reads the file in float32, from which this one is made", p)
		case err != nil:
			one.Detail = err.Error()
		}
		out.Checks = append(out.Checks, one)
	}
	reference, err := c.runtime.NewSessionFile(float, runtime.SessionOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reference.Close()) }()
	other, err := c.runtime.NewSessionFile(c.path, runtime.SessionOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, other.Close()) }()
	n := min(c.settings.Batch, c.images.Count)
	near, err := c.near(ctx, reference, other, n, farthest(p))
	add(checkScores, near, err)
	if c.settings.outputs() == logitsAndProbabilities {
		same, err := c.softmax(ctx, other, n)
		add(CheckSoftmax, same, err)
	}
	if p == Int8 { // whole numbers add up to the same in any order; float16 does not
		batches, err := c.batches(ctx, other, n)
		add(CheckBatch, batches, err)
	}
	reading, err := verify.DecodedFile(c.path)
	add(CheckDecoder, reading.String(), err)
	add(CheckMetadata, fmt.Sprintf("%d properties", len(c.metadata)), c.sameMetadata(other))
	return ctx.Err()
}

// near measures how far the scores of n images are from those of another model.
func (c *checker) near(ctx context.Context, reference, other *runtime.Session, n int, most float64) (string, error) {
	want, err := c.scores(ctx, reference, c.settings.output(), c.settings.Input, 0, n)
	if err != nil {
		return "", err
	}
	got, err := c.scores(ctx, other, c.settings.output(), c.settings.Input, 0, n)
	if err != nil {
		return "", err
	}
	var lost, all float64
	for i, w := range want.Data {
		d := float64(got.Data[i]) - float64(w)
		lost, all = lost+d*d, all+float64(w)*float64(w)
	}
	share := math.Sqrt(lost / all)
	if !(share <= most) {
		return "", fmt.Errorf("the %s of %d images are off by %.2f%%, at most %.0f%% are expected", c.settings.output(), n, 100*share, 100*most)
	}
	return fmt.Sprintf("%d images: the %s are off by %.2f%% (root mean square)", n, c.settings.output(), 100*share), nil
}

// failure is an error that names the checks which failed; nil when all have passed.
func failure(c *result.Checks) error {
	var texts []string
	for _, f := range c.Failed() {
		texts = append(texts, fmt.Sprintf("%s (%s)", f.Name, f.Detail))
	}
	if len(texts) == 0 {
		return nil
	}
	return fmt.Errorf("the exported model failed %d of %d checks and is not published: %s", len(texts), c.Made(), strings.Join(texts, "; "))
}

// parity compares the first n images, in batches of the given size.
func (c *checker) parity(ctx context.Context, reference, exported *runtime.Session, n, batch int) (string, error) {
	want := map[string]verify.Values{}
	got := map[string]verify.Values{}
	for first := 0; first < n; first += batch {
		rows := min(batch, n-first)
		w, err := c.scores(ctx, reference, supernet.Logits, evaluate.InputNormalized, first, rows)
		if err != nil {
			return "", fmt.Errorf("unfolded network: %w", err)
		}
		if c.settings.Softmax {
			softmax(w.Data, int(w.Shape[1]))
		}
		g, err := c.scores(ctx, exported, c.settings.output(), c.settings.Input, first, rows)
		if err != nil {
			return "", err
		}
		name := fmt.Sprintf("%s of images %d to %d", c.settings.output(), first, first+rows-1)
		want[name], got[name] = w, g
	}
	d, err := verify.Parity(want, got, verify.Tolerance)
	return fmt.Sprintf("%d images: %v", n, d), err
}

// softmax compares the probabilities that the model gives with those that its logits make.
func (c *checker) softmax(ctx context.Context, exported *runtime.Session, n int) (string, error) {
	want, err := c.scores(ctx, exported, supernet.Logits, c.settings.Input, 0, n)
	if err != nil {
		return "", err
	}
	softmax(want.Data, int(want.Shape[1]))
	got, err := c.scores(ctx, exported, Probabilities, c.settings.Input, 0, n)
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("%s of images 0 to %d", Probabilities, n-1)
	d, err := verify.Parity(map[string]verify.Values{name: want}, map[string]verify.Values{name: got}, verify.Tolerance)
	return fmt.Sprintf("%d images: %v", n, d), err
}

// batches compares the scores of images in one batch with those in batches of other sizes.
func (c *checker) batches(ctx context.Context, exported *runtime.Session, n int) (string, error) {
	whole, err := c.scores(ctx, exported, c.settings.output(), c.settings.Input, 0, n)
	if err != nil {
		return "", err
	}
	classes := int(whole.Shape[1])
	want, got := map[string]verify.Values{}, map[string]verify.Values{}
	var sizes []int
	for first, rows := 0, 1; first < n; first, rows = first+rows, rows+1 {
		rows = min(rows, n-first)
		part, err := c.scores(ctx, exported, c.settings.output(), c.settings.Input, first, rows)
		if err != nil {
			return "", err
		}
		name := fmt.Sprintf("images %d to %d", first, first+rows-1)
		got[name] = part
		want[name] = verify.Values{Shape: []int64{int64(rows), int64(classes)}, Data: whole.Data[first*classes : (first+rows)*classes]}
		sizes = append(sizes, rows)
	}
	d, err := verify.Parity(want, got, verify.Tolerance)
	return fmt.Sprintf("batches of %d to %d images against one of %d: %v", slices.Min(sizes), slices.Max(sizes), n, d), err
}

// scores runs images as a model takes them.
func (c *checker) scores(ctx context.Context, s *runtime.Session, output string, input evaluate.Input, first, rows int) (verify.Values, error) {
	out, err := s.Run(ctx, feed(c.images, c.data, input, first, rows))
	if err != nil {
		return verify.Values{}, err
	}
	y, ok := out[output].Data.([]float32)
	if want := []int64{int64(rows), int64(len(c.data.Classes))}; !ok || !slices.Equal(out[output].Shape, want) {
		return verify.Values{}, fmt.Errorf("output %q is %T of shape %v instead of float32 %v", output, out[output].Data, out[output].Shape, want)
	}
	return verify.Values{Shape: out[output].Shape, Data: y}, nil
}

// feed is images as a model takes them.
func feed(im *dataset.Images, d *dataset.Dataset, input evaluate.Input, first, rows int) map[string]runtime.Tensor {
	x := make([]float32, rows*im.Values())
	area := im.Height * im.Width
	for i := range x {
		ch := i / area % im.Channels
		v := float64(im.Pixels[first*im.Values()+i])
		if input != evaluate.InputPixels {
			v /= 255
		}
		if input == evaluate.InputNormalized {
			v = (v - float64(d.Mean[ch])) / float64(d.Std[ch])
		}
		x[i] = float32(v)
	}
	shape := []int64{int64(rows), int64(im.Channels), int64(im.Height), int64(im.Width)}
	return map[string]runtime.Tensor{supernet.Images: {Shape: shape, Data: x}}
}

// sameMetadata reads the metadata back, as we and as ONNX Runtime read them.
func (c *checker) sameMetadata(exported *runtime.Session) error {
	m, err := onnx.Load(c.path)
	if err != nil {
		return err
	}
	for reader, read := range map[string]map[string]string{"the file": onnx.Metadata(m), "ONNX Runtime": exported.Metadata()} {
		if !maps.Equal(read, c.metadata) {
			for _, key := range slices.Sorted(maps.Keys(c.metadata)) {
				if read[key] != c.metadata[key] {
					return fmt.Errorf("%s has %q for %s instead of %q", reader, read[key], key, c.metadata[key])
				}
			}
			return fmt.Errorf("%s has %d properties instead of %d", reader, len(read), len(c.metadata))
		}
	}
	return nil
}

// softmax turns rows of logits into probabilities.
func softmax(v []float32, classes int) {
	for ; len(v) >= classes && classes > 0; v = v[classes:] {
		row := v[:classes]
		high := slices.Max(row)
		var sum float64
		for _, x := range row {
			sum += math.Exp(float64(x - high))
		}
		for i, x := range row {
			row[i] = float32(math.Exp(float64(x-high)) / sum)
		}
	}
}
