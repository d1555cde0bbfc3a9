package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/optimizer"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// DivergedError says that the loss of a training is no finite number any more.
type DivergedError struct {
	Loss         float64
	Epoch        int // counts from 1
	LearningRate float64
}

// Error implements error.
func (e *DivergedError) Error() string {
	return fmt.Sprintf("training: the loss became %v in epoch %d; lower the learning rate (now %v)", e.Loss, e.Epoch, e.LearningRate)
}

// Trained is a network after training.
type Trained struct {
	Network supernet.Network
	History []result.TrainEpoch

	parameters     int           // without the auxiliary head
	index, running *params.Index // of the vectors, with the auxiliary head if it has one
	weights        []float32
	statistics     []float32
}

// Fit trains a network from its first weights on the data set, up to the given epoch of the schedule, which is Epochs long. A job
// with a Scratch folder continues what an earlier Fit of the same settings, seed and network has left there, also with
// fewer epochs. The error is a *DivergedError when the loss is not finite any more.
func (s *Settings) Fit(ctx context.Context, rt *runtime.Runtime, job *pipeline.Job, net supernet.Network, data *dataset.Dataset, until int) (_ *Trained, err error) {
	kept, _, err := net.Indexes() // without the auxiliary head
	if err != nil {
		return nil, err
	}
	r, indexes, err := s.start(rt, job, net, data, until)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	job.Info("training %s: %d parameters, %d images, %d epochs", net.Architecture, kept.Total(), s.images(data).Count, until)
	job.Metric("parameters", float64(kept.Total()))
	if err := r.train(ctx); err != nil {
		return nil, err
	}
	v := r.vectors()
	return &Trained{
		Network: net, History: r.history, parameters: kept.Total(), index: indexes[0], running: indexes[1],
		weights: v[r.result(supernet.Params)], statistics: v[r.result(supernet.Running)],
	}, nil
}

// start loads the training step of a network with its first weights. It returns the indexes of the parameters and of the running
// statistics too, with those of the auxiliary head. The caller closes the run.
func (s *Settings) start(rt *runtime.Runtime, job *pipeline.Job, net supernet.Network, data *dataset.Dataset, until int) (_ *run, indexes [2]*params.Index, err error) {
	if images := s.images(data).Count; s.Training.Batch > images {
		small := *s
		small.Training.Batch = max(images, 2)
		s = &small
	}
	g, isGenotype, err := net.Genotype()
	if err != nil {
		return nil, indexes, err
	}
	index, running, err := net.Indexes()
	if err == nil && isGenotype && s.Auxiliary > 0 {
		index, running, err = g.Indexes(true)
	}
	if err != nil {
		return nil, indexes, err
	}
	r := &run{Settings: s, until: until, job: job, states: map[string]*runtime.State{}}
	step := s.Training
	step.Average, step.Mixed = s.Average > 0, s.CutMix > 0
	build := func() (*onnx.ModelProto, error) { return net.TrainStep(step) }
	if isGenotype {
		r.drop = s.DropPath > 0 && g.Drops() > 0
		build = func() (*onnx.ModelProto, error) {
			return g.TrainStep(supernet.GenotypeTraining{Training: step, Auxiliary: s.Auxiliary, DropPath: s.DropPath > 0})
		}
	}
	if err := r.prepare(rt, build, data, index, running); err != nil {
		return nil, indexes, errors.Join(err, r.close())
	}
	return r, [2]*params.Index{index, running}, nil
}

// Weights returns the weights and running statistics in the order of Network.Indexes: without those of the auxiliary head.
func (t *Trained) Weights() (weights, statistics []float32, err error) {
	parameters, running, err := t.Network.Indexes()
	if err != nil {
		return nil, nil, err
	}
	weights, statistics = make([]float32, parameters.Total()), make([]float32, running.Total())
	if _, err := params.Copy(weights, parameters, t.weights, t.index, nil); err != nil {
		return nil, nil, err
	}
	_, err = params.Copy(statistics, running, t.statistics, t.running, nil)
	return weights, statistics, err
}

// write writes the outputs of the stage. why says what a budget has come to, or is "".
func (t *Trained) write(job *pipeline.Job, why string) error {
	about := map[string]string{"plateau.space": t.Network.Space, "plateau.architecture": t.Network.Architecture, "plateau.content": "trained weights and running statistics"}
	err := supernet.SaveWeights(job.Output("weights"), about,
		supernet.Vector{Index: t.index, Data: t.weights}, supernet.Vector{Index: t.running, Data: t.statistics})
	if err != nil {
		return err
	}
	if err := supernet.WriteNetwork(job.Output("network"), t.Network); err != nil {
		return err
	}
	last := t.History[len(t.History)-1]
	if why != "" {
		why = "\n" + why
	}
	job.Summary(fmt.Sprintf("%d parameters, training loss %.4f, training accuracy %.2f%% on augmented images", t.parameters, last.TrainLoss, 100*last.TrainAccuracy) + why)
	return result.WriteTrainHistory(job.Output("history"), t.History)
}

// run is one training.
type run struct {
	*Settings
	until   int // epochs after which it ends
	job     *pipeline.Job
	loader  *dataset.Loader
	step    *runtime.Step
	states  map[string]*runtime.State
	history []result.TrainEpoch

	images, rate, loss, correct []float32
	keep                        []float32 // share that the moving averages keep; nil where there are none
	share                       []float32 // of the labels in the target of mixed images; nil where none are mixed
	mixer                       mixer
	mixed                       []int64   // labels of what is mixed in
	drop                        bool      // whether the step takes drop path
	drops                       []float32 // its input
	labels                      []int64
}

func (r *run) close() error {
	var errs []error
	if r.step != nil {
		errs = append(errs, r.step.Close())
	}
	for _, s := range r.states {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// images returns the images that are trained on.
func (s *Settings) images(data *dataset.Dataset) *dataset.Images {
	if s.UseValid {
		return data.TrainValid()
	}
	return data.Train
}

func (r *run) prepare(rt *runtime.Runtime, build func() (*onnx.ModelProto, error), data *dataset.Dataset, index, running *params.Index) (err error) {
	images := r.Settings.images(data)
	size := 0
	if images.Height != data.Test.Height { // larger, for parts to be cut out
		size = data.Test.Height
	}
	r.loader, err = dataset.NewLoader(images, data.Mean, data.Std, dataset.LoaderOptions{
		Batch: r.Training.Batch, Size: size, Shuffle: true, DropLast: true, Augment: r.Augment, Workers: rt.Threads(), Seed: seed.Derive(r.job.Seed, "batches"),
	})
	if err != nil {
		return err
	}
	lengths := map[string]int{supernet.Params: index.Total(), supernet.Momentum: index.Total(), supernet.Running: running.Total()}
	if r.Average > 0 {
		lengths[supernet.Averaged], lengths[supernet.AveragedRunning] = index.Total(), running.Total()
	}
	for name, n := range lengths {
		s, err := rt.NewState(n)
		if err != nil {
			return err
		}
		r.states[name] = s
	}
	first := map[string][]float32{supernet.Params: index.Initialize(seed.New(r.job.Seed, "weights")), supernet.Running: running.Initialize(seed.New(r.job.Seed, "running"))}
	if err := supernet.Whiten(index, first[supernet.Params], images, data.Mean, data.Std); err != nil {
		return err
	}
	for name, v := range first {
		if err := r.states[name].Write(v); err != nil {
			return err
		}
		if averaged := r.result(name); averaged != name {
			if err := r.states[averaged].Write(v); err != nil {
				return err
			}
		}
	}
	m, err := build()
	if err != nil {
		return err
	}
	model, err := onnx.Encode(m)
	if err != nil {
		return err
	}
	if r.step, err = rt.NewStep(model, runtime.StepOptions{SessionOptions: runtime.SessionOptions{Name: "the training step"}, States: r.states}); err != nil {
		return err
	}
	for name, b := range map[string]*[]float32{supernet.Images: &r.images, supernet.LearningRate: &r.rate, supernet.Loss: &r.loss, supernet.Correct: &r.correct} {
		if *b, err = r.step.Float32(name); err != nil {
			return err
		}
	}
	if r.drop {
		if r.drops, err = r.step.Float32(supernet.DropPath); err != nil {
			return err
		}
	}
	if r.Average > 0 {
		if r.keep, err = r.step.Float32(supernet.AverageKeep); err != nil {
			return err
		}
	}
	if r.CutMix > 0 {
		r.mixer = mixer{r.CutMix, images.Channels, data.Test.Height, data.Test.Width}
		if r.share, err = r.step.Float32(supernet.LabelShare); err != nil {
			return err
		}
		if r.mixed, err = r.step.Int64(supernet.MixedLabels); err != nil {
			return err
		}
	}
	r.labels, err = r.step.Int64(supernet.Labels)
	return err
}

// result returns the name of the state that the training gives for the weights or the running statistics: their moving average,
// if there is one.
func (r *run) result(name string) string {
	if r.Average == 0 {
		return name
	}
	return map[string]string{supernet.Params: supernet.Averaged, supernet.Running: supernet.AveragedRunning}[name]
}

// dropPath draws the edges that each image of a step goes without. What is kept is larger for it, so that the mean stays.
func (r *run) dropPath(epoch int, rng *rand.Rand) {
	p := r.DropPath * float64(epoch) / float64(r.Epochs)
	for i := range r.drops {
		r.drops[i] = 0
		if rng.Float64() >= p {
			r.drops[i] = float32(1 / (1 - p))
		}
	}
}

// train runs the epochs that are left.
func (r *run) train(ctx context.Context) error {
	first, part, err := r.resume()
	if err != nil {
		return err
	}
	schedule := r.schedule(r.loader.Batches())
	var pace event.Pace
	for epoch := first; epoch < r.until; epoch++ {
		if err := r.epoch(ctx, epoch, part, schedule, &pace); err != nil {
			return err
		}
		if err := r.save(epoch+1, nil); err != nil {
			return err
		}
		part = nil
	}
	return nil
}

// epoch makes the steps of an epoch, or those that are left of it after part. When ctx ends it finishes the step and leaves a
// checkpoint behind it.
func (r *run) epoch(ctx context.Context, epoch int, part *partial, schedule func(int) float64, pace *event.Pace) error {
	source := seed.Source(r.job.Seed, "drop_path", strconv.Itoa(epoch))
	p := partial{}
	if part != nil {
		p = *part
		if err := source.UnmarshalBinary(p.Random); err != nil {
			return fmt.Errorf("continuing within epoch %d: %w", epoch+1, err)
		}
	}
	rng, before := rand.New(source), p.Steps
	started, shown, saved := time.Now(), time.Time{}, time.Now()
	at := func() float64 { return float64(epoch) + float64(p.Steps)/float64(r.loader.Batches()) }
	pace.Begin(at())
	report := func(done int, final bool) {
		r.job.Progress(event.Progress{
			Phase: "train", Done: done, Total: r.until, Unit: "epoch", Final: final,
			Rate:      float64(p.Steps-before) / time.Since(started).Seconds(),
			Remaining: pace.Remaining(at(), float64(r.until)),
			Values:    []event.Value{{Name: "train_loss", Value: p.Loss / float64(p.Steps)}, {Name: "train_accuracy", Value: p.Hits / float64(p.Images)}},
		})
	}
	step := context.WithoutCancel(ctx)
	for b, err := range r.loader.EpochFrom(step, epoch, p.Steps) {
		if err != nil {
			return err
		}
		copy(r.images, b.X)
		copy(r.labels, b.Y)
		t := epoch*r.loader.Batches() + p.Steps
		r.rate[0] = float32(schedule(t))
		if r.keep != nil {
			r.keep[0] = float32(optimizer.AverageKeep(r.Average, t))
		}
		r.dropPath(epoch, rng)
		if r.share != nil {
			r.share[0] = r.mixer.mix(r.images, r.labels, r.mixed, rng)
		}
		if err := r.step.Run(step); err != nil {
			return fmt.Errorf("training: %w", err)
		}
		l := float64(r.loss[0])
		if math.IsNaN(l) || math.IsInf(l, 0) {
			return &DivergedError{Loss: l, Epoch: epoch + 1, LearningRate: r.LearningRate}
		}
		p.Loss, p.Hits, p.Images = p.Loss+l, p.Hits+float64(r.correct[0]), p.Images+b.Count
		p.Steps++
		if time.Since(shown) > 200*time.Millisecond {
			shown = time.Now()
			report(epoch, false)
		}
		if ctx.Err() != nil || time.Since(saved) > keepEvery {
			saved = time.Now()
			if p.Random, err = source.MarshalBinary(); err != nil {
				return fmt.Errorf("saving the generator: %w", err)
			}
			if err := r.save(epoch, &p); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("training: %w", context.Cause(ctx))
		}
	}
	r.history = append(r.history, result.TrainEpoch{
		Epoch: epoch + 1, LR: schedule(epoch*r.loader.Batches() + p.Steps - 1), TrainLoss: p.Loss / float64(p.Steps), TrainAccuracy: p.Hits / float64(p.Images),
	})
	report(epoch+1, true)
	return nil
}
