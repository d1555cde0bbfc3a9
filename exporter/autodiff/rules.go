package autodiff

import (
	"slices"

	"github.com/plateau-nas/plateau/exporter/graph"
)

// rule builds the gradients of a node's inputs from those of its outputs. dy has an entry for each output, nil where
// no gradient arrives, not all nil. need tells which inputs (see dependencies) gradients are wanted of; the result has
// an entry for each, of which those that are not needed are ignored and nil means zero.
type rule func(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value

// rules returns the rule of every operator that has one. If is differentiated by pass.branches.
func rules(o *options) map[string]rule {
	return map[string]rule{
		"Abs":                absRule,
		"Add":                addRule,
		"AveragePool":        averagePoolRule,
		"BatchNormalization": o.batchNormRule,
		"Clip":               clipRule,
		"Concat":             concatRule,
		"Conv":               o.convRule,
		"ConvTranspose":      o.convTransposeRule,
		"Div":                divRule,
		"Erf":                erfRule,
		"Exp":                expRule,
		"Expand":             expandRule,
		"Flatten":            reshapeRule,
		"Gather":             gatherRule,
		"GatherElements":     gatherElementsRule,
		"Gemm":               gemmRule,
		"GlobalAveragePool":  globalAveragePoolRule,
		"HardSigmoid":        hardSigmoidRule,
		"HardSwish":          hardSwishRule,
		"Identity":           identityRule,
		"LayerNormalization": layerNormRule,
		"Log":                logRule,
		"LogSoftmax":         logSoftmaxRule,
		"MatMul":             o.matMulRule,
		"Max":                maxRule,
		"MaxPool":            maxPoolRule,
		"Min":                minRule,
		"Mul":                mulRule,
		"Neg":                negRule,
		"Pad":                padRule,
		"Pow":                powRule,
		"Reciprocal":         reciprocalRule,
		"ReduceMax":          reduceMaxRule,
		"ReduceMean":         reduceMeanRule,
		"ReduceSum":          reduceSumRule,
		"ReduceSumSquare":    reduceSumSquareRule,
		"Relu":               reluRule,
		"Reshape":            reshapeRule,
		"Resize":             resizeRule,
		"ScatterElements":    scatterElementsRule,
		"Sigmoid":            sigmoidRule,
		"Sign":               signRule,
		"Slice":              sliceRule,
		"Softmax":            softmaxRule,
		"Split":              splitRule,
		"Sqrt":               sqrtRule,
		"Sub":                subRule,
		"Tanh":               tanhRule,
		"Transpose":          transposeRule,
		"Where":              whereRule,
	}
}

// Operators returns the names of the operators that gradients can be taken of, sorted.
func Operators() []string {
	names := []string{"If"}
	for name := range rules(&options{}) {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// one is the result of a rule for an operator with one input.
func one(v *graph.Value) []*graph.Value { return []*graph.Value{v} }

// unbroadcast sums v over the dimensions along which a value of the given shape was broadcast to v's shape.
func unbroadcast(v *graph.Value, shape []int) *graph.Value {
	if slices.Equal(v.Shape(), shape) {
		return v
	}
	lead := v.Rank() - len(shape)
	var axes []int
	for i, d := range v.Shape() {
		if i < lead || shape[i-lead] == 1 && d != 1 {
			axes = append(axes, i)
		}
	}
	if len(axes) > 0 {
		v = graph.ReduceSum(v, true, axes...)
	}
	return graph.Reshape(v, shape...)
}

// largeConstant is the number of elements from which zeros are computed rather than stored in the model.
const largeConstant = 1024

// zeros returns a value of zeros.
func zeros(g *graph.Graph, shape []int) *graph.Value {
	n := 1
	for _, d := range shape {
		n *= d
	}
	if n < largeConstant {
		return g.Fill(0, shape...)
	}
	return graph.Expand(g.Scalar(0), shape...)
}

// isConstant reports whether v is a constant whose elements all are x.
func isConstant(v *graph.Value, x float32) bool {
	if v.Constant() == nil {
		return false
	}
	data, err := v.Constant().Float32s()
	if err != nil {
		return false
	}
	for _, d := range data {
		if d != x {
			return false
		}
	}
	return true
}
