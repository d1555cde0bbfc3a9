package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/store"
)

// Runner runs plans.
type Runner struct {
	Store *store.Store
	// Dir is the run directory. It is made when it does not exist.
	Dir      string
	Events   event.Sink // nil discards; events.jsonl is written in any case
	LogLevel slog.Level // of the stages' log files
	Version  string     // of the program, for run.json
}

// execution is one run of a plan.
type execution struct {
	runner  *Runner
	plan    *Plan
	dir     *runDir
	events  event.Sink
	started time.Time

	mu        sync.Mutex // guards what follows
	result    *Result
	err       error
	records   map[string]*store.Record // of stages that are done, by id
	runFileAt time.Time
}

// Run runs the plan's stages one after the other, each when its inputs are there, and leaves their outputs in the run directory. It
// stops at the first stage that fails, with a *StageError. When ctx is cancelled the running stage gets to leave a
// checkpoint, and the error wraps ctx's. The result is never nil once the run directory is open.
//
// Run may be killed at any moment: the next one finds what was finished, and what was begun.
func (r *Runner) Run(ctx context.Context, plan *Plan) (*Result, error) {
	dir, err := openRunDir(r.Dir)
	if err != nil {
		return nil, err
	}
	defer dir.close()
	file, err := event.OpenFile(dir.join("events.jsonl"))
	if err != nil {
		return nil, err
	}
	x := &execution{
		runner: r, plan: plan, dir: dir, started: time.Now(), events: file, records: map[string]*store.Record{},
		result: &Result{Run: plan.Name, Dir: dir.path, Status: StatusRunning},
	}
	if r.Events != nil {
		x.events = event.Tee(file, r.Events)
	}
	for _, ps := range plan.Stages {
		x.result.Stages = append(x.result.Stages, &StageResult{ID: ps.ID, Kind: ps.Kind.Name, Status: StatusNotRun, Key: ps.Key})
	}
	err = x.run(ctx)
	if cerr := file.Close(); cerr != nil && err == nil {
		err = fmt.Errorf("writing events.jsonl: %w", cerr)
	}
	return x.result, err
}

func (x *execution) run(ctx context.Context) error {
	if err := x.writeRunFile(true); err != nil {
		return err
	}
	x.emit(event.Event{Type: event.RunStarted, Message: x.plan.Name})
	err := x.schedule(ctx)

	x.mu.Lock()
	x.err = err
	x.result.Seconds = time.Since(x.started).Seconds()
	switch {
	case err == nil:
		x.result.Status = StatusDone
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		x.result.Status = StatusInterrupted
	default:
		x.result.Status = StatusFailed
	}
	x.emit(event.Event{Type: event.RunFinished, Seconds: x.result.Seconds, Message: string(x.result.Status)})
	werr := x.writeRunFile(true)
	x.mu.Unlock()
	if err == nil {
		return werr
	}
	return err
}

// schedule runs the stages in the order of the plan. A stage touches nothing but its own result and, under the mutex,
// the records; so running independent ones side by side is a matter of this function only.
func (x *execution) schedule(ctx context.Context) error {
	for i, ps := range x.plan.Stages {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("interrupted before stage %s: %w", ps.ID, err)
		}
		if err := x.stage(ctx, ps, x.result.Stages[i]); err != nil {
			return err
		}
	}
	return nil
}

func (x *execution) emit(e event.Event) {
	e.Time, e.Run = time.Now(), x.plan.Name
	x.events.Emit(e)
}
