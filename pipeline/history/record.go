package history

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/plateau-nas/plateau/pipeline"
)

// Record takes up the runs of a run directory: the last one as it stands now, and earlier ones that are not known yet.
func (h *History) Record(ctx context.Context, dir string) error {
	abs, err := filepath.Abs(dir)
	if err == nil {
		err = h.record(ctx, abs)
	}
	if err != nil {
		return fmt.Errorf("writing the run in %s into the history %s: %w", dir, h.path, err)
	}
	return nil
}

// Sync takes up every run of the run directories that the store knows and that has changed since it was read. Directories that
// are gone, and run files that cannot be read, are passed over.
func (h *History) Sync(ctx context.Context) error {
	runs, err := h.store.Runs()
	if err != nil {
		return fmt.Errorf("bringing the run history %s up to date: %w", h.path, err)
	}
	for _, r := range runs {
		if err := h.record(ctx, r.Dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("bringing the run history %s up to date with %s: %w", h.path, r.Dir, err)
		}
	}
	return nil
}

// source is a run file as it was when it was read.
type source struct {
	path     string
	size     int64
	modified int64 // nanoseconds
}

func (h *History) record(ctx context.Context, dir string) error {
	files, err := pipeline.RunFiles(dir)
	if err != nil {
		return err
	}
	for i, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		src := source{path, info.Size(), info.ModTime().UnixNano()}
		known, err := h.knows(ctx, src)
		if err != nil {
			return err
		}
		if known {
			continue
		}
		var run *Run
		f, err := pipeline.ReadRunFile(path)
		if err == nil {
			run, err = FromFile(dir, f)
		}
		if err != nil {
			h.note(err.Error())
			continue
		}
		if i < len(files)-1 && run.Status == pipeline.StatusRunning {
			run.Status = StatusKilled // a later one could only begin when its process was gone
		}
		if err := h.put(ctx, run, src); err != nil {
			return err
		}
	}
	return nil
}

func (h *History) knows(ctx context.Context, s source) (bool, error) {
	var n int
	err := h.db.QueryRowContext(ctx, "SELECT count(*) FROM sources WHERE path = ? AND size = ? AND modified = ?", s.path, s.size, s.modified).Scan(&n)
	return n > 0, err
}

// put writes a run in place of what was known of it.
func (h *History) put(ctx context.Context, r *Run, src source) error {
	overrides, err := json.Marshal(r.Overrides)
	if err != nil {
		return err
	}
	return h.change(ctx, func(tx *sql.Tx) error {
		w := &writer{ctx: ctx, tx: tx}
		w.exec("DELETE FROM runs WHERE id = ?", r.ID)
		w.insert("runs", r.ID, r.Name, string(r.Status), r.Error, number(r.Seed), r.File, r.Document, string(overrides), r.Version,
			r.Started.Format(timeFormat), r.Seconds, r.Dir, r.Store)
		for i, s := range r.Stages {
			w.insert("stages", r.ID, i, s.ID, s.Kind, s.Version, string(s.Status), s.Cached, s.Seconds, string(s.Planned), s.Reason, s.Key, number(s.Seed), s.Summary)
			for _, v := range s.Settings {
				w.insert("settings", r.ID, s.ID, v.Name, string(v.Value))
			}
			for j, m := range s.Metrics {
				w.insert("metrics", r.ID, s.ID, j, m.Name, cell(m.Value))
			}
			for j, o := range s.Outputs {
				w.insert("artifacts", r.ID, s.ID, j, o.Name, o.Type, o.File, o.Digest, o.Size)
			}
		}
		w.insert("sources", src.path, src.size, src.modified)
		return w.close()
	})
}

// timeFormat sorts as text: RFC 3339 with all nine digits.
const timeFormat = "2006-01-02T15:04:05.000000000Z07:00"

func parseTime(text string) (time.Time, error) { return time.Parse(timeFormat, text) }

// number writes what does not fit into SQLite's signed integers.
func number(v uint64) string { return strconv.FormatUint(v, 10) }

// cell is how a number lies in the database, which has no NaN.
func cell(v float64) any {
	switch {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 1):
		return "Infinity"
	case math.IsInf(v, -1):
		return "-Infinity"
	}
	return v
}

// fromCell is the inverse of cell.
func fromCell(v any) (float64, error) {
	switch v := v.(type) {
	case float64:
		return v, nil
	case int64:
		return float64(v), nil
	case string:
		return strconv.ParseFloat(v, 64)
	}
	return 0, fmt.Errorf("%v is no number", v)
}

// writer runs statements until one fails. Those that insert are prepared once.
type writer struct {
	ctx      context.Context
	tx       *sql.Tx
	prepared map[string]*sql.Stmt
	err      error
}

func (w *writer) exec(query string, args ...any) {
	if w.err == nil {
		_, w.err = w.tx.ExecContext(w.ctx, query, args...)
	}
}

func (w *writer) insert(table string, values ...any) {
	if w.err != nil {
		return
	}
	s := w.prepared[table]
	if s == nil {
		query := "INSERT OR REPLACE INTO " + table + " VALUES (?" + strings.Repeat(", ?", len(values)-1) + ")"
		if s, w.err = w.tx.PrepareContext(w.ctx, query); w.err != nil {
			return
		}
		if w.prepared == nil {
			w.prepared = map[string]*sql.Stmt{}
		}
		w.prepared[table] = s
	}
	_, w.err = s.ExecContext(w.ctx, values...)
}

func (w *writer) close() error {
	for _, s := range w.prepared {
		w.err = errors.Join(w.err, s.Close())
	}
	return w.err
}
