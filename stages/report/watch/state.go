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
	earlier  curves // of the attempt before, until it is known whether this one continues it
	metrics  []event.Value
	summary  string
	failure  string
}

// curves are the values of a stage by unit.
type curves struct {
	points []point
	table  *event.Table // the latest
}

// point is what a stage said after a unit.
type point struct {
	unit   string // a stage may count epochs first, and evaluations then
	step   int
	phase  string
	note   string
	values []event.Value
}

func (s *state) stage(id string) *stage {
	for _, st := range s.stages {
		if st.id == id {
			return st
		}
	}
	st := &stage{id: id, status: pipeline.StatusNotRun}
	s.stages = append(s.stages, st)
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
		return
	}
	if e.Stage == "" {
		return
	}
	st := s.stage(e.Stage)
	if e.Kind != "" {
		st.kind = e.Kind
	}
	switch e.Type {
	case event.StageStarted:
		st.status, st.reason, st.started, st.seconds, st.failure = pipeline.StatusRunning, e.Message, e.Time, 0, ""
		st.progress, st.metrics, st.summary = nil, nil, ""
		st.earlier, st.curves = st.curves, curves{}
	case event.StageResumed:
		st.curves, st.earlier = st.earlier, curves{}
	case event.StageReused:
		st.status, st.reused, st.reason = pipeline.StatusDone, true, e.Message
	case event.StageProgress:
		if e.Progress != nil {
			st.curves.add(e.Progress, st.progress == nil)
			st.progress = e.Progress
		}
	case event.StageMetric:
		for _, v := range e.Values {
			st.metrics = append(slices.DeleteFunc(st.metrics, func(m event.Value) bool { return m.Name == v.Name }), v)
		}
	case event.StageSummary:
		st.summary = e.Message
	case event.StageFinished:
		st.status, st.seconds = pipeline.StatusDone, e.Seconds
	case event.StageFailed:
		st.status, st.seconds, st.failure = pipeline.StatusFailed, e.Seconds, e.Message
	}
}

// add takes in a progress. What lies behind the place where a stage continues is forgotten: it is computed again.
func (c *curves) add(p *event.Progress, first bool) {
	same := func(q point) bool { return q.unit == p.Unit }
	if first {
		done := p.Done
		if p.Final {
			done--
		}
		c.points = slices.DeleteFunc(c.points, func(q point) bool { return same(q) && q.step > done })
	}
	for i := range p.Tables {
		c.table = &p.Tables[i]
	}
	last := 0
	for _, q := range c.points {
		if same(q) {
			last = q.step
		}
	}
	// Between units the values are those of a part of one; without whole ones the note still tells.
	if !p.Final && p.Done <= last || len(p.Values) == 0 && p.Note == "" {
		return
	}
	c.points = slices.DeleteFunc(c.points, func(q point) bool { return same(q) && q.step >= p.Done })
	c.points = append(c.points, point{p.Unit, p.Done, p.Phase, p.Note, p.Values})
}

// units lists what the points count, in their order.
func (c *curves) units() []string {
	var out []string
	for _, q := range c.points {
		if !slices.Contains(out, q.unit) {
			out = append(out, q.unit)
		}
	}
	return out
}
