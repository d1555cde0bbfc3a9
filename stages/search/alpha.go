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

	// update is Adam, in the plain case behind the derivative of the softmax; then gradient is by the probabilities, and otherwise by
	// alpha.
	update                              *runtime.Step
	gradient, noise, count, temperature []float32
	tau                                 float64        // temperature of the samples in this epoch
	second                              *unrolled      // nil for the first order
	fixed                               *dataset.Batch // what curvature is measured on

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
	if r.edgeWeights() {
		n += len(r.space.Edges)
	}
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
	model, err := a.graph()
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
	a.gradient, a.count = b.float32("gradient"), b.float32("step")
	if !r.direct() {
		a.noise, a.temperature = b.float32("noise"), b.float32("temperature")
	}
	if b.err != nil {
		return nil, b.err
	}
	if r.Alpha.Order == 2 {
		if a.second, err = r.newUnrolled(); err != nil {
			return nil, err
		}
	}
	a.begin(r.Alpha.Start)
	if a.arch, err = r.step("architecture_step", map[string]*runtime.State{supernet.Params: r.weights}); err != nil {
		return nil, err
	}
	b = buffers{step: a.arch}
	a.images, a.labels, a.probabilities = b.float32(supernet.Images), b.int64(supernet.Labels), b.float32(supernet.Probabilities)
	a.archLoss, a.archCorrect, a.byProb = b.float32(supernet.Loss), b.float32(supernet.Correct), b.float32(supernet.Gradient)
	return a, b.err
}

// graph builds one step of Adam on alpha, given the gradient by it or, in the plain case, by the probabilities
// softmax((alpha + noise) / temperature).
func (a *alpha) graph() ([]byte, error) {
	r := a.run
	edges, ops := len(r.space.Edges), len(r.space.Operations)
	n := a.values.Len()
	g := graph.New("alpha_step")
	flat := func(name, doc string) *graph.Value { return g.Input(name, graph.Float32, []int{n}, doc) }
	one := func(name, doc string) *graph.Value { return g.Input(name, graph.Float32, []int{1}, doc) }
	values := flat(alphaName, "Architecture parameters, edge by edge.")
	first, second := flat(firstName, "Adam's first moment."), flat(secondName, "Adam's second moment.")
	gradient := flat("gradient", "Gradient of the objective by alpha, or in the plain case by the probabilities.")
	step := one("step", "Number of this step, from 1.")
	if r.direct() {
		return a.adam(g, values, gradient, first, second, step)
	}
	noise, temperature := flat("noise", "Added to alpha before the softmax."), one("temperature", "Divides alpha before the softmax.")
	p := graph.Softmax(graph.Reshape(graph.Div(graph.Add(values, noise), temperature), edges, ops), 1)
	along := graph.ReduceSum(graph.Mul(p, graph.Reshape(gradient, edges, ops)), true, 0, 1)
	grads, err := autodiff.Gradients([]*graph.Value{graph.Reshape(along, 1)}, []*graph.Value{nil}, []*graph.Value{values})
	if err != nil {
		return nil, err
	}
	return a.adam(g, values, grads[0], first, second, step)
}

// adam ends the graph of a step with the update.
func (a *alpha) adam(g *graph.Graph, values, gradient, first, second, step *graph.Value) ([]byte, error) {
	r := a.run
	adam := optimizer.Adam{Beta1: float32(r.Alpha.Beta1), Beta2: float32(r.Alpha.Beta2), Epsilon: 1e-8, WeightDecay: float32(r.Alpha.WeightDecay)}
	nextValues, nextFirst, nextSecond := adam.Step(values, gradient, first, second, step, g.Floats([]float32{float32(r.Alpha.LearningRate)}, 1))
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

// theta returns all architecture parameters.
func (a *alpha) theta() []float64 {
	out := make([]float64, a.values.Len())
	a.values.View(func(v []float32) {
		for i := range out {
			out[i] = float64(v[i])
		}
	})
	return out
}

// begin sets what depends on the epoch.
func (a *alpha) begin(epoch int) { a.tau = a.run.temperature(epoch) }

// center returns the weights of the operations that the search stands at: the edge probabilities, or a sample of them. The
// noise that made a one-hot sample is kept for the gradient.
func (a *alpha) center(rng *rand.Rand) space.Probabilities {
	if a.run.direct() {
		return a.at(a.theta()).sample(rng).weights()
	}
	t := a.table()
	if a.run.relaxation() != Gumbel {
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

// batches are what a step of alpha looks at.
type batches struct {
	valid *dataset.Batch
	// train is the batch of the weights' next step, and rate its learning rate; only the second order needs them.
	train *dataset.Batch
	rate  float64
}

// evaluate returns the loss of the batch in the buffers at the given weights of the operations, and its gradient by them.
func (a *alpha) evaluate(ctx context.Context, weights space.Probabilities) (loss, correct float64, gradient [][]float64, err error) {
	a.passes++
	fillProbabilities(a.probabilities, weights)
	if err := a.arch.Run(ctx); err != nil {
		return 0, 0, nil, fmt.Errorf("differentiating by the architecture: %w", err)
	}
	loss = float64(a.archLoss[0])
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return 0, 0, nil, fmt.Errorf("differentiating by the architecture: the validation loss became %v; lower weights.learning_rate (now %v)", loss, a.run.Weights.LearningRate)
	}
	return loss, float64(a.archCorrect[0]), unflatten(a.byProb, len(a.run.space.Operations)), nil
}

// move makes one step of alpha on a validation batch: it differentiates the loss at every neighbor of the center, draws
// the gradients back to the center, weighs them as the aggregator says and lets Adam follow. The permutations and the
// distances are constants of the step: neighbors are drawn anew for each, and a weight that falls with distance is not an
// incentive to change the distance. It returns the aggregated loss, and loss and hits of the first neighbor, which is the
// center when that is included.
func (a *alpha) move(ctx context.Context, b batches, rng *rand.Rand) (aggregated, loss, correct float64, err error) {
	copy(a.images, b.valid.X)
	copy(a.labels, b.valid.Y)
	if a.run.direct() {
		return a.moveAlong(ctx, b, rng)
	}
	center := a.center(rng)
	neighbors := neighborhood.DrawRelaxedIn(a.run.space, center, a.run.Neighborhood, rng)
	scores := make([]float64, len(neighbors))
	distances := make([]float64, len(neighbors))
	gradients := make([][][]float64, len(neighbors))
	for i, nb := range neighbors {
		l, hits, g, err := a.evaluate(ctx, nb.Apply(center))
		if err != nil {
			return 0, 0, 0, err
		}
		if i == 0 {
			loss, correct = l, hits
		}
		scores[i], distances[i] = -l, nb.Distance(center)
		gradients[i] = nb.Pullback(g)
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
	a.temperature[0] = 1
	if a.run.relaxation() == Gumbel {
		a.temperature[0] = float32(a.tau)
	}
	return -a.aggregator.Aggregate(scores, distances), loss, correct, a.follow(ctx)
}

// follow makes the step of Adam that the gradient in its buffer asks for.
func (a *alpha) follow(ctx context.Context) error {
	a.steps++
	a.count[0] = float32(a.steps)
	if err := a.update.Run(ctx); err != nil {
		return fmt.Errorf("moving alpha: %w", err)
	}
	return nil
}

// moveAlong is move for the algorithms whose gradient is more than that of the loss through a softmax.
func (a *alpha) moveAlong(ctx context.Context, b batches, rng *rand.Rand) (aggregated, loss, correct float64, err error) {
	theta := a.theta()
	center := a.at(theta).sample(rng)
	near := a.around(center, rng)
	validation := func(w space.Probabilities) (float64, float64, [][]float64, error) { return a.evaluate(ctx, w) }
	var out *evaluated
	switch {
	case a.second != nil:
		out, err = a.second.evaluate(ctx, a, b, center, near)
	case a.run.Algorithm == A2M:
		rho, epsilon := a.run.sharpness()
		out, err = sharp(theta, rho, epsilon, func(theta []float64) (*evaluated, error) { return a.aggregate(a.at(theta), near, validation) })
	default:
		out, err = a.aggregate(center, near, validation)
	}
	if err != nil {
		return 0, 0, 0, err
	}
	if a.run.Alpha.Anchor > 0 {
		i := 0
		for e, c := range center.concentrations {
			_, g := anchorGradient(c)
			for o := range g {
				out.gradient[i] += a.run.Alpha.Anchor * g[o] * center.slopes[e][o]
				i++
			}
		}
	}
	for i, v := range out.gradient {
		a.gradient[i] = float32(v)
	}
	return out.aggregated, out.loss, out.correct, a.follow(ctx)
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
