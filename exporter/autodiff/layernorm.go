package autodiff

import "github.com/plateau-nas/plateau/exporter/graph"

// layerNormRule differentiates layer normalization. With xhat = (x - mean) * rstd and d = dy * scale, over the
// dimensions that are normalized:
//
//	dx = rstd * (d - mean(d) - xhat * mean(d * xhat))
//
// dscale and dbias are the sums of dy * xhat and of dy over the dimensions before. The statistics are computed again, from
// operators that have rules, so that gradients of gradients are right too.
func layerNormRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	x, scale, d := n.Inputs[0], n.Inputs[1], dy[0]
	g, first := x.Graph(), n.Attrs.Int("axis", -1)
	var batch, normalized []int
	for i := range x.Rank() {
		if i < first {
			batch = append(batch, i)
		} else {
			normalized = append(normalized, i)
		}
	}
	overBatch := func(v *graph.Value) *graph.Value {
		if len(batch) == 0 {
			return v // no axes would mean all
		}
		return graph.ReduceSum(v, false, batch...)
	}
	mean := func(v *graph.Value) *graph.Value { return graph.ReduceMean(v, true, normalized...) }
	out := make([]*graph.Value, len(n.Inputs))
	if len(n.Inputs) == 3 && need[2] {
		out[2] = overBatch(d)
	}
	if !need[0] && !need[1] {
		return out
	}
	centered := graph.Sub(x, mean(x))
	epsilon := g.Scalar(n.Attrs.Float("epsilon", graph.DefaultEpsilon))
	rstd := graph.Reciprocal(graph.Sqrt(graph.Add(mean(graph.Mul(centered, centered)), epsilon)))
	xhat := graph.Mul(centered, rstd)
	if need[1] {
		out[1] = overBatch(graph.Mul(d, xhat))
	}
	if need[0] {
		d = graph.Mul(d, scale)
		straight := graph.Sub(d, graph.Add(mean(d), graph.Mul(xhat, mean(graph.Mul(d, xhat)))))
		out[0] = graph.Mul(rstd, straight)
	}
	return out
}
