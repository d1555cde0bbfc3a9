package supernet

import (
	"slices"

	"github.com/plateau-nas/plateau/exporter/autodiff"
)

// The formulations of relaxed cells.
const (
	// JoinedOperations joins the operations that leave a node of NAS-Bench-201 (see joinedCell).
	JoinedOperations = "joined_operations"
	// SpreadFilters gives the depthwise convolutions that leave a state of the DARTS space a filter for each edge instead of
	// copies of the state (see spread).
	SpreadFilters = "spread_filters"
)

// Formulations returns the names of the formulations that supernets choose for speed and can do without: their own and
// those of the gradients. Graphs compute the same with and without each, up to the order in which numbers are added.
func Formulations() []string {
	return append([]string{JoinedOperations, SpreadFilters}, autodiff.Formulations()...)
}

// gradientsWithout switches those of the formulations off that gradients have.
func gradientsWithout(names []string) autodiff.Option {
	return autodiff.Without(slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == JoinedOperations || n == SpreadFilters })...)
}
