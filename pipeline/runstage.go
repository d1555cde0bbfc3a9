package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/store"
)

// stage brings one stage to its end: it takes the stored result or computes it, and puts the outputs into the run directory.
func (x *execution) stage(ctx context.Context, ps *PlannedStage, res *StageResult) error {
	started := time.Now()
	x.mu.Lock()
	res.Status = StatusRunning
	x.mu.Unlock()
	record, cached, err := x.obtain(ctx, ps, res)
	var outputs []OutputFile
	if err == nil {
		outputs, err = x.deliver(ps, record)
	}

	x.mu.Lock()
	defer x.mu.Unlock()
	res.Outputs = outputs
	res.Seconds = time.Since(started).Seconds()
	if err != nil {
		res.Status = StatusFailed
		if endedBy(ctx, err) {
			res.Status = StatusInterrupted
		}
		err = x.stageError(ps, err)
		x.emit(event.Event{Type: event.StageFailed, Stage: ps.ID, Kind: ps.Kind.Name, Seconds: res.Seconds, Message: err.Error()})
		return err
	}
	res.Status, res.Cached, res.Key = StatusDone, cached, record.Key
	res.Metrics, res.Summary = record.Metrics, record.Summary
	x.records[ps.ID] = record
	if !cached {
		x.emit(event.Event{Type: event.StageFinished, Stage: ps.ID, Kind: ps.Kind.Name, Seconds: res.Seconds})
	}
	return x.writeRunFile(false)
}

// stageError wraps an error of a stage. A panic's stack goes to the stage's log, not to people.
func (x *execution) stageError(ps *PlannedStage, err error) error {
	se := &StageError{Stage: ps.ID, Kind: ps.Kind.Name, Err: err}
	var p *PanicError
	if errors.As(err, &p) {
		se.Log = x.logPath(ps.ID)
		se.Err = fmt.Errorf("%w; details are in %s", err, se.Log)
	}
	if errors.Is(err, syscall.ENOSPC) {
		se.Err = fmt.Errorf("%w; make room on the disk and run again: what was finished is kept", err)
	}
	return se
}

func (x *execution) logPath(id string) string { return x.dir.join("logs", id+".log") }

// obtain returns the stage's record: the stored one when it can be used, otherwise a new one.
func (x *execution) obtain(ctx context.Context, ps *PlannedStage, res *StageResult) (record *store.Record, cached bool, err error) {
	st := x.runner.Store
	x.mu.Lock()
	inputs, missing := ps.inputRecords(x.plan, x.records)
	x.mu.Unlock()
	if len(missing) > 0 { // the scheduler's order excludes it
		return nil, false, fmt.Errorf("its inputs from %v are missing", missing)
	}
	d, err := x.lookup(ps, inputs)
	if err != nil {
		return nil, false, err
	}
	if d.action != ActionReuse {
		unlock, err := st.Lock(ctx, d.key, func() {
			x.note(ps, "info", "the same is being computed elsewhere; waiting for it")
		})
		if err != nil {
			return nil, false, err
		}
		defer unlock()
		// Somebody else may have finished it, or died in it, while this process waited.
		if d, err = x.lookup(ps, inputs); err != nil {
			return nil, false, err
		}
	}
	x.mu.Lock()
	res.Reason, res.Key = d.reason, d.key
	err = x.writeRunFile(false) // names the key, so that a checkpoint is not taken for unneeded
	x.mu.Unlock()
	if err != nil {
		return nil, false, err
	}
	if d.action == ActionReuse {
		x.emit(event.Event{Type: event.StageReused, Stage: ps.ID, Kind: ps.Kind.Name, Message: d.reason})
		if err := st.RemoveStaleWork(d.key); err != nil {
			return nil, false, err
		}
		st.SetLatest(x.plan.Name, ps.ID, d.key)
		return d.record, true, nil
	}
	x.emit(event.Event{Type: event.StageStarted, Stage: ps.ID, Kind: ps.Kind.Name, Message: d.reason})
	if d.action == ActionContinue {
		x.emit(event.Event{Type: event.StageResumed, Stage: ps.ID, Kind: ps.Kind.Name, Message: "continues from its checkpoint"})
	}
	record, err = x.compute(ctx, ps, d, inputs)
	return record, false, err
}

// lookup decides what to do, and verifies the bytes of a result before it is used.
func (x *execution) lookup(ps *PlannedStage, inputs []store.Input) (decision, error) {
	st := x.runner.Store
	d, err := ps.decide(st, x.plan, inputs)
	if err != nil || d.action != ActionReuse {
		return d, err
	}
	for _, o := range d.record.Outputs {
		err := st.Verify(o.Digest)
		var corrupt *store.CorruptError
		switch {
		case errors.As(err, &corrupt):
			x.note(ps, "warn", fmt.Sprintf("the stored %s: %v; it is computed again", o.File, corrupt))
			return x.lookup(ps, inputs) // the object is gone now, so this ends
		case errors.Is(err, store.ErrMissing):
			return x.lookup(ps, inputs)
		case err != nil:
			return d, err
		}
	}
	return d, nil
}

func (x *execution) note(ps *PlannedStage, level, message string) {
	x.emit(event.Event{Type: event.StageLog, Stage: ps.ID, Kind: ps.Kind.Name, Level: level, Message: message})
}

// compute runs the stage. The caller holds the key's lock.
func (x *execution) compute(ctx context.Context, ps *PlannedStage, d decision, inputs []store.Input) (*store.Record, error) {
	st, started := x.runner.Store, time.Now()
	artifacts, lists, err := x.artifacts(inputs)
	if err != nil {
		return nil, err
	}
	log, closeLog, err := x.openLog(ps)
	if err != nil {
		return nil, err
	}
	defer closeLog()
	log.Info("stage starts", "kind", ps.Kind.Name, "version", ps.Kind.Version, "key", d.key, "reason", d.reason, "settings", string(ps.Settings))
	work, job, outputs, err := x.try(ctx, ps, log, JobConfig{Inputs: artifacts, Lists: lists, Lineage: x.lineage}, d.key)
	if err != nil {
		return nil, err
	}
	if err := ps.unchanged(ctx); err != nil {
		return nil, errors.Join(err, work.Remove()) // its checkpoints are of no use either
	}
	record := &store.Record{
		Key: d.key, Document: x.plan.Name, Stage: ps.ID, Kind: ps.Kind.Name, Version: ps.Kind.Version, Settings: ps.keySettings,
		Seed: ps.Seed, Inputs: inputs, Fingerprint: ps.fingerprint, Metrics: job.Metrics(), Summary: job.SummaryText(),
	}
	if record.Outputs, err = x.collect(ps, outputs); err != nil {
		return nil, err
	}
	x.compareForced(ps, record)
	record.Seconds, record.Finished = time.Since(started).Seconds(), time.Now().UTC().Truncate(time.Second)
	if err := st.PutRecord(record); err != nil {
		return nil, err
	}
	if err := x.secure(record.Seconds); err != nil {
		return nil, err
	}
	log.Info("stage finished", "seconds", record.Seconds)
	return record, work.Remove()
}

// secureAfter is how many seconds of work a power cut may cost at most. What is younger is brought to the disk together, at
// the latest when the run ends.
const secureAfter = 1.0

// secure brings results to the disk once enough work is in them.
func (x *execution) secure(seconds float64) error {
	x.mu.Lock()
	x.unsecured += seconds
	due := x.unsecured >= secureAfter
	if due {
		x.unsecured = 0
	}
	x.mu.Unlock()
	if !due {
		return nil
	}
	return x.runner.Store.Flush()
}

// artifacts verifies the inputs and returns them by port: the first, and all.
func (x *execution) artifacts(inputs []store.Input) (map[string]Artifact, map[string][]Artifact, error) {
	st := x.runner.Store
	first, lists := make(map[string]Artifact, len(inputs)), make(map[string][]Artifact, len(inputs))
	for _, in := range inputs {
		if err := st.Verify(in.Digest); err != nil {
			return nil, nil, fmt.Errorf("reading input %s: %w; run again to compute it anew", in.Port, err)
		}
		a := Artifact{Type: Type(in.Type), Path: st.ObjectPath(in.Digest), Digest: in.Digest, Stage: in.Stage, Kind: in.Kind, Labels: in.Labels}
		if _, ok := first[in.Port]; !ok {
			first[in.Port] = a
		}
		lists[in.Port] = append(lists[in.Port], a)
	}
	return first, lists, nil
}

// lineage lists what the stage with the id took, after what those took that it reads from.
func (x *execution) lineage(id string) []Work {
	x.mu.Lock()
	defer x.mu.Unlock()
	var out []Work
	seen := map[string]bool{}
	var visit func(id string)
	visit = func(id string) {
		r := x.records[id]
		if r == nil || seen[id] {
			return
		}
		seen[id] = true
		for _, in := range r.Inputs {
			visit(in.Stage)
		}
		out = append(out, Work{Stage: id, Kind: r.Kind, Seconds: r.Seconds, Metrics: slices.Clone(r.Metrics)})
	}
	visit(id)
	return out
}

// try runs the stage, and runs it again after errors that may pass, within its time. c has the inputs.
func (x *execution) try(ctx context.Context, ps *PlannedStage, log *slog.Logger, c JobConfig, key string) (*store.Work, *Job, map[string]string, error) {
	limited, cancel := ctx, context.CancelFunc(func() {})
	if ps.Timeout > 0 {
		limited, cancel = context.WithTimeout(ctx, ps.Timeout)
	}
	defer cancel()
	wait := x.runner.Backoff
	if wait <= 0 {
		wait = time.Second
	}
	for attempt := 1; ; attempt++ {
		work, err := x.runner.Store.Work(key, ps.forced && attempt == 1)
		if err != nil {
			return nil, nil, nil, err
		}
		outputs := make(map[string]string, len(ps.Kind.Outputs))
		for _, o := range ps.Kind.Outputs {
			outputs[o.Name] = filepath.Join(work.Outputs, o.File)
		}
		c.ID, c.Seed, c.Scratch, c.Log, c.Outputs = ps.ID, ps.Seed, work.Checkpoint, log, maps.Clone(outputs)
		c.Events = event.Func(func(e event.Event) {
			e.Run = x.plan.Name
			x.events.Emit(e)
		})
		job := NewJob(c)
		err = x.call(limited, ps, job, log)
		switch {
		case err == nil:
			return work, job, outputs, nil
		case ctx.Err() == nil && limited.Err() != nil:
			why := ""
			if !errors.Is(err, context.DeadlineExceeded) { // which says the same in other words
				why = fmt.Sprintf(" (%v)", err)
			}
			return nil, nil, nil, fmt.Errorf("it did not end within its timeout of %v%s; raise timeout: in the document and run again: it continues from its checkpoint", ps.Timeout, why)
		case ctx.Err() != nil || attempt > ps.Retries || !isRetryable(err):
			return nil, nil, nil, err
		}
		x.note(ps, "warn", fmt.Sprintf("%v; trying again in %v (%d of %d)", err, wait, attempt, ps.Retries))
		select {
		case <-limited.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, time.Minute)
	}
}

// call runs the stage's own code, behind a wall that turns panics into errors.
func (x *execution) call(ctx context.Context, ps *PlannedStage, job *Job, log *slog.Logger) error {
	err := guard(func() error { return ps.build().Run(ctx, job) })
	var p *PanicError
	if errors.As(err, &p) {
		log.Error("stage panicked", "value", fmt.Sprint(p.Value), "stack", string(p.Stack))
		return err
	}
	if err != nil {
		log.Error("stage ended with an error", "error", err)
	}
	return err
}

// unchanged checks that the world outside is still as it was when the key was made. A result that is made of a file which
// changed meanwhile must not be kept under the old file's key.
func (ps *PlannedStage) unchanged(ctx context.Context) error {
	fp, ok := ps.build().(Fingerprinter)
	if !ok {
		return nil
	}
	var now map[string]string
	err := guard(func() (err error) {
		now, err = fp.Fingerprint(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("finding out whether what it depends on has changed: %w", err)
	}
	if changed := valueChanges("", ps.fingerprint, now); len(changed) > 0 {
		return fmt.Errorf("what it reads changed while it ran (%s); run again", changeText(changed))
	}
	return nil
}

// collect moves what the stage wrote into the store.
func (x *execution) collect(ps *PlannedStage, paths map[string]string) ([]store.Output, error) {
	out := make([]store.Output, 0, len(ps.Kind.Outputs))
	for _, o := range ps.Kind.Outputs {
		digest, size, err := x.runner.Store.Put(paths[o.Name])
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("it ended without writing its output %s (%s); this is a defect of the stage kind %s", o.Name, o.File, ps.Kind.Name)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, store.Output{Name: o.Name, Type: string(o.Type), File: o.File, Digest: digest, Size: size})
	}
	return out, nil
}

// compareForced warns when a forced stage did not give the bytes that it gave before: then its results cannot be repeated.
func (x *execution) compareForced(ps *PlannedStage, now *store.Record) {
	if !ps.forced {
		return
	}
	was, err := x.runner.Store.Record(now.Key)
	if err != nil || was == nil {
		return
	}
	for i, o := range was.Outputs {
		if i < len(now.Outputs) && o.Name == now.Outputs[i].Name && o.Digest != now.Outputs[i].Digest {
			x.note(ps, "warn", o.File+" differs from the earlier result of the same settings, seed and inputs")
		}
	}
}

// deliver puts the outputs into the run directory.
func (x *execution) deliver(ps *PlannedStage, record *store.Record) ([]OutputFile, error) {
	out := make([]OutputFile, 0, len(record.Outputs))
	for _, o := range record.Outputs {
		kept, err := x.dir.place(x.runner.Store, ps.ID, o)
		if err != nil {
			return nil, err
		}
		if kept != "" {
			x.note(ps, "warn", fmt.Sprintf("%s had been changed by hand; the changed file is now %s", o.File, kept))
		}
		out = append(out, OutputFile{Name: o.Name, Type: Type(o.Type), Path: x.dir.join(ps.ID, o.File), Digest: o.Digest, Size: o.Size})
	}
	return out, nil
}

func (x *execution) openLog(ps *PlannedStage) (log *slog.Logger, closeLog func(), err error) {
	f, err := os.OpenFile(x.logPath(ps.ID), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the stage's log: %w", err)
	}
	log = slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{Level: x.runner.LogLevel}))
	return log, func() { _ = f.Close() }, nil
}
