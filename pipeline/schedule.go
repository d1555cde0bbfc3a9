package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// This file runs the stages of a plan side by side, as far as the machine and what they read allow.

// scheduler is the state of a running plan. It belongs to one goroutine; the stages' goroutines only send their results to it.
type scheduler struct {
	x       *execution
	index   map[string]int // of the stages in the plan
	waiting []int          // how many stages each one still waits for
	readers [][]int
	ready   []int     // sorted; stages are started in the order of the plan
	all     Resources // of the machine
	free    Resources // of all
	running int
	done    chan finished
	errs    []error
}

type finished struct {
	stage int
	takes Resources
	err   error
}

// schedule runs every stage that is not skipped. A stage starts once what it reads is there and it fits beside those that
// run; the next one in the order of the plan goes first, so that a large one is not kept waiting by small ones. After a
// failure the stages that run may end, for their work is not lost, but no other starts; with KeepGoing, all that do not
// depend on the failed one do.
func (x *execution) schedule(ctx context.Context) error {
	s := newScheduler(x)
	for {
		for s.mayStart(ctx) {
			s.start(ctx)
		}
		if s.running == 0 {
			break
		}
		s.finish(<-s.done)
	}
	if err := ctx.Err(); err != nil && len(s.errs) == 0 && len(s.ready) > 0 {
		return fmt.Errorf("interrupted before stage %s: %w", x.plan.Stages[s.ready[0]].ID, err)
	}
	return errors.Join(s.errs...)
}

func newScheduler(x *execution) *scheduler {
	n, all := len(x.plan.Stages), x.runner.budget()
	s := &scheduler{x: x, index: make(map[string]int, n), waiting: make([]int, n), readers: make([][]int, n), all: all, free: all, done: make(chan finished)}
	for i, ps := range x.plan.Stages {
		s.index[ps.ID] = i
		if ps.Action == ActionSkip {
			continue
		}
		for k, in := range ps.Inputs {
			if slices.ContainsFunc(ps.Inputs[:k], func(o PlannedInput) bool { return o.Stage == in.Stage }) {
				continue
			}
			from := s.index[in.Stage]
			s.readers[from] = append(s.readers[from], i)
			s.waiting[i]++
		}
		if s.waiting[i] == 0 {
			s.ready = append(s.ready, i)
		}
	}
	return s
}

// takes returns what a stage takes of the machine: at most all there is. A result that is only fetched takes little.
func (s *scheduler) takes(ps *PlannedStage) Resources {
	need := ps.Resources
	if ps.Action == ActionReuse {
		need = Resources{Cores: 1}
	}
	if need.Cores <= 0 {
		need.Cores = s.x.runner.StageCores
	}
	if need.Cores <= 0 || need.Cores > s.all.Cores {
		need.Cores = s.all.Cores
	}
	need.Memory = min(need.Memory, s.all.Memory)
	return need
}

func (s *scheduler) mayStart(ctx context.Context) bool {
	if len(s.ready) == 0 || ctx.Err() != nil || len(s.errs) > 0 && !s.x.runner.KeepGoing {
		return false
	}
	need := s.takes(s.x.plan.Stages[s.ready[0]])
	return need.Cores <= s.free.Cores && need.Memory <= s.free.Memory
}

// start runs the first stage that is ready.
func (s *scheduler) start(ctx context.Context) {
	i := s.ready[0]
	s.ready = s.ready[1:]
	ps, res := s.x.plan.Stages[i], s.x.result.Stages[i]
	need := s.takes(ps)
	s.free.Cores -= need.Cores
	s.free.Memory -= need.Memory
	s.running++
	go func() { s.done <- finished{i, need, s.x.stage(ctx, ps, res)} }()
}

// finish takes a stage's result, and makes ready what waited for it.
func (s *scheduler) finish(f finished) {
	s.running--
	s.free.Cores += f.takes.Cores
	s.free.Memory += f.takes.Memory
	if f.err != nil {
		s.errs = append(s.errs, f.err)
		s.giveUp(f.stage, s.x.plan.Stages[f.stage].ID)
		return
	}
	for _, r := range s.readers[f.stage] {
		if s.waiting[r]--; s.waiting[r] == 0 {
			at, _ := slices.BinarySearch(s.ready, r)
			s.ready = slices.Insert(s.ready, at, r)
		}
	}
}

// giveUp notes for everything that depends on a stage why it did not run.
func (s *scheduler) giveUp(i int, failed string) {
	for _, r := range s.readers[i] {
		s.x.mu.Lock()
		res := s.x.result.Stages[r]
		known := res.Reason != ""
		if !known {
			res.Reason = "needs stage " + failed + ", which did not finish"
		}
		s.x.mu.Unlock()
		if !known {
			s.giveUp(r, failed)
		}
	}
}
