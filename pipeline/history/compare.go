package history

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
)

// Row is a setting or a metric of several runs, side by side.
type Row[T any] struct {
	Stage   string `json:"stage"` // empty for what belongs to the run itself
	Name    string `json:"name"`
	Values  []*T   `json:"values"` // one for each run; nil where it has none
	Differs bool   `json:"differs"`
}

// Comparison is runs side by side. Rows that differ come first; otherwise they are in the order of the first run that has them.
type Comparison struct {
	Runs     []*Run
	Settings []Row[json.RawMessage]
	Metrics  []Row[float64]
}

// Compare puts runs side by side. Beside the settings of stages are those of the run that can change results: the seed,
// the version of plateau, and the kind, version and seed of each stage where they differ.
func Compare(runs []*Run) *Comparison {
	settings, metrics := newRows[json.RawMessage](len(runs)), newRows[float64](len(runs))
	for i, r := range runs {
		settings.set(i, "", "seed", json.RawMessage(strconv.FormatUint(r.Seed, 10)))
		settings.set(i, "", "version", quoted(r.Version))
		for _, s := range r.Stages {
			settings.set(i, s.ID, "kind", quoted(s.Kind))
			settings.set(i, s.ID, "kind version", json.RawMessage(strconv.Itoa(s.Version)))
			settings.set(i, s.ID, "stage seed", json.RawMessage(strconv.FormatUint(s.Seed, 10)))
			for _, v := range s.Settings {
				settings.set(i, s.ID, v.Name, v.Value)
			}
			for _, m := range s.Metrics {
				metrics.set(i, s.ID, m.Name, m.Value)
			}
		}
	}
	c := &Comparison{Runs: runs}
	c.Settings = settings.sorted(func(a, b json.RawMessage) bool { return string(a) == string(b) })
	c.Metrics = metrics.sorted(func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) })
	c.Settings = slices.DeleteFunc(c.Settings, func(r Row[json.RawMessage]) bool {
		return !r.Differs && (r.Name == "kind" || r.Name == "kind version" || r.Name == "stage seed")
	})
	// A stage's seed is derived from the run's: where that differs all of them do, which is no news.
	seeds := slices.ContainsFunc(c.Settings, func(r Row[json.RawMessage]) bool { return r.Stage == "" && r.Name == "seed" && r.Differs })
	c.Settings = slices.DeleteFunc(c.Settings, func(r Row[json.RawMessage]) bool { return seeds && r.Name == "stage seed" })
	return c
}

func quoted(text string) json.RawMessage {
	out, err := json.Marshal(text)
	if err != nil {
		return json.RawMessage(`""`) // a text always marshals
	}
	return out
}

// rows gathers values by stage and name.
type rows[T any] struct {
	runs  int
	list  []Row[T]
	index map[[2]string]int
}

func newRows[T any](runs int) *rows[T] { return &rows[T]{runs: runs, index: map[[2]string]int{}} }

func (r *rows[T]) set(run int, stage, name string, value T) {
	key := [2]string{stage, name}
	i, ok := r.index[key]
	if !ok {
		i = len(r.list)
		r.index[key] = i
		r.list = append(r.list, Row[T]{Stage: stage, Name: name, Values: make([]*T, r.runs)})
	}
	r.list[i].Values[run] = &value
}

// sorted marks the rows that differ and puts them first.
func (r *rows[T]) sorted(equal func(a, b T) bool) []Row[T] {
	out := make([]Row[T], 0, len(r.list))
	for _, row := range r.list {
		for _, v := range row.Values[1:] {
			first := row.Values[0]
			if (v == nil) != (first == nil) || v != nil && !equal(*v, *first) {
				row.Differs = true
			}
		}
		out = append(out, row)
	}
	slices.SortStableFunc(out, func(a, b Row[T]) int {
		switch {
		case a.Differs == b.Differs:
			return 0
		case a.Differs:
			return -1
		}
		return 1
	})
	return out
}
