package score

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// WeightSharing scores an architecture by running it with a supernet's shared weights on validation images,
// normalization using the statistics of each batch. Architectures are shared out among workers of one thread each;
// results do not depend on how many there are.
type WeightSharing struct {
	space   *space.Space
	engine  engine
	batches []batch
	images  int
}

type batch struct {
	x []float32
	y []int64
}

// engine computes what results are made of.
type engine interface {
	// evaluate returns one tally for each architecture, in order.
	evaluate(ctx context.Context, architectures []space.Architecture) ([]tally, error)
	close() error
}

// tally is what an architecture has done on some images.
type tally struct {
	loss float64 // summed cross-entropy in nats
	hits int     // images classified correctly
}

// Form is how WeightSharing runs an architecture.
type Form int

const (
	// Auto takes Constant where that is faster: on the CPU, for scores that take longer than loading a graph does.
	Auto Form = iota
	// Constant loads each architecture as a graph of its own, with constant weights, and runs what all architectures
	// begin with once for all of them.
	Constant
	// Path runs the supernet's path form, one loaded graph for all architectures, which is given the weights each time.
	Path
)

// SharingOptions say how WeightSharing evaluates.
type SharingOptions struct {
	// Images is the number of validation images, from the front of the split; it is rounded down to whole batches.
	// 0 means all.
	Images int
	// Workers is how many runs may be under way at once; 0 means one for each thread of the runtime.
	Workers int
	// Form is how architectures are run. Scores of different forms differ by rounding.
	Form Form
}

// NewWeightSharing reads the path form of a supernet of the space and takes batches from the images of the split.
// weights is the state that holds the shared weights; it may change between evaluations.
func NewWeightSharing(ctx context.Context, rt *runtime.Runtime, model []byte, s *space.Space, weights *runtime.State, images *dataset.Images, mean, std []float32, o SharingOptions) (_ *WeightSharing, err error) {
	wrap := func(err error) error { return fmt.Errorf("preparing to score architectures: %w", err) }
	if o.Workers <= 0 {
		o.Workers = rt.Threads()
	}
	fits, err := fit(model, s, images)
	if err != nil {
		return nil, wrap(err)
	}
	if n := fits.supernet.Index.Total(); weights.Len() != n {
		return nil, wrap(fmt.Errorf("the supernet has %d shared weights, and %d were given; take both from the same run", n, weights.Len()))
	}
	want := images.Count
	if o.Images > 0 && o.Images < want {
		want = o.Images
	}
	if want < fits.batch {
		return nil, wrap(fmt.Errorf("%d validation images do not fill one batch of %d; give the search more images to score on, or lower the supernet's score_batch", want, fits.batch))
	}
	loader, err := dataset.NewLoader(images, mean, std, dataset.LoaderOptions{Batch: fits.batch, DropLast: true})
	if err != nil {
		return nil, wrap(err)
	}
	w := &WeightSharing{space: s}
	for b, err := range loader.Epoch(ctx, 0) {
		if err != nil {
			return nil, wrap(err)
		}
		w.batches = append(w.batches, batch{append([]float32(nil), b.X...), append([]int64(nil), b.Y...)})
		w.images += b.Count
		if w.images+fits.batch > want {
			break
		}
	}
	if o.Form == Auto {
		o.Form = fastest(rt.Provider(), fits.supernet.Macro, w.images)
	}
	if o.Form == Path {
		w.engine, err = newPathEngine(rt, model, weights, w.batches, o.Workers)
	} else {
		w.engine = newConstantEngine(rt, fits.supernet, weights, w.batches, o.Workers)
	}
	if err != nil {
		return nil, wrap(err)
	}
	return w, nil
}

// fastest is the form that gives scores soonest.
//
// Constant weights let the CPU provider lay out convolutions in blocks, and an architecture then runs in two thirds of the
// time that it takes in the path form, which also moves what "none" and "skip_connect" leave alone; but a graph has to be
// loaded for each architecture, which does not pay for few and small images. Providers on a device gain
// nothing from the layout and take far longer to load a graph.
func fastest(provider string, m supernet.Macro, images int) Form {
	if work := images * m.Channels * m.Image[1] * m.Image[2] * m.Cells; provider == runtime.ProviderCPU && work >= worthLoading {
		return Constant
	}
	return Path
}

// worthLoading is how many values one operation of the first stage has to produce, on all images and in all cells of a
// stage together, for a graph to be worth loading. Measured: with 8 channels and 16x16 pixels both forms take equally long for
// 128 images, and the path form twice as long for 1,000.
const worthLoading = 250_000

// fits is what a path form says of itself.
type fits struct {
	supernet *supernet.Supernet
	batch    int
}

// fit checks that the supernet was built for the space and for images like these. Buffers of the right length are not
// enough: four images of 8x8 pixels are as long as one of 16x16.
func fit(model []byte, s *space.Space, images *dataset.Images) (fits, error) {
	m, err := onnx.Decode(model)
	if err != nil {
		return fits{}, fmt.Errorf("reading the supernet's path form: %w", err)
	}
	shapes := map[string][]int{}
	for _, v := range append(m.GetGraph().GetInput(), m.GetGraph().GetOutput()...) {
		for _, d := range v.GetType().GetTensorType().GetShape().GetDim() {
			shapes[v.GetName()] = append(shapes[v.GetName()], int(d.GetDimValue()))
		}
	}
	for _, name := range []string{supernet.Images, supernet.Choices, supernet.Params, supernet.Logits} {
		if shapes[name] == nil {
			return fits{}, fmt.Errorf("the model is no path form of a supernet: it has no input or output %q", name)
		}
	}
	x, logits, choices := shapes[supernet.Images], shapes[supernet.Logits], shapes[supernet.Choices]
	if len(x) != 4 || len(logits) != 2 || logits[0] != x[0] || x[0] < 1 {
		return fits{}, fmt.Errorf("the model is no path form of a supernet: its images have the shape %v and its logits %v", x, logits)
	}
	if want := []int{images.Channels, images.Height, images.Width}; !slices.Equal(x[1:], want) {
		return fits{}, fmt.Errorf("the supernet was built for images of %v (channels, height, width) and the dataset has images of %v; build the supernet from the same dataset", x[1:], want)
	}
	if !slices.Equal(choices, []int{len(s.Edges)}) {
		return fits{}, fmt.Errorf("the supernet takes choices of shape %v, but the space %s has %d edges", choices, s.Name, len(s.Edges))
	}
	for _, y := range images.Labels {
		if y < 0 || y >= int64(logits[1]) {
			return fits{}, fmt.Errorf("the dataset has the label %d and the supernet tells %d classes apart; build the supernet from the same dataset", y, logits[1])
		}
	}
	own, macro, err := supernet.Of(model)
	if err != nil {
		return fits{}, err
	}
	if own.Reference() != s.Reference() {
		return fits{}, fmt.Errorf("the supernet is one of the space %s, not of %s", own.Name, s.Name)
	}
	sn, err := supernet.New(s, macro)
	return fits{sn, x[0]}, err
}

// Images returns the number of images that every architecture is scored on.
func (w *WeightSharing) Images() int { return w.images }

// Sample returns what every architecture is scored on.
func (w *WeightSharing) Sample() Sample {
	return Sample{Images: w.images, Batch: len(w.batches[0].y)}
}

// Evaluate implements Evaluator.
func (w *WeightSharing) Evaluate(ctx context.Context, architectures []space.Architecture) ([]Result, error) {
	for _, a := range architectures {
		if err := w.space.Check(a); err != nil {
			return nil, err
		}
	}
	tallies, err := w.engine.evaluate(ctx, architectures)
	if err != nil {
		return nil, fmt.Errorf("scoring by weight sharing: %w", err)
	}
	results := make([]Result, len(architectures))
	for i, t := range tallies {
		loss := t.loss / float64(w.images)
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return nil, fmt.Errorf("scoring by weight sharing: architecture %s: the loss is %v; the shared weights have diverged, so train them with a lower learning rate", w.space.Format(architectures[i]), loss)
		}
		results[i] = Result{Score: -loss, Loss: loss, Accuracy: float64(t.hits) / float64(w.images)}
	}
	return results, nil
}

// Close frees the sessions. It must not be called during an evaluation.
func (w *WeightSharing) Close() error { return w.engine.close() }

// CrossEntropy returns the summed cross-entropy in nats of rows of logits against labels, and how many rows have
// their largest logit, the first of equal ones, at the label. Every row has len(logits)/len(labels) classes, and labels
// lie within them. The sum is not a number, or infinite, where logits are.
func CrossEntropy(logits []float32, labels []int64) (loss float64, correct int) {
	if len(labels) == 0 {
		return 0, 0
	}
	k := len(logits) / len(labels)
	for i, y := range labels {
		row := logits[i*k : (i+1)*k]
		best := 0
		for j, v := range row {
			if v > row[best] {
				best = j
			}
		}
		var sum float64
		for _, v := range row {
			sum += math.Exp(float64(v) - float64(row[best]))
		}
		loss += math.Log(sum) + float64(row[best]) - float64(row[y])
		if int64(best) == y {
			correct++
		}
	}
	return loss, correct
}
