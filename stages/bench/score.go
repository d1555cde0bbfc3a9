package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// ScoreOptions say what Score times.
type ScoreOptions struct {
	Space     string
	Channels  int
	Cells     int // cells a stage
	Batch     int
	ImageSize int // height and width in pixels
	Images    int // validation images, in whole batches
	Runs      int // neighborhoods that are timed
}

// ScoreReport is what Score found. Each of Runs neighborhoods is a random architecture with all its neighbors; every
// number is the median over the neighborhoods.
//
// Scoring is timed as a search does it: the shared weights have just changed, so everything that depends on them is
// made anew, and the time goes from the architectures to their losses, loading of graphs included.
//
// Stand-alone inference is what the same architectures take as networks of their own: each a session that is loaded and
// has run once before the clock starts, with the same weights as constants, the same normalization by the
// statistics of the batch, on the same batches and with one thread, as scoring uses for each architecture. No loss is
// computed. With several workers as many networks run side by side, and the time of a neighborhood is the sum of
// the networks' own times divided by the number of workers: what they would take if the work could be shared out
// perfectly.
type ScoreReport struct {
	Space         string `json:"space"`
	Channels      int    `json:"channels"`
	Cells         int    `json:"cells"`
	Batch         int    `json:"batch"`
	ImageSize     int    `json:"image_size"`
	Images        int    `json:"images"`                 // that each architecture is scored on
	Architectures int    `json:"architectures"`          // in a neighborhood, the one in its middle included
	Distinct      int    `json:"distinct_architectures"` // of those, which differ in operations that have a bearing; scoring runs these
	Runs          int    `json:"runs"`
	Library       string `json:"onnxruntime"`
	Provider      string `json:"provider"`
	Threads       int    `json:"threads"`
	// OneWorker is one architecture at a time, on one thread. AllWorkers is as many as there are threads.
	OneWorker  Scoring `json:"one_worker"`
	AllWorkers Scoring `json:"all_workers"`
	// PeakRSS is the largest resident memory of the process in MiB; 0 where the system does not tell.
	PeakRSS int64 `json:"peak_rss_mib"`
}

// Scoring is the time of scoring with some number of workers.
type Scoring struct {
	Workers int `json:"workers"`
	// Rate is how many architectures are scored in a second.
	Rate float64 `json:"architectures_per_second"`
	// Neighborhood is the time of scoring an architecture and its neighbors; StandAlone that of the stand-alone inference
	// of the same architectures.
	Neighborhood float64 `json:"neighborhood_ms"`
	StandAlone   float64 `json:"stand_alone_ms"`
	// Ratio is the first divided by the second: what scoring costs beyond inference. It may be below 1, since scoring
	// runs once what all architectures begin with.
	Ratio float64 `json:"ratio"`
	// Exported is the time of the architectures as exported networks, and ExportedRatio that of scoring divided by it. An
	// exported network computes something else: it normalizes by running statistics, which fold into its
	// convolutions. The ratio is for information.
	Exported      float64 `json:"exported_ms"`
	ExportedRatio float64 `json:"exported_ratio"`
}

// Score times the scoring of neighborhoods by weight sharing, beside stand-alone inference of the same architectures.
// Weights and images are random.
func Score(ctx context.Context, rt *runtime.Runtime, o ScoreOptions) (*ScoreReport, error) {
	if o.Runs < 1 || o.Batch < 2 || o.Images < o.Batch {
		return nil, fmt.Errorf("%d runs on %d images in batches of %d: at least one run, two images a batch and one whole batch are needed", o.Runs, o.Images, o.Batch)
	}
	b, err := newScoreBench(ctx, rt, o)
	if err != nil {
		return nil, err
	}
	defer b.close(&err)
	r := &ScoreReport{
		Space: o.Space, Channels: o.Channels, Cells: o.Cells, Batch: o.Batch, ImageSize: o.ImageSize, Images: len(b.batches) * o.Batch, Runs: o.Runs,
		Library: rt.LibraryVersion(), Provider: rt.Provider(), Threads: rt.Threads(),
	}
	var distinct []float64
	one, all := &timings{workers: 1}, &timings{workers: rt.Threads()}
	for range o.Runs {
		center := b.space.Random(b.rng)
		around := append([]space.Architecture{center}, b.space.Neighbors(center, 1)...)
		r.Architectures = len(around)
		distinct = append(distinct, float64(b.distinct(around)))
		if err := b.neighborhood(ctx, around, one); err != nil {
			return nil, err
		}
		if all.workers == 1 {
			*all = *one
			continue
		}
		if err := b.neighborhood(ctx, around, all); err != nil {
			return nil, err
		}
	}
	r.OneWorker, r.AllWorkers = one.report(r.Architectures), all.report(r.Architectures)
	r.Distinct, r.PeakRSS = int(median(distinct)), peakRSS()
	return r, err
}

// distinct returns how many of the architectures differ in operations that have a bearing on the result.
func (b *scoreBench) distinct(architectures []space.Architecture) int {
	seen := map[string]bool{}
	for _, a := range architectures {
		seen[b.sn.Live(a).Key()] = true
	}
	return len(seen)
}

// timings are those of the neighborhoods so far, in milliseconds.
type timings struct {
	workers                       int
	scoring, standAlone, exported []float64
	ratio, exportedRatio          []float64
}

func (t *timings) report(architectures int) Scoring {
	return Scoring{
		Workers: t.workers, Rate: 1000 * float64(architectures) / median(t.scoring),
		Neighborhood: median(t.scoring), StandAlone: median(t.standAlone), Ratio: median(t.ratio),
		Exported: median(t.exported), ExportedRatio: median(t.exportedRatio),
	}
}

// median returns the middle one of the values, of two the upper one; they are not empty.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// scoreBench is what the timed runs have in common.
type scoreBench struct {
	rt      *runtime.Runtime
	options ScoreOptions
	space   *space.Space
	sn      *supernet.Supernet
	rng     *rand.Rand
	flat    []float32
	weights *runtime.State
	batches [][]float32
	sharing map[int]*score.WeightSharing // by the number of workers
}

func newScoreBench(ctx context.Context, rt *runtime.Runtime, o ScoreOptions) (_ *scoreBench, err error) {
	b := &scoreBench{rt: rt, options: o, rng: rand.New(rand.NewPCG(1, 2)), sharing: map[int]*score.WeightSharing{}}
	if b.space, err = space.ByName(o.Space); err != nil {
		return nil, err
	}
	b.sn, err = supernet.New(b.space, supernet.Macro{Channels: o.Channels, Cells: o.Cells, Classes: classes, Image: [3]int{3, o.ImageSize, o.ImageSize}})
	if err != nil {
		return nil, err
	}
	path, err := b.sn.Path(o.Batch)
	if err != nil {
		return nil, err
	}
	model, err := onnx.Encode(path)
	if err != nil {
		return nil, err
	}
	images := randomImages(b.rng, o.Images, o.ImageSize)
	mean, std := []float32{0.5, 0.5, 0.5}, []float32{0.25, 0.25, 0.25}
	loader, err := dataset.NewLoader(images, mean, std, dataset.LoaderOptions{Batch: o.Batch, DropLast: true})
	if err != nil {
		return nil, err
	}
	for batch, err := range loader.Epoch(ctx, 0) {
		if err != nil {
			return nil, err
		}
		b.batches = append(b.batches, slices.Clone(batch.X))
	}
	b.flat = b.sn.Index.Initialize(b.rng)
	if b.weights, err = rt.NewState(len(b.flat)); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			b.close(&err)
		}
	}()
	for _, workers := range []int{1, rt.Threads()} {
		if b.sharing[workers] != nil {
			continue
		}
		w, err := score.NewWeightSharing(ctx, rt, model, b.space, b.weights, images, mean, std, score.SharingOptions{Workers: workers})
		if err != nil {
			return nil, err
		}
		b.sharing[workers] = w
	}
	return b, nil
}

func (b *scoreBench) close(err *error) {
	for _, w := range b.sharing {
		*err = errors.Join(*err, w.Close())
	}
	if b.weights != nil {
		*err = errors.Join(*err, b.weights.Close())
	}
}

// neighborhood times one, in the three ways after each other.
func (b *scoreBench) neighborhood(ctx context.Context, around []space.Architecture, t *timings) error {
	b.flat[b.rng.IntN(len(b.flat))] *= 1.001 // so that nothing is left from the last time
	if err := b.weights.Write(b.flat); err != nil {
		return err
	}
	began := time.Now()
	if _, err := b.sharing[t.workers].Evaluate(ctx, around); err != nil {
		return err
	}
	scoring := milliseconds(time.Since(began))
	standAlone, err := b.inference(ctx, around, t.workers, b.standAlone)
	if err != nil {
		return fmt.Errorf("timing stand-alone inference: %w", err)
	}
	exported, err := b.inference(ctx, around, t.workers, b.exported)
	if err != nil {
		return fmt.Errorf("timing exported networks: %w", err)
	}
	t.scoring, t.standAlone, t.exported = append(t.scoring, scoring), append(t.standAlone, standAlone), append(t.exported, exported)
	t.ratio, t.exportedRatio = append(t.ratio, scoring/standAlone), append(t.exportedRatio, scoring/exported)
	return nil
}

// inference returns the sum of the times that loaded networks take on all batches, divided by the number of workers that
// run them side by side.
func (b *scoreBench) inference(ctx context.Context, around []space.Architecture, workers int, build func(space.Architecture) (*onnx.ModelProto, error)) (float64, error) {
	times := make([]float64, len(around))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i, a := range around {
		group.Go(func() (err error) {
			times[i], err = b.network(ctx, a, build)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	var sum float64
	for _, t := range times {
		sum += t
	}
	return sum / float64(workers), nil
}

// network loads one network, runs it once and times it on all batches.
func (b *scoreBench) network(ctx context.Context, a space.Architecture, build func(space.Architecture) (*onnx.ModelProto, error)) (_ float64, err error) {
	m, err := build(a)
	if err != nil {
		return 0, err
	}
	data, err := onnx.Encode(m)
	if err != nil {
		return 0, err
	}
	s, err := b.rt.NewSession(data, runtime.SessionOptions{Name: b.space.Format(a), Threads: 1, NoMemoryPattern: true})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	run := func(x []float32) error {
		size := int64(b.options.ImageSize)
		_, err := s.Run(ctx, map[string]runtime.Tensor{supernet.Images: {Shape: []int64{int64(b.options.Batch), 3, size, size}, Data: x}})
		return err
	}
	if err := run(b.batches[0]); err != nil {
		return 0, err
	}
	began := time.Now()
	for _, x := range b.batches {
		if err := run(x); err != nil {
			return 0, err
		}
	}
	return milliseconds(time.Since(began)), nil
}

// standAlone is the architecture as scoring computes it, with the shared weights.
func (b *scoreBench) standAlone(a space.Architecture) (*onnx.ModelProto, error) {
	return b.sn.Discrete(b.options.Batch, a, b.flat)
}

// exported is the network that users get, with weights of its own.
func (b *scoreBench) exported(a space.Architecture) (*onnx.ModelProto, error) {
	n := supernet.Network{Space: b.space.Name, Architecture: b.space.Format(a), Macro: b.sn.Macro}
	parameters, running, err := n.Indexes()
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(3, 4)) // its own: networks are built side by side
	return n.Inference(parameters.Initialize(rng), running.Initialize(rng))
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
