package sample

import (
	"strconv"

	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/search/sampling"
	"github.com/plateau-nas/plateau/stages/space"
)

// writeTrajectory writes trajectory.csv: from which evaluation on which architecture was the incumbent, with its own score,
// the values that it was compared by (several for a Pareto objective, joined by a space), by how much it breaks the
// constraints, whether the value is that of its neighborhood, and how many neighbors that is made of.
func (st *Settings) writeTrajectory(path string, sp *space.Space, steps []sampling.Step) error {
	number := result.Text
	rows := [][]string{{"evaluations", "architecture", "own_score", "value", "violation", "aggregated", "neighbors", "fidelity"}}
	for _, s := range steps {
		c := s.Incumbent
		value := ""
		for i, v := range c.Value.Numbers {
			if i > 0 {
				value += " "
			}
			value += number(v)
		}
		rows = append(rows, []string{number(s.Spent), sp.Format(c.Architecture), number(st.ownScore(c)), value, number(c.Value.Violation),
			strconv.FormatBool(c.Aggregated), strconv.Itoa(c.Neighbors), strconv.Itoa(c.Fidelity)})
	}
	return result.WriteRows(path, "the trajectory", rows)
}
