package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/stages/bench"
)

func newBenchScoreCommand(a *app) *cobra.Command {
	var asJSON bool
	var o bench.ScoreOptions
	cmd := &cobra.Command{
		Use:   "score",
		Short: "Time the scoring of architectures and their neighbors",
		Long: strings.TrimSpace(`
Times the scoring of random architectures with all their neighbors by weight sharing, on random weights and images. Every
figure is the median over --runs neighborhoods, once with one worker and once with as many as there are threads; a worker has
one thread. Threads and provider are settings.

  architectures/s  how many are scored in a second, right after the shared weights have changed: from the architectures
                   to their losses, loading of graphs included
  neighborhood     milliseconds to score an architecture and its neighbors
  stand-alone      milliseconds that the same architectures take as networks of their own, with the same weights as
                   constants, normalizing by the statistics of the batch, on the same batches: sessions of one thread that are
                   loaded and have run once before the clock starts, as many side by side as there are workers; the
                   sum of their times divided by the number of workers
  ratio            neighborhood divided by stand-alone: what scoring costs beyond inference. It can be below 1, since
                   scoring runs once what all architectures begin with, and once those that differ only in operations
                   without bearing on the result; the others are called distinct
  exported         the same as stand-alone for exported networks, whose normalization by running statistics is folded into
                   the convolutions: another computation, for information`),
		Example: "  plateau bench score --channels 8 --batch 250 --image-size 16 --images 1000 --runs 5 --threads 2 --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Runs < 1 || o.Batch < 2 || o.Images < o.Batch {
				return usagef("--runs %d, --batch %d, --images %d: at least one run, two images a batch and one whole batch are needed", o.Runs, o.Batch, o.Images)
			}
			rt, err := a.openRuntime(cmd.Context())
			if err != nil {
				return err
			}
			r, err := bench.Score(cmd.Context(), rt, o)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.stdout, r)
			}
			var b strings.Builder
			fmt.Fprintf(&b, "%s, %d channels, %d cells a stage, %d images of %dx%d in batches of %d, %d architectures a neighborhood, %d of them distinct\nONNX Runtime %s, %s, %d threads\n\n",
				r.Space, r.Channels, r.Cells, r.Images, r.ImageSize, r.ImageSize, r.Batch, r.Architectures, r.Distinct, r.Library, r.Provider, r.Threads)
			fmt.Fprintf(&b, "workers  architectures/s  neighborhood  stand-alone  ratio  exported  ratio\n")
			rows := []bench.Scoring{r.OneWorker, r.AllWorkers}
			if r.Threads == 1 {
				rows = rows[:1]
			}
			for _, s := range rows {
				fmt.Fprintf(&b, "%7d  %15.1f  %9.1f ms  %8.1f ms  %5.2f  %5.1f ms  %5.2f\n", s.Workers, s.Rate, s.Neighborhood, s.StandAlone, s.Ratio, s.Exported, s.ExportedRatio)
			}
			fmt.Fprintf(&b, "peak memory %d MiB\n", r.PeakRSS)
			return writeAll(a.stdout, b.String())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Space, "space", "nasbench201", "search space")
	f.IntVar(&o.Channels, "channels", 16, "channels of the first stage")
	f.IntVar(&o.Cells, "cells", 1, "cells a stage")
	f.IntVar(&o.Batch, "batch", 250, "images a batch")
	f.IntVar(&o.ImageSize, "image-size", 32, "height and width of the images in pixels")
	f.IntVar(&o.Images, "images", 1000, "images that an architecture is scored on, in whole batches")
	f.IntVar(&o.Runs, "runs", 3, "neighborhoods timed")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
