package cmd

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/stages/bench"
)

func newBenchCompareCommand(a *app) *cobra.Command {
	var asJSON bool
	var peer, python string
	var rounds, runs int
	cmd := &cobra.Command{
		Use:   "compare --peer SCRIPT",
		Short: "Time supernets beside the same in PyTorch",
		Long: strings.TrimSpace(`
Times three supernets with "bench supernet" and with a Python script that takes the same flags (--space, --channels, --cells,
--batch, --image-size, --runs, --threads) and prints the same figures as a JSON object (train and forward with median_ms,
peak_rss_mib, parameters). The two take turns, each time in a process of its own. Figures are medians over the rounds; a ratio is the
peer's figure divided by ours, so above 1 ours is faster or smaller. Where Python or PyTorch is missing, it says so and
ends without an error.`),
		Example: "  plateau bench compare --peer torch_supernet.py --python /usr/bin/python3 --threads 2",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			if rounds < 1 || runs < 1 {
				return usagef("--rounds %d and --runs %d: at least one of each is needed", rounds, runs)
			}
			if _, err := os.Stat(peer); err != nil {
				return usagef("--peer: %w", err)
			}
			torch, err := bench.PyTorch(ctx, python)
			if errors.Is(err, bench.ErrNoPeer) {
				a.say("skipped: %v", err)
				if asJSON {
					return printJSON(a.stdout, map[string]any{"skipped": err.Error(), "cases": []any{}})
				}
				return nil
			}
			if err != nil {
				return err
			}
			rt, err := a.openRuntime(ctx) // settles threads and provider, and where the library is
			if err != nil {
				return err
			}
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("finding this program, to run it again: %w", err)
			}
			ours := bench.Program(rt.Threads(), self, "bench", "supernet", "--json", "--onnxruntime", rt.Library(), "--provider", rt.Provider())
			theirs := bench.Program(rt.Threads(), python, peer)
			var all []*bench.Comparison
			for _, o := range bench.Cases(runs) {
				c, err := bench.Compare(ctx, o, rounds, ours, theirs)
				if err != nil {
					return err
				}
				all = append(all, c)
				a.say("%s, %d channels: done", c.Space, c.Channels)
			}
			if asJSON {
				return printJSON(a.stdout, map[string]any{
					"onnxruntime": rt.LibraryVersion(), "torch": torch, "provider": rt.Provider(), "threads": rt.Threads(), "cases": all,
				})
			}
			var b strings.Builder
			fmt.Fprintf(&b, "ONNX Runtime %s, %s, beside PyTorch %s, %d threads; medians of %d rounds; ratio: PyTorch / plateau\n\n", rt.LibraryVersion(), rt.Provider(), torch, rt.Threads(), rounds)
			fmt.Fprintf(&b, "%-34s %-10s %12s %12s %6s\n", "case", "", "plateau", "PyTorch", "ratio")
			for _, c := range all {
				name := fmt.Sprintf("%s, C=%d, %d, batch %d, %dx%d", c.Space, c.Channels, c.Cells, c.Batch, c.ImageSize, c.ImageSize)
				for _, row := range []struct {
					what, unit          string
					ours, theirs, ratio float64
				}{
					{"train", "ms", c.Plateau.Train, c.Peer.Train, c.TrainRatio},
					{"forward", "ms", c.Plateau.Forward, c.Peer.Forward, c.ForwardRatio},
					{"memory", "MiB", c.Plateau.Memory, c.Peer.Memory, c.MemoryRatio},
				} {
					fmt.Fprintf(&b, "%-34s %-8s %10.1f %-3s %10.1f %-3s %5.2f\n", name, row.what, row.ours, row.unit, row.theirs, row.unit, row.ratio)
					name = ""
				}
			}
			return writeAll(a.stdout, b.String())
		},
	}
	f := cmd.Flags()
	f.StringVar(&peer, "peer", "", "the peer's Python script")
	f.StringVar(&python, "python", "python3", "Python interpreter that has PyTorch")
	f.IntVar(&rounds, "rounds", 3, "times that the two take turns")
	f.IntVar(&runs, "runs", 10, "timed runs a round")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
