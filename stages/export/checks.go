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

// failure is an error that names the checks which failed; nil when all have passed.
func failure(c *result.Checks) error {
	var texts []string
	for _, f := range c.Failed() {
		texts = append(texts, fmt.Sprintf("%s (%s)", f.Name, f.Detail))
	}
	if len(texts) == 0 {
		return nil
	}
	return fmt.Errorf("the exported model failed %d of %d checks and is not published: %s", len(texts), len(c.Checks), strings.Join(texts, "; "))
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
	im := c.images
	x := make([]float32, rows*im.Values())
	area := im.Height * im.Width
	for i := range x {
		ch := i / area % im.Channels
		v := float64(im.Pixels[first*im.Values()+i])
		if input != evaluate.InputPixels {
			v /= 255
		}
		if input == evaluate.InputNormalized {
			v = (v - float64(c.data.Mean[ch])) / float64(c.data.Std[ch])
		}
		x[i] = float32(v)
	}
	shape := []int64{int64(rows), int64(im.Channels), int64(im.Height), int64(im.Width)}
	out, err := s.Run(ctx, map[string]runtime.Tensor{supernet.Images: {Shape: shape, Data: x}})
	if err != nil {
		return verify.Values{}, err
	}
	y, ok := out[output].Data.([]float32)
	if want := []int64{int64(rows), int64(len(c.data.Classes))}; !ok || !slices.Equal(out[output].Shape, want) {
		return verify.Values{}, fmt.Errorf("output %q is %T of shape %v instead of float32 %v", output, out[output].Data, out[output].Shape, want)
	}
	return verify.Values{Shape: out[output].Shape, Data: y}, nil
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
