package supernet

import (
	"fmt"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/stages/space"
)

// relaxedDARTSCell weighs every operation of every edge with probabilities [2, edges, operations], of which the first
// matrix is for normal cells and the second for reduction cells.
//
// All edges that leave a state are computed at once, with their channels side by side: an operation is a few large nodes
// for each of the five states instead of for each of the fourteen edges, pools are made once for all edges, and what an edge
// adds to its node is cut out of the sum over the operations.
func (l *layers) relaxedDARTSCell(probabilities *graph.Value) func(p place, s0, s1 *graph.Value) *graph.Value {
	g := probabilities.Graph()
	return func(p place, s0, s1 *graph.Value) *graph.Value {
		states := l.preprocess(p, s0, s1, false)
		terms := make([][]*graph.Value, space.DARTSInputs+space.DARTSNodes) // of each node
		rows := graph.Reshape(probabilities, 2*space.DARTSEdges, -1)
		first, e := p.firstEdge(), 0
		for n := range space.DARTSNodes {
			node := space.DARTSInputs + n
			for from := len(terms[node]); from < node; from++ {
				done := g.Scope(fmt.Sprintf("state%d", from))
				for i, y := range l.relaxedEdges(l.given(states[from]), from, p, probabilities) {
					to := max(from+1, space.DARTSInputs) + i
					terms[to] = append(terms[to], y)
				}
				done()
			}
			var past []*graph.Value
			for from := range node {
				if l.parts > 1 {
					past = append(past, l.past(states[from], p.stride(from), rowSum(rows, first+e)))
				}
				e++
			}
			states = append(states, l.join(graph.Sum(terms[node]...), past))
		}
		return graph.Concat(1, states[space.DARTSInputs:]...)
	}
}

// relaxedEdges returns what each edge that leaves state x adds to its node, in the order of the nodes.
func (l *layers) relaxedEdges(x *graph.Value, from int, p place, probabilities *graph.Value) []*graph.Value {
	g, channels, stride := x.Graph(), x.Dim(1), p.stride(from)
	var rows []int
	for e, edge := range space.DARTSCellEdges() {
		if edge.From == from {
			rows = append(rows, e)
		}
	}
	edges := len(rows)
	weights := operationWeights(probabilities, p, rows)
	// perChannel gives the weights of an operation to the channels of their edges.
	perChannel := func(op string) *graph.Value {
		return graph.Reshape(graph.Expand(graph.Reshape(weights[op], edges, 1), edges, channels), edges*channels)
	}

	positive := graph.Relu(x)
	var terms []*graph.Value
	for _, op := range []string{opSep3x3, opSep5x5, opDilated3, opDilated5} {
		done := g.Scope(op)
		terms = append(terms, l.convolution(op, positive, edges, stride, false, perChannel(op)))
		done()
	}
	// Without weights of their own, the other operations are the same on all edges: the weighted sums are one matrix product.
	var plain, shares []*graph.Value
	add := func(op string, y *graph.Value) {
		plain, shares = append(plain, y), append(shares, graph.Reshape(weights[op], edges, 1))
	}
	done := g.Scope(opMaxPool)
	add(opMaxPool, l.norm(graph.MaxPool(x, graph.SquarePool(3, stride, 1)), false, nil))
	done()
	done = g.Scope(opAvgPool)
	add(opAvgPool, l.norm(graph.AveragePool(x, graph.SquarePool(3, stride, 1)), false, nil))
	done()
	if stride == 1 {
		add(opSkip, x)
	} else {
		done = g.Scope(opSkip)
		terms = append(terms, l.factorizedReduce(positive, edges, channels, false, perChannel(opSkip)))
		done()
	}
	stacked := graph.Concat(1, plain...)
	shape := []int{stacked.Dim(0), edges * channels, stacked.Dim(2), stacked.Dim(3)}
	mixed := graph.MatMul(graph.Concat(1, shares...), graph.Reshape(stacked, shape[0], len(plain), -1))
	terms = append(terms, graph.Reshape(mixed, shape...))
	sizes := ones(edges)
	for i := range sizes {
		sizes[i] = channels
	}
	return graph.Split(graph.Sum(terms...), 1, sizes...)
}

// operationWeights returns the weights of each operation on the given rows of the matrix that a cell goes by, each [rows].
func operationWeights(probabilities *graph.Value, p place, rows []int) map[string]*graph.Value {
	kind := 0
	if p.reduce {
		kind = 1
	}
	operations := space.DARTSOperations()
	matrix := graph.Reshape(graph.Slice(probabilities, graph.Range{Axis: 0, Start: kind, End: kind + 1}), space.DARTSEdges, len(operations))
	columns := graph.Split(graph.Gather(matrix, matrix.Graph().Ints(rows...), 0), 1, ones(len(operations))...)
	out := map[string]*graph.Value{}
	for i, op := range operations {
		out[op] = graph.Reshape(columns[i], len(rows))
	}
	return out
}
