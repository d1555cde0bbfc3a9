package pipeline

import (
	"fmt"

	"github.com/plateau-nas/plateau/pipeline/event"
)

// Status is how a run or a stage ended.
type Status string

// The statuses.
const (
	StatusDone        Status = "done"
	StatusFailed      Status = "failed"
	StatusInterrupted Status = "interrupted"
	StatusNotRun      Status = "not_run" // of a stage: the run ended before it
	StatusRunning     Status = "running" // of a run.json whose run has not ended, or was killed
)

// Result is what a run came to. It is complete also when Run returns an error.
type Result struct {
	Run     string // the document's name
	Dir     string // the run directory
	Status  Status
	Seconds float64
	Stages  []*StageResult // in the order of the plan
}

// StageResult is what became of a stage.
type StageResult struct {
	ID      string
	Kind    string
	Status  Status
	Cached  bool    // the stored result was taken
	Seconds float64 // in this run
	Key     string
	Reason  string // why it ran, or did not need to
	Outputs []OutputFile
	Metrics []event.Value
	Summary string
}

// OutputFile is an output in the run directory.
type OutputFile struct {
	Name   string
	Type   Type
	Path   string // in the run directory
	Digest string
	Size   int64 // bytes
}

// Outputs returns the path of every output by STAGE.OUTPUT.
func (r *Result) Outputs() map[string]string {
	out := map[string]string{}
	for _, s := range r.Stages {
		for _, o := range s.Outputs {
			out[s.ID+"."+o.Name] = o.Path
		}
	}
	return out
}

// Metrics returns every metric by name. Of a name that several stages use, the last stage's value counts.
func (r *Result) Metrics() map[string]float64 {
	out := map[string]float64{}
	for _, s := range r.Stages {
		for _, m := range s.Metrics {
			out[m.Name] = m.Value
		}
	}
	return out
}

// StageError is the error of a stage.
type StageError struct {
	Stage string // id
	Kind  string
	Log   string // file with the details; may be empty
	Err   error
}

// Error implements error.
func (e *StageError) Error() string {
	name := e.Stage
	if e.Kind != e.Stage {
		name += " (" + e.Kind + ")"
	}
	return fmt.Sprintf("stage %s: %v", name, e.Err)
}

// Unwrap returns the cause.
func (e *StageError) Unwrap() error { return e.Err }
