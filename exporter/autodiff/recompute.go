package autodiff

import (
	"slices"

	"github.com/plateau-nas/plateau/exporter/graph"
)

// Large is the number of elements from which a value is worth the nodes that InOrder and Recompute add for it, in training.
const Large = 1 << 14

// InOrder makes the backward pass go from node to node: the gradients of a node's weights are computed before the gradient moves
// on. Left to itself, ONNX Runtime computes weight gradients last of all and keeps what they need until then. Values of fewer than
// large elements are what things wait by (see graph.After), and no other value is copied.
//
// Inside the branches of an If nothing is changed.
func InOrder(large int) Option {
	return func(o *options) error { o.late = &late{large: large}; return nil }
}

// Recompute is InOrder, and values of at least large elements that are cheap to compute are computed again where rules ask for
// them, when the gradient has come that far, so that they need not be kept from the forward pass to the backward pass: the results of Relu, of batch normalization
// (from its input and the batch's statistics), of the product with a small value, and what Concat and Reshape make of these.
func Recompute(large int) Option {
	return func(o *options) error { o.late = &late{large: large, again: true}; return nil }
}

// late shows rules what they are to see of a node.
type late struct {
	large int
	again bool
}

// apply is r(n, dy, need) with the nodes that it builds held back.
func (l *late) apply(r rule, n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	isLarge := func(v *graph.Value) bool { return v != nil && v.Size() >= l.large }
	if comparesExactly(n.Op) || !slices.ContainsFunc(slices.Concat(n.Inputs, n.Outputs), isLarge) {
		return r(n, dy, need)
	}
	n = l.view(n, l.arrival(dy[slices.IndexFunc(dy, func(d *graph.Value) bool { return d != nil })]))
	first, then := make([]bool, len(need)), make([]bool, len(need))
	for i, wanted := range need {
		first[i] = wanted && !isLarge(n.Inputs[i])
		then[i] = wanted && !first[i]
	}
	if !usesSmallInputs(n.Op) || !slices.Contains(first, true) || !slices.Contains(then, true) {
		return r(n, dy, need)
	}
	grads := r(n, dy, first)
	var done *graph.Value // the largest, which takes the time
	for i, d := range grads {
		if first[i] && d != nil && (done == nil || d.Size() > done.Size()) {
			done = d
		}
	}
	m := *n
	m.Inputs = slices.Clone(n.Inputs)
	for i, v := range m.Inputs {
		if v != nil && !isLarge(v) && done != nil {
			m.Inputs[i] = graph.After(v, done)
		}
	}
	for i, d := range r(&m, dy, then) {
		if then[i] {
			grads[i] = d
		}
	}
	return grads
}

// arrival returns the value by which others wait for the gradient dy: of a product with a small value the other operand, since rules
// may take the product apart, and then it need not be computed.
func (l *late) arrival(dy *graph.Value) *graph.Value {
	if n := dy.Node(); n != nil && n.Op == "Mul" {
		for i, x := range n.Inputs {
			if x.Size() < l.large && n.Inputs[1-i].Size() == dy.Size() {
				return n.Inputs[1-i]
			}
		}
	}
	return dy
}

// comparesExactly tells the operators whose rules look for equal elements of inputs and outputs: of both they must see the
// original.
func comparesExactly(op string) bool {
	switch op {
	case "Clip", "Max", "MaxPool", "Min", "ReduceMax":
		return true
	}
	return false
}

// usesSmallInputs tells the operators whose rules need the small inputs for the gradients of the large ones, so that these can
// wait by them.
func usesSmallInputs(op string) bool {
	switch op {
	case "Conv", "ConvTranspose", "Gemm", "MatMul", "Mul":
		return true
	}
	return false
}

// view returns n with inputs and outputs that are there only when the gradient dy is, as far as that is cheap; in its place n itself
// where nothing is computed again.
func (l *late) view(n *graph.Node, dy *graph.Value) *graph.Node {
	if !l.again {
		return n
	}
	a := &again{late: l, dy: dy, made: map[*graph.Value]*graph.Value{}}
	m := *n
	m.Inputs, m.Outputs = slices.Clone(n.Inputs), slices.Clone(n.Outputs)
	for _, list := range [][]*graph.Value{m.Inputs, m.Outputs} {
		for i, v := range list {
			if v != nil {
				list[i] = a.value(v)
			}
		}
	}
	return &m
}

// again computes values again once dy is there.
type again struct {
	*late
	dy   *graph.Value
	made map[*graph.Value]*graph.Value
}

// value returns what stands for v: v itself where it is large and not cheap to compute.
func (a *again) value(v *graph.Value) *graph.Value {
	if w, ok := a.made[v]; ok {
		return w
	}
	w := v
	switch {
	case v.DType() != graph.Float32 || v.IsConstant():
	case v.Size() < a.large:
		w = graph.After(v, a.dy)
	case v.Node() != nil:
		w = a.compute(v)
	}
	a.made[v] = w
	return w
}

// compute builds v from what it was computed from. It does so by other nodes than v's own, or the runtime would merge the two
// and keep v: the small operands are not v's, and Relu, which has none, becomes the maximum with a zero that is late.
func (a *again) compute(v *graph.Value) *graph.Value {
	n := v.Node()
	after := func(x *graph.Value) *graph.Value { return graph.After(x, a.dy) }
	switch n.Op {
	case "Relu":
		return graph.Max(a.value(n.Inputs[0]), after(v.Graph().Floats([]float32{0}, 1)))
	case "BatchNormalization":
		if v.Index() == 0 && n.Attrs.Int("training_mode", 0) == 1 {
			return graph.BatchNorm(a.value(n.Inputs[0]), after(n.Inputs[1]), after(n.Inputs[2]), after(n.Outputs[1]), after(n.Outputs[2]), n.Attrs.Float("epsilon", graph.DefaultEpsilon))
		}
	case "Mul":
		for i, x := range n.Inputs {
			if x.Size() < a.large {
				return graph.Mul(a.value(n.Inputs[1-i]), after(x))
			}
		}
	case "Concat":
		parts := make([]*graph.Value, len(n.Inputs))
		for i, x := range n.Inputs {
			parts[i] = a.value(x)
		}
		if !slices.Equal(parts, n.Inputs) {
			return graph.Concat(n.Attrs.Int("axis", 0), parts...)
		}
	case "Reshape":
		if x := a.value(n.Inputs[0]); x != n.Inputs[0] {
			return graph.Reshape(x, v.Shape()...)
		}
	}
	return v
}
