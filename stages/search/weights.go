package search

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/plateau-nas/plateau/exporter/optimizer"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// trainer trains the shared weights, one batch at a time. It has the training step of the relaxed supernet, that of
// its path form, or both; they share weights and momentum.
type trainer struct {
	run      *run
	momentum *runtime.State
	schedule optimizer.Schedule // set once the number of steps is known
	relaxed  *weightStep
	path     *weightStep
}

// weightStep is a training step with its buffers.
type weightStep struct {
	step                                       *runtime.Step
	images, probabilities, rate, loss, correct []float32
	labels, choices                            []int64
}

// newTrainer loads the training steps that what the weights are trained at calls for.
func (r *run) newTrainer() (*trainer, error) {
	momentum, err := r.rt.NewState(r.index.Total())
	if err != nil {
		return nil, err
	}
	r.closers = append(r.closers, momentum.Close)
	t := &trainer{run: r, momentum: momentum}
	if r.relaxedWeights() || r.Weights.WarmUp > 0 {
		if t.relaxed, err = r.newWeightStep("train_step", momentum); err != nil {
			return nil, err
		}
	}
	if !r.relaxedWeights() {
		if t.path, err = r.newWeightStep("path_step", momentum); err != nil {
			return nil, err
		}
	}
	if t.path != nil && t.relaxed != nil && len(t.path.labels) != len(t.relaxed.labels) {
		return nil, fmt.Errorf("train_step takes batches of %d images and path_step batches of %d; take both from one supernet", len(t.relaxed.labels), len(t.path.labels))
	}
	return t, nil
}

func (r *run) newWeightStep(port string, momentum *runtime.State) (*weightStep, error) {
	step, err := r.step(port, map[string]*runtime.State{supernet.Params: r.weights, supernet.Momentum: momentum})
	if err != nil {
		return nil, err
	}
	b := buffers{step: step}
	w := &weightStep{
		step: step, images: b.float32(supernet.Images), labels: b.int64(supernet.Labels), rate: b.float32(supernet.LearningRate),
		loss: b.float32(supernet.Loss), correct: b.float32(supernet.Correct),
	}
	if port == "train_step" {
		w.probabilities = b.float32(supernet.Probabilities)
	} else {
		w.choices = b.int64(supernet.Choices)
	}
	if im := r.data.Train; b.err == nil && len(w.images) != len(w.labels)*im.Values() {
		return nil, fmt.Errorf("%s was built for other images than those of %dx%dx%d that the supernet is searched with; take all graphs from one supernet", port, im.Channels, im.Height, im.Width)
	}
	return w, b.err
}

// batch returns the number of images of a training step.
func (t *trainer) batch() int {
	if t.path != nil {
		return len(t.path.labels)
	}
	return len(t.relaxed.labels)
}

// relaxedWeights reports whether the weights are trained on the relaxed supernet after the warm-up: at the center
// or a neighbor of it, when the center itself is relaxed.
func (r *run) relaxedWeights() bool {
	return r.gradient() && r.Weights.At != AtPath && !r.given() && r.relaxation() != Gumbel
}

// train makes one step on a batch of an epoch. center is what the search stands at now; it is not looked at for AtPath.
func (t *trainer) train(ctx context.Context, b *dataset.Batch, epoch, step int, center space.Probabilities, rng *rand.Rand) (loss, correct float64, err error) {
	w := t.set(epoch, center, rng)
	copy(w.images, b.X)
	copy(w.labels, b.Y)
	w.rate[0] = float32(t.schedule(step))
	if err := w.step.Run(ctx); err != nil {
		return 0, 0, fmt.Errorf("training the shared weights: %w", err)
	}
	loss = float64(w.loss[0])
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return 0, 0, fmt.Errorf("training the shared weights: the loss became %v at step %d; lower weights.learning_rate (now %v)", loss, step, t.run.Weights.LearningRate)
	}
	return loss, float64(w.correct[0]), nil
}

// set chooses the step to make and tells it the architecture to train at.
func (t *trainer) set(epoch int, center space.Probabilities, rng *rand.Rand) *weightStep {
	r := t.run
	if epoch < r.Weights.WarmUp {
		fillProbabilities(t.relaxed.probabilities, uniform(r.space, r.edgeWeights()))
		return t.relaxed
	}
	if r.Weights.At == AtPath {
		fillChoices(t.path.choices, r.space.Random(rng))
		return t.path
	}
	at := center
	if r.Weights.At == AtNeighbor {
		one := r.Neighborhood
		one.Samples, one.IncludeCenter = 1, false
		at = neighborhood.DrawRelaxedIn(r.space, center, one, rng)[0].Apply(center)
	}
	if t.path != nil {
		fillChoices(t.path.choices, at.Argmax())
		return t.path
	}
	fillProbabilities(t.relaxed.probabilities, at)
	return t.relaxed
}

// uniform weighs every operation equally and, with edge weights, every edge into a node.
func uniform(s *space.Space, edges bool) space.Probabilities {
	table := make([][]float64, len(s.Edges))
	for e := range table {
		table[e] = make([]float64, len(s.Operations))
	}
	p := space.Softmax(table)
	if !edges {
		return p
	}
	for _, node := range intoNodes(s) {
		for _, e := range node {
			for o := range p[e] {
				p[e][o] /= float64(len(node))
			}
		}
	}
	return p
}

func fillChoices(dst []int64, a space.Architecture) {
	for e, op := range a {
		dst[e] = int64(op)
	}
}

func fillProbabilities(dst []float32, p space.Probabilities) {
	i := 0
	for _, row := range p {
		for _, v := range row {
			dst[i] = float32(v)
			i++
		}
	}
}

// buffers fetches a step's buffers and keeps the first error.
type buffers struct {
	step *runtime.Step
	err  error
}

func (b *buffers) float32(name string) []float32 {
	v, err := b.step.Float32(name)
	if b.err == nil {
		b.err = err
	}
	return v
}

func (b *buffers) int64(name string) []int64 {
	v, err := b.step.Int64(name)
	if b.err == nil {
		b.err = err
	}
	return v
}
