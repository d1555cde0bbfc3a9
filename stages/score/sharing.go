package score

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// WeightSharing scores an architecture by running the supernet's path form with shared weights on validation
// images, normalization using the statistics of each batch. Architectures are shared out among sessions of one
// thread each; results do not depend on how many there are.
type WeightSharing struct {
	space   *space.Space
	workers chan *worker
	count   int
	weights *runtime.State
	batches []batch
	images  int
}

type worker struct {
	step    *runtime.Step
	images  []float32
	choices []int64
	logits  []float32
}

type batch struct {
	x []float32
	y []int64
}

// SharingOptions say how WeightSharing evaluates.
type SharingOptions struct {
	// Images is the number of validation images, from the front of the split; it is rounded down to whole batches.
	// 0 means all.
	Images int
	// Workers is the number of sessions; 0 means one for each thread of the runtime.
	Workers int
}

// NewWeightSharing loads the path form of a supernet of the space and takes batches from the images of the split.
// weights is the state that holds the shared weights; it may change between evaluations.
func NewWeightSharing(ctx context.Context, rt *runtime.Runtime, model []byte, s *space.Space, weights *runtime.State, images *dataset.Images, mean, std []float32, o SharingOptions) (_ *WeightSharing, err error) {
	if o.Workers <= 0 {
		o.Workers = rt.Threads()
	}
	w := &WeightSharing{space: s, weights: weights, count: o.Workers, workers: make(chan *worker, o.Workers)}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("preparing to score architectures: %w", err), w.Close())
		}
	}()
	var size int
	for range o.Workers {
		step, err := rt.NewStep(model, runtime.StepOptions{
			SessionOptions: runtime.SessionOptions{Name: "the supernet's path form", Threads: 1},
			States:         map[string]*runtime.State{supernet.Params: weights},
		})
		if err != nil {
			return nil, err
		}
		wk := &worker{step: step}
		w.workers <- wk
		if wk.images, err = step.Float32(supernet.Images); err != nil {
			return nil, err
		}
		if wk.choices, err = step.Int64(supernet.Choices); err != nil {
			return nil, err
		}
		if wk.logits, err = step.Float32(supernet.Logits); err != nil {
			return nil, err
		}
		if size, err = w.fit(step, images); err != nil {
			return nil, err
		}
	}
	want := images.Count
	if o.Images > 0 && o.Images < want {
		want = o.Images
	}
	if want < size {
		return nil, fmt.Errorf("%d validation images do not fill one batch of %d; give the search more images to score on, or lower the supernet's score_batch", want, size)
	}
	loader, err := dataset.NewLoader(images, mean, std, dataset.LoaderOptions{Batch: size, DropLast: true})
	if err != nil {
		return nil, err
	}
	for b, err := range loader.Epoch(ctx, 0) {
		if err != nil {
			return nil, err
		}
		w.batches = append(w.batches, batch{append([]float32(nil), b.X...), append([]int64(nil), b.Y...)})
		w.images += b.Count
		if w.images+size > want {
			break
		}
	}
	return w, nil
}

// fit checks that the supernet was built for the space and for images like these, and returns its batch size. Buffers of
// the right length are not enough: four images of 8x8 pixels are as long as one of 16x16.
func (w *WeightSharing) fit(step *runtime.Step, images *dataset.Images) (int, error) {
	shapes := map[string][]int64{}
	for _, info := range append(step.Inputs(), step.Outputs()...) {
		shapes[info.Name] = info.Shape
	}
	x, logits, choices := shapes[supernet.Images], shapes[supernet.Logits], shapes[supernet.Choices]
	if len(x) != 4 || len(logits) != 2 || logits[0] != x[0] {
		return 0, fmt.Errorf("the model is no path form of a supernet: its images have the shape %v and its logits %v", x, logits)
	}
	if want := []int64{int64(images.Channels), int64(images.Height), int64(images.Width)}; !slices.Equal(x[1:], want) {
		return 0, fmt.Errorf("the supernet was built for images of %v (channels, height, width) and the dataset has images of %v; build the supernet from the same dataset", x[1:], want)
	}
	if !slices.Equal(choices, []int64{int64(len(w.space.Edges))}) {
		return 0, fmt.Errorf("the supernet takes choices of shape %v, but the space %s has %d edges", choices, w.space.Name, len(w.space.Edges))
	}
	for _, y := range images.Labels {
		if y < 0 || y >= logits[1] {
			return 0, fmt.Errorf("the dataset has the label %d and the supernet tells %d classes apart; build the supernet from the same dataset", y, logits[1])
		}
	}
	return int(x[0]), nil
}

// Images returns the number of images that every architecture is scored on.
func (w *WeightSharing) Images() int { return w.images }

// Sample returns what every architecture is scored on.
func (w *WeightSharing) Sample() Sample {
	return Sample{Images: w.images, Batch: len(w.batches[0].y)}
}

// Evaluate implements Evaluator.
func (w *WeightSharing) Evaluate(ctx context.Context, architectures []space.Architecture) ([]Result, error) {
	results := make([]Result, len(architectures))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(w.count)
	for i, a := range architectures {
		if err := w.space.Check(a); err != nil {
			return nil, errors.Join(err, group.Wait())
		}
		group.Go(func() error {
			wk := <-w.workers
			defer func() { w.workers <- wk }()
			var err error
			results[i], err = w.one(ctx, wk, a)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("scoring by weight sharing: %w", err)
	}
	return results, nil
}

func (w *WeightSharing) one(ctx context.Context, wk *worker, a space.Architecture) (Result, error) {
	for e, op := range a {
		wk.choices[e] = int64(op)
	}
	var loss float64
	var hits int
	for _, b := range w.batches {
		copy(wk.images, b.x)
		if err := wk.step.Run(ctx); err != nil {
			return Result{}, fmt.Errorf("architecture %s: %w", w.space.Format(a), err)
		}
		l, h := CrossEntropy(wk.logits, b.y)
		loss += l
		hits += h
	}
	loss /= float64(w.images)
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return Result{}, fmt.Errorf("architecture %s: the loss is %v; the shared weights have diverged, so train them with a lower learning rate", w.space.Format(a), loss)
	}
	return Result{Score: -loss, Loss: loss, Accuracy: float64(hits) / float64(w.images)}, nil
}

// Close frees the sessions. It must not be called during an evaluation.
func (w *WeightSharing) Close() error {
	var errs []error
	for {
		select {
		case wk := <-w.workers:
			errs = append(errs, wk.step.Close())
		default:
			return errors.Join(errs...)
		}
	}
}

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
