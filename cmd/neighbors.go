package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// neighbor is an entry of what neighbors prints.
type neighbor struct {
	Architecture string `json:"architecture"`
	Distance     int    `json:"distance"`
	Class        string `json:"class,omitempty"` // what it computes, up to classLimit neighbors
	Same         bool   `json:"same"`            // whether that is what the center computes; false beyond classLimit
}

// classLimit is up to how many neighbors it is told what they compute: a matter of a second.
const classLimit = 5_000

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
In the DARTS space a change is that of an operation or of the input of an edge that is kept: 120 neighbors at radius 1.
How many of them compute the same is said on stderr, and with --json what each of them computes, up to 5000 neighbors.`),
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
			own, functions, same := s.Class(center), map[string]bool{}, 0
			for _, n := range s.Neighbors(center, radius) {
				one := neighbor{Architecture: s.Format(n), Distance: s.Distance(center, n)}
				if count <= classLimit {
					one.Class = s.Class(n)
					if one.Same = one.Class == own; one.Same {
						same++
					}
					functions[one.Class] = true
				}
				list = append(list, one)
				lines.WriteString(one.Architecture + "\n")
			}
			if asJSON {
				return printJSON(a.stdout, list)
			}
			if count <= classLimit {
				fmt.Fprintf(a.stderr, "%d neighbors compute %d different functions; %d compute what the architecture itself does\n", len(list), len(functions), same)
			}
			return writeAll(a.stdout, lines.String())
		},
	}
	f := cmd.Flags()
	f.StringVar(&spaceName, "space", "nasbench201", spaceFlag())
	f.IntVar(&radius, "radius", 1, "largest number of changes")
	f.BoolVar(&asJSON, "json", false, "print a JSON array with the distances and what each neighbor computes")
	return cmd
}
