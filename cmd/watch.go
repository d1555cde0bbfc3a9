package cmd

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/stages/report/local"
	"github.com/plateau-nas/plateau/stages/report/watch"
)

// watchEvery is how often the run directory is looked at.
const watchEvery = 500 * time.Millisecond

func newWatchCommand(a *app) *cobra.Command {
	var port int
	cmd := &cobra.Command{
		Use:   "watch RUN",
		Short: "Show a run live in the browser",
		Long: strings.TrimSpace(`
Serves a page on this machine, and for this machine only, that shows a run while it goes on: curves, the architecture
as it evolves, the ranking of neighborhoods, the stages and what they say. It reads the run directory, so it works
for runs of other processes, and for finished ones. It ends with Ctrl-C; the run goes on.

RUN is a run directory, the id of a run or its beginning (see plateau runs list), or the name of a document, whose
last run is meant.`),
		Example:           "  plateau watch runs/quickstart\n  plateau watch quickstart --port 8080",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeRun,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.watch(cmd.Context(), args[0], port) },
	}
	cmd.Flags().IntVar(&port, "port", 0, "port to serve on; 0 for a free one")
	return cmd
}

func (a *app) watch(ctx context.Context, arg string, port int) (err error) {
	if port < 0 || port > 65535 {
		return usagef("--port must be between 0 and 65535, found %d", port)
	}
	dir := arg
	// A folder will do also before the run has written its first file.
	if info, err := os.Stat(arg); err != nil || !info.IsDir() {
		runs, err := a.findRuns(ctx, []string{arg})
		if err != nil {
			return err
		}
		if dir = runs[0].Dir; runs[0].Gone() {
			return usagef("the directory of run %s, %s, is gone", arg, dir)
		}
	}
	page, err := watch.New(dir)
	if err != nil {
		return err
	}
	a.setSink(quietSink{event.NewLines(a.stderr, a.settings.LogLevel)}) // an interrupt ends this, and no checkpoint is left
	defer a.setSink(nil)
	ready := func(url string) {
		fmt.Fprintf(a.stderr, "watching %s at %s (Ctrl-C ends this)\n", relative(dir), url)
	}
	return local.Serve(ctx, page, port, ready, func(ctx context.Context) error { return page.Follow(ctx, watchEvery) })
}
