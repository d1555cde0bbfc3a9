package cmd

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/history"
)

type runsShowFlags struct{ json, csv bool }

func newRunsShowCommand(a *app) *cobra.Command {
	var f runsShowFlags
	cmd := &cobra.Command{
		Use:   "show RUN",
		Short: "Show a run: its stages, settings, metrics and files",
		Long: strings.TrimSpace(`
Shows a run: its stages, settings, metrics and files. RUN is a run directory, also one that was copied from another
machine; the id of a run, or its beginning (see plateau runs list); or the name of a document, whose last run is meant.`),
		Example:           "  plateau runs show runs/quickstart\n  plateau runs show 3f2a --json",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeRun,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.showRun(cmd.Context(), args[0], f) },
	}
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON object")
	cmd.Flags().BoolVar(&f.csv, "csv", false, "print CSV: section, stage, name, value")
	exclusive(cmd, "json", "csv")
	return cmd
}

func (a *app) showRun(ctx context.Context, arg string, f runsShowFlags) error {
	runs, err := a.findRuns(ctx, []string{arg})
	if err != nil {
		return err
	}
	r := runs[0]
	switch {
	case f.json:
		return printJSON(a.stdout, r)
	case f.csv:
		return runCSV(r).csv(a.stdout)
	}
	return writeAll(a.stdout, runText(r))
}

func runText(r *history.Run) string {
	var b strings.Builder
	facts := &table{}
	facts.add("run", r.Name)
	facts.add("id", r.ID)
	facts.add("status", string(r.Status))
	if r.Error != "" {
		facts.add("error", r.Error)
	}
	facts.add("started", r.Started.Local().Format("2006-01-02 15:04:05"))
	facts.add("time", event.FormatSeconds(r.Seconds))
	facts.add("seed", strconv.FormatUint(r.Seed, 10))
	facts.add("document", r.File)
	if len(r.Overrides) > 0 {
		facts.add("set", strings.Join(r.Overrides, " "))
	}
	facts.add("version", r.Version)
	facts.add("directory", place(r))
	b.WriteString(facts.text(0))

	stages := &table{head: []string{"stage", "kind", "status", "time", "why"}}
	metrics, files, settings := &table{}, &table{}, &table{}
	for _, s := range r.Stages {
		status := string(s.Status)
		if s.Cached {
			status = "reused"
		}
		stages.add(s.ID, s.Kind, status, event.FormatSeconds(s.Seconds), s.Reason)
		for _, m := range s.Metrics {
			metrics.add(s.ID, m.Name, event.FormatValue(m.Value))
		}
		for _, o := range s.Outputs {
			files.add(filepath.Join(s.ID, o.File), o.Type, formatBytes(o.Size), shortDigest(o.Digest))
		}
		for _, v := range s.Settings {
			settings.add(s.ID, v.Name, plain(v.Value))
		}
	}
	for _, part := range []struct {
		name string
		t    *table
	}{{"stages", stages}, {"metrics", metrics}, {"files", files}, {"settings", settings}} {
		if len(part.t.rows) > 0 {
			fmt.Fprintf(&b, "\n%s\n%s", part.name, indent(part.t.text(80)))
		}
	}
	return b.String()
}

// indent moves lines to the right.
func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ") + "\n"
}

// shortDigest is as much of a digest as tells files apart for people.
func shortDigest(digest string) string {
	_, hex, ok := strings.Cut(digest, ":")
	if !ok || len(hex) < 12 {
		return digest
	}
	return hex[:12]
}

func runCSV(r *history.Run) *table {
	t := &table{head: []string{"section", "stage", "name", "value"}}
	t.add("run", "", "id", r.ID)
	t.add("run", "", "name", r.Name)
	t.add("run", "", "status", string(r.Status))
	t.add("run", "", "seed", strconv.FormatUint(r.Seed, 10))
	t.add("run", "", "seconds", strconv.FormatFloat(round(r.Seconds), 'g', -1, 64))
	for _, s := range r.Stages {
		t.add("stage", s.ID, "kind", s.Kind)
		t.add("stage", s.ID, "status", string(s.Status))
		t.add("stage", s.ID, "seconds", strconv.FormatFloat(round(s.Seconds), 'g', -1, 64))
		for _, m := range s.Metrics {
			t.add("metric", s.ID, m.Name, strconv.FormatFloat(m.Value, 'g', -1, 64))
		}
		for _, v := range s.Settings {
			t.add("setting", s.ID, v.Name, plain(v.Value))
		}
		for _, o := range s.Outputs {
			t.add("artifact", s.ID, o.File, o.Digest)
		}
	}
	return t
}
