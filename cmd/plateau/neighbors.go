package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/stages/space"
)

// neighbor is an entry of what neighbors prints.
type neighbor struct {
	Architecture string `json:"architecture"`
	Distance     int    `json:"distance"`
}

func newNeighborsCommand(a *app) *cobra.Command {
	var asJSON bool
	var radius int
	var spaceName string
	cmd := &cobra.Command{
		Use:   "neighbors ARCHITECTURE",
		Short: "List the architectures one or a few changes away",
		Long: strings.TrimSpace(`
Lists the architectures that differ from the given one on at least one edge and at most --radius edges, nearest first.`),
		Example: "  plateau neighbors '|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|' --radius 1",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			s, center, err := parseArchitecture(spaceName, args[0])
			if err != nil {
				return err
			}
			if radius < 1 || radius > len(s.Edges) {
				return usagef("--radius %d: the space %s has architectures at distance 1 to %d", radius, s.Name, len(s.Edges))
			}
			list := []neighbor{}
			var lines strings.Builder
			for _, n := range s.Neighbors(center, radius) {
				list = append(list, neighbor{s.Format(n), space.Distance(center, n)})
				lines.WriteString(s.Format(n) + "\n")
			}
			if asJSON {
				return printJSON(a.stdout, list)
			}
			return writeAll(a.stdout, lines.String())
		},
	}
	f := cmd.Flags()
	f.StringVar(&spaceName, "space", "nasbench201", "search space")
	f.IntVar(&radius, "radius", 1, "largest number of edges that differ")
	f.BoolVar(&asJSON, "json", false, "print a JSON array with the distances")
	return cmd
}
