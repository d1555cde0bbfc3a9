package search

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/plateau-nas/plateau/exporter/autodiff"
	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/optimizer"
	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// alpha holds the architecture parameters and moves them along the gradient of the aggregated validation loss.
type alpha struct {
	run        *run
	aggregator neighborhood.Aggregator
	values     *runtime.State // alpha, edge by edge
	moments    [2]*runtime.State
	steps      int // steps made so far
	passes     int // batches differentiated by the architecture so far

	update                              *runtime.Step // softmax backward and Adam
	gradient, noise, count, temperature []float32

	arch                          *runtime.Step // loss and gradient by the probabilities
	images, probabilities         []float32
	archLoss, archCorrect, byProb []float32
	labels                        []int64
}

// Names of the values of the graph that moves alpha.
const (
	alphaName  = "alpha"
	firstName  = "first_moment"
	secondName = "second_moment"
)

func (r *run) newAlpha() (*alpha, error) {
	agg, err := neighborhood.New(r.Neighborhood.AggregatorSettings)
	if err != nil {
		return nil, err
	}
	a := &alpha{run: r, aggregator: agg}
	n := len(r.space.Edges) * len(r.space.Operations)
	for _, s := range []**runtime.State{&a.values, &a.moments[0], &a.moments[1]} {
		if *s, err = r.rt.NewState(n); err != nil {
			return nil, err
		}
		r.closers = append(r.closers, (*s).Close)
	}
	initial := make([]float32, n)
	rng := seed.New(r.job.Seed, "alpha")
	for i := range initial {
		initial[i] = float32(r.Alpha.Init * rng.NormFloat64())
	}
	if err := a.values.Write(initial); err != nil {
		return nil, err
	}
	model, err := r.alphaGraph()
	if err != nil {
		return nil, fmt.Errorf("building the step of alpha: %w", err)
	}
	a.update, err = r.rt.NewStep(model, runtime.StepOptions{
		SessionOptions: runtime.SessionOptions{Threads: 1},
		States:         map[string]*runtime.State{alphaName: a.values, firstName: a.moments[0], secondName: a.moments[1]},
	})
	if err != nil {
		return nil, err
	}
	r.closers = append(r.closers, a.update.Close)
	b := buffers{step: a.update}
	a.gradient, a.noise, a.count, a.temperature = b.float32("gradient"), b.float32("noise"), b.float32("step"), b.float32("temperature")
	if b.err != nil {
		return nil, b.err
	}
	if a.arch, err = r.step("architecture_step", map[string]*runtime.State{supernet.Params: r.weights}); err != nil {
		return nil, err
	}
	b = buffers{step: a.arch}
	a.images, a.labels, a.probabilities = b.float32(supernet.Images), b.int64(supernet.Labels), b.float32(supernet.Probabilities)
	a.archLoss, a.archCorrect, a.byProb = b.float32(supernet.Loss), b.float32(supernet.Correct), b.float32(supernet.Gradient)
	return a, b.err
}

// alphaGraph builds one step of Adam on alpha, given the gradient by the probabilities softmax((alpha + noise) /
// temperature).
func (r *run) alphaGraph() ([]byte, error) {
	edges, ops := len(r.space.Edges), len(r.space.Operations)
	n := edges * ops
	g := graph.New("alpha_step")
	flat := func(name, doc string) *graph.Value { return g.Input(name, graph.Float32, []int{n}, doc) }
	one := func(name, doc string) *graph.Value { return g.Input(name, graph.Float32, []int{1}, doc) }
	values := flat(alphaName, "Architecture parameters, edge by edge.")
	first, second := flat(firstName, "Adam's first moment."), flat(secondName, "Adam's second moment.")
	gradient := flat("gradient", "Gradient of the objective by the probabilities.")
	noise, temperature := flat("noise", "Added to alpha before the softmax."), one("temperature", "Divides alpha before the softmax.")
	step := one("step", "Number of this step, from 1.")
	p := graph.Softmax(graph.Reshape(graph.Div(graph.Add(values, noise), temperature), edges, ops), 1)
	along := graph.ReduceSum(graph.Mul(p, graph.Reshape(gradient, edges, ops)), true, 0, 1)
	grads, err := autodiff.Gradients([]*graph.Value{graph.Reshape(along, 1)}, []*graph.Value{nil}, []*graph.Value{values})
	if err != nil {
		return nil, err
	}
	adam := optimizer.Adam{Beta1: float32(r.Alpha.Beta1), Beta2: float32(r.Alpha.Beta2), Epsilon: 1e-8, WeightDecay: float32(r.Alpha.WeightDecay)}
	nextValues, nextFirst, nextSecond := adam.Step(values, grads[0], first, second, step, g.Floats([]float32{float32(r.Alpha.LearningRate)}, 1))
	g.Output("next_"+alphaName, nextValues, "Architecture parameters after this step.")
	g.Output("next_"+firstName, nextFirst, "First moment after this step.")
	g.Output("next_"+secondName, nextSecond, "Second moment after this step.")
	return g.Encode(graph.ModelOptions{})
}

// table returns alpha as edge x operation.
func (a *alpha) table() [][]float64 {
	ops := len(a.run.space.Operations)
	out := make([][]float64, len(a.run.space.Edges))
	a.values.View(func(v []float32) {
		for e := range out {
			out[e] = make([]float64, ops)
			for o := range out[e] {
				out[e][o] = float64(v[e*ops+o])
			}
		}
	})
	return out
}

// center returns what the search stands at: the edge probabilities, or a one-hot sample of them. The noise that made
// the sample is kept for the gradient.
func (a *alpha) center(rng *rand.Rand) space.Probabilities {
	t := a.table()
	if a.run.Alpha.Relaxation != Gumbel {
		return space.Softmax(t)
	}
	i := 0
	for e := range t {
		for o := range t[e] {
			// A standard Gumbel variable; the uniform one is kept away from 0 and 1.
			u := (float64(rng.Uint64()>>12) + 0.5) / (1 << 52)
			a.noise[i] = float32(-math.Log(-math.Log(u)))
			t[e][o] += float64(a.noise[i])
			i++
		}
	}
	if a.run.space.Pairs {
		// The sample is a genotype: the two strongest edges of each node.
		return a.run.space.OneHot(a.run.space.Derive(t))
	}
	return a.run.space.OneHot(space.Probabilities(t).Argmax())
}

// move makes one step of alpha on a validation batch: it differentiates the loss at every neighbor of the center, draws
// the gradients back to the center, weighs them as the aggregator says and lets Adam follow. The permutations and the
// distances are constants of the step: neighbors are drawn anew for each, and a weight that falls with distance is not an
// incentive to change the distance. It returns the aggregated loss, and loss and hits of the first neighbor, which is the
// center when that is included.
func (a *alpha) move(ctx context.Context, b *dataset.Batch, rng *rand.Rand) (aggregated, loss, correct float64, err error) {
	copy(a.images, b.X)
	copy(a.labels, b.Y)
	center := a.center(rng)
	neighbors := neighborhood.DrawRelaxedIn(a.run.space, center, a.run.Neighborhood, rng)
	scores := make([]float64, len(neighbors))
	distances := make([]float64, len(neighbors))
	gradients := make([][][]float64, len(neighbors))
	for i, nb := range neighbors {
		fillProbabilities(a.probabilities, nb.Apply(center))
		if err := a.arch.Run(ctx); err != nil {
			return 0, 0, 0, fmt.Errorf("differentiating by the architecture: %w", err)
		}
		l := float64(a.archLoss[0])
		if math.IsNaN(l) || math.IsInf(l, 0) {
			return 0, 0, 0, fmt.Errorf("differentiating by the architecture: the validation loss became %v; lower weights.learning_rate (now %v)", l, a.run.Weights.LearningRate)
		}
		if i == 0 {
			loss, correct = l, float64(a.archCorrect[0])
		}
		scores[i], distances[i] = -l, nb.Distance(center)
		gradients[i] = nb.Pullback(unflatten(a.byProb, len(a.run.space.Operations)))
	}
	weights := a.aggregator.Gradient(scores, distances)
	clear(a.gradient)
	for i, g := range gradients {
		j := 0
		for _, row := range g {
			for _, v := range row {
				// Scores are negative losses, and a gradient of the aggregated loss is wanted: the signs cancel.
				a.gradient[j] += float32(weights[i] * v)
				j++
			}
		}
	}
	a.steps++
	a.passes += len(neighbors)
	a.count[0] = float32(a.steps)
	a.temperature[0] = 1
	if a.run.Alpha.Relaxation == Gumbel {
		a.temperature[0] = float32(a.run.Alpha.Temperature)
	}
	if err := a.update.Run(ctx); err != nil {
		return 0, 0, 0, fmt.Errorf("moving alpha: %w", err)
	}
	return -a.aggregator.Aggregate(scores, distances), loss, correct, nil
}

func unflatten(v []float32, columns int) [][]float64 {
	out := make([][]float64, len(v)/columns)
	for e := range out {
		out[e] = make([]float64, columns)
		for o := range out[e] {
			out[e][o] = float64(v[e*columns+o])
		}
	}
	return out
}
