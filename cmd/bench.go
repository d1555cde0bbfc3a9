package cmd

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/stages/bench"
	"github.com/plateau-nas/plateau/stages/supernet"
)

func newBenchCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "bench",
		Short:   "Time what a search spends its time on",
		Example: "  plateau bench supernet --threads 2 --json",
		Args:    cobra.NoArgs,
	}
	cmd.AddCommand(newBenchSupernetCommand(a), newBenchScoreCommand(a), newBenchProxyCommand(a), newBenchCompareCommand(a))
	return cmd
}

func newBenchSupernetCommand(a *app) *cobra.Command {
	var asJSON bool
	var o bench.SupernetOptions
	cmd := &cobra.Command{
		Use:   "supernet",
		Short: "Time a training step and a forward pass of a supernet",
		Long: strings.TrimSpace(`
Times a training step (forward pass, gradients of the weights and of alpha, SGD with momentum) and a forward pass of a
weight-sharing supernet on random images, after two untimed runs each. Threads and provider are settings.

--profile adds which operators the time goes to, by ONNX Runtime's own profile.

--without switches off formulations that the graphs choose for speed, to see what each is worth:
` + strings.Join(supernet.Formulations(), ", ") + "."),
		Example: "  plateau bench supernet --space nasbench201 --channels 16 --cells 1 --batch 64 --image-size 32 --runs 10 --threads 2 --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Runs < 1 || o.Batch < 2 {
				return usagef("--runs %d and --batch %d: at least one run and two images a batch are needed", o.Runs, o.Batch)
			}
			for _, name := range o.Without {
				if !slices.Contains(supernet.Formulations(), name) {
					return usagef("--without %s: the formulations are %s", name, strings.Join(supernet.Formulations(), ", "))
				}
			}
			rt, err := a.openRuntime(cmd.Context())
			if err != nil {
				return err
			}
			r, err := bench.Supernet(cmd.Context(), rt, o)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.stdout, r)
			}
			cells := "cells a stage"
			if r.Space == "darts" {
				cells = "layers"
			}
			err = writeAll(a.stdout, fmt.Sprintf(`%s, %d channels, %d %s, batch %d, %dx%d pixels, %d parameters
ONNX Runtime %s, %s, %d threads

              best    median
train      %7.2f   %7.2f  ms
forward    %7.2f   %7.2f  ms
peak memory %d MiB
`, r.Space, r.Channels, r.Cells, cells, r.Batch, r.ImageSize, r.ImageSize, r.Parameters, r.Library, r.Provider, r.Threads,
				r.Train.Best, r.Train.Median, r.Forward.Best, r.Forward.Median, r.PeakRSS))
			return errors.Join(err, a.writeProfile("training step", r.TrainProfile), a.writeProfile("forward pass", r.ForwardProfile))
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Space, "space", "nasbench201", "search space: nasbench201 or darts")
	f.IntVar(&o.Channels, "channels", 16, "channels of the first stage")
	f.IntVar(&o.Cells, "cells", 1, "cells a stage; in the space darts, layers")
	f.IntVar(&o.Batch, "batch", 64, "images a batch")
	f.IntVar(&o.ImageSize, "image-size", 32, "height and width of the images in pixels")
	f.BoolVar(&o.Recompute, "recompute", false, "compute cheap activations again in the backward pass: less memory")
	f.IntVar(&o.Runs, "runs", 10, "timed runs")
	f.BoolVar(&o.Profile, "profile", false, "show which operators the time goes to")
	f.StringSliceVar(&o.Without, "without", nil, "formulations to switch off, joined by commas")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// writeProfile prints the operators of a graph that was profiled.
func (a *app) writeProfile(what string, operators []bench.OperatorTime) error {
	if len(operators) == 0 {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-26s nodes        ms  share\n", what)
	for _, t := range operators {
		fmt.Fprintf(&b, "  %-24s %5d  %8.2f  %4.1f%%\n", t.Operator, t.Nodes, t.Milliseconds, 100*t.Share)
	}
	return writeAll(a.stdout, b.String())
}
