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
	// SmallImages takes 3x3 convolutions of images of up to 16x16 pixels as matrix products, by Winograd's algorithm or directly
	// (see graph.ConvWinograd and graph.ConvByProducts).
	SmallImages = "small_images"
	// PointwiseStatistics has the statistics of joined 1x1 convolutions follow from those of their input (see normalizedPointwise).
	PointwiseStatistics = "pointwise_statistics"
)

// ownFormulations are those that gradients know nothing of.
func ownFormulations() []string {
	return []string{JoinedOperations, SpreadFilters, SmallImages, PointwiseStatistics}
}

// Formulations returns the names of the formulations that supernets choose for speed and can do without: their own and
// those of the gradients. Graphs compute the same with and without each, up to the order in which numbers are added.
func Formulations() []string {
	return append(ownFormulations(), autodiff.Formulations()...)
}

// gradientsWithout switches those of the formulations off that gradients have.
func gradientsWithout(names []string) autodiff.Option {
	return autodiff.Without(slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(ownFormulations(), n) })...)
}
