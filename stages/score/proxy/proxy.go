// Package proxy scores untrained architectures by zero-cost proxies: numbers that a few passes at the first weights give.
//
// Sums run over the weights of convolutions and of the linear layer; w is a weight, g the gradient of the loss by it, both at the
// first weights and on one batch of training images, normalization using the statistics of the batch. Abdelfattah, Mehrotra,
// Dudziak and Lane (Zero-Cost Proxies for Lightweight NAS, ICLR 2021) collect these; their code defines them
// (SamsungLabs/zero-cost-nas, foresight/pruners/measures):
//
//	grad_norm  sum over layers of the Euclidean norm of g
//	snip       sum of |w g|
//	grasp      sum of -w (H g), H being the Hessian of the loss
//	plain      sum of w g
//	fisher     per channel of each layer, half the mean over images of (sum over positions of activation times its
//	           gradient) squared, times the number of weights of the channel
//	jacob_cov  -sum of log(v + k) + 1/(v + k), k = 1e-5, v being the eigenvalues of the correlation matrix of the images'
//	           gradients of the sum of the logits
//	synflow    sum of w g with |w| for w, without normalization, g being the gradient of the sum of the logits for an image
//	           of ones
//
// Newer ones:
//
//	smoothness    the negative logarithm of the Euclidean norm of the gradients that jacob_cov looks at, all images together:
//	              how little the logits answer to small changes of the images, which goes with generalization (Novak, Bahri,
//	              Abolafia, Pennington and Sohl-Dickstein, Sensitivity and Generalization in Neural Networks, ICLR 2018)
//	naswot        logarithm of the determinant of the matrix that holds for two images how many elements in front of
//	              activations are positive for both or for neither (Mellor, Turner, Storkey and Crowley, Neural Architecture
//	              Search without Training, ICML 2021)
//	swap          how many different subsets of the images there are for which some element in front of an activation is positive
//	              (Peng, Song, Fayek, Ciesielski and Chang, SWAP-NAS, ICLR 2024); for one draw of the weights
//	swap_regularized
//	              swap times exp(-(p - mu)^2 / sigma), p being the thousands of parameters
//	zico          sum over layers of the logarithm of the sum over their weights of the mean of |g| divided by the standard
//	              deviation of g, over two batches (Li, Yang, Bhardwaj and Marculescu, ZiCo, ICLR 2023)
//	expressivity, progressivity
//	              for the stem and every cell and reduction the entropy of the eigenvalues of the covariance of its channels, as
//	              shares of their sum: the sum, and the smallest step from one to the next (Lee and Ham, AZ-NAS, CVPR 2024)
//	trainability  mean over cells and reductions of 2 - s - 1/(s + 1e-6), s being the largest singular value of the mean
//	              product of the gradient of the input and the random signs that it begins with (the same)
//	zen           logarithm of how much what is pooled differs, summed up and averaged over images of noise, for images that differ by a
//	              hundredth, plus that of the standard deviations that normalizations take away, weights being normal (Lin, Wang,
//	              Sun, Chen, Sun, Qian, Li and Jin, Zen-NAS, ICCV 2021); for one draw of weights and images
//	parameters, multiply_adds
//	              the size of the network; the latter is AZ-NAS's complexity
//
// AZ-NAS combines its four by the sum of the logarithms of their ranks among all candidates. In naswot, swap and zen only what
// has a bearing on the logits counts; parameters counts everything that is written. The DARTS space, whose cells have two inputs,
// and networks without cells have none of AZ-NAS's first three.
//
// For all of them more is taken to be better, which holds more or less: Spearman's correlation with the CIFAR-100 test accuracy
// after 200 epochs in NAS-Bench-201, on 32 images of CIFAR-10 at 16x16, 8 channels and 1 cell a stage, one seed, architectures
// without a value last (of all 15,625, or * of 1,500 and ** of 600 random ones):
//
//	naswot 0.83, swap 0.80, zico 0.79*, progressivity 0.77, synflow 0.76,
//	jacob_cov 0.75, expressivity 0.73, zen 0.73, parameters 0.73, multiply_adds 0.73,
//	grad_norm 0.38, snip 0.37, trainability 0.36*, grasp 0.08**, fisher -0.05**,
//	plain -0.14, smoothness -0.60
//
// plain goes the wrong way (to -0.5 with other images): score by it only to search for the contrary, or not at all. grasp and
// fisher say nothing here. smoothness by itself prefers the smallest cells; it is for sums with what prefers others.
// swap_regularized is as good as its mu and sigma. The order of ranks that are averaged over neighborhoods is another. What is
// best by a proxy alone is often no better than the largest network.
//
// Layers that two networks share begin with the same weights, so what differs between neighbors is the architecture. It also
// means that one graph, which is told the architecture, does for all (supernet.PathSensitivity, PathFlow); architectures that
// differ only in what has no bearing are computed once. Proxies and spaces for which that is not possible (grasp and fisher, the
// DARTS space, networks without cells, what lies behind a second activation) have graphs of each architecture's own, which takes
// ten times as long.
package proxy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/score/cost"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// The proxies.
const (
	GradNorm        = "grad_norm"
	Snip            = "snip"
	Grasp           = "grasp"
	Plain           = "plain"
	Fisher          = "fisher"
	JacobCov        = "jacob_cov"
	Smoothness      = "smoothness"
	Synflow         = "synflow"
	NASWOT          = "naswot"
	SWAP            = "swap"
	SWAPRegularized = "swap_regularized"
	ZiCo            = "zico"
	Expressivity    = "expressivity"
	Progressivity   = "progressivity"
	Trainability    = "trainability"
	Zen             = "zen"
	Parameters      = cost.Parameters
	MultiplyAdds    = cost.MultiplyAdds
)

// Names returns the names of all proxies.
func Names() []string {
	return []string{
		GradNorm, Snip, Grasp, Synflow, JacobCov, Smoothness, Fisher, Plain, NASWOT, SWAP, SWAPRegularized, ZiCo, Expressivity, Progressivity, Trainability, Zen,
		Parameters, MultiplyAdds,
	}
}

// batch is what derivatives are taken on.
type batch struct {
	images []float32
	labels []int64
}

// Evaluator scores by proxies. It may be used by several goroutines at once.
type Evaluator struct {
	// Alone computes each architecture by graphs of its own, with all that has no bearing: for comparisons. It is set before
	// the first evaluation.
	Alone bool

	settings Settings
	runtime  *runtime.Runtime
	space    *space.Space
	macro    supernet.Macro
	seed     uint64
	batches  []batch
	signs    map[string]runtime.Tensor // what the gradients of blocks are begun with, by input; nil unless they are wanted
	zen      zenInputs
	counter  *cost.Counter // nil unless sizes are wanted

	loading sync.Once
	shared  *shared // nil where every architecture has graphs of its own
	loadErr error

	mu    sync.Mutex
	known map[string]outcome // by the architecture without what has no bearing
}

var _ score.Evaluator = (*Evaluator)(nil)

// batches is how many batches the proxies take.
func (st Settings) batches() int {
	if wanting(st.Proxies)(ZiCo) {
		return 2 // as in the authors' code
	}
	return 1
}

// Fitting returns the settings with as many images in a batch as there are different ones, where these are fewer than the settings ask
// for. Networks are told apart by few images, too, if less surely.
func (st Settings) Fitting(images *dataset.Images) (Settings, error) {
	batches := st.batches()
	if images.Count >= 4*batches*st.Images {
		return st, nil // copies are few among so many
	}
	seen := map[string]bool{}
	for i := range images.Count {
		values, err := images.Read(i)
		if err != nil {
			return st, err
		}
		seen[string(values)] = true
	}
	st.Images = min(st.Images, max(len(seen)/batches, 1))
	return st, nil
}

// New returns the evaluator of networks of a space in a skeleton, which fits the images. The batch of images and the weights
// come from the seed.
func New(ctx context.Context, rt *runtime.Runtime, s *space.Space, m supernet.Macro, images *dataset.Images, mean, std []float32, seedOf uint64, st Settings) (*Evaluator, error) {
	wrap := func(err error) error { return fmt.Errorf("evaluating by zero-cost proxies: %w", err) }
	if err := st.Validate(""); err != nil {
		return nil, wrap(err)
	}
	if err := m.CheckFor(s); err != nil {
		return nil, wrap(err)
	}
	wants := wanting(st.Proxies)
	if (s.Pairs || s.Whole) && wants(Expressivity, Progressivity, Trainability) {
		return nil, wrap(fmt.Errorf("%s, %s and %s look at cells that follow each other one by one, which the space %s does not have; remove them", Expressivity, Progressivity, Trainability, s.Name))
	}
	batches := st.batches()
	if images == nil || images.Count < batches*st.Images {
		count := 0
		if images != nil {
			count = images.Count
		}
		return nil, wrap(fmt.Errorf("there are %d training images for %d batches of %d; set the number of images lower", count, batches, st.Images))
	}
	e := &Evaluator{settings: st, runtime: rt, space: s, macro: m, seed: seedOf, known: map[string]outcome{}}
	if wants(Parameters, MultiplyAdds, SWAPRegularized) {
		var err error
		if e.counter, err = cost.NewCounter(s, m); err != nil {
			return nil, wrap(err)
		}
	}
	if wants(Zen) {
		e.zen = newZenInputs(seed.New(seedOf, "zen images"), st.Images*m.Image[0]*m.Image[1]*m.Image[2])
	}
	if wants(Trainability) {
		e.signs = map[string]runtime.Tensor{}
		for i, shape := range m.BlockShapes()[1:] {
			name := fmt.Sprintf("%s%d", supernet.Signs, i+1)
			e.signs[name] = signs(seed.New(seedOf, "signs", name), st.Images, shape)
		}
	}
	loader, err := dataset.NewLoader(images, mean, std, dataset.LoaderOptions{Batch: st.Images, Shuffle: true, Seed: seed.Derive(seedOf, "images")})
	if err != nil {
		return nil, wrap(err)
	}
	if e.batches, err = distinct(ctx, loader, st.Images, images.Values(), batches); err != nil {
		return nil, wrap(err)
	}
	return e, nil
}

// distinct draws batches of images that differ from each other. The same picture twice in a batch, as folders of people's own have it,
// would leave naswot and others without a value for any architecture. Where no picture is there twice, the batches are those of the loader.
func distinct(ctx context.Context, loader *dataset.Loader, size, values, count int) ([]batch, error) {
	out := []batch{{}}
	seen := map[string]bool{}
	for b, err := range loader.Epoch(ctx, 0) {
		if err != nil {
			return nil, err
		}
		for i := range b.Count {
			x := b.X[i*values : (i+1)*values]
			key := make([]byte, 0, 4*len(x))
			for _, v := range x {
				key = binary.LittleEndian.AppendUint32(key, math.Float32bits(v))
			}
			if seen[string(key)] {
				continue
			}
			seen[string(key)] = true
			last := &out[len(out)-1]
			last.images, last.labels = append(last.images, x...), append(last.labels, b.Y[i])
			if len(last.labels) < size {
				continue
			}
			if len(out) == count {
				return out, nil
			}
			out, seen = append(out, batch{}), map[string]bool{}
		}
	}
	return nil, fmt.Errorf("the training images have only %d different ones left for a batch of %d; set the number of images lower", len(out[len(out)-1].labels), size)
}

// Close frees what the evaluator holds. It must not be called during an evaluation.
func (e *Evaluator) Close() error {
	if e.shared == nil {
		return nil
	}
	return e.shared.close()
}

// Evaluate implements score.Evaluator. An architecture for which a proxy has no value, such as one whose logits do not depend on the
// images, fails.
func (e *Evaluator) Evaluate(ctx context.Context, architectures []space.Architecture) ([]score.Result, error) {
	wrap := func(err error) error { return fmt.Errorf("evaluating by zero-cost proxies: %w", err) }
	for _, a := range architectures {
		if err := e.space.Check(a); err != nil {
			return nil, wrap(err)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, wrap(err)
	}
	if e.loading.Do(func() { e.shared, e.loadErr = e.share() }); e.loadErr != nil {
		return nil, wrap(e.loadErr)
	}
	var missing []int
	keys := make([]string, len(architectures))
	asked := map[string]bool{}
	for i, a := range architectures {
		keys[i] = e.live(a).Key()
		if _, known := e.lookup(keys[i]); e.Alone || !known && !asked[keys[i]] {
			asked[keys[i]] = true
			missing = append(missing, i)
		}
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(max(e.runtime.Threads(), 1)) // each with one thread
	for _, i := range missing {
		group.Go(func() error {
			values, err := e.measure(inner, e.live(architectures[i]))
			none := new(noValueError)
			if err != nil && !errors.As(err, &none) {
				return fmt.Errorf("architecture %s: %w", e.space.Format(architectures[i]), err)
			}
			e.mu.Lock()
			defer e.mu.Unlock()
			e.known[keys[i]] = outcome{values, err}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, wrap(err)
	}
	results := make([]score.Result, len(architectures))
	for i, a := range architectures {
		o, _ := e.lookup(keys[i])
		results[i] = e.result(a, o)
	}
	return results, nil
}

// outcome is what has been measured of an architecture: values of proxies, or why there are none.
type outcome struct {
	values map[string]float64
	none   error
}

// result makes a result of what has been measured of an architecture and of its size, to which everything counts.
func (e *Evaluator) result(a space.Architecture, o outcome) score.Result {
	if o.none != nil {
		return score.Failed(o.none)
	}
	values := maps.Clone(o.values)
	if e.counter != nil {
		size := e.counter.Of(a)
		values[Parameters], values[MultiplyAdds] = float64(size.Parameters), float64(size.MultiplyAdds)
		values[SWAPRegularized] = e.settings.regularized(values[SWAP], values[Parameters])
	}
	for _, name := range e.settings.Proxies {
		if v := values[name]; math.IsNaN(v) || math.IsInf(v, 0) {
			return score.Failed(&noValueError{name, fmt.Sprintf("it is %v", v)})
		}
	}
	return e.settings.result(values)
}

// live returns an architecture that has the same values, of which fewer have to be computed: what does not lead to the output has
// the gradient zero, and what leaves a node that is zero gives zero, since normalizations begin with the bias 0. Activations there count
// for no proxy.
func (e *Evaluator) live(a space.Architecture) space.Architecture {
	return (&supernet.Supernet{Space: e.space, Macro: e.macro}).Live(a)
}

// Known returns how many architectures have been computed so far. Those that differ only where it has no bearing count once.
func (e *Evaluator) Known() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.known)
}

func (e *Evaluator) lookup(key string) (outcome, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	o, ok := e.known[key]
	return o, ok
}

// noValueError says that a proxy has no value for an architecture.
type noValueError struct {
	proxy, why string
}

// Error implements error.
func (e *noValueError) Error() string { return e.proxy + " has no value: " + e.why }

// measure computes the proxies of an architecture at the first weights: all that it can by what all architectures share, and the
// others by graphs of the architecture's own.
func (e *Evaluator) measure(ctx context.Context, a space.Architecture) (map[string]float64, error) {
	values := map[string]float64{}
	if e.shared != nil {
		if err := e.shared.measure(ctx, a, values); err != nil {
			return nil, err
		}
	}
	own := slices.DeleteFunc(slices.Clone(e.settings.Proxies), func(name string) bool {
		_, ok := values[name]
		return ok || name == Parameters || name == MultiplyAdds || name == SWAPRegularized && values[SWAP] > 0
	})
	if len(own) == 0 {
		return values, nil
	}
	net := supernet.Network{Space: e.space.Reference(), Architecture: e.space.Format(a), Macro: e.macro}
	index, _, err := net.Indexes()
	if err != nil {
		return nil, err
	}
	return values, e.alone(ctx, net, index, initial(index, e.seed), own, values)
}

// initial returns the first weights of a network.
func initial(index *params.Index, from uint64) []float32 {
	return index.InitializeApart(func(name string) *rand.Rand { return seed.New(from, "weights", name) })
}
