package architecture

import (
	"slices"

	"github.com/plateau-nas/plateau/stages/score/cost"
	"github.com/plateau-nas/plateau/stages/space"
)

// state is the first of the architectures, or of the choices at some of their edges, that have one size.
type state struct {
	a    space.Architecture
	size cost.Size // without the skeleton
	none int       // edges without an operation
}

// kinds tells states apart.
type kinds struct {
	size cost.Size
	none int
}

// statesOf returns, for each part of an architecture that is chosen apart, one choice of each size, in the order of the space: an
// operation of an edge, or where nodes keep two of their edges, the edges of a node.
func statesOf(s *space.Space, c *cost.Counter) [][]state {
	none, some := s.Operation("none")
	var out [][]state
	for first := 0; first < len(s.Edges); {
		end := first + 1
		for s.Pairs && end < len(s.Edges) && end%s.CellEdges() != 0 && s.Edges[end].To == s.Edges[first].To {
			end++
		}
		var choices []space.Architecture
		if s.Pairs {
			choices = pairs(end-first, len(s.Operations))
		} else {
			for op := range s.Operations {
				choices = append(choices, space.Architecture{op})
			}
		}
		var states []state
		known := map[kinds]bool{}
		for _, choice := range choices {
			st := state{a: choice}
			for i, op := range choice {
				e := c.Edge(first+i, op)
				st.size = cost.Size{Parameters: st.size.Parameters + e.Parameters, MultiplyAdds: st.size.MultiplyAdds + e.MultiplyAdds}
				if some && op == none && !s.Pairs {
					st.none++
				}
			}
			if k := (kinds{st.size, st.none}); !known[k] {
				known[k] = true
				states = append(states, st)
			}
		}
		out = append(out, states)
		first = end
	}
	return out
}

// pairs returns every choice of two edges with operations other than 0 among so many edges, in lexicographic order.
func pairs(edges, operations int) []space.Architecture {
	var out []space.Architecture
	for e := range edges {
		for f := e + 1; f < edges; f++ {
			for x := 1; x < operations; x++ {
				for y := 1; y < operations; y++ {
					a := make(space.Architecture, edges)
					a[e], a[f] = x, y
					out = append(out, a)
				}
			}
		}
	}
	slices.SortFunc(out, slices.Compare)
	return out
}

// most is how many sizes are kept while parts are put together. Beyond it, of the sizes with equal multiply-adds only those with
// the fewest and the most parameters go on.
const most = 1 << 17

// sizes returns the first architecture of every size that the space has and the bounds allow. It goes from part to part and keeps
// one beginning for each size that beginnings have, so it sees all of a space of any size.
func (p *pool) sizes() []state {
	parts := statesOf(p.space, p.count)
	// What the parts that are left add at least, so that beginnings that must break a bound are dropped.
	least := make([]cost.Size, len(parts)+1)
	for i := len(parts) - 1; i >= 0; i-- {
		small := parts[i][0].size
		for _, st := range parts[i] {
			small.MultiplyAdds, small.Parameters = min(small.MultiplyAdds, st.size.MultiplyAdds), min(small.Parameters, st.size.Parameters)
		}
		least[i] = plus(least[i+1], small)
	}
	begun := []state{{}}
	for i, choices := range parts {
		at := map[kinds]int{}
		var next []state
		for _, b := range begun {
			for _, c := range choices {
				st := state{size: plus(b.size, c.size), none: b.none + c.none}
				if !p.keeps(plus(p.count.Base(), plus(st.size, least[i+1]))) {
					continue
				}
				st.a = append(slices.Clone(b.a), c.a...)
				k := kinds{st.size, st.none}
				j, ok := at[k]
				switch {
				case !ok:
					at[k] = len(next)
					next = append(next, st)
				case slices.Compare(st.a, next[j].a) < 0:
					next[j] = st
				}
			}
		}
		begun = thin(next)
	}
	return begun
}

func plus(a, b cost.Size) cost.Size {
	return cost.Size{Parameters: a.Parameters + b.Parameters, MultiplyAdds: a.MultiplyAdds + b.MultiplyAdds}
}

// thin keeps the number of states within most, as far as one for each number of multiply-adds allows.
func thin(states []state) []state {
	if len(states) <= most {
		return states
	}
	type ends struct{ fewest, most state }
	at := map[int64]ends{}
	var order []int64
	for _, st := range states {
		e, ok := at[st.size.MultiplyAdds]
		if !ok {
			order = append(order, st.size.MultiplyAdds)
			at[st.size.MultiplyAdds] = ends{st, st}
			continue
		}
		if st.size.Parameters < e.fewest.size.Parameters {
			e.fewest = st
		}
		if st.size.Parameters > e.most.size.Parameters {
			e.most = st
		}
		at[st.size.MultiplyAdds] = e
	}
	var out []state
	for _, m := range order {
		out = append(out, at[m].most)
		if at[m].fewest.size != at[m].most.size {
			out = append(out, at[m].fewest)
		}
	}
	return out
}
