package graph

import "slices"

// GemmConfig are the settings of Gemm.
type GemmConfig struct {
	TransA, TransB bool
}

// Gemm is the matrix product of a and b (each transposed first where the settings say so) plus c, which broadcasts
// to the result and may be nil.
func Gemm(a, b, c *Value, o GemmConfig) *Value {
	g := graphOf(a)
	if len(a.shape) != 2 || len(b.shape) != 2 {
		g.fail("Gemm", "wants two matrices, has %v and %v", a.shape, b.shape)
		return g.dummy(Float32, []int{1, 1})
	}
	m, k := a.shape[0], a.shape[1]
	k2, n := b.shape[0], b.shape[1]
	var ta, tb int
	if o.TransA {
		m, k, ta = k, m, 1
	}
	if o.TransB {
		k2, n, tb = n, k2, 1
	}
	if k != k2 {
		g.fail("Gemm", "the inner dimensions of %v and %v (transposed: %v, %v) differ", a.shape, b.shape, o.TransA, o.TransB)
	}
	in := []*Value{a, b}
	if c != nil {
		if s, ok := BroadcastShapes(c.shape, []int{m, n}); !ok || !slices.Equal(s, []int{m, n}) {
			g.fail("Gemm", "the term %v does not broadcast to [%d %d]", c.shape, m, n)
		}
		in = append(in, c)
	}
	return g.node("Gemm", in, Attributes{{"transA", ta}, {"transB", tb}}, nil, []spec{{Float32, []int{m, n}}}, true)[0]
}

// MatMul is the matrix product over the last two dimensions; those before are broadcast. Both ranks are at least 2.
func MatMul(a, b *Value) *Value {
	g := graphOf(a)
	if len(a.shape) < 2 || len(b.shape) < 2 {
		g.fail("MatMul", "wants ranks of 2 and more, has %v and %v", a.shape, b.shape)
		return g.dummy(Float32, []int{1, 1})
	}
	la, lb := len(a.shape)-2, len(b.shape)-2
	batch, ok := BroadcastShapes(a.shape[:la], b.shape[:lb])
	if !ok || a.shape[la+1] != b.shape[lb] {
		g.fail("MatMul", "%v and %v do not multiply", a.shape, b.shape)
	}
	return g.node("MatMul", []*Value{a, b}, nil, nil, []spec{{Float32, append(slices.Clone(batch), a.shape[la], b.shape[lb+1])}}, true)[0]
}
