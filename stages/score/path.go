package score

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// pathEngine runs a supernet's path form. Each worker has loaded it once and runs one architecture at a time.
type pathEngine struct {
	workers chan *pathWorker
	count   int
	batches []batch
}

type pathWorker struct {
	step    *runtime.Step
	images  []float32
	choices []int64
	logits  []float32
}

func newPathEngine(rt *runtime.Runtime, model []byte, weights *runtime.State, batches []batch, workers int) (*pathEngine, error) {
	p := &pathEngine{workers: make(chan *pathWorker, workers), count: workers, batches: batches}
	for range workers {
		wk, err := newPathWorker(rt, model, weights)
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		p.workers <- wk
	}
	return p, nil
}

func newPathWorker(rt *runtime.Runtime, model []byte, weights *runtime.State) (_ *pathWorker, err error) {
	step, err := rt.NewStep(model, runtime.StepOptions{
		SessionOptions: runtime.SessionOptions{Name: "the supernet's path form", Threads: 1},
		States:         map[string]*runtime.State{supernet.Params: weights},
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, step.Close())
		}
	}()
	wk := &pathWorker{step: step}
	if wk.images, err = step.Float32(supernet.Images); err != nil {
		return nil, err
	}
	if wk.choices, err = step.Int64(supernet.Choices); err != nil {
		return nil, err
	}
	wk.logits, err = step.Float32(supernet.Logits)
	return wk, err
}

func (p *pathEngine) evaluate(ctx context.Context, architectures []space.Architecture) ([]tally, error) {
	out := make([]tally, len(architectures))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(p.count)
	for i, a := range architectures {
		group.Go(func() error {
			wk := <-p.workers
			defer func() { p.workers <- wk }()
			for e, op := range a {
				wk.choices[e] = int64(op)
			}
			for _, b := range p.batches {
				copy(wk.images, b.x)
				if err := wk.step.Run(ctx); err != nil {
					return fmt.Errorf("architecture %v: %w", []int(a), err)
				}
				l, h := CrossEntropy(wk.logits, b.y)
				out[i].loss += l
				out[i].hits += h
			}
			return nil
		})
	}
	return out, group.Wait()
}

func (p *pathEngine) close() error {
	var errs []error
	for {
		select {
		case wk := <-p.workers:
			errs = append(errs, wk.step.Close())
		default:
			return errors.Join(errs...)
		}
	}
}
