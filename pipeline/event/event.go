// Package event is what a running pipeline says: typed events, and the sinks that listen to them.
//
// The engine and the stages only emit; terminals, files and pages are listeners. An event is one flat
// value, so a sink that writes JSON lines needs no knowledge of the stages. What such lines look like is
// written down in events.md, and as a JSON Schema in events.schema.json ([Schema]).
package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Type says what an event reports.
type Type string

// The event types. Fields that a type does not name are empty.
const (
	RunStarted    Type = "run_started"    // Run, Message: the document's name
	StageStarted  Type = "stage_started"  // Stage, Kind, Message: why it runs
	StageReused   Type = "stage_reused"   // Stage, Kind, Message: why nothing had to run
	StageResumed  Type = "stage_resumed"  // Stage, Kind, Message: what was found to continue from
	StageProgress Type = "stage_progress" // Stage, Progress
	StageLog      Type = "stage_log"      // Stage, Level, Message
	StageMetric   Type = "stage_metric"   // Stage, Values: one final number or more
	StageSummary  Type = "stage_summary"  // Stage, Message: lines for the end of the run
	StageFinished Type = "stage_finished" // Stage, Kind, Seconds
	StageFailed   Type = "stage_failed"   // Stage, Kind, Seconds, Message: the error
	RunFinished   Type = "run_finished"   // Run, Seconds, Message: the status
)

// Value is a named number. Events keep values in the order in which they were given.
type Value struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

// MarshalJSON writes the value as a number, or as the text "NaN", "Infinity" or "-Infinity": a loss that has run away is
// news that must not be lost on the way.
func (v Value) MarshalJSON() ([]byte, error) {
	out := struct {
		Name  string `json:"name"`
		Value any    `json:"value"`
	}{v.Name, v.Value}
	switch {
	case math.IsNaN(v.Value):
		out.Value = "NaN"
	case math.IsInf(v.Value, 1):
		out.Value = "Infinity"
	case math.IsInf(v.Value, -1):
		out.Value = "-Infinity"
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (v *Value) UnmarshalJSON(data []byte) error {
	if v.unmarshalPlain(data) {
		return nil
	}
	var in struct {
		Name  string          `json:"name"`
		Value json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	v.Name = in.Name
	if len(in.Value) == 0 || in.Value[0] != '"' {
		return json.Unmarshal(in.Value, &v.Value)
	}
	switch text := string(in.Value); text {
	case `"NaN"`:
		v.Value = math.NaN()
	case `"Infinity"`:
		v.Value = math.Inf(1)
	case `"-Infinity"`:
		v.Value = math.Inf(-1)
	default:
		return fmt.Errorf("value %s: %s is no number", in.Name, text)
	}
	return nil
}

// unmarshalPlain reads a value in the very form that MarshalJSON gives a number whose name needs no escapes: files have millions of these.
func (v *Value) unmarshalPlain(data []byte) bool {
	rest, ok := bytes.CutPrefix(data, []byte(`{"name":"`))
	if !ok {
		return false
	}
	name, rest, ok := bytes.Cut(rest, []byte(`","value":`))
	if !ok || len(rest) < 2 || rest[len(rest)-1] != '}' || bytes.ContainsAny(name, "\"\\") {
		return false
	}
	for _, c := range rest[:len(rest)-1] { // ParseFloat reads more than JSON has
		if c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E' && (c < '0' || c > '9') {
			return false
		}
	}
	x, err := strconv.ParseFloat(string(rest[:len(rest)-1]), 64)
	if err != nil {
		return false
	}
	v.Name, v.Value = string(name), x
	return true
}

// Progress is how far a long piece of work has come.
type Progress struct {
	Phase  string  `json:"phase,omitempty"`  // what is being done: "warm-up", "search", "train"
	Done   int     `json:"done"`             // finished units
	Total  int     `json:"total"`            // all units; 0 when unknown
	Unit   string  `json:"unit"`             // name of a unit in the singular: "epoch", "architecture"
	Rate   float64 `json:"rate,omitempty"`   // steps per second while working; 0 when not measured
	Final  bool    `json:"final,omitempty"`  // true when a unit has just been completed; sinks that print lines print these
	Values []Value `json:"values,omitempty"` // loss, accuracy and the like
	Note   string  `json:"note,omitempty"`   // a short text, such as the current architecture
	// Remaining is the estimated time left, in seconds; negative when unknown.
	Remaining float64 `json:"remaining,omitempty"`
	Tables    []Table `json:"tables,omitempty"` // numbers that only make sense together, such as edge probabilities
}

// Table is a named table of finite numbers.
type Table struct {
	Name    string      `json:"name"`
	Rows    []string    `json:"rows"`
	Columns []string    `json:"columns"`
	Values  [][]float64 `json:"values"` // row x column
}

// Event is one thing that happened.
type Event struct {
	Time     time.Time `json:"time"`
	Type     Type      `json:"type"`
	Run      string    `json:"run,omitempty"`
	Stage    string    `json:"stage,omitempty"`
	Kind     string    `json:"kind,omitempty"`
	Level    string    `json:"level,omitempty"`
	Message  string    `json:"message,omitempty"`
	Seconds  float64   `json:"seconds,omitempty"`
	Progress *Progress `json:"progress,omitempty"`
	Values   []Value   `json:"values,omitempty"`
}

// Sink listens to events. Emit must not block for long and may be called from several goroutines at once.
type Sink interface {
	Emit(Event)
}

// Func makes a Sink of a function.
type Func func(Event)

// Emit calls f.
func (f Func) Emit(e Event) { f(e) }

// Discard drops every event.
var Discard Sink = Func(func(Event) {})

// Tee hands every event to each of the sinks in turn.
func Tee(sinks ...Sink) Sink {
	return Func(func(e Event) {
		for _, s := range sinks {
			s.Emit(e)
		}
	})
}
