package history

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/store"
)

// Runs returns the runs of documents with the name, all when it is empty, the newest first. Limit is how many at most;
// 0 is all.
func (h *History) Runs(ctx context.Context, name string, limit int) ([]*Run, error) {
	if limit <= 0 {
		limit = -1
	}
	runs, err := h.read(ctx, "WHERE ?1 = '' OR name = ?1 ORDER BY started DESC, id LIMIT ?2", name, limit)
	if err != nil {
		return nil, fmt.Errorf("reading the run history %s: %w", h.path, err)
	}
	return runs, nil
}

// Find returns the runs whose id begins with the text, and those of documents with that name, the newest first.
func (h *History) Find(ctx context.Context, text string) ([]*Run, error) {
	runs, err := h.read(ctx, "WHERE name = ?1 OR substr(id, 1, length(?1)) = ?1 ORDER BY started DESC, id", text)
	if err != nil {
		return nil, fmt.Errorf("looking for run %s in the history %s: %w", text, h.path, err)
	}
	return runs, nil
}

// Names lists the names of the documents of all runs.
func (h *History) Names(ctx context.Context) ([]string, error) {
	var out []string
	err := h.each(ctx, "SELECT DISTINCT name FROM runs ORDER BY name", nil, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		out = append(out, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the run history %s: %w", h.path, err)
	}
	return out, nil
}

// read returns the runs that a condition chooses, complete.
func (h *History) read(ctx context.Context, where string, args ...any) ([]*Run, error) {
	var out []*Run
	query := "SELECT id, name, status, error, seed, file, document, overrides, version, started, seconds, dir, store FROM runs " + where
	err := h.each(ctx, query, args, func(scan func(...any) error) error {
		r := &Run{Stages: []Stage{}}
		var seed, overrides, started string
		if err := scan(&r.ID, &r.Name, &r.Status, &r.Error, &seed, &r.File, &r.Document, &overrides, &r.Version, &started, &r.Seconds, &r.Dir, &r.Store); err != nil {
			return err
		}
		var err error
		if r.Seed, err = strconv.ParseUint(seed, 10, 64); err != nil {
			return err
		}
		if r.Started, err = parseTime(started); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(overrides), &r.Overrides); err != nil {
			return err
		}
		out = append(out, r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, r := range out {
		if err := h.fill(ctx, r); err != nil {
			return nil, err
		}
		r.Settle()
	}
	return out, nil
}

// fill reads the stages of a run and what belongs to them.
func (h *History) fill(ctx context.Context, r *Run) error {
	query := "SELECT id, kind, version, status, cached, seconds, planned, reason, key, seed, summary FROM stages WHERE run = ? ORDER BY position"
	err := h.each(ctx, query, []any{r.ID}, func(scan func(...any) error) error {
		s := Stage{Settings: []Setting{}, Metrics: []event.Value{}, Outputs: []store.Output{}}
		var seed string
		err := scan(&s.ID, &s.Kind, &s.Version, &s.Status, &s.Cached, &s.Seconds, &s.Planned, &s.Reason, &s.Key, &seed, &s.Summary)
		if err == nil {
			s.Seed, err = strconv.ParseUint(seed, 10, 64)
		}
		r.Stages = append(r.Stages, s)
		return err
	})
	if err != nil {
		return err
	}
	stage := func(id string) (*Stage, error) {
		i := slices.IndexFunc(r.Stages, func(s Stage) bool { return s.ID == id })
		if i < 0 {
			return nil, fmt.Errorf("run %s has no stage %s", r.ID, id)
		}
		return &r.Stages[i], nil
	}
	err = h.each(ctx, "SELECT stage, name, value FROM settings WHERE run = ? ORDER BY stage, name", []any{r.ID}, func(scan func(...any) error) error {
		var id, value string
		var v Setting
		if err := scan(&id, &v.Name, &value); err != nil {
			return err
		}
		v.Value = json.RawMessage(value)
		s, err := stage(id)
		if err == nil {
			s.Settings = append(s.Settings, v)
		}
		return err
	})
	if err != nil {
		return err
	}
	err = h.each(ctx, "SELECT stage, name, value FROM metrics WHERE run = ? ORDER BY stage, position", []any{r.ID}, func(scan func(...any) error) error {
		var id string
		var m event.Value
		var value any
		if err := scan(&id, &m.Name, &value); err != nil {
			return err
		}
		s, err := stage(id)
		if err == nil {
			m.Value, err = fromCell(value)
			s.Metrics = append(s.Metrics, m)
		}
		return err
	})
	if err != nil {
		return err
	}
	query = "SELECT stage, name, type, file, digest, size FROM artifacts WHERE run = ? ORDER BY stage, position"
	return h.each(ctx, query, []any{r.ID}, func(scan func(...any) error) error {
		var id string
		var o store.Output
		if err := scan(&id, &o.Name, &o.Type, &o.File, &o.Digest, &o.Size); err != nil {
			return err
		}
		s, err := stage(id)
		if err == nil {
			s.Outputs = append(s.Outputs, o)
		}
		return err
	})
}

// each calls row for each row of a query.
func (h *History) each(ctx context.Context, query string, args []any, row func(scan func(...any) error) error) error {
	rows, err := h.db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // rows.Err tells what is wrong
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
