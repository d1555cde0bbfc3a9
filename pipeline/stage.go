package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/store"
)

// Type names what an artifact holds: "dataset", "supernet", "weights". A port accepts artifacts of its own
// type only.
type Type string

// Port is an input of a stage kind.
type Port struct {
	Name     string // the key under "inputs" in a document
	Type     Type
	Optional bool   // when true the stage also runs without it
	Explicit bool   // it is connected only where a document names it, never because an output fits
	Many     bool   // it takes one artifact or more; a document may give a list, and a stage that stands for many gives all
	Doc      string // one sentence for help and schema
}

// Output is a file that a stage kind always writes.
type Output struct {
	Name string // "architecture"; a document names it as STAGE.NAME
	Type Type
	File string // the name under the stage's folder in the run directory: "architecture.json"
	Doc  string
}

// Kind declares a stage kind. Kinds are values that are handed to the engine in a Registry; nothing
// registers itself.
type Kind struct {
	Name string
	// Version is part of a stage's key. Raise it when equal settings and inputs no longer give equal bytes.
	Version int
	Doc     string
	Inputs  []Port
	Outputs []Output
	// Resources are what a stage of the kind takes of the machine, unless a document says otherwise. The zero value is all of
	// it.
	Resources Resources
	// New returns a pointer to a struct that holds the settings with their defaults, and that runs them.
	// The struct's fields carry `yaml:"name"` and `doc:"sentence"` tags; the document's "settings" are decoded
	// into it strictly. `enum:"a,b"` lists the names that a text setting takes. `key:"-"` marks a setting that cannot
	// change results, such as a number of workers; it stays out of the stage's key. `file:"true"` marks a text setting that names a
	// file or folder: in a document a relative path is relative to the document, in an override to the working directory, and the
	// stage gets what it can open. New must have no side effects.
	New func() Stage
}

// Stage is one stage of a document, its settings decoded.
type Stage interface {
	// Run does the work: it reads job's inputs and writes every declared output to job.Output(name). When
	// ctx is cancelled it leaves a checkpoint in job.Scratch and returns ctx's error soon.
	Run(ctx context.Context, job *Job) error
}

// OutputChooser is implemented by stages that write some outputs of their kind with certain settings only. Writes tells whether the stage
// writes the named output. What it does not write is no output of the stage: nothing can be connected to it.
type OutputChooser interface {
	Writes(output string) bool
}

// Validator is implemented by stages whose settings need more checks than their types. Errors that name a
// setting should be, or wrap, a *SettingError, so that the engine can point at the line.
type Validator interface {
	Validate() error
}

// InputsValidator is implemented by stages whose settings must fit the stages that their inputs come from, such as a radius and
// a search space. ValidateInputs is called after Validate, once the document has no other mistake and before anything runs. from has,
// by port, the stages whose outputs are read there, in order, each with its settings; they are to be looked at, not run. A port to
// which nothing is connected is missing. Errors are reported as those of Validate.
type InputsValidator interface {
	ValidateInputs(from map[string][]Stage) error
}

// Fingerprinter is implemented by stages whose result depends on something outside the document and their inputs: files
// that a setting names, a tool's version. The facts become part of the stage's key, and a change of one is given as the
// reason why the stage runs again. Fingerprint is called while a run is planned, after Validate; an error that is or
// wraps a *SettingError is reported as a mistake in that setting.
type Fingerprinter interface {
	Fingerprint(ctx context.Context) (map[string]string, error)
}

// Inspector is implemented by stages that read files which may turn out to be wrong. Inspect looks at them as the stage will, as far as that
// takes little time, and changes nothing. It is called after Validate, by Document.Inspect; an error that is or wraps a *SettingError is
// reported as a mistake in that setting.
type Inspector interface {
	Inspect(ctx context.Context) error
}

// SettingError is a mistake in one setting.
type SettingError struct {
	Path string // the setting as in the document, such as "neighborhood.aggregate"
	Err  error
	// Known lists the values that the setting takes, when these are names; the report then suggests the nearest.
	Known []string
}

// UnknownValue returns the error for a setting that must be one of a few names and is not.
func UnknownValue(path, value string, known []string) *SettingError {
	return &SettingError{Path: path, Err: fmt.Errorf("unknown value %q", value), Known: known}
}

// Error implements error.
func (e *SettingError) Error() string { return fmt.Sprintf("%s: %v", e.Path, e.Err) }

// Unwrap returns the cause.
func (e *SettingError) Unwrap() error { return e.Err }

// Artifact is a file that a stage wrote, verified to hold the bytes that its digest names.
type Artifact struct {
	Type   Type
	Path   string
	Digest string // "sha256:" and 64 hex digits
	Stage  string // id of the stage that wrote it: "search", or "search@1-plain" for a variant
	Kind   string // kind of that stage
	Labels []Label
}

// Work says what a finished stage took.
type Work struct {
	Stage   string // its id
	Kind    string
	Seconds float64 // of the attempt that finished; differs from run to run
	Metrics []event.Value
}

// Label says what a variant of a stage has on one axis of the document's matrix.
type Label = store.Label

// Job is what a running stage is given.
type Job struct {
	ID   string
	Seed uint64 // derived from the document's seed, or the stage's own, and the id that the document gives the stage
	// Scratch is a folder of this stage's own for checkpoints. It outlives a killed run and is the same
	// when the stage with the same key runs again; it is removed once the stage has finished.
	Scratch string
	Log     *slog.Logger

	events  event.Sink
	inputs  map[string]Artifact
	lists   map[string][]Artifact
	outputs map[string]string
	lineage func(stage string) []Work

	mu      sync.Mutex // stages may report from several goroutines
	metrics []event.Value
	summary string
}

// JobConfig is what NewJob needs. The engine fills it from a plan; tests of stages fill it by hand.
type JobConfig struct {
	ID      string
	Seed    uint64
	Scratch string
	Log     *slog.Logger        // nil discards
	Events  event.Sink          // nil discards
	Inputs  map[string]Artifact // by port name
	// Lists are the inputs of ports that take many artifacts. Those ports need not be in Inputs.
	Lists   map[string][]Artifact
	Outputs map[string]string // output name -> path to write
	// Lineage gives what Job.Lineage does; nil when nothing is known.
	Lineage func(stage string) []Work
}

// NewJob returns a job.
func NewJob(c JobConfig) *Job {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Events == nil {
		c.Events = event.Discard
	}
	j := &Job{ID: c.ID, Seed: c.Seed, Scratch: c.Scratch, Log: c.Log, events: c.Events, inputs: c.Inputs, lists: c.Lists, outputs: c.Outputs, lineage: c.Lineage}
	for port, list := range c.Lists {
		if _, ok := j.inputs[port]; !ok && len(list) > 0 {
			j.inputs = maps.Clone(j.inputs)
			if j.inputs == nil {
				j.inputs = map[string]Artifact{}
			}
			j.inputs[port] = list[0]
		}
	}
	return j
}

// Input returns the artifact on a port, and whether there is one (an optional port may be empty). Of a port that takes many
// it is the first.
func (j *Job) Input(port string) (Artifact, bool) {
	a, ok := j.inputs[port]
	return a, ok
}

// List returns the artifacts on a port, in the order in which the document gives them: variants of a stage in that of
// its matrix, the last axis fastest. It is empty for an optional port that is not connected.
func (j *Job) List(port string) []Artifact {
	if list, ok := j.lists[port]; ok {
		return list
	}
	if a, ok := j.inputs[port]; ok {
		return []Artifact{a}
	}
	return nil
}

// Inputs returns every connected port with its artifact, the first where there are many. The map must not be changed.
func (j *Job) Inputs() map[string]Artifact { return j.inputs }

// Lineage returns what the stage that wrote an input took, and what all those took that it reads from, directly or through
// others: each once, a stage before those that read from it. It is empty when nothing is known of them.
func (j *Job) Lineage(a Artifact) []Work {
	if j.lineage == nil {
		return nil
	}
	return j.lineage(a.Stage)
}

// Output returns the path to which the named output must be written. The file becomes visible in the run
// directory only after the stage has returned without error.
func (j *Job) Output(name string) string {
	p, ok := j.outputs[name]
	if !ok {
		// A kind that asks for an output that it did not declare gets a path where nothing collects the file;
		// the engine then reports the declared one as missing.
		return filepath.Join(j.Scratch, "undeclared-output-"+name)
	}
	return p
}

// Progress reports how far the stage has come. It is cheap; call it as often as there is news.
func (j *Job) Progress(p event.Progress) {
	if math.IsNaN(p.Rate) || math.IsInf(p.Rate, 0) { // a rate over no time at all
		p.Rate = 0
	}
	if math.IsNaN(p.Remaining) || math.IsInf(p.Remaining, 0) {
		p.Remaining = -1
	}
	j.emit(event.Event{Type: event.StageProgress, Progress: &p})
}

// Info reports something that a person who watches should know, in one line.
func (j *Job) Info(format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	j.Log.Info(msg)
	j.emit(event.Event{Type: event.StageLog, Level: "info", Message: msg})
}

// Warn reports something that a person who watches should act on or know before trusting the result.
func (j *Job) Warn(format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	j.Log.Warn(msg)
	j.emit(event.Event{Type: event.StageLog, Level: "warn", Message: msg})
}

// Metric records a number of the stage's result under its public name (test_top1, own_score). It is kept with
// the stage's record, so it is known again when the stage is reused. Recording a name again replaces its value.
func (j *Job) Metric(name string, value float64) {
	j.mu.Lock()
	i := slices.IndexFunc(j.metrics, func(v event.Value) bool { return v.Name == name })
	if i >= 0 {
		j.metrics[i].Value = value
	} else {
		j.metrics = append(j.metrics, event.Value{Name: name, Value: value})
	}
	j.mu.Unlock()
	j.emit(event.Event{Type: event.StageMetric, Values: []event.Value{{Name: name, Value: value}}})
}

// Summary sets the lines that are shown for this stage at the end of a run.
func (j *Job) Summary(text string) {
	j.mu.Lock()
	j.summary = text
	j.mu.Unlock()
	j.emit(event.Event{Type: event.StageSummary, Message: text})
}

// Metrics returns what Metric has recorded so far, in order.
func (j *Job) Metrics() []event.Value {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.metrics)
}

// SummaryText returns what Summary has set.
func (j *Job) SummaryText() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.summary
}

func (j *Job) emit(e event.Event) {
	e.Time, e.Stage = time.Now(), j.ID
	j.events.Emit(e)
}
