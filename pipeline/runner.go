package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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
	// KeepGoing runs what does not depend on a failed stage; otherwise nothing is started after a failure.
	KeepGoing bool
	// Resources are what the stages that run side by side may take together. 0 cores, or bytes, mean the machine's.
	Resources Resources
	// StageCores is how many cores a stage takes for which neither its kind nor the document says it; 0 means all of them.
	StageCores int
	// Backoff is how long to wait before a stage is tried again, doubled each time up to a minute; 0 means a second.
	Backoff time.Duration
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
	ended     bool
	records   map[string]*store.Record // of stages that are done, by id
	runFileAt time.Time
	runFileIn *time.Timer // writes run.json later; nil when nothing is left out of it
	unsecured float64     // seconds of work in results that are not on the disk yet
}

// Run runs the plan's stages, each when its inputs are there, side by side where they fit, and leaves their outputs in the run
// directory. After a stage has failed no other starts, unless KeepGoing is set; the error is or joins a *StageError for each that
// failed. When ctx is cancelled the running stages get to leave a checkpoint, and the error wraps ctx's. The result is never
// nil once the run directory is open.
//
// Run may be killed at any moment: the next one finds what was finished, and what was begun.
func (r *Runner) Run(ctx context.Context, plan *Plan) (*Result, error) {
	dir, err := openRunDir(r.Dir)
	if err != nil {
		return nil, err
	}
	defer dir.close()
	release, err := r.Store.Use(ctx, func() {
		if r.Events != nil {
			r.Events.Emit(event.Event{
				Time: time.Now(), Type: event.StageLog, Run: plan.Name, Stage: "plateau", Level: "info",
				Message: "unneeded results are being removed from the store; waiting for that to end",
			})
		}
	})
	if err != nil {
		return nil, err
	}
	defer release()
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
		res := &StageResult{ID: ps.ID, Kind: ps.Kind.Name, Status: StatusNotRun, Key: ps.Key}
		if ps.Action == ActionSkip {
			res.Reason = ps.Reason
		}
		x.result.Stages = append(x.result.Stages, res)
	}
	err = x.run(ctx)
	if cerr := file.Close(); cerr != nil && err == nil {
		err = fmt.Errorf("writing events.jsonl: %w", cerr)
	}
	return x.result, err
}

func (x *execution) run(ctx context.Context) error {
	if err := x.dir.keepEarlier(); err != nil {
		x.emit(event.Event{Type: event.StageLog, Stage: "plateau", Level: "warn", Message: err.Error()})
	}
	if err := x.writeRunFile(true); err != nil {
		return err
	}
	x.emit(event.Event{Type: event.RunStarted, Message: x.plan.Name})
	err := x.schedule(ctx)
	if ferr := errors.Join(x.runner.Store.Flush(), x.dir.flush()); err == nil {
		err = ferr
	}

	x.mu.Lock()
	x.err = err
	x.result.Seconds = time.Since(x.started).Seconds()
	switch {
	case err == nil:
		x.result.Status = StatusDone
	case endedBy(ctx, err) && !x.anyFailed():
		x.result.Status = StatusInterrupted
	default:
		x.result.Status = StatusFailed
	}
	if x.runFileIn != nil {
		x.runFileIn.Stop()
	}
	x.ended = true
	x.emit(event.Event{Type: event.RunFinished, Seconds: x.result.Seconds, Message: string(x.result.Status)})
	werr := x.writeRunFile(true)
	x.mu.Unlock()
	if err == nil {
		return werr
	}
	return err
}

// endedBy says whether an error is there because the context has ended: it is the context's, or the cause that was given for it.
func endedBy(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx)))
}

// anyFailed says whether a stage failed, and was not just interrupted.
func (x *execution) anyFailed() bool {
	return slices.ContainsFunc(x.result.Stages, func(r *StageResult) bool { return r.Status == StatusFailed })
}

func (x *execution) emit(e event.Event) {
	e.Time, e.Run = time.Now(), x.plan.Name
	x.events.Emit(e)
}
