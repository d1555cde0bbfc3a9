package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
)

// printJSON writes a value as indented JSON.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("writing the output: %w", err)
	}
	return nil
}

// jsonResult is what run --json prints.
type jsonResult struct {
	Run     string              `json:"run"`
	Status  pipeline.Status     `json:"status"`
	Seconds float64             `json:"seconds"`
	Dir     string              `json:"dir,omitempty"`
	Stages  []jsonStage         `json:"stages"`
	Outputs map[string]string   `json:"outputs"` // STAGE.OUTPUT -> path
	Metrics map[string]*float64 `json:"metrics"` // name -> number, null when it is not finite
	Error   string              `json:"error,omitempty"`
}

type jsonStage struct {
	ID      string              `json:"id"`
	Kind    string              `json:"kind"`
	Status  pipeline.Status     `json:"status"`
	Seconds float64             `json:"seconds"`
	Cached  bool                `json:"cached"`
	Reason  string              `json:"reason,omitempty"`
	Metrics map[string]*float64 `json:"metrics"`
}

// resultJSON converts a result; r is nil when the run did not begin.
func resultJSON(document string, r *pipeline.Result, err error) jsonResult {
	out := jsonResult{Run: document, Status: pipeline.StatusFailed, Stages: []jsonStage{}, Outputs: map[string]string{}, Metrics: map[string]*float64{}}
	if err != nil {
		out.Error = err.Error()
	}
	if r == nil {
		return out
	}
	out.Run, out.Status, out.Seconds, out.Dir, out.Outputs = r.Run, r.Status, round(r.Seconds), r.Dir, r.Outputs()
	for name, v := range r.Metrics() {
		out.Metrics[name] = finite(v)
	}
	for _, s := range r.Stages {
		js := jsonStage{ID: s.ID, Kind: s.Kind, Status: s.Status, Seconds: round(s.Seconds), Cached: s.Cached, Reason: s.Reason, Metrics: metricsJSON(s.Metrics)}
		out.Stages = append(out.Stages, js)
	}
	return out
}

func metricsJSON(metrics []event.Value) map[string]*float64 {
	out := map[string]*float64{}
	for _, m := range metrics {
		out[m.Name] = finite(m.Value)
	}
	return out
}

func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// round keeps milliseconds.
func round(seconds float64) float64 { return math.Round(seconds*1000) / 1000 }
