package pipeline

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/internal/fsx"
	"github.com/plateau-nas/plateau/pipeline/store"
)

// runFileEvery bounds how often run.json is written while stages only pass by, so that a run of a thousand reused
// stages does not write a thousand versions of it.
const runFileEvery = 500 * time.Millisecond

// RunFile is the content of run.json: the frozen plan, and what became of it so far. A run directory that was copied elsewhere is
// understood from it alone.
type RunFile struct {
	Format    int        `json:"format"` // 1
	Run       string     `json:"run"`
	Status    Status     `json:"status"` // "running" also after kill -9
	Error     string     `json:"error,omitempty"`
	Seed      uint64     `json:"seed,string"`
	File      string     `json:"file"`      // the document's file or shipped name
	Document  string     `json:"document"`  // its text, overrides applied
	Overrides []string   `json:"overrides"` // as given
	Forced    bool       `json:"forced,omitempty"`
	Version   string     `json:"version"` // of plateau
	Started   time.Time  `json:"started"` // UTC
	Seconds   float64    `json:"seconds"`
	Stages    []RunStage `json:"stages"`
	LeftOut   []LeftOut  `json:"left_out,omitempty"` // stages whose condition is false
	Store     string     `json:"store"`              // folder
}

// RunStage is a stage in run.json.
type RunStage struct {
	ID       string          `json:"id"`
	Template string          `json:"template,omitempty"` // of a variant, the id that the document gives its stage
	Labels   []Label         `json:"labels,omitempty"`   // of a variant, its value on each axis of the matrix
	Kind     string          `json:"kind"`
	Version  int             `json:"version"`
	Status   Status          `json:"status"`
	Cached   bool            `json:"cached"`
	Seconds  float64         `json:"seconds"`
	Planned  Action          `json:"planned"`          // what the plan foresaw
	Reason   string          `json:"reason,omitempty"` // why it ran, or did not
	Key      string          `json:"key,omitempty"`
	Seed     uint64          `json:"seed,string"`
	Settings json.RawMessage `json:"settings"` // every one, defaults included
	Inputs   []RunInput      `json:"inputs"`
	Outputs  []store.Output  `json:"outputs"` // File lies in the folder of the stage's id
	Metrics  []event.Value   `json:"metrics"`
	Summary  string          `json:"summary,omitempty"`
}

// RunInput is an input of a stage in run.json.
type RunInput struct {
	Port   string `json:"port"`
	Type   Type   `json:"type"`
	Source string `json:"source"` // STAGE.OUTPUT
}

// runFile makes the content of run.json.
func (x *execution) runFile() *RunFile {
	f := &RunFile{
		Format: 1, Run: x.plan.Name, Status: x.result.Status, Seed: x.plan.Seed, File: x.plan.File, Document: x.plan.Text,
		Overrides: append([]string{}, x.plan.Overrides...), Forced: x.plan.Forced, Version: x.runner.Version,
		LeftOut: x.plan.LeftOut, Started: x.started.UTC(), Seconds: time.Since(x.started).Seconds(), Store: x.runner.Store.Dir(),
	}
	if x.err != nil {
		f.Error = x.err.Error()
	}
	for i, ps := range x.plan.Stages {
		r := x.result.Stages[i]
		s := RunStage{
			ID: ps.ID, Labels: ps.Labels, Kind: ps.Kind.Name, Version: ps.Kind.Version, Status: r.Status, Cached: r.Cached, Seconds: r.Seconds,
			Planned: ps.Action, Reason: r.Reason, Key: r.Key, Seed: ps.Seed, Settings: ps.Settings, Inputs: []RunInput{}, Outputs: []store.Output{},
			Metrics: append([]event.Value{}, r.Metrics...), Summary: r.Summary,
		}
		if len(ps.Labels) > 0 {
			s.Template = ps.Template
		}
		for _, in := range ps.Inputs {
			s.Inputs = append(s.Inputs, RunInput{Port: in.Port, Type: in.Type, Source: in.Stage + "." + in.Output})
		}
		if rec := x.records[ps.ID]; rec != nil {
			s.Outputs = append(s.Outputs, rec.Outputs...)
		}
		if last, ok := x.dir.last[ps.ID]; ok && ps.Action == ActionSkip { // what is not chosen stays as it is
			s.Key, s.Outputs, s.Metrics, s.Summary = last.Key, append(s.Outputs, last.Outputs...), append(s.Metrics, last.Metrics...), last.Summary
		}
		f.Stages = append(f.Stages, s)
	}
	return f
}

// writeRunFile writes run.json, at most every runFileEvery unless now is set; what it leaves out is written later. The caller
// holds the mutex, unless no stage runs yet.
func (x *execution) writeRunFile(now bool) error {
	if wait := runFileEvery - time.Since(x.runFileAt); !now && wait > 0 {
		if x.runFileIn == nil {
			x.runFileIn = time.AfterFunc(wait, func() {
				x.mu.Lock()
				defer x.mu.Unlock()
				x.runFileIn = nil
				if !x.ended {
					_ = x.writeRunFile(false) // the last one, whose error counts, is still to come
				}
			})
		}
		return nil
	}
	x.runFileAt = time.Now()
	file := x.runFile()
	text, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return fmt.Errorf("writing run.json: %w", err)
	}
	if err := x.runner.Store.PutRun(x.storeRun(file)); err != nil {
		return err
	}
	if err := x.runner.Store.SaveHints(); err != nil {
		return err
	}
	write := fsx.WriteHint
	if now {
		write = fsx.WriteFile
	}
	if err := write(x.dir.tmp(), x.dir.join("run.json"), append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing run.json: %w", err)
	}
	return nil
}

// storeRun is what the store keeps of the run, so that nothing that it names is removed.
func (x *execution) storeRun(f *RunFile) store.Run {
	r := store.Run{Dir: x.dir.path, Document: f.Run, Updated: time.Now().UTC().Truncate(time.Second)}
	for _, s := range f.Stages {
		if s.Key != "" {
			r.Keys = append(r.Keys, s.Key)
		}
	}
	return r
}
