package space

// Distance returns on how many edges a and b differ: the Hamming distance, which for one-hot probabilities is
// TotalVariation. Edges that only one of them has count as different. Space.Distance is the one that also knows of
// spaces in which nodes keep two of their edges.
func Distance(a, b Architecture) int {
	n := min(len(a), len(b))
	d := max(len(a), len(b)) - n
	for e := range n {
		if a[e] != b[e] {
			d++
		}
	}
	return d
}

// Distance returns how many changes lead from a to b: on how many edges they differ or, where nodes keep two of their
// edges, how many operations and inputs of kept edges change, at each node for the pairing of its edges that needs fewest.
func (s *Space) Distance(a, b Architecture) int {
	if s.Pairs && len(a) == len(s.Edges) && len(b) == len(s.Edges) {
		return s.pairsDistance(a, b)
	}
	return Distance(a, b)
}

// Diameter returns the largest distance of two architectures: 6 in NAS-Bench-201, 26 in the DARTS space.
func (s *Space) Diameter() int {
	if s.Pairs {
		return s.pairsDiameter()
	}
	return len(s.Edges)
}

// Neighbors returns the architectures at distance 1 to radius from a, without a itself: first all at distance 1,
// then all at distance 2, and so on, each distance in the order of Shell. A radius beyond the diameter
// reaches the whole space, radius 0 nothing.
func (s *Space) Neighbors(a Architecture, radius int) []Architecture {
	var out []Architecture
	for d := 1; d <= min(radius, s.Diameter()); d++ {
		out = append(out, s.Shell(a, d)...)
	}
	return out
}

// ShellSize returns how many architectures lie at exactly the given distance from any one: choose the edges, then
// another operation on each. For NAS-Bench-201 it is 24, 240, 1280 at distance 1, 2, 3.
//
// Where nodes keep two of their edges, it is 120 at distance 1 in the DARTS space, but further out it depends on
// which nodes have the same operation twice: ShellSize is the largest then, and ShellSizeOf tells that of an architecture.
func (s *Space) ShellSize(distance int) int {
	if s.Pairs {
		return s.largestPairsShell(distance)
	}
	return product(binomial(len(s.Edges), distance), power(len(s.Operations)-1, distance))
}

// ShellSizeOf returns how many architectures lie at exactly the given distance from a: the length of Shell.
func (s *Space) ShellSizeOf(a Architecture, distance int) int {
	switch {
	case len(a) != len(s.Edges):
		return 0
	case s.Pairs:
		return s.pairsAround(a).size(distance)
	}
	return s.ShellSize(distance)
}

// Shell returns the architectures at exactly the given distance from a, in a fixed order: by the first edge that
// is changed, then by the operation put there, then likewise for the edges after it. Where nodes keep two of their edges,
// the order is by how far the first node has moved, the furthest first, then by where it has moved to, then likewise
// for the nodes after it.
func (s *Space) Shell(a Architecture, distance int) []Architecture {
	if distance < 0 || distance > s.Diameter() || len(a) != len(s.Edges) {
		return nil
	}
	if s.Pairs {
		return s.pairsAround(a).shell(distance)
	}
	out := make([]Architecture, 0, s.ShellSize(distance))
	current := a.Clone()
	var change func(first, left int)
	change = func(first, left int) {
		if left == 0 {
			out = append(out, current.Clone())
			return
		}
		for e := first; e <= len(a)-left; e++ {
			for op := range s.Operations {
				if op == a[e] {
					continue
				}
				current[e] = op
				change(e+1, left-1)
			}
			current[e] = a[e]
		}
	}
	change(0, distance)
	return out
}

// ShellAt returns Shell(a, distance)[index] without making the others, so that neighbors can be drawn from a
// shell of any size. It returns nil when there is no such neighbor.
func (s *Space) ShellAt(a Architecture, distance, index int) Architecture {
	if len(a) != len(s.Edges) || index < 0 || index >= s.ShellSizeOf(a, distance) {
		return nil
	}
	if s.Pairs {
		return s.pairsAround(a).at(distance, index)
	}
	others := len(s.Operations) - 1
	out := a.Clone()
	for e, left := 0, distance; left > 0; e++ {
		// So many neighbors change edge e and left-1 of the later ones; they come before those that keep e.
		rest := product(binomial(len(a)-e-1, left-1), power(others, left-1))
		if all := product(others, rest); index >= all {
			index -= all
			continue
		}
		op := index / rest
		if op >= a[e] {
			op++
		}
		out[e] = op
		index %= rest
		left--
	}
	return out
}

func binomial(n, k int) int {
	if k < 0 || k > n {
		return 0
	}
	b := 1
	for i := range k {
		b = b * (n - i) / (i + 1) // exact: i+1 divides the product of as many numbers in a row
	}
	return b
}
