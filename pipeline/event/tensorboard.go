package event

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// TensorBoard is a sink that writes event files which TensorBoard reads: a folder a stage, so that each is a run there. The
// step of a scalar is the number of finished units, such as epochs or evaluations; what stages record as metrics stands under
// "metrics/". A stage that begins anew hides what the folder held before, one that continues only what lies after the place
// where it does.
//
// Nothing in these files is an artifact: they have times, and their names do.
type TensorBoard struct {
	dir string

	mu     sync.Mutex
	stages map[string]*boardStage
	err    error // the first that writing gave
	closed bool
}

// boardStage is a stage that is running.
type boardStage struct {
	f       *os.File
	resumed bool
	begun   bool // a progress was seen
	last    int  // units that were finished then, or when it was written last
	final   int  // step of the last scalar
}

// NewTensorBoard returns a sink that writes below dir, which is made when there is something to write.
func NewTensorBoard(dir string) *TensorBoard {
	return &TensorBoard{dir: dir, stages: map[string]*boardStage{}}
}

// Emit writes the numbers of e. The first error is kept for Close, and nothing is written after it.
func (t *TensorBoard) Emit(e Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.err != nil || e.Stage == "" {
		return
	}
	s := t.stages[e.Stage]
	switch e.Type {
	case StageStarted:
		t.err = t.end(e.Stage) // one that is tried again
		t.stages[e.Stage] = &boardStage{}
	case StageResumed:
		if s != nil {
			s.resumed = true
		}
	case StageProgress:
		if s != nil && e.Progress != nil {
			t.err = t.progress(e, s)
		}
	case StageMetric:
		if s != nil {
			t.err = t.scalars(e, s, int64(s.final), "metrics/", e.Values)
		}
	case StageFinished, StageFailed:
		t.err = t.end(e.Stage)
	}
}

// progress writes the values of a progress that says that a unit was finished. Between units they are those of a part of one.
func (t *TensorBoard) progress(e Event, s *boardStage) error {
	p := e.Progress
	if !s.begun {
		s.begun, s.last = true, p.Done
		if p.Final {
			s.last-- // so this one counts
		}
		if !s.resumed {
			s.last = min(s.last, 0)
		}
	}
	if p.Done <= s.last && !p.Final || len(p.Values) == 0 {
		return nil
	}
	values := p.Values
	if p.Rate > 0 {
		values = append(append([]Value{}, values...), Value{"steps_per_second", p.Rate})
	}
	if err := t.scalars(e, s, int64(p.Done), "", values); err != nil {
		return err
	}
	s.last, s.final = p.Done, p.Done
	return nil
}

// scalars appends a record with the values to the stage's file.
func (t *TensorBoard) scalars(e Event, s *boardStage, step int64, prefix string, values []Value) error {
	if len(values) == 0 {
		return nil
	}
	if err := t.open(e, s); err != nil {
		return err
	}
	summary := make([]scalar, len(values))
	for i, v := range values {
		summary[i] = scalar{prefix + v.Name, float32(v.Value)}
	}
	if _, err := s.f.Write(record(scalarsEvent(seconds(e.Time), step, summary))); err != nil {
		return fmt.Errorf("writing a TensorBoard event file: %w", err)
	}
	return nil
}

// open makes the stage's file, with its head, unless that is done.
func (t *TensorBoard) open(e Event, s *boardStage) error {
	if s.f != nil {
		return nil
	}
	dir := filepath.Join(t.dir, e.Stage)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("making a folder for TensorBoard: %w", err)
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	// TensorBoard reads the files of a folder in the order of their names, and takes those with "tfevents" in them.
	for i := 0; ; i++ {
		name := fmt.Sprintf("events.out.tfevents.%010d.%s.%d.%d", e.Time.Unix(), host, os.Getpid(), i)
		s.f, err = os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("making a TensorBoard event file: %w", err)
		}
		break
	}
	from := int64(0)
	if s.resumed {
		from = int64(s.last) + 1
	}
	at := seconds(e.Time)
	if _, err := s.f.Write(append(record(versionEvent(at)), record(startEvent(at, from))...)); err != nil {
		return fmt.Errorf("writing a TensorBoard event file: %w", err)
	}
	return nil
}

func (t *TensorBoard) end(stage string) error {
	s := t.stages[stage]
	delete(t.stages, stage)
	if s == nil || s.f == nil {
		return nil
	}
	if err := s.f.Close(); err != nil {
		return fmt.Errorf("closing a TensorBoard event file: %w", err)
	}
	return nil
}

// Close closes the files. It returns the first error that any write gave. Later events are ignored.
func (t *TensorBoard) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for stage := range t.stages {
		if err := t.end(stage); t.err == nil {
			t.err = err
		}
	}
	return t.err
}

// seconds is a time as the files have it.
func seconds(at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	whole := at.Unix()
	return float64(whole) + math.Round(float64(at.Nanosecond())/1e3)/1e6
}
