package history

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"time"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/store"
)

// StatusKilled is the status of a run that has not ended, though its process is gone.
const StatusKilled pipeline.Status = "killed"

// Run is what is known of a run.
type Run struct {
	ID        string          `json:"id"` // 12 hexadecimal digits
	Name      string          `json:"run"`
	Status    pipeline.Status `json:"status"`
	Error     string          `json:"error,omitempty"`
	Seed      uint64          `json:"seed,string"`
	File      string          `json:"file"`
	Document  string          `json:"document"` // its text, overrides applied
	Overrides []string        `json:"overrides"`
	Version   string          `json:"version"` // of plateau
	Started   time.Time       `json:"started"` // UTC
	Seconds   float64         `json:"seconds"`
	Dir       string          `json:"dir"`   // where the run directory was seen last; it may be gone
	Store     string          `json:"store"` // folder
	Stages    []Stage         `json:"stages"`
}

// Stage is what is known of a stage of a run.
type Stage struct {
	ID       string          `json:"id"`
	Kind     string          `json:"kind"`
	Version  int             `json:"version"`
	Status   pipeline.Status `json:"status"`
	Cached   bool            `json:"cached"`
	Seconds  float64         `json:"seconds"`
	Planned  pipeline.Action `json:"planned"`
	Reason   string          `json:"reason,omitempty"`
	Key      string          `json:"key,omitempty"`
	Seed     uint64          `json:"seed,string"`
	Settings []Setting       `json:"settings"` // by name
	Metrics  []event.Value   `json:"metrics"`
	Outputs  []store.Output  `json:"artifacts"`
	Summary  string          `json:"summary,omitempty"`
}

// Setting is a leaf of a stage's settings.
type Setting struct {
	Name  string          `json:"name"`  // dotted, as --set takes it: "neighborhood.radius", "grid[0]"
	Value json.RawMessage `json:"value"` // without white space
}

// Read returns the last run of a run directory, from its run.json alone.
func Read(dir string) (*Run, error) {
	f, err := pipeline.ReadRunFile(filepath.Join(dir, "run.json"))
	if err != nil {
		return nil, err
	}
	return FromFile(dir, f)
}

// FromFile returns the run that a run file of the run directory dir describes.
func FromFile(dir string, f *pipeline.RunFile) (*Run, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("finding the run directory %s: %w", dir, err)
	}
	r := &Run{
		ID: identify(f), Name: f.Run, Status: f.Status, Error: f.Error, Seed: f.Seed, File: f.File, Document: f.Document,
		Overrides: append([]string{}, f.Overrides...), Version: f.Version, Started: f.Started.UTC(), Seconds: f.Seconds, Dir: abs, Store: f.Store,
		Stages: []Stage{},
	}
	for _, s := range f.Stages {
		settings, err := flatten(s.Settings)
		if err != nil {
			return nil, fmt.Errorf("reading the settings of stage %s of the run in %s: %w", s.ID, dir, err)
		}
		r.Stages = append(r.Stages, Stage{
			ID: s.ID, Kind: s.Kind, Version: s.Version, Status: s.Status, Cached: s.Cached, Seconds: s.Seconds, Planned: s.Planned,
			Reason: s.Reason, Key: s.Key, Seed: s.Seed, Settings: settings, Metrics: append([]event.Value{}, s.Metrics...),
			Outputs: append([]store.Output{}, s.Outputs...), Summary: s.Summary,
		})
	}
	return r, nil
}

// identify makes the id of a run.
func identify(f *pipeline.RunFile) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%d\n%s", f.Started.UTC().Format(time.RFC3339Nano), f.Run, f.Seed, f.Document)
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// Settle says what has become of a run that its file calls running: it is killed when its process is gone.
func (r *Run) Settle() {
	if r.Status == pipeline.StatusRunning && !pipeline.Running(r.Dir) {
		r.Status = StatusKilled
	}
}

// Gone says whether the run directory is not where it was.
func (r *Run) Gone() bool {
	_, err := os.Stat(filepath.Join(r.Dir, "run.json"))
	return err != nil
}

// Metrics returns every metric by name. Of a name that several stages use, the last stage's value counts.
func (r *Run) Metrics() map[string]float64 {
	out := map[string]float64{}
	for _, s := range r.Stages {
		for _, m := range s.Metrics {
			out[m.Name] = m.Value
		}
	}
	return out
}

// flatten lists the leaves of a JSON object. Numbers keep the digits in which they were written.
func flatten(text json.RawMessage) ([]Setting, error) {
	out := []Setting{}
	if len(text) == 0 {
		return out, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if err := leaves("", v, &out); err != nil {
		return nil, err
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, nil
}

// leaves adds those of v. Lists of plain values are one leaf: nobody compares them element by element.
func leaves(name string, v any, out *[]Setting) error {
	switch v := v.(type) {
	case map[string]any:
		for key, part := range v {
			full := key
			if name != "" {
				full = name + "." + key
			}
			if err := leaves(full, part, out); err != nil {
				return err
			}
		}
		return nil
	case []any:
		if hasObject(v) {
			for i, part := range v {
				if err := leaves(name+"["+strconv.Itoa(i)+"]", part, out); err != nil {
					return err
				}
			}
			return nil
		}
	}
	value, err := json.Marshal(v)
	if err != nil {
		return err
	}
	*out = append(*out, Setting{Name: name, Value: value})
	return nil
}

func hasObject(list []any) bool {
	for _, v := range list {
		if _, ok := v.(map[string]any); ok {
			return true
		}
	}
	return false
}
