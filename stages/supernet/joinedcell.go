package supernet

import (
	"fmt"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/stages/space"
)

// joinedCell computes what relaxedCell computes with fewer and larger operators. The convolutions of one kernel size that
// leave a node, one for each of its edges, read the same input: their weights are joined to one convolution and their
// normalizations, which go by channel, to one normalization. Operations without weights of their own are the same on
// all edges, so their weighted sums are one matrix product. Gradients inherit the saving.
func (l *layers) joinedCell(s *space.Space, probabilities *graph.Value) func(*graph.Value) *graph.Value {
	return func(x *graph.Value) *graph.Value {
		given := l.given(x)
		j := joiner{layers: l, space: s, probabilities: probabilities, channels: given.Dim(1), kernels: l.kernels(s, given)}
		terms := make([][]*graph.Value, s.Nodes) // what is added up in each node
		past := make([][]*graph.Value, s.Nodes)  // what goes past the operations
		state := x
		for n := range s.Nodes {
			if n > 0 {
				if len(terms[n]) == 0 {
					terms[n] = append(terms[n], graph.Mul(given, x.Graph().Scalar(0)))
				}
				state = l.join(graph.Sum(terms[n]...), past[n])
			}
			var leaving []int
			for e, edge := range s.Edges {
				if edge.From == n {
					leaving = append(leaving, e)
				}
			}
			done := x.Graph().Scope(fmt.Sprintf("from_%d", n))
			for i, y := range j.leave(l.given(state), leaving) {
				to := s.Edges[leaving[i]].To
				terms[to] = append(terms[to], y)
			}
			if l.parts > 1 {
				for _, e := range leaving {
					to := s.Edges[e].To
					past[to] = append(past[to], l.past(state, 1, rowSum(probabilities, e)))
				}
			}
			done()
		}
		return state
	}
}

// joiner writes one joined cell.
type joiner struct {
	*layers
	space         *space.Space
	probabilities *graph.Value // [edges, operations]
	channels      int
	kernels       map[[2]int]*graph.Value // the weights of the convolution of an edge and an operation
}

// leave returns what each of the edges that leave a node with the given state adds to the node where it ends.
func (j *joiner) leave(state *graph.Value, edges []int) []*graph.Value {
	if len(edges) == 0 {
		return nil
	}
	var sum []*graph.Value
	for o := range j.space.Operations {
		if y := j.convolved(state, edges, o); y != nil {
			sum = append(sum, y)
		}
	}
	if y := j.mixed(state, edges); y != nil {
		sum = append(sum, y)
	}
	if len(sum) == 0 {
		return nil
	}
	sizes := ones(len(edges))
	for i := range sizes {
		sizes[i] = j.channels
	}
	return graph.Split(graph.Sum(sum...), 1, sizes...)
}

// convolved returns the weighted results of a convolution on all edges, their channels side by side; nil when operation
// o is none.
func (j *joiner) convolved(state *graph.Value, edges []int, o int) *graph.Value {
	k := kernelOf(j.space.Operations[o])
	if k == 0 {
		return nil
	}
	defer state.Graph().Scope(j.space.Operations[o])()
	var weights []*graph.Value
	for _, e := range edges {
		weights = append(weights, j.kernels[[2]int{e, o}])
	}
	scale := graph.Expand(j.columnOf(edges, o), len(edges), j.channels)
	y := graph.Conv(graph.Relu(state), graph.Concat(0, weights...), nil, graph.Same(k, 1, 1, 1))
	return j.norm(y, false, graph.Reshape(scale, len(edges)*j.channels))
}

// mixed returns the weighted sums of the operations without weights on all edges, their channels side by side; nil when the
// space has none.
func (j *joiner) mixed(state *graph.Value, edges []int) *graph.Value {
	var results, shares []*graph.Value
	for o, op := range j.space.Operations {
		if op != opNone && kernelOf(op) == 0 {
			results, shares = append(results, j.operation(op, state, false)), append(shares, j.columnOf(edges, o))
		}
	}
	if len(results) == 0 {
		return nil
	}
	defer state.Graph().Scope("mixed")()
	n, h, w := state.Dim(0), state.Dim(2), state.Dim(3)
	stacked := graph.Reshape(graph.Concat(1, results...), n, len(results), j.channels*h*w)
	return graph.Reshape(graph.MatMul(graph.Concat(1, shares...), stacked), n, len(edges)*j.channels, h, w)
}

// columnOf returns the probabilities [edges, 1] of an operation on the given edges.
func (j *joiner) columnOf(edges []int, operation int) *graph.Value {
	columns := graph.Split(j.probabilities, 1, ones(len(j.space.Operations))...)
	return graph.Gather(columns[operation], j.probabilities.Graph().Ints(edges...), 0)
}

// kernelOf returns the kernel size of a convolution, 0 for what is none.
func kernelOf(op string) int {
	switch op {
	case opConv1x1:
		return 1
	case opConv3x3:
		return 3
	}
	return 0
}

// kernels declares the weights of every convolution of a cell on x, edge by edge, as the plain cell does.
func (l *layers) kernels(s *space.Space, x *graph.Value) map[[2]int]*graph.Value {
	channels := x.Dim(1)
	out := map[[2]int]*graph.Value{}
	for e, edge := range s.Edges {
		for o, op := range s.Operations {
			if k := kernelOf(op); k > 0 {
				done := edgeScope(x.Graph(), edge, op)
				out[[2]int{e, o}] = l.param(x.Graph(), "weight", params.Conv, channels, channels, k, k)
				done()
			}
		}
	}
	return out
}
