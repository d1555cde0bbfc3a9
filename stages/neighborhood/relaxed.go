package neighborhood

import (
	"math/rand/v2"

	"github.com/plateau-nas/plateau/stages/space"
)

// Relaxed is a neighbor of edge probabilities: on the edges that it changes, q_e = P_e p_e with P_e a permutation
// matrix other than the identity; every other edge is as it was. The permutations are constants, so a
// gradient at q comes back to p through their transposes. As no permutation moves a distribution by more than
// 1 in total variation, a neighbor that changes r edges lies within radius r.
type Relaxed struct {
	// Permutation has a row for each edge: q[e][k] = p[e][Permutation[e][k]]. A nil row leaves its edge alone.
	Permutation [][]int
}

// DrawRelaxed returns neighbors of p in the manner of Draw: the center (the identity) first when it is included,
// the center alone at radius 0.
//
// Swap neighbors are the discrete neighbors of the architecture made of the strongest operations, drawn as Draw
// draws them, and on each edge where such a neighbor differs, the probability of the strongest operation changes
// places with that of the operation put there. So for the same settings and the same rng, applying them to a
// one-hot p gives exactly what Draw gives.
//
// Shuffle neighbors change as many edges as a discrete neighbor drawn uniformly does, on edges drawn uniformly, each
// by a permutation drawn uniformly from all but the identity. They are drawn independently of each other;
// settings.Samples of 0 draws as many as there are discrete neighbors.
//
// It is DrawRelaxedIn for a space in which every edge has its own choice.
func DrawRelaxed(p space.Probabilities, st Settings, rng *rand.Rand) []Relaxed {
	return DrawRelaxedIn(shape(p), p, st, rng)
}

// DrawRelaxedIn is DrawRelaxed for probabilities in the given space. Where nodes keep two of their edges, as in the DARTS
// space, swap neighbors are the discrete neighbors of the architecture that p stands for: where an operation changes, the
// two change places, and where an input does, the operation changes places with "none" on the edge that goes and on the
// one that comes. Such a neighbor permutes two rows of p for one change. Shuffle neighbors permute any rows, kept or not.
func DrawRelaxedIn(s *space.Space, p space.Probabilities, st Settings, rng *rand.Rand) []Relaxed {
	identity := Relaxed{Permutation: make([][]int, len(p))}
	if st.Radius <= 0 {
		return []Relaxed{identity}
	}
	var out []Relaxed
	if st.IncludeCenter {
		out = append(out, identity)
	}
	if st.Kind == Shuffle {
		return append(out, drawShuffles(shape(p), st, rng)...)
	}
	strongest := s.Derive(p)
	for _, neighbor := range drawNeighbors(s, strongest, st, rng) {
		r := Relaxed{Permutation: make([][]int, len(p))}
		for e, op := range neighbor {
			if op != strongest[e] {
				r.Permutation[e] = transposition(len(p[e]), op, strongest[e])
			}
		}
		out = append(out, r)
	}
	return out
}

// shape returns a space with as many edges and operations as p has; that is all that drawing needs to know.
func shape(p space.Probabilities) *space.Space {
	operations := 0
	if len(p) > 0 {
		operations = len(p[0])
	}
	return &space.Space{Edges: make([]space.Edge, len(p)), Operations: make([]string, operations)}
}

func drawShuffles(s *space.Space, st Settings, rng *rand.Rand) []Relaxed {
	total := neighbors(s, st.Radius, s.ShellSize)
	if total == 0 {
		return nil // with fewer than two operations there is nothing to permute
	}
	count := st.Samples
	if count <= 0 {
		count = total
	}
	out := make([]Relaxed, count)
	for i := range out {
		edges, index := 1, rng.IntN(total)
		for index >= s.ShellSize(edges) {
			index -= s.ShellSize(edges)
			edges++
		}
		out[i].Permutation = make([][]int, len(s.Edges))
		for _, e := range subset(len(s.Edges), edges, rng) {
			out[i].Permutation[e] = shuffle(len(s.Operations), rng)
		}
	}
	return out
}

func transposition(n, i, j int) []int {
	p := make([]int, n)
	for k := range p {
		p[k] = k
	}
	p[i], p[j] = j, i
	return p
}

// shuffle draws a permutation of n >= 2 elements uniformly from all but the identity.
func shuffle(n int, rng *rand.Rand) []int {
	for {
		p := rng.Perm(n)
		for k, v := range p {
			if k != v {
				return p
			}
		}
	}
}

// Changes returns on how many edges the neighbor differs from its center; 0 for the center itself.
func (r Relaxed) Changes() int {
	n := 0
	for _, row := range r.Permutation {
		if row != nil {
			n++
		}
	}
	return n
}

// Apply returns the neighbor's probabilities when those of the center are p.
func (r Relaxed) Apply(p space.Probabilities) space.Probabilities {
	q := p.Clone()
	for e := range q {
		if !r.permutes(e, len(p[e])) {
			continue
		}
		for k, from := range r.Permutation[e] {
			q[e][k] = p[e][from]
		}
	}
	return q
}

// Pullback turns the gradient of a function at the neighbor's probabilities into that at the center's: P^T dq.
func (r Relaxed) Pullback(dq [][]float64) [][]float64 {
	dp := [][]float64(space.Probabilities(dq).Clone())
	for e := range dp {
		if !r.permutes(e, len(dq[e])) {
			continue
		}
		for k, from := range r.Permutation[e] {
			dp[e][from] = dq[e][k]
		}
	}
	return dp
}

// Distance returns how far the neighbor lies from its center p, in total variation: at most Changes, and
// exactly that when p is one-hot and the neighbor is a swap.
func (r Relaxed) Distance(p space.Probabilities) float64 { return space.TotalVariation(p, r.Apply(p)) }

func (r Relaxed) permutes(edge, operations int) bool {
	return edge < len(r.Permutation) && len(r.Permutation[edge]) == operations
}
