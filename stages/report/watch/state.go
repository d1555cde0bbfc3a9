package watch

import (
	"slices"
	"time"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
)

// logLines is how many of the latest lines that stages say are shown.
const logLines = 200

// state is what the events of a run directory come to: the last run, with the curves of stages that it continued or reused.
type state struct {
	run     string
	status  pipeline.Status
	started time.Time
	last    time.Time // of the latest event
	seconds float64
	stages  []*stage // in the order in which they were first heard of
	byID    map[string]*stage
	log     []event.Event
}

// stage is what is known of a stage.
type stage struct {
	id, kind string
	status   pipeline.Status
	reused   bool
	reason   string
	started  time.Time
	seconds  float64
	progress *event.Progress
	curves   curves
	earlier  curves  // of the attempt before, until it is known whether this one continues it
	counts   []count // what it has done so far
	metrics  []event.Value
	metricAt map[string]int // places of the metrics by name
	summary  string
	said     string // its latest line that is no warning
	failure  string
	version  int // grows with every event
}

// count is how many units of a name a stage has finished.
type count struct {
	unit string
	done int
}

func (s *state) stage(id string) *stage {
	st := s.byID[id]
	if st == nil {
		st = &stage{id: id, status: pipeline.StatusNotRun}
		if s.byID == nil {
			s.byID = map[string]*stage{}
		}
		s.stages, s.byID[id] = append(s.stages, st), st
	}
	return st
}

// apply takes in an event.
func (s *state) apply(e event.Event) {
	s.last = e.Time
	switch e.Type {
	case event.RunStarted:
		s.run, s.status, s.started, s.seconds, s.log = e.Run, pipeline.StatusRunning, e.Time, 0, nil
		for _, st := range s.stages {
			st.status, st.reused, st.progress, st.reason, st.failure, st.seconds = pipeline.StatusNotRun, false, nil, "", "", 0
			st.version++
		}
		return
	case event.RunFinished:
		s.status, s.seconds = pipeline.Status(e.Message), e.Seconds
		return
	case event.StageLog:
		s.log = append(s.log, e)
		if len(s.log) > 2*logLines {
			s.log = slices.Clone(s.log[len(s.log)-logLines:])
		}
	}
	if e.Stage == "" {
		return
	}
	st := s.stage(e.Stage)
	st.version++
	if e.Kind != "" {
		st.kind = e.Kind
	}
	switch e.Type {
	case event.StageStarted:
		st.status, st.reason, st.started, st.seconds, st.failure = pipeline.StatusRunning, e.Message, e.Time, 0, ""
		st.progress, st.counts, st.metrics, st.metricAt, st.summary, st.said = nil, nil, nil, nil, "", ""
		st.earlier, st.curves = st.curves, curves{}
	case event.StageResumed:
		st.curves, st.earlier = st.earlier, curves{}
	case event.StageReused:
		st.status, st.reused, st.reason = pipeline.StatusDone, true, e.Message
	case event.StageProgress:
		if e.Progress != nil {
			st.curves.add(e.Progress, st.progress == nil)
			st.progress = e.Progress
			st.count(e.Progress.Unit, e.Progress.Done)
		}
	case event.StageMetric:
		for _, v := range e.Values {
			st.metric(v)
		}
	case event.StageLog:
		if e.Level == "" || e.Level == "info" {
			st.said = e.Message
		}
	case event.StageSummary:
		st.summary = e.Message
	case event.StageFinished:
		st.status, st.seconds = pipeline.StatusDone, e.Seconds
	case event.StageFailed:
		st.status, st.seconds, st.failure = pipeline.StatusFailed, e.Seconds, e.Message
	}
}

// metric notes a metric; one that is told again is the last.
func (st *stage) metric(v event.Value) {
	if at, ok := st.metricAt[v.Name]; ok {
		st.metrics[at] = v
		return
	}
	if st.metricAt == nil {
		st.metricAt = map[string]int{}
	}
	st.metricAt[v.Name] = len(st.metrics)
	st.metrics = append(st.metrics, v)
}

func (st *stage) count(unit string, done int) {
	for i := range st.counts {
		if st.counts[i].unit == unit {
			st.counts[i].done = done
			return
		}
	}
	st.counts = append(st.counts, count{unit, done})
}
