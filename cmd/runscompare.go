package cmd

import (
	"context"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/history"
)

type runsCompareFlags struct {
	json, csv, differing bool
}

func newRunsCompareCommand(a *app) *cobra.Command {
	var f runsCompareFlags
	cmd := &cobra.Command{
		Use:   "compare RUN RUN...",
		Short: "Put the settings and metrics of runs side by side, differences first",
		Long: strings.TrimSpace(`
Puts the settings and metrics of runs side by side, those that differ first. RUN is a run directory, also one that was
copied from another machine; the id of a run, or its beginning (see plateau runs list); or the name of a document, whose
last run is meant.`),
		Example:           "  plateau runs compare runs/quickstart runs/quickstart-2\n  plateau runs compare 3f2a 91c0 --differing",
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: completeRun,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.compareRuns(cmd.Context(), args, f) },
	}
	cmd.Flags().BoolVar(&f.differing, "differing", false, "show only what differs")
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON object")
	cmd.Flags().BoolVar(&f.csv, "csv", false, "print CSV: section, stage, name, differs, and a column for each run")
	exclusive(cmd, "json", "csv")
	return cmd
}

// jsonComparison is what runs compare --json prints.
type jsonComparison struct {
	Runs     []jsonCompared                 `json:"runs"`
	Settings []history.Row[json.RawMessage] `json:"settings"`
	Metrics  []history.Row[float64]         `json:"metrics"` // null also where a number is not finite
}

type jsonCompared struct {
	ID      string          `json:"id"`
	Run     string          `json:"run"`
	Status  pipeline.Status `json:"status"`
	Seconds float64         `json:"seconds"`
	Dir     string          `json:"dir"`
}

func (a *app) compareRuns(ctx context.Context, args []string, f runsCompareFlags) error {
	runs, err := a.findRuns(ctx, args)
	if err != nil {
		return err
	}
	c := history.Compare(runs)
	if f.differing {
		c.Settings, c.Metrics = differing(c.Settings), differing(c.Metrics)
	}
	switch {
	case f.json:
		out := jsonComparison{Runs: []jsonCompared{}, Settings: c.Settings, Metrics: c.Metrics}
		for _, r := range runs {
			out.Runs = append(out.Runs, jsonCompared{r.ID, r.Name, r.Status, round(r.Seconds), r.Dir})
		}
		for _, row := range out.Metrics {
			for i, v := range row.Values {
				if v != nil && (math.IsNaN(*v) || math.IsInf(*v, 0)) {
					row.Values[i] = nil
				}
			}
		}
		return printJSON(a.stdout, out)
	case f.csv:
		return comparisonCSV(c).csv(a.stdout)
	}
	return writeAll(a.stdout, comparisonText(c))
}

func differing[T any](rows []history.Row[T]) []history.Row[T] {
	out := []history.Row[T]{}
	for _, r := range rows {
		if r.Differs {
			out = append(out, r)
		}
	}
	return out
}

func comparisonCSV(c *history.Comparison) *table {
	t := &table{head: []string{"section", "stage", "name", "differs"}}
	for _, r := range c.Runs {
		t.head = append(t.head, r.ID)
	}
	for _, row := range c.Settings {
		t.add(append([]string{"setting", row.Stage, row.Name, strconv.FormatBool(row.Differs)}, cells(row, plain)...)...)
	}
	exact := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	for _, row := range c.Metrics {
		t.add(append([]string{"metric", row.Stage, row.Name, strconv.FormatBool(row.Differs)}, cells(row, exact)...)...)
	}
	return t
}

func cells[T any](row history.Row[T], show func(T) string) []string {
	out := make([]string, len(row.Values))
	for i, v := range row.Values {
		if v != nil {
			out[i] = show(*v)
		}
	}
	return out
}

func comparisonText(c *history.Comparison) string {
	t := &table{head: []string{"", ""}}
	about := [][]string{{"", "run"}, {"", "status"}, {"", "time"}, {"", "directory"}}
	for _, r := range c.Runs {
		t.head = append(t.head, r.ID)
		for i, text := range []string{r.Name, string(r.Status), event.FormatSeconds(r.Seconds), place(r)} {
			about[i] = append(about[i], text)
		}
	}
	for _, row := range about {
		t.add(row...)
	}
	section := func(title string, rows [][]string) {
		if len(rows) > 0 {
			t.add("")
			t.add(title)
			t.rows = append(t.rows, rows...)
		}
	}
	settings := func(differs bool) (out [][]string) {
		for _, row := range c.Settings {
			if row.Differs == differs {
				out = append(out, append([]string{"  " + row.Stage, row.Name}, cells(row, plain)...))
			}
		}
		return out
	}
	metrics := func(differs bool) (out [][]string) {
		for _, row := range c.Metrics {
			if row.Differs == differs {
				out = append(out, append([]string{"  " + row.Stage, row.Name}, cells(row, event.FormatValue)...))
			}
		}
		return out
	}
	section("settings that differ", settings(true))
	section("metrics that differ", metrics(true))
	section("equal settings", settings(false))
	section("equal metrics", metrics(false))
	return t.text(60)
}
