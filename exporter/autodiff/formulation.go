package autodiff

import (
	"fmt"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/exporter/graph"
)

// The formulations that rules choose for speed. Each gives the same gradients as what is done without it, up to the order in
// which numbers are added.
const (
	// MirroredInput takes the input gradient of a convolution of stride 1 as a convolution with mirrored weights, not as
	// a transposed convolution.
	MirroredInput = "mirrored_input"
	// FactorOnWeights moves the factor a channel that the gradient of a normalization has from the activations to the
	// weights of the convolution before it.
	FactorOnWeights = "factor_on_weights"
	// SelectionProduct lays out the shifted inputs of very small images for the weight gradient by one product with a
	// constant matrix, not by slices.
	SelectionProduct = "selection_product"
	// AxesApart takes the weight gradient of small images with the kernel's columns side by side as channels, so that
	// there are as many slices as rows and columns of the kernel, not as positions.
	AxesApart = "axes_apart"
	// GradientRows shifts rows in the gradient of the result, where that has fewer channels than the shifted columns.
	GradientRows = "gradient_rows"
	// ColumnProducts shifts the columns of small images, where AxesApart applies, by products with constant matrices, not by
	// padding and slices.
	ColumnProducts = "column_products"
	// OperandOrder has the operand with more rows on the left in the products of weight gradients.
	OperandOrder = "operand_order"
	// CenteredGradient takes the mean from the gradient of a normalization instead of from its input, once for all
	// normalizations whose results are added up.
	CenteredGradient = "centered_gradient"
	// SingleRows takes products of a few long rows one row at a time, as in the gradient of the probabilities.
	SingleRows = "single_rows"
	// RowProducts takes the weight gradient of narrow depthwise convolutions as products of rows.
	RowProducts = "row_products"
)

// Formulations returns the names that Without takes.
func Formulations() []string {
	return []string{MirroredInput, FactorOnWeights, SelectionProduct, AxesApart, GradientRows, ColumnProducts, OperandOrder, CenteredGradient, SingleRows, RowProducts}
}

// Option changes how gradients are built, not what they are.
type Option func(*options) error

// options hold what is switched off, and on.
type options struct {
	without map[string]bool
	late    *late // nil shows rules all values as they are
	wrt     map[*graph.Value]bool
}

// Without switches formulations off, to compare results or to see what each is worth. The error of Gradients for a name
// that is none lists the names.
func Without(formulations ...string) Option {
	return func(o *options) error {
		for _, name := range formulations {
			if !slices.Contains(Formulations(), name) {
				return fmt.Errorf("no formulation of gradients is called %q; these are: %s", name, strings.Join(Formulations(), ", "))
			}
			o.without[name] = true
		}
		return nil
	}
}

func (o *options) uses(formulation string) bool { return !o.without[formulation] }
