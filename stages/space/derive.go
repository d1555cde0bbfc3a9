package space

import (
	"cmp"
	"math"
	"slices"
)

// Derive returns the architecture that edge probabilities stand for: the most probable operation on each edge or, where nodes
// keep two of their edges, the rule of DARTS: every edge has its most probable operation other than "none", and a node
// keeps the two edges on which that is the most probable. Of equals, the first.
func (s *Space) Derive(p Probabilities) Architecture {
	if !s.Pairs {
		return p.Argmax()
	}
	a := make(Architecture, len(s.Edges))
	for _, g := range s.groups() {
		best, kept := make([]int, g.size()), make([]int, g.size())
		for i := range best {
			row := p[g.first+i]
			best[i], kept[i] = 1, i
			for op := 2; op < len(row); op++ {
				if row[op] > row[best[i]] {
					best[i] = op
				}
			}
		}
		slices.SortStableFunc(kept, func(i, j int) int { return cmp.Compare(p[g.first+j][best[j]], p[g.first+i][best[i]]) })
		for _, i := range kept[:2] {
			g.of(a)[i] = best[i]
		}
	}
	return a
}

// MostProbable returns the k architectures with the largest product of the probabilities of what they choose, largest first;
// fewer where the space has fewer. The first is what Derive gives, up to rounding. It widens a beam node by node or edge by edge, which is exact: a
// part of one of the k best is itself among the k best parts.
func (s *Space) MostProbable(p Probabilities, k int) []Architecture {
	type part struct {
		a   Architecture
		log float64
	}
	beam := []part{{}}
	for _, options := range s.options(p) {
		// Likelier ones come first, so that where rounding makes sums of logarithms equal, the order is right still.
		slices.SortStableFunc(options, func(x, y option) int { return cmp.Compare(y.weight, x.weight) })
		// Of what is added to one part, no more than k can stay.
		options = options[:min(k, len(options))]
		var wider []part
		for _, b := range beam {
			for _, o := range options {
				wider = append(wider, part{append(b.a.Clone(), o.state...), b.log + o.log})
			}
		}
		slices.SortStableFunc(wider, func(x, y part) int { return cmp.Compare(y.log, x.log) })
		beam = wider[:min(k, len(wider))]
	}
	out := make([]Architecture, len(beam))
	for i, b := range beam {
		out[i] = b.a
	}
	return out
}

// option is a choice for a few edges in a row, with the logarithm of its probability.
type option struct {
	state  []int
	log    float64
	weight float64 // by which the options of one choice are ordered: finer than log where it can be
}

// options returns the choices that make up an architecture, each with all its options.
func (s *Space) options(p Probabilities) [][]option {
	var out [][]option
	if !s.Pairs {
		for _, row := range p {
			var options []option
			for op, v := range row {
				options = append(options, option{[]int{op}, math.Log(v), v})
			}
			out = append(out, options)
		}
		return out
	}
	for _, g := range s.groups() {
		var options []option
		for pr := range s.pairs(g.size()) {
			state := make([]int, g.size())
			pr.put(state)
			log := 0.0
			for i := range 2 {
				log += math.Log(p[g.first+pr.edge[i]][pr.op[i]])
			}
			options = append(options, option{state, log, log})
		}
		out = append(out, options)
	}
	return out
}
