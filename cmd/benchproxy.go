package cmd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/stages/bench"
	"github.com/plateau-nas/plateau/stages/score/proxy"
)

func newBenchProxyCommand(a *app) *cobra.Command {
	var asJSON bool
	var o bench.ProxyOptions
	cmd := &cobra.Command{
		Use:   "proxy",
		Short: "Time the scoring of untrained architectures by zero-cost proxies",
		Long: strings.TrimSpace(`
Times the scoring of different random architectures by zero-cost proxies on random images, loading of graphs included. Threads and provider are
settings; each thread works on one architecture.

  architectures/s  how many are scored in a second
  distinct         how many of them differ in operations that have a bearing; only these are computed
  alone            the same for the first --alone of them, each by graphs that are loaded for it, as for the proxies that
                   have no graph for all architectures
  ratio            the first rate divided by the second
  difference       the largest relative one between the values of the two

The proxies are ` + strings.Join(proxy.Names(), ", ") + "."),
		Example: "  plateau bench proxy --channels 8 --image-size 16 --images 32 --proxies jacob_cov,synflow --threads 1 --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Architectures < 1 || o.Alone < 0 || o.Alone > o.Architectures {
				return usagef("--architectures %d and --alone %d: at least one architecture is needed, and no more alone than there are", o.Architectures, o.Alone)
			}
			if err := (proxy.Settings{Proxies: o.Proxies, Images: o.Images}).Validate(""); err != nil {
				return usagef("--proxies %s --images %d: %w", strings.Join(o.Proxies, ","), o.Images, err)
			}
			rt, err := a.openRuntime(cmd.Context())
			if err != nil {
				return err
			}
			r, err := bench.Proxy(cmd.Context(), rt, o)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.stdout, r)
			}
			err = writeAll(a.stdout, fmt.Sprintf(`%s, %d channels, %d cells a stage, %d images of %dx%d pixels: %s
ONNX Runtime %s, %s, %d threads

architectures  distinct  architectures/s
%13d  %8d  %15.1f
`, r.Space, r.Channels, r.Cells, r.Images, r.ImageSize, r.ImageSize, strings.Join(r.Proxies, ", "), r.Library, r.Provider, r.Threads, r.Architectures, r.Distinct, r.Rate))
			if r.Alone > 0 {
				err = errors.Join(err, writeAll(a.stdout, fmt.Sprintf("%13d  %8s  %15.1f  (alone; ratio %.1f, difference %.1g)\n", r.Alone, "", r.AloneRate, r.Ratio, r.Difference)))
			}
			return errors.Join(err, writeAll(a.stdout, fmt.Sprintf("peak memory %d MiB\n", r.PeakRSS)))
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Space, "space", "nasbench201", "search space")
	f.IntVar(&o.Channels, "channels", 8, "channels of the first stage")
	f.IntVar(&o.Cells, "cells", 1, "cells a stage; in the space darts, layers")
	f.IntVar(&o.ImageSize, "image-size", 16, "height and width of the images in pixels")
	f.IntVar(&o.Images, "images", 32, "images that the proxies are taken on")
	f.StringSliceVar(&o.Proxies, "proxies", []string{proxy.JacobCov, proxy.Synflow}, "proxies, joined by commas")
	f.IntVar(&o.Architectures, "architectures", 500, "different random architectures that are timed")
	f.IntVar(&o.Alone, "alone", 50, "how many of them are also timed with graphs of their own")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
