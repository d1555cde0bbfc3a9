package search

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

func TestMain(m *testing.M) { stagetest.Main(m) }

// bench is a search that is ready to move alpha on one batch, and the relaxed supernet to measure losses with.
type bench struct {
	*run
	alpha   *alpha
	batch   *dataset.Batch
	forward *runtime.Session
}

// newBench prepares a search whose Adam keeps no memory, so that its first moment is the gradient by alpha.
func newBench(t *testing.T) *bench {
	t.Helper()
	return newBenchOf(t, 32)
}

// newBenchOf is newBench with a batch of so many images.
func newBenchOf(t *testing.T, images int) *bench {
	t.Helper()
	o := stagetest.Images{Train: images, Valid: images, Batch: images, ScoreBatch: images, Seed: 1}
	kind := Kind(stagetest.Opener(t))
	job, _ := stagetest.Run{Kind: kind, Inputs: stagetest.Inputs(t, o), Seed: 4}.Job(t)
	s := stagetest.Stage(t, kind, "{algorithm: darts, weights: {at: center}, alpha: {beta1: 0, weight_decay: 0, learning_rate: 0.01}}").(*stage)
	b := &bench{run: &run{Settings: &s.Settings, job: job, rt: stagetest.Runtime(t)}}
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	})
	if err := b.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.weights.Write(b.index.Initialize(seed.New(1, "weights"))); err != nil {
		t.Fatal(err)
	}
	var err error
	if b.alpha, err = b.newAlpha(); err != nil {
		t.Fatal(err)
	}
	loader, err := dataset.NewLoader(b.data.Valid, b.data.Mean, b.data.Std, dataset.LoaderOptions{Batch: o.Batch})
	if err != nil {
		t.Fatal(err)
	}
	for first, err := range loader.Epoch(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		b.batch = &dataset.Batch{X: append([]float32(nil), first.X...), Y: append([]int64(nil), first.Y...), Count: first.Count}
		break
	}
	model, err := os.ReadFile(b.path("supernet"))
	if err != nil {
		t.Fatal(err)
	}
	if b.forward, err = b.rt.NewSession(model, runtime.SessionOptions{}); err != nil {
		t.Fatal(err)
	}
	b.closers = append(b.closers, b.forward.Close)
	return b
}

// set gives alpha values far from each other, and forgets the moments.
func (b *bench) set(t *testing.T, values []float32) {
	t.Helper()
	zeros := make([]float32, len(values))
	for s, v := range map[*runtime.State][]float32{b.alpha.values: values, b.alpha.moments[0]: zeros, b.alpha.moments[1]: zeros} {
		if err := s.Write(v); err != nil {
			t.Fatal(err)
		}
	}
	b.alpha.steps = 0
}

// neighborhood chooses neighbors and aggregator.
func (b *bench) neighborhood(t *testing.T, change func(*neighborhood.Settings)) {
	t.Helper()
	b.Neighborhood = neighborhood.DefaultSettings()
	change(&b.Neighborhood)
	if err := b.Neighborhood.Validate(); err != nil {
		t.Fatal(err)
	}
	var err error
	if b.alpha.aggregator, err = neighborhood.New(b.Neighborhood.AggregatorSettings); err != nil {
		t.Fatal(err)
	}
}

// loss is the validation loss at edge probabilities, by a forward pass and in double precision after the logits.
func (b *bench) loss(t *testing.T, p space.Probabilities) float64 {
	t.Helper()
	flat, weights := make([]float32, 30), make([]float32, b.index.Total())
	fillProbabilities(flat, p)
	b.weights.Read(weights)
	out, err := b.forward.Run(t.Context(), map[string]runtime.Tensor{
		supernet.Images:        {Shape: []int64{int64(b.batch.Count), 3, 12, 12}, Data: b.batch.X},
		supernet.Probabilities: {Shape: []int64{6, 5}, Data: flat},
		supernet.Params:        {Shape: []int64{int64(len(weights))}, Data: weights},
	})
	if err != nil {
		t.Fatal(err)
	}
	sum, _ := score.CrossEntropy(out[supernet.Logits].Data.([]float32), b.batch.Y)
	return sum / float64(b.batch.Count)
}

// gradient returns the gradient by alpha of the last move.
func (b *bench) gradient() []float64 {
	v := make([]float32, 30)
	b.alpha.moments[0].Read(v)
	return float64s(v)
}

func float64s(v []float32) []float64 {
	out := make([]float64, len(v))
	for i := range v {
		out[i] = float64(v[i])
	}
	return out
}

func spread(rng *rand.Rand) []float32 {
	out := make([]float32, 30)
	for i := range out {
		out[i] = float32(rng.NormFloat64())
	}
	return out
}

func norm(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x * x
	}
	return math.Sqrt(sum)
}

func TestMovesOfAlpha(t *testing.T) {
	b := newBench(t) // loading the graphs takes longer than all that is done with them
	t.Run("the gradient equals finite differences", b.gradientEqualsFiniteDifferences)
	t.Run("alpha moves downhill", b.alphaMovesDownhill)
	t.Run("at radius 0 the gradient is the plain one", b.atRadiusZeroTheGradientIsThePlainOne)
	t.Run("a sample's gradient goes straight through", b.gumbelGradientGoesStraightThrough)
	t.Run("samples follow the probabilities", b.gumbelSamplesFollowTheProbabilities)
	t.Run("diverged weights are an error", b.divergedWeightsAreAnError)
}

// What alpha follows is the slope of the aggregated loss over the neighbors that were drawn, their permutations and
// distances held.
func (b *bench) gradientEqualsFiniteDifferences(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, aggregate := range []string{"mean", "weighted_mean", "soft_min", "mean_std"} {
		for _, kind := range []string{neighborhood.Swap, neighborhood.Shuffle} {
			for _, c := range []struct {
				radius, samples int
				center          bool
			}{{1, 4, true}, {3, 5, false}} {
				t.Run(fmt.Sprintf("%s/%s/radius_%d", aggregate, kind, c.radius), func(t *testing.T) {
					b.neighborhood(t, func(st *neighborhood.Settings) {
						st.Radius, st.Samples, st.Kind, st.IncludeCenter = c.radius, c.samples, kind, c.center
						st.Aggregate, st.Trim = aggregate, 0.2
					})
					values := spread(rng)
					b.set(t, values)
					at := func(alpha []float32) space.Probabilities { return space.Softmax(unflatten(alpha, 5)) }
					center := at(values)
					aggregated, first, _, err := b.alpha.move(t.Context(), batches{valid: b.batch}, rand.New(rand.NewPCG(9, 9)))
					if err != nil {
						t.Fatal(err)
					}
					got := b.gradient()

					// The same generator gives the same neighbors again.
					neighbors := neighborhood.DrawRelaxed(center, b.Neighborhood, rand.New(rand.NewPCG(9, 9)))
					distances := make([]float64, len(neighbors))
					for i, nb := range neighbors {
						distances[i] = nb.Distance(center)
					}
					objective := func(alpha []float32) float64 {
						p, scores := at(alpha), make([]float64, len(neighbors))
						for i, nb := range neighbors {
							scores[i] = -b.loss(t, nb.Apply(p))
						}
						return -b.alpha.aggregator.Aggregate(scores, distances)
					}
					if want := objective(values); math.Abs(aggregated-want) > 1e-5*want {
						t.Errorf("the aggregated loss is %v, not %v", want, aggregated)
					}
					if want := b.loss(t, neighbors[0].Apply(center)); math.Abs(first-want) > 1e-5*want {
						t.Errorf("the first neighbor's loss is %v, not %v", want, first)
					}
					near(t, "gradient", got, b.composed(t, center, neighbors, distances), 1e-3)
					if c.radius == 1 {
						// A small step, since the loss has a kink wherever a ReLU changes its mind.
						const h = 1.5e-3
						moved := func(sign float64) []float32 {
							out := make([]float32, len(values))
							for i := range out {
								out[i] = float32(float64(values[i]) + sign*h*got[i]/norm(got))
							}
							return out
						}
						slope := (objective(moved(1)) - objective(moved(-1))) / (2 * h)
						if math.Abs(slope-norm(got)) > 0.08*norm(got) {
							t.Errorf("along the gradient the loss changes by %v, its norm is %v", slope, norm(got))
						}
					}
				})
			}
		}
	}
}

// composed puts the gradient together from its parts: the slope of the aggregator by each score, the permutation of each
// neighbor as a matrix, and the softmax.
func (b *bench) composed(t *testing.T, center space.Probabilities, neighbors []neighborhood.Relaxed, distances []float64) []float64 {
	t.Helper()
	scores, by := make([]float64, len(neighbors)), make([][][]float64, len(neighbors))
	for i, nb := range neighbors {
		by[i] = b.byProbabilities(t, nb.Apply(center))
		scores[i] = -float64(b.alpha.archLoss[0])
	}
	total := make([][]float64, 6)
	for e := range total {
		total[e] = make([]float64, 5)
	}
	for i, nb := range neighbors {
		const h = 1e-6
		moved := func(by float64) float64 {
			s := append([]float64(nil), scores...)
			s[i] += by
			return b.alpha.aggregator.Aggregate(s, distances)
		}
		weight := (moved(h) - moved(-h)) / (2 * h)
		for j := range 5 {
			// What the neighbor makes of the j-th unit vectors is the j-th column of its matrices.
			column := nb.Apply(b.space.OneHot(space.Architecture{j, j, j, j, j, j}))
			for e := range column {
				for k, v := range column[e] {
					total[e][j] += weight * v * by[i][e][k]
				}
			}
		}
	}
	return throughSoftmax(total, center, 1)
}

// byProbabilities is the gradient of the loss by the probabilities at a point.
func (b *bench) byProbabilities(t *testing.T, at space.Probabilities) [][]float64 {
	t.Helper()
	fillProbabilities(b.alpha.probabilities, at)
	copy(b.alpha.images, b.batch.X)
	copy(b.alpha.labels, b.batch.Y)
	if err := b.alpha.arch.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return unflatten(b.alpha.byProb, 5)
}

// plain is the gradient by alpha of the loss at one point: the gradient by the probabilities there, through the softmax
// of (alpha + noise) / temperature.
func (b *bench) plain(t *testing.T, at space.Probabilities, alpha, noise []float32, temperature float64) []float64 {
	t.Helper()
	shifted := make([]float32, len(alpha))
	for i := range shifted {
		shifted[i] = float32((float64(alpha[i]) + float64(noise[i])) / temperature)
	}
	return throughSoftmax(b.byProbabilities(t, at), space.Softmax(unflatten(shifted, 5)), temperature)
}

// throughSoftmax turns a gradient by p = softmax(alpha / temperature) into one by alpha.
func throughSoftmax(gradient [][]float64, p space.Probabilities, temperature float64) []float64 {
	var out []float64
	for e, g := range gradient {
		mean := 0.0
		for k := range g {
			mean += p[e][k] * g[k]
		}
		for k := range g {
			out = append(out, p[e][k]*(g[k]-mean)/temperature)
		}
	}
	return out
}

func near(t *testing.T, what string, got, want []float64, tolerance float64) {
	t.Helper()
	for i := range want {
		if math.Abs(got[i]-want[i]) > tolerance*norm(want) {
			t.Fatalf("%s: value %d is %v instead of %v", what, i, got[i], want[i])
		}
	}
}

// A plain search is the neighborhood search at radius 0, whatever else the neighborhood is set to.
func (b *bench) atRadiusZeroTheGradientIsThePlainOne(t *testing.T) {
	values := spread(rand.New(rand.NewPCG(7, 7)))
	want := b.plain(t, space.Softmax(unflatten(values, 5)), values, make([]float32, 30), 1)
	for _, aggregate := range neighborhood.Aggregators() {
		for _, center := range []bool{true, false} {
			b.neighborhood(t, func(st *neighborhood.Settings) {
				st.Radius, st.Samples, st.Kind, st.IncludeCenter, st.Aggregate = 0, 3, neighborhood.Shuffle, center, aggregate
			})
			b.set(t, values)
			rng := rand.New(rand.NewPCG(1, 1))
			aggregated, loss, _, err := b.alpha.move(t.Context(), batches{valid: b.batch}, rng)
			if err != nil {
				t.Fatal(err)
			}
			if aggregated != loss {
				t.Errorf("%s: the aggregated loss %v is not the loss %v", aggregate, aggregated, loss)
			}
			if rng.Uint64() != rand.New(rand.NewPCG(1, 1)).Uint64() {
				t.Errorf("%s: random numbers were used", aggregate)
			}
			near(t, aggregate, b.gradient(), want, 1e-5)
		}
	}
}

// With Gumbel samples the loss is taken at one architecture and the gradient goes straight through to the softmax that it
// was sampled from.
func (b *bench) gumbelGradientGoesStraightThrough(t *testing.T) {
	before := b.Alpha
	defer func() { b.Alpha = before }()
	b.Alpha.Relaxation, b.Alpha.Temperature = Gumbel, 0.5
	b.alpha.begin(0)
	b.neighborhood(t, func(st *neighborhood.Settings) { st.Radius = 0 })
	rng := rand.New(rand.NewPCG(8, 8))
	values := spread(rng)
	drawn := map[string]bool{}
	for range 4 {
		b.set(t, values)
		if _, _, _, err := b.alpha.move(t.Context(), batches{valid: b.batch}, rng); err != nil {
			t.Fatal(err)
		}
		got, noise := b.gradient(), append([]float32(nil), b.alpha.noise...)
		sum := unflatten(values, 5)
		for i, v := range noise {
			sum[i/5][i%5] += float64(v)
		}
		sample := space.Probabilities(sum).Argmax()
		drawn[sample.Key()] = true
		near(t, "gradient", got, b.plain(t, b.space.OneHot(sample), values, noise, 0.5), 1e-5)
	}
	if len(drawn) < 2 {
		t.Error("the samples are all the same")
	}
}

// Samples follow the edge probabilities: the maximum of alpha plus Gumbel noise is distributed as softmax(alpha).
func (b *bench) gumbelSamplesFollowTheProbabilities(t *testing.T) {
	before := b.Alpha
	defer func() { b.Alpha = before }()
	b.Alpha.Relaxation = Gumbel
	rng := rand.New(rand.NewPCG(10, 1))
	values := spread(rng)
	b.set(t, values)
	p, count := space.Softmax(unflatten(values, 5)), [6][5]float64{}
	const n = 4000
	for range n {
		for e, op := range b.alpha.center(rng).Argmax() {
			count[e][op]++
		}
	}
	for e := range count {
		for op, c := range count[e] {
			// Five standard deviations of a binomial share.
			if d := math.Abs(c/n - p[e][op]); d > 5*math.Sqrt(p[e][op]*(1-p[e][op])/n)+1e-3 {
				t.Errorf("edge %d, operation %d: drawn with frequency %v, probability %v", e, op, c/n, p[e][op])
			}
		}
	}
}

// Adam's first steps, by hand: without memory of the first moment each value moves by the rate in its gradient's direction.
func (b *bench) alphaMovesDownhill(t *testing.T) {
	b.neighborhood(t, func(st *neighborhood.Settings) { st.Samples = 3 })
	values := spread(rand.New(rand.NewPCG(3, 1)))
	b.set(t, values)
	if _, _, _, err := b.alpha.move(t.Context(), batches{valid: b.batch}, rand.New(rand.NewPCG(1, 2))); err != nil {
		t.Fatal(err)
	}
	gradient := b.gradient()
	moved := make([]float32, 30)
	b.alpha.values.Read(moved)
	for i, g := range gradient {
		// sqrt of the bias-corrected second moment after one step is |g|.
		want := float64(values[i]) - 0.01*g/(math.Abs(g)+1e-8)
		if math.Abs(float64(moved[i])-want) > 1e-5 {
			t.Errorf("value %d went from %v to %v, want %v (gradient %v)", i, values[i], moved[i], want, g)
		}
	}
	if b.alpha.steps != 1 {
		t.Errorf("%d steps were counted", b.alpha.steps)
	}
}

func (b *bench) divergedWeightsAreAnError(t *testing.T) {
	bad := make([]float32, b.index.Total())
	for i := range bad {
		bad[i] = float32(math.NaN())
	}
	if err := b.weights.Write(bad); err != nil {
		t.Fatal(err)
	}
	before := b.alpha.table()
	_, _, _, err := b.alpha.move(context.Background(), batches{valid: b.batch}, rand.New(rand.NewPCG(1, 2)))
	if err == nil || !strings.Contains(err.Error(), "weights.learning_rate") {
		t.Error(err)
	}
	for e, row := range b.alpha.table() {
		for o, v := range row {
			if v != before[e][o] {
				t.Fatal("alpha has moved all the same")
			}
		}
	}
}
