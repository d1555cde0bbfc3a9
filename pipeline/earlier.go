package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/pipeline/internal/fsx"
)

// earlierRuns is how many run files of earlier runs stay in a run directory.
const earlierRuns = 200

// ReadRunFile reads a file that has the format of run.json.
func ReadRunFile(path string) (*RunFile, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the run file %s: %w", path, err)
	}
	var f RunFile
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, fmt.Errorf("reading the run file %s: it is damaged: %w; run the document again to have it written anew", path, err)
	}
	if f.Format != 1 {
		return nil, fmt.Errorf("reading the run file %s: its format is %d and this version of plateau reads 1", path, f.Format)
	}
	return &f, nil
}

// RunFiles lists the run files in a run directory, oldest first: those of earlier runs, under .plateau/runs, and run.json,
// which is that of the last one. The error wraps fs.ErrNotExist when dir is no run directory.
func RunFiles(dir string) ([]string, error) {
	last := filepath.Join(dir, "run.json")
	if _, err := os.Stat(last); err != nil {
		return nil, fmt.Errorf("%s is no run directory: %w", dir, err)
	}
	out, err := earlierFiles(filepath.Join(dir, ".plateau", "runs"))
	if err != nil {
		return nil, fmt.Errorf("listing the earlier runs of %s: %w", dir, err)
	}
	return append(out, last), nil
}

// earlierFiles lists the run files in a folder, oldest first: their names are times.
func earlierFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".json") {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(out)
	return out, nil
}

// keepEarlier keeps the last run's file beside those of the runs before it, since run.json is about to become this run's.
func (d *runDir) keepEarlier() error {
	last := d.join("run.json")
	f, err := ReadRunFile(last)
	if err != nil || f.Started.IsZero() {
		return nil // none, or one that says nothing
	}
	dir := d.join(".plateau", "runs")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("keeping the earlier run's file: %w", err)
	}
	to := filepath.Join(dir, f.Started.UTC().Format("20060102T150405.000000000")+".json")
	// run.json is replaced and never written into, so a link to it keeps the bytes.
	if err := os.Link(last, to); err != nil && !errors.Is(err, fs.ErrExist) {
		text, err := os.ReadFile(last)
		if err == nil {
			err = fsx.WriteHint(d.tmp(), to, text, 0o644)
		}
		if err != nil {
			return fmt.Errorf("keeping the earlier run's file: %w", err)
		}
	}
	files, err := earlierFiles(dir)
	if err != nil {
		return fmt.Errorf("keeping the earlier run's file: %w", err)
	}
	for _, old := range files[:max(0, len(files)-earlierRuns)] {
		_ = os.Remove(old) // one too many does no harm
	}
	return nil
}

// Running says whether the process that last used the run directory is still there. Of a directory that was copied from
// elsewhere it may take another process for it.
func Running(dir string) bool {
	pid, err := os.ReadFile(filepath.Join(dir, ".plateau", "pid"))
	if err != nil {
		return false
	}
	return processThere(strings.TrimSpace(string(pid)))
}
