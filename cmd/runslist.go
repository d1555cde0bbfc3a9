package cmd

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/history"
)

type runsListFlags struct {
	metrics []string
	limit   int
	json    bool
	csv     bool
}

func newRunsListCommand(a *app) *cobra.Command {
	var f runsListFlags
	cmd := &cobra.Command{
		Use:   "list [DOCUMENT-NAME]",
		Short: "List the runs that used the store, newest first",
		Long: strings.TrimSpace(`
Lists the runs that used the store, the newest first, with how they ended and where they are. Runs whose directory has
been removed stay in the list.`),
		Example: "  plateau runs list\n  plateau runs list quickstart --metric test_top1 --metric parameters\n  plateau runs list --csv",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			return a.listRuns(cmd.Context(), name, f)
		},
	}
	cmd.Flags().StringSliceVar(&f.metrics, "metric", nil, "also show these metrics (CSV and JSON have all unless some are chosen)")
	cmd.Flags().IntVarP(&f.limit, "limit", "n", 0, "show at most so many; 0 for all")
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON object")
	cmd.Flags().BoolVar(&f.csv, "csv", false, "print CSV")
	exclusive(cmd, "json", "csv")
	return cmd
}

// jsonRun is a run in runs list --json.
type jsonRun struct {
	ID      string              `json:"id"`
	Run     string              `json:"run"`
	Status  pipeline.Status     `json:"status"`
	Started time.Time           `json:"started"`
	Seconds float64             `json:"seconds"`
	Seed    uint64              `json:"seed,string"`
	Version string              `json:"version"`
	Dir     string              `json:"dir"`
	Gone    bool                `json:"gone"` // the run directory is not there any more
	Metrics map[string]*float64 `json:"metrics"`
}

func (a *app) listRuns(ctx context.Context, name string, f runsListFlags) (err error) {
	if f.limit < 0 {
		return usagef("--limit must be 0 or a number of runs, found %d", f.limit)
	}
	h, err := a.openHistory(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	runs, err := h.Runs(ctx, name, f.limit)
	if err != nil {
		return err
	}
	metrics := f.metrics
	if len(metrics) == 0 && (f.csv || f.json) {
		metrics = metricNames(runs)
	}
	if f.json {
		out := struct {
			Runs []jsonRun `json:"runs"`
		}{Runs: []jsonRun{}}
		for _, r := range runs {
			j := jsonRun{r.ID, r.Name, r.Status, r.Started, round(r.Seconds), r.Seed, r.Version, r.Dir, r.Gone(), map[string]*float64{}}
			all := r.Metrics()
			for _, m := range metrics {
				if v, ok := all[m]; ok {
					j.Metrics[m] = finite(v)
				}
			}
			out.Runs = append(out.Runs, j)
		}
		return printJSON(a.stdout, out)
	}
	if len(runs) == 0 && !f.csv {
		return writeAll(a.stdout, "no runs\n")
	}
	return a.printRuns(runs, metrics, f.csv)
}

func (a *app) printRuns(runs []*history.Run, metrics []string, asCSV bool) error {
	t := &table{head: append([]string{"id", "started", "run", "status", "seconds", "seed"}, append(metrics, "dir")...)}
	if !asCSV {
		t.head[4] = "time"
	}
	for _, r := range runs {
		started, took, dir := r.Started.Local().Format("2006-01-02 15:04:05"), event.FormatSeconds(r.Seconds), place(r)
		if asCSV {
			started, took, dir = r.Started.Format(time.RFC3339), strconv.FormatFloat(round(r.Seconds), 'g', -1, 64), r.Dir
		}
		row := []string{r.ID, started, r.Name, string(r.Status), took, strconv.FormatUint(r.Seed, 10)}
		all := r.Metrics()
		for _, m := range metrics {
			row = append(row, metricCell(all, m, asCSV))
		}
		t.add(append(row, dir)...)
	}
	if asCSV {
		return t.csv(a.stdout)
	}
	return writeAll(a.stdout, t.text(0))
}

// metricCell writes a metric, with all digits in CSV; empty when there is none.
func metricCell(all map[string]float64, name string, exact bool) string {
	v, ok := all[name]
	switch {
	case !ok:
		return ""
	case exact:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return event.FormatValue(v)
}
