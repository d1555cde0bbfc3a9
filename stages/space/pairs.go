package space

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
)

// In spaces with Pairs the choice of a node is its own: which two of its edges it keeps, and an operation on each. What a
// space does with architectures is therefore done node by node; a state is a node's part of an architecture.

// group is a node as a range of edges, those that lead to it.
type group struct{ first, end int }

func (g group) size() int { return g.end - g.first }

// of returns the node's part of an architecture.
func (g group) of(a Architecture) []int { return a[g.first:g.end] }

// groups returns the nodes of all cells.
func (s *Space) groups() []group {
	var out []group
	per := s.CellEdges()
	for e, edge := range s.Edges {
		if e%per == 0 || edge.To != s.Edges[e-1].To {
			out = append(out, group{first: e})
		}
		out[len(out)-1].end = e + 1
	}
	return out
}

func (s *Space) checkPairs(a Architecture) error {
	for _, g := range s.groups() {
		kept := 0
		for _, op := range g.of(a) {
			if op != 0 {
				kept++
			}
		}
		if kept != 2 {
			node := fmt.Sprintf("node %d", s.Edges[g.first].To)
			if cell := s.Cell(g.first); cell != "" {
				node = cell + " cell, " + node
			}
			return fmt.Errorf("%s keeps %d of its %d edges; in space %s every node keeps two", node, kept, g.size(), s.Name)
		}
	}
	return nil
}

// pairStates returns how many states a node with so many edges has.
func (s *Space) pairStates(edges int) int {
	return product(binomial(edges, 2), power(len(s.Operations)-1, 2))
}

// pair is a state: the kept edges, counted from the node's first, the earlier one first, and their operations.
type pair struct{ edge, op [2]int }

func pairOf(state []int) (p pair) {
	i := 0
	for e, op := range state {
		if op != 0 && i < 2 {
			p.edge[i], p.op[i] = e, op
			i++
		}
	}
	return p
}

// put writes the state into a node's part of an architecture.
func (p pair) put(state []int) {
	clear(state)
	for i := range 2 {
		state[p.edge[i]] = p.op[i]
	}
}

// distance returns how many changes of an operation or an input lead from one state to another.
func (p pair) distance(q pair) int {
	change := func(i, j int) (n int) {
		if p.edge[i] != q.edge[j] {
			n++
		}
		if p.op[i] != q.op[j] {
			n++
		}
		return n
	}
	return min(change(0, 0)+change(1, 1), change(0, 1)+change(1, 0))
}

// pairs yields every state of a node with so many edges, by the edges that are kept, then by their operations.
func (s *Space) pairs(edges int) iter.Seq[pair] {
	return func(yield func(pair) bool) {
		for e := range edges {
			for f := e + 1; f < edges; f++ {
				for x := 1; x < len(s.Operations); x++ {
					for y := 1; y < len(s.Operations); y++ {
						if !yield(pair{[2]int{e, f}, [2]int{x, y}}) {
							return
						}
					}
				}
			}
		}
	}
}

func (s *Space) randomPairs(rng *rand.Rand) Architecture {
	a := make(Architecture, len(s.Edges))
	for _, g := range s.groups() {
		// The second edge is drawn from those that are left.
		e, f := rng.IntN(g.size()), rng.IntN(g.size()-1)
		if f >= e {
			f++
		}
		for _, kept := range []int{e, f} {
			g.of(a)[kept] = 1 + rng.IntN(len(s.Operations)-1)
		}
	}
	return a
}

// allPairs yields every architecture in lexicographic order.
func (s *Space) allPairs() iter.Seq[Architecture] {
	return func(yield func(Architecture) bool) {
		groups := s.groups()
		states := make([][][]int, len(groups))
		for i, g := range groups {
			for p := range s.pairs(g.size()) {
				state := make([]int, g.size())
				p.put(state)
				states[i] = append(states[i], state)
			}
			slices.SortFunc(states[i], slices.Compare)
		}
		a := make(Architecture, len(s.Edges))
		var from func(i int) bool
		from = func(i int) bool {
			if i == len(groups) {
				return yield(a.Clone())
			}
			for _, state := range states[i] {
				copy(groups[i].of(a), state)
				if !from(i + 1) {
					return false
				}
			}
			return true
		}
		from(0)
	}
}

func (s *Space) pairsDistance(a, b Architecture) int {
	d := 0
	for _, g := range s.groups() {
		d += pairOf(g.of(a)).distance(pairOf(g.of(b)))
	}
	return d
}

// furthest is the largest distance of two states: both operations and both inputs.
const furthest = 4

// shellSizes counts the states of a node with so many edges by their distance from one of them. All states with the same
// operation twice have equal counts, and so have all others, since edges and operations can be renamed.
func (s *Space) shellSizes(edges int, from pair) (counts [furthest + 1]int) {
	add := func(nearest, sets int, ways [3]int) {
		for i, n := range ways {
			counts[nearest+i] += sets * n
		}
	}
	// With m other operations for each of two edges, these many pairs of operations differ in 0, 1 and 2.
	m := len(s.Operations) - 2
	straight := [3]int{1, 2 * m, m * m}
	add(0, 1, straight)
	one, both := 2*(edges-2), binomial(edges-2, 2) // sets of edges that differ in one and in both
	if from.op[0] == from.op[1] {
		add(1, one, straight)
		add(2, both, straight)
		return counts
	}
	// Where both operations have changed places, the other pairing is nearer: the edge that goes takes the operation along.
	add(1, one, [3]int{1, 2*m + 1, m*m - 1})
	add(2, both, [3]int{2, 4*m - 2, (m - 1) * (m - 1)})
	return counts
}

// patterns returns a state with the same operation twice and one with different ones.
func (s *Space) patterns() []pair {
	out := []pair{{[2]int{0, 1}, [2]int{1, 1}}}
	if len(s.Operations) > 2 {
		out = append(out, pair{[2]int{0, 1}, [2]int{1, 2}})
	}
	return out
}

func (s *Space) pairsDiameter() int {
	d := 0
	for _, g := range s.groups() {
		most := 0
		for _, from := range s.patterns() {
			for k, count := range s.shellSizes(g.size(), from) {
				if count > 0 {
					most = max(most, k)
				}
			}
		}
		d += most
	}
	return d
}

// largestPairsShell returns the size of the largest shell around any architecture.
func (s *Space) largestPairsShell(distance int) int {
	groups := s.groups()
	sizes := make([][][furthest + 1]int, len(groups))
	for i, g := range groups {
		for _, from := range s.patterns() {
			if sz := s.shellSizes(g.size(), from); !slices.Contains(sizes[i], sz) {
				sizes[i] = append(sizes[i], sz)
			}
		}
	}
	largest := 0
	var choose func(i int, counts []int)
	choose = func(i int, counts []int) {
		if i == len(groups) {
			if distance >= 0 && distance < len(counts) {
				largest = max(largest, counts[distance])
			}
			return
		}
		for _, sz := range sizes[i] {
			choose(i+1, combine(sz[:], counts))
		}
	}
	choose(0, []int{1})
	return largest
}

// combine counts by the sum of two distances.
func combine(a, b []int) []int {
	out := make([]int, len(a)+len(b)-1)
	for i, x := range a {
		for j, y := range b {
			out[i+j] = sum(out[i+j], product(x, y))
		}
	}
	return out
}

// around are the shells about an architecture.
type around struct {
	center Architecture
	groups []group
	space  *Space
	own    []pair                 // of each node
	sizes  [][furthest + 1]int    // how many states each node has by distance from its own
	near   [][furthest + 1][]pair // states of each node by distance from its own, once they are asked for
	counts [][]int                // counts[i][d] is the number of ways in which node i and those after it differ by d
}

func (s *Space) pairsAround(a Architecture) *around {
	r := &around{center: a, groups: s.groups(), space: s}
	r.own = make([]pair, len(r.groups))
	r.sizes = make([][furthest + 1]int, len(r.groups))
	r.near = make([][furthest + 1][]pair, len(r.groups))
	r.counts = make([][]int, len(r.groups)+1)
	r.counts[len(r.groups)] = []int{1}
	for i := len(r.groups) - 1; i >= 0; i-- {
		r.own[i] = pairOf(r.groups[i].of(a))
		r.sizes[i] = s.shellSizes(r.groups[i].size(), r.own[i])
		r.counts[i] = combine(r.sizes[i][:], r.counts[i+1])
	}
	return r
}

// states returns the states of a node at a distance from its own.
func (r *around) states(i, distance int) []pair {
	if distance == 0 {
		return r.own[i : i+1]
	}
	if r.near[i][1] == nil { // every node has neighbors at distance 1
		for p := range r.space.pairs(r.groups[i].size()) {
			d := r.own[i].distance(p)
			r.near[i][d] = append(r.near[i][d], p)
		}
	}
	return r.near[i][distance]
}

// ways returns in how many ways node i and those after it differ by a distance.
func (r *around) ways(i, distance int) int {
	if distance < 0 || distance >= len(r.counts[i]) {
		return 0
	}
	return r.counts[i][distance]
}

func (r *around) size(distance int) int { return r.ways(0, distance) }

func (r *around) shell(distance int) []Architecture {
	out := make([]Architecture, 0, r.size(distance))
	current := r.center.Clone()
	var change func(i, left int)
	change = func(i, left int) {
		if i == len(r.groups) {
			out = append(out, current.Clone())
			return
		}
		for d := furthest; d >= 0; d-- {
			if r.ways(i+1, left-d) == 0 {
				continue
			}
			for _, p := range r.states(i, d) {
				p.put(r.groups[i].of(current))
				change(i+1, left-d)
			}
		}
	}
	change(0, distance)
	return out
}

// at returns shell(distance)[index]; there must be one.
func (r *around) at(distance, index int) Architecture {
	out := r.center.Clone()
	for i, g := range r.groups {
		for d := furthest; d >= 0; d-- {
			rest := r.ways(i+1, distance-d)
			if rest == 0 {
				continue
			}
			if all := product(r.sizes[i][d], rest); index >= all {
				index -= all
				continue
			}
			r.states(i, d)[index/rest].put(g.of(out))
			index, distance = index%rest, distance-d
			break
		}
	}
	return out
}
