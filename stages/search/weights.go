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

// trainer trains the shared weights, one batch at a time.
type trainer struct {
	run      *run
	step     *runtime.Step
	momentum *runtime.State
	schedule func(step int) float64

	images, probabilities, rate, loss, correct []float32
	labels, choices                            []int64
}

// newTrainer loads the training step that suits what the weights are trained at.
func (r *run) newTrainer(stepsPerEpoch int) (*trainer, error) {
	momentum, err := r.rt.NewState(r.index.Total())
	if err != nil {
		return nil, err
	}
	r.closers = append(r.closers, momentum.Close)
	t := &trainer{run: r, momentum: momentum, schedule: optimizer.Cosine(r.Weights.LearningRate, r.Weights.LearningRateMin, r.weightEpochs()*stepsPerEpoch)}
	port := "path_step"
	if r.relaxedWeights() {
		port = "train_step"
	}
	if t.step, err = r.step(port, map[string]*runtime.State{supernet.Params: r.weights, supernet.Momentum: momentum}); err != nil {
		return nil, err
	}
	b := buffers{step: t.step}
	t.images, t.labels, t.rate = b.float32(supernet.Images), b.int64(supernet.Labels), b.float32(supernet.LearningRate)
	t.loss, t.correct = b.float32(supernet.Loss), b.float32(supernet.Correct)
	if r.relaxedWeights() {
		t.probabilities = b.float32(supernet.Probabilities)
	} else {
		t.choices = b.int64(supernet.Choices)
	}
	return t, b.err
}

// relaxedWeights reports whether the weights are trained on the relaxed supernet: at the center or a neighbor of
// it, when the center itself is relaxed.
func (r *run) relaxedWeights() bool {
	return r.Algorithm == DARTS && r.Weights.At != AtPath && r.Alpha.Relaxation == Softmax
}

// train makes one step on a batch. center is what the search stands at now; it is not looked at for AtPath.
func (t *trainer) train(ctx context.Context, b *dataset.Batch, step int, center space.Probabilities, rng *rand.Rand) (loss, correct float64, err error) {
	at := center
	if t.run.Weights.At == AtNeighbor {
		one := t.run.Neighborhood
		one.Samples, one.IncludeCenter = 1, false
		at = neighborhood.DrawRelaxed(center, one, rng)[0].Apply(center)
	}
	switch {
	case t.run.Weights.At == AtPath:
		fillChoices(t.choices, t.run.space.Random(rng))
	case t.choices != nil:
		fillChoices(t.choices, at.Argmax())
	default:
		fillProbabilities(t.probabilities, at)
	}
	copy(t.images, b.X)
	copy(t.labels, b.Y)
	t.rate[0] = float32(t.schedule(step))
	if err := t.step.Run(ctx); err != nil {
		return 0, 0, fmt.Errorf("training the shared weights: %w", err)
	}
	loss = float64(t.loss[0])
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return 0, 0, fmt.Errorf("training the shared weights: the loss became %v at step %d; lower weights.learning_rate (now %v)", loss, step, t.run.Weights.LearningRate)
	}
	return loss, float64(t.correct[0]), nil
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
