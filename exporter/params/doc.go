// Package params keeps the trainable parameters of a network in one flat float32 vector.
//
// Its nouns: a Parameter is a named tensor with a place in the vector and a rule for its first values; an Index is
// the ordered list of them, written as parameters.json; a Binder is what a network asks for its parameters
// while it is built. One network function serves three binders: a Collector finds out what parameters there
// are, a Flat binder takes them from a vector inside the graph (training), and a Const binder holds given data
// in the model (export):
//
//	index, err := params.Collect(func(g *graph.Graph, b params.Binder) { network(b, g.Input("x", ...)) })
//	weights := index.Initialize(rng)
//	flat := g.Input("params", graph.Float32, []int{index.Total()}, "all weights")
//	logits := network(params.NewFlat(index, flat), x)
//	exported := network(params.NewConst(g2, index, weights), x2)
package params
