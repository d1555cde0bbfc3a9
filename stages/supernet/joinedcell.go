package supernet

import (
	"fmt"
	"slices"

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
		j := joiner{layers: l, space: s, channels: given.Dim(1), kernels: l.kernels(s, given)}
		j.take(probabilities)
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
			leaving := leavingEdges(s, n)
			done := x.Graph().Scope(fmt.Sprintf("from_%d", n))
			for i, y := range j.leave(l.given(state), n, leaving) {
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
	space    *space.Space
	channels int
	kernels  map[[2]int]*graph.Value // the weights of the convolution of an edge and an operation
	// shares holds, for a node and a convolution, the probabilities of the operation on all edges that leave the node, once for each
	// channel; and for a node and mixing those of the operations without weights, [edges * operations].
	shares map[[2]int]*graph.Value
}

// mixing stands in joiner.shares for all operations without weights.
const mixing = -1

// take picks all shares of a cell from the probabilities [edges, operations] at once.
func (j *joiner) take(probabilities *graph.Value) {
	var picks, sizes []int
	var keys [][2]int
	operations := len(j.space.Operations)
	add := func(node, o int, chosen []int) {
		if len(chosen) > 0 {
			picks, sizes, keys = append(picks, chosen...), append(sizes, len(chosen)), append(keys, [2]int{node, o})
		}
	}
	for n := range j.space.Nodes {
		var mixed []int
		edges := leavingEdges(j.space, n)
		for o, op := range j.space.Operations {
			if kernelOf(op) == 0 {
				continue
			}
			var chosen []int
			for _, e := range edges {
				chosen = append(chosen, slices.Repeat([]int{e*operations + o}, j.channels)...)
			}
			add(n, o, chosen)
		}
		for _, e := range edges {
			for o, op := range j.space.Operations {
				if mixes(op) {
					mixed = append(mixed, e*operations+o)
				}
			}
		}
		add(n, mixing, mixed)
	}
	j.shares = map[[2]int]*graph.Value{}
	if len(picks) == 0 {
		return
	}
	g := probabilities.Graph()
	for i, v := range graph.Split(graph.Gather(graph.Reshape(probabilities, -1), g.Ints(picks...), 0), 0, sizes...) {
		j.shares[keys[i]] = v
	}
}

// mixes tells the operations without weights whose results are added up in one product.
func mixes(op string) bool { return op != opNone && kernelOf(op) == 0 }

// leavingEdges returns the edges that leave a node.
func leavingEdges(s *space.Space, node int) []int {
	var out []int
	for e, edge := range s.Edges {
		if edge.From == node {
			out = append(out, e)
		}
	}
	return out
}

// leave returns what each of the edges that leave a node with the given state adds to the node where it ends.
func (j *joiner) leave(state *graph.Value, node int, edges []int) []*graph.Value {
	if len(edges) == 0 {
		return nil
	}
	var sum []*graph.Value
	for o := range j.space.Operations {
		if y := j.convolved(state, node, edges, o); y != nil {
			sum = append(sum, y)
		}
	}
	if y := j.mixed(state, node, edges); y != nil {
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
func (j *joiner) convolved(state *graph.Value, node int, edges []int, o int) *graph.Value {
	k := kernelOf(j.space.Operations[o])
	if k == 0 {
		return nil
	}
	defer state.Graph().Scope(j.space.Operations[o])()
	weights := make([]*graph.Value, len(edges)) // as the vectors that they are cut from
	for i, e := range edges {
		weights[i] = graph.Reshape(j.kernels[[2]int{e, o}], -1)
	}
	x, w := graph.Relu(state), graph.Reshape(graph.Concat(0, weights...), len(edges)*j.channels, j.channels, k, k)
	scale := j.shares[[2]int{node, o}]
	if k == 1 && len(edges) > 1 && j.pointwise {
		return j.normalizedPointwise(x, w, scale)
	}
	return j.norm(j.convolve(x, w, graph.Same(k, 1, 1, 1)), false, scale)
}

// mixed returns the weighted sums of the operations without weights on all edges, their channels side by side; nil when the
// space has none.
func (j *joiner) mixed(state *graph.Value, node int, edges []int) *graph.Value {
	var results []*graph.Value
	for _, op := range j.space.Operations {
		if mixes(op) {
			results = append(results, j.operation(op, state, false))
		}
	}
	if len(results) == 0 {
		return nil
	}
	defer state.Graph().Scope("mixed")()
	n, h, w := state.Dim(0), state.Dim(2), state.Dim(3)
	stacked := graph.Reshape(graph.Concat(1, results...), n, len(results), j.channels*h*w)
	shares := graph.Reshape(j.shares[[2]int{node, mixing}], len(edges), len(results))
	return graph.Reshape(graph.MatMul(shares, stacked), n, len(edges)*j.channels, h, w)
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
