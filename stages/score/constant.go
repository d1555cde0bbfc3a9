package score

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// featureMemory is how many bytes of features are kept at most, as long as one batch fits. Images beyond that are scored
// in a second round, for which graphs are loaded again: by then they have run for a hundred times as long as loading takes.
const featureMemory = 64 << 20

// constantEngine loads each architecture as a graph of its own with constant weights, behind a stem that all
// share. The stem's output on the images, the features, is kept until the weights change. Where the supernet has no
// stem of its own, the images take the place of the features.
type constantEngine struct {
	rt       *runtime.Runtime
	supernet *supernet.Supernet
	state    *runtime.State
	batches  []batch
	workers  int
	round    int // batches whose features are kept at once

	turn     chan struct{} // holds one token; evaluations take turns
	weights  []float32     // what the features were computed with; nil when there are none
	first    int           // the batch that features begin with
	features [][]float32
}

func newConstantEngine(rt *runtime.Runtime, sn *supernet.Supernet, state *runtime.State, batches []batch, workers int) *constantEngine {
	bytes := 4 * sn.Macro.Channels * sn.Macro.Image[1] * sn.Macro.Image[2] * len(batches[0].y)
	round := min(max(featureMemory/bytes, 1), len(batches))
	if !sn.HasStem() {
		round = len(batches)
	}
	return &constantEngine{rt: rt, supernet: sn, state: state, batches: batches, workers: workers, round: round, turn: make(chan struct{}, 1)}
}

func (c *constantEngine) close() error {
	c.weights, c.features = nil, nil
	return nil
}

func (c *constantEngine) evaluate(ctx context.Context, architectures []space.Architecture) ([]tally, error) {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if len(architectures) == 0 {
		return nil, nil
	}
	c.look()
	// Architectures that differ only where it has no bearing are run once.
	place := map[string]int{}
	var distinct []space.Architecture
	at := make([]int, len(architectures))
	for i, a := range architectures {
		live := c.supernet.Live(a)
		j, ok := place[live.Key()]
		if !ok {
			j = len(distinct)
			place[live.Key()] = j
			distinct = append(distinct, live)
		}
		at[i] = j
	}
	sums := make([]tally, len(distinct))
	for from := 0; from < len(c.batches); from += c.round {
		if err := c.prepare(ctx, from); err != nil {
			return nil, err
		}
		jobs := make([]*job, len(distinct))
		for i, a := range distinct {
			jobs[i] = c.job(a, from)
		}
		if err := spread(ctx, c.workers, jobs); err != nil {
			return nil, err
		}
		for i, j := range jobs {
			for _, t := range j.tallies { // batch by batch, so that the rounding of the sum depends on nothing else
				sums[i].loss += t.loss
				sums[i].hits += t.hits
			}
		}
	}
	out := make([]tally, len(architectures))
	for i, j := range at {
		out[i] = sums[j]
	}
	return out, nil
}

// look forgets the features when the weights have changed. Comparing them takes as long as reading them once.
func (c *constantEngine) look() {
	c.state.View(func(values []float32) {
		if c.weights == nil || !slices.Equal(c.weights, values) {
			c.weights = append(c.weights[:0], values...)
			c.features = nil
		}
	})
}

// prepare computes the features of a round's batches if they are not those that are kept.
func (c *constantEngine) prepare(ctx context.Context, from int) (err error) {
	if c.features != nil && c.first == from {
		return nil
	}
	c.features = nil
	if !c.supernet.HasStem() {
		for _, b := range c.batches {
			c.features = append(c.features, b.x)
		}
		c.first = 0
		return nil
	}
	s, err := c.load("the supernet's stem", func() (*onnx.ModelProto, error) {
		return c.supernet.Stem(c.size(), c.weights)
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	features := make([][]float32, min(c.round, len(c.batches)-from))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(c.workers)
	image := c.supernet.Macro.Image
	for i := range features {
		group.Go(func() error {
			out, err := s.Run(ctx, map[string]runtime.Tensor{
				supernet.Images: {Shape: shape(c.size(), image[0], image[1], image[2]), Data: c.batches[from+i].x},
			})
			if err == nil {
				features[i], _ = out[supernet.Features].Data.([]float32)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	c.first, c.features = from, features
	return nil
}

// job is the work of scoring an architecture on the batches whose features are kept.
func (c *constantEngine) job(a space.Architecture, from int) *job {
	m := c.supernet.Macro
	build, name, in := c.supernet.Body, supernet.Features, shape(c.size(), m.Channels, m.Image[1], m.Image[2])
	if !c.supernet.HasStem() {
		build, name, in = c.supernet.Discrete, supernet.Images, shape(c.size(), m.Image[0], m.Image[1], m.Image[2])
	}
	return &job{
		tallies: make([]tally, len(c.features)),
		open: func() (network, error) {
			return c.load("architecture "+c.supernet.Space.Format(a), func() (*onnx.ModelProto, error) {
				return build(c.size(), a, c.weights)
			})
		},
		run: func(ctx context.Context, s network, part int) (tally, error) {
			out, err := s.Run(ctx, map[string]runtime.Tensor{name: {Shape: in, Data: c.features[part]}})
			if err != nil {
				return tally{}, err
			}
			logits, _ := out[supernet.Logits].Data.([]float32)
			var t tally
			t.loss, t.hits = CrossEntropy(logits, c.batches[from+part].y)
			return t, nil
		},
	}
}

// load loads a graph for runs of one thread. Planning memory ahead does not pay in a session that runs a few times.
func (c *constantEngine) load(name string, build func() (*onnx.ModelProto, error)) (network, error) {
	m, err := build()
	if err != nil {
		return nil, err
	}
	data, err := onnx.Encode(m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s, err := c.rt.NewSession(data, runtime.SessionOptions{Name: name, Threads: 1, NoMemoryPattern: true})
	if err != nil {
		return nil, err // not a network that holds no session
	}
	return s, nil
}

// size is the number of images in a batch.
func (c *constantEngine) size() int { return len(c.batches[0].y) }

func shape(dims ...int) []int64 {
	out := make([]int64, len(dims))
	for i, d := range dims {
		out[i] = int64(d)
	}
	return out
}

// network is a loaded graph.
type network interface {
	Run(ctx context.Context, inputs map[string]runtime.Tensor) (map[string]runtime.Tensor, error)
	Close() error
}

// job is a network with as many runs to do as there are tallies. Several workers may do runs of one job at once.
type job struct {
	open    func() (network, error)
	run     func(ctx context.Context, s network, part int) (tally, error)
	tallies []tally

	mu      sync.Mutex
	claimed int
	done    int
	network network
	err     error // of opening
}

// spread has workers do the jobs in order; those that find none to begin help with what others have begun, so that no
// worker is idle while runs are left. Every network is closed when it returns.
func spread(ctx context.Context, workers int, jobs []*job) error {
	begin := make(chan *job, len(jobs))
	for _, j := range jobs {
		begin <- j
	}
	close(begin)
	group, ctx := errgroup.WithContext(ctx)
	for range workers {
		group.Go(func() error {
			for j := range begin {
				if err := j.work(ctx); err != nil {
					return err
				}
			}
			for _, j := range jobs {
				if err := j.work(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	for _, j := range jobs {
		err = errors.Join(err, j.close())
	}
	return err
}

// work does runs that nobody has claimed until there are none.
func (j *job) work(ctx context.Context) error {
	for {
		part, s, err := j.claim(ctx)
		if err != nil || s == nil {
			return err
		}
		t, err := j.run(ctx, s, part)
		if err != nil {
			return err
		}
		if err := j.finish(part, t); err != nil {
			return err
		}
	}
}

// claim returns a run to do and the network for it, which the first claim opens while others wait; nil when all runs
// are claimed.
func (j *job) claim(ctx context.Context) (int, network, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.claimed == len(j.tallies) {
		return 0, nil, nil
	}
	if err := ctx.Err(); err != nil {
		return 0, nil, context.Cause(ctx)
	}
	if j.network == nil && j.err == nil {
		j.network, j.err = j.open()
	}
	j.claimed++
	return j.claimed - 1, j.network, j.err
}

// finish keeps the result of a run. The last one closes the network.
func (j *job) finish(part int, t tally) error {
	j.mu.Lock()
	j.tallies[part] = t
	j.done++
	last := j.done == len(j.tallies)
	j.mu.Unlock()
	if last {
		return j.close()
	}
	return nil
}

func (j *job) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.network == nil {
		return nil
	}
	s := j.network
	j.network = nil
	return s.Close()
}
