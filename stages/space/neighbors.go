package space

// Distance returns on how many edges a and b differ: the Hamming distance, which for one-hot probabilities is
// TotalVariation. Edges that only one of them has count as different.
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

// Neighbors returns the architectures at distance 1 to radius from a, without a itself: first all at distance 1,
// then all at distance 2, and so on, each distance in the order of Shell. A radius beyond the number of edges
// reaches the whole space, radius 0 nothing.
func (s *Space) Neighbors(a Architecture, radius int) []Architecture {
	var out []Architecture
	for d := 1; d <= min(radius, len(s.Edges)); d++ {
		out = append(out, s.Shell(a, d)...)
	}
	return out
}

// ShellSize returns how many architectures lie at exactly the given distance from any one: choose the edges, then
// another operation on each. For NAS-Bench-201 it is 24, 240, 1280 at distance 1, 2, 3.
func (s *Space) ShellSize(distance int) int {
	return binomial(len(s.Edges), distance) * power(len(s.Operations)-1, distance)
}

// Shell returns the architectures at exactly the given distance from a, in a fixed order: by the first edge that
// is changed, then by the operation put there, then likewise for the edges after it.
func (s *Space) Shell(a Architecture, distance int) []Architecture {
	if distance < 0 || distance > len(s.Edges) || len(a) != len(s.Edges) {
		return nil
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
	if len(a) != len(s.Edges) || index < 0 || index >= s.ShellSize(distance) {
		return nil
	}
	others := len(s.Operations) - 1
	out := a.Clone()
	for e, left := 0, distance; left > 0; e++ {
		// So many neighbors change edge e and left-1 of the later ones; they come before those that keep e.
		rest := binomial(len(a)-e-1, left-1) * power(others, left-1)
		if index >= others*rest {
			index -= others * rest
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
		b = b * (n - i) / (i + 1)
	}
	return b
}
