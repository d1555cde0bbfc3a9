package supernet

import (
	"slices"

	"github.com/plateau-nas/plateau/exporter/autodiff"
)

// JoinedOperations is the formulation that joins the operations that leave a node (see joinedCell).
const JoinedOperations = "joined_operations"

// Formulations returns the names of the formulations that supernets choose for speed and can do without: their own and
// those of the gradients. Graphs compute the same with and without each, up to the order in which numbers are added.
func Formulations() []string { return append([]string{JoinedOperations}, autodiff.Formulations()...) }

// gradientsWithout switches those of the formulations off that gradients have.
func gradientsWithout(names []string) autodiff.Option {
	return autodiff.Without(slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == JoinedOperations })...)
}
