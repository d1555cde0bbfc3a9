package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/history"
	"github.com/plateau-nas/plateau/pipeline/store"
)

// recordRun takes a run that has ended up into the history. The run directory says the same, so a failure is no more than a warning.
func (a *app) recordRun(ctx context.Context, st *store.Store, dir string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	h, err := history.Open(ctx, st, func(text string) { a.say("%s", text) })
	if err == nil {
		err = errors.Join(h.Record(ctx, dir), h.Close())
	}
	if err != nil {
		a.warn("the run is not in the history: %v; its directory is complete", err)
	}
}

// warn tells people what they should know before they trust a result.
func (a *app) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	a.mu.Lock()
	sink := a.sink
	a.mu.Unlock()
	if sink != nil {
		sink.Emit(event.Event{Time: time.Now(), Type: event.StageLog, Stage: "plateau", Level: "warn", Message: text})
		return
	}
	fmt.Fprintln(a.stderr, "warning: "+text)
}

// openHistory opens the history of the store, brought up to date with the run directories.
func (a *app) openHistory(ctx context.Context) (*history.History, error) {
	st, err := a.openStore()
	if err != nil {
		return nil, err
	}
	h, err := history.Open(ctx, st, func(text string) { a.warn("%s", text) })
	if err != nil {
		return nil, err
	}
	if err := h.Sync(ctx); err != nil {
		a.warn("%v", err) // what is known of earlier can still be told
	}
	return h, nil
}

// findRuns returns the run that each argument means: a run directory, the id of a run or its beginning, or the name of a
// document, whose last run is meant.
func (a *app) findRuns(ctx context.Context, args []string) (runs []*history.Run, err error) {
	var h *history.History
	defer func() {
		if h != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	for _, arg := range args {
		r, err := readRunDirectory(arg)
		if err != nil {
			return nil, err
		}
		if r == nil {
			if h == nil {
				if h, err = a.openHistory(ctx); err != nil {
					return nil, err
				}
			}
			if r, err = findRun(ctx, h, arg); err != nil {
				return nil, err
			}
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// readRunDirectory reads the run in a folder; nil when arg is none that holds one.
func readRunDirectory(arg string) (*history.Run, error) {
	info, err := os.Stat(filepath.Join(arg, "run.json"))
	if err != nil || info.IsDir() {
		if looksLikePath(arg) {
			return nil, usagef("%s is no run directory: it has no run.json", arg)
		}
		return nil, nil
	}
	r, err := history.Read(arg)
	if err != nil {
		return nil, err
	}
	r.Settle()
	return r, nil
}

func findRun(ctx context.Context, h *history.History, arg string) (*history.Run, error) {
	found, err := h.Find(ctx, arg)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		names, err := h.Names(ctx)
		if err != nil {
			return nil, err
		}
		hint := "see plateau runs list"
		if near := pipeline.Nearest(arg, names); near != "" {
			hint = "did you mean " + near + "? " + hint
		}
		return nil, usagef("there is no run %q, neither a run directory nor an id nor the name of a document that was run; %s", arg, hint)
	}
	for _, r := range found {
		if r.Name == arg {
			return r, nil
		}
	}
	if len(found) > 1 {
		ids := make([]string, len(found))
		for i, r := range found {
			ids[i] = r.ID
		}
		return nil, usagef("%s is the beginning of several ids: %s; give more of it", arg, strings.Join(ids, ", "))
	}
	return found[0], nil
}

// completeRun lets the shell complete run directories.
func completeRun(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	files, err := filepath.Glob(filepath.Join("runs", "*", "run.json"))
	if err != nil {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	for i, f := range files {
		files[i] = filepath.Dir(f)
	}
	return files, cobra.ShellCompDirectiveFilterDirs
}

// plain writes a setting's JSON as a document would have it: text without quotes.
func plain(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil && text != "" && text == strings.TrimSpace(text) {
		return text
	}
	return string(value)
}

// place writes a directory for people, with a word when it is gone.
func place(r *history.Run) string {
	if _, err := os.Stat(r.Dir); errors.Is(err, fs.ErrNotExist) {
		return relative(r.Dir) + " (gone)"
	}
	return relative(r.Dir)
}

// metricNames lists the names of all metrics of the runs, in the order in which stages give them.
func metricNames(runs []*history.Run) []string {
	var out []string
	for _, r := range runs {
		for _, s := range r.Stages {
			for _, m := range s.Metrics {
				if !slices.Contains(out, m.Name) {
					out = append(out, m.Name)
				}
			}
		}
	}
	return out
}
