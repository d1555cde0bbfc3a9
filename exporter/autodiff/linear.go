package autodiff

import (
	"slices"

	"github.com/plateau-nas/plateau/exporter/graph"
)

// gemmRule: for y = A B, dA = dy B^T and dB = A^T dy, with the transpositions of A and B carried along.
func gemmRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	a, b, d := n.Inputs[0], n.Inputs[1], dy[0]
	ta, tb := n.Attrs.Int("transA", 0) == 1, n.Attrs.Int("transB", 0) == 1
	out := make([]*graph.Value, len(n.Inputs))
	if need[0] {
		if ta {
			out[0] = graph.Gemm(b, d, nil, graph.GemmConfig{TransA: tb, TransB: true})
		} else {
			out[0] = graph.Gemm(d, b, nil, graph.GemmConfig{TransB: !tb})
		}
	}
	if need[1] {
		if tb {
			out[1] = graph.Gemm(d, a, nil, graph.GemmConfig{TransA: true, TransB: ta})
		} else {
			out[1] = graph.Gemm(a, d, nil, graph.GemmConfig{TransA: !ta})
		}
	}
	if len(n.Inputs) == 3 && need[2] {
		out[2] = unbroadcast(d, n.Inputs[2].Shape())
	}
	return out
}

// matMulRule is gemmRule for stacks of matrices. A matrix that all of a stack share takes one product over all rows
// instead of a stack of products and their sum.
func (o *options) matMulRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	a, b, d := n.Inputs[0], n.Inputs[1], dy[0]
	out := make([]*graph.Value, 2)
	// The gradient of a a^T is (d + d^T) a, unless that by a^T is wanted apart.
	if isSwapped(b, a) && need[0] && !o.wrt[b] {
		if n := d.Node(); n != nil && n.Op == "Expand" && n.Inputs[0].Rank() == d.Rank() {
			d = n.Inputs[0] // the product broadcasts it
		}
		out[0] = graph.MatMul(graph.Add(d, swapped(d)), a)
		return out
	}
	if need[0] {
		out[0] = unbroadcast(o.rowProducts(d, b), a.Shape())
	}
	switch {
	case !need[1]:
	case b.Rank() == 2 && a.Rank() > 2:
		rows := graph.Reshape(a, -1, a.Dim(-1))
		out[1] = graph.Gemm(rows, graph.Reshape(d, -1, d.Dim(-1)), nil, graph.GemmConfig{TransA: true})
	default:
		out[1] = unbroadcast(graph.MatMul(swapped(a), d), b.Shape())
	}
	return out
}

// rowProducts returns the products of the rows of a [..., A, K] with the rows of b [..., B, K], stack by stack: [..., A, B].
// Few long rows, as of the probabilities of operations, go one by one: ONNX Runtime reads b as it lies for a single row,
// while for several it first copies b into blocks that these rows leave mostly empty.
func (o *options) rowProducts(a, b *graph.Value) *graph.Value {
	const few, long = 5, 1024
	rank := a.Rank()
	if !o.uses(SingleRows) || rank < 3 || b.Rank() != rank || a.Dim(-2) == 1 || a.Dim(-2) > few || a.Dim(-1) < long {
		return graph.MatMul(a, swapped(b))
	}
	one := graph.MatMul(
		graph.Reshape(a, slices.Insert(slices.Clone(a.Shape()), rank-1, 1)...),
		swapped(graph.Reshape(b, slices.Insert(slices.Clone(b.Shape()), rank-2, 1)...)))
	stacks := one.Shape()[:rank-2]
	return graph.Reshape(one, append(slices.Clone(stacks), a.Dim(-2), b.Dim(-2))...)
}

// swapped exchanges the last two dimensions; the runtime fuses it into the product.
func swapped(v *graph.Value) *graph.Value {
	perm := make([]int, v.Rank())
	for i := range perm {
		perm[i] = i
	}
	last := len(perm) - 1
	perm[last-1], perm[last] = last, last-1
	return graph.Transpose(v, slices.Clip(perm)...)
}

// isSwapped tells whether b is a with its last two dimensions exchanged.
func isSwapped(b, a *graph.Value) bool {
	n := b.Node()
	if n == nil || n.Op != "Transpose" || n.Inputs[0] != a {
		return false
	}
	perm := n.Attrs.Ints("perm", nil)
	for i, p := range perm[:len(perm)-2] {
		if p != i {
			return false
		}
	}
	return perm[len(perm)-1] == len(perm)-2
}
