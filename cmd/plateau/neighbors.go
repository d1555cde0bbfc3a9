package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// neighbor is an entry of what neighbors prints.
type neighbor struct {
	Architecture string `json:"architecture"`
	Distance     int    `json:"distance"`
}

// neighborLimit is how many neighbors are listed at most: those of a genotype at distance 3 are 300,000, further out more
// than a memory holds.
const neighborLimit = 1_000_000

func newNeighborsCommand(a *app) *cobra.Command {
	var asJSON bool
	var radius int
	var spaceName string
	cmd := &cobra.Command{
		Use:   "neighbors ARCHITECTURE",
		Short: "List the architectures one or a few changes away",
		Long: strings.TrimSpace(`
Lists the architectures that differ from the given one on at least one edge and at most --radius edges, nearest first.
In the DARTS space a change is that of an operation or of the input of an edge that is kept: 120 neighbors at radius 1.`),
		Example: "  plateau neighbors '|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|' --radius 1\n" +
			"  plateau neighbors --space darts DARTS_V2",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			s, center, err := parseArchitecture(spaceName, args[0])
			if err != nil {
				return err
			}
			if radius < 1 || radius > s.Diameter() {
				return usagef("--radius %d: the space %s has architectures at distance 1 to %d", radius, s.Name, s.Diameter())
			}
			count := 0
			for d := 1; d <= radius && count <= neighborLimit; d++ {
				count += s.ShellSizeOf(center, d)
			}
			if count > neighborLimit {
				return usagef("--radius %d: more than %d architectures lie there; give a smaller radius", radius, neighborLimit)
			}
			list := []neighbor{}
			var lines strings.Builder
			for _, n := range s.Neighbors(center, radius) {
				list = append(list, neighbor{s.Format(n), s.Distance(center, n)})
				lines.WriteString(s.Format(n) + "\n")
			}
			if asJSON {
				return printJSON(a.stdout, list)
			}
			return writeAll(a.stdout, lines.String())
		},
	}
	f := cmd.Flags()
	f.StringVar(&spaceName, "space", "nasbench201", spaceFlag())
	f.IntVar(&radius, "radius", 1, "largest number of changes")
	f.BoolVar(&asJSON, "json", false, "print a JSON array with the distances")
	return cmd
}
