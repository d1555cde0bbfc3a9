package space

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
)

// Architecture chooses one operation an edge: element e is an index into Space.Operations for edge e. Where nodes keep
// two of their edges, the others have operation 0, "none".
type Architecture []int

// Clone returns a copy that shares nothing with a.
func (a Architecture) Clone() Architecture { return slices.Clone(a) }

// Equal reports whether a and b choose the same operations.
func (a Architecture) Equal(b Architecture) bool { return slices.Equal(a, b) }

// Key returns a short string that is equal for equal architectures only, for use as the key of a map. It has one
// byte an edge and is unique as long as a space has fewer than 200 operations; it is not meant for files.
func (a Architecture) Key() string {
	key := make([]byte, len(a))
	for e, op := range a {
		key[e] = byte('0' + op)
	}
	return string(key)
}

// Check reports whether a is an architecture of the space; the error says what is wrong with it.
func (s *Space) Check(a Architecture) error {
	if len(a) != len(s.Edges) {
		return fmt.Errorf("architecture has %d operations, space %s has %d edges", len(a), s.Name, len(s.Edges))
	}
	for e, op := range a {
		if op < 0 || op >= len(s.Operations) {
			return fmt.Errorf("operation %d on edge %d (%d<-%d) is out of range: space %s has operations 0 to %d",
				op, e, s.Edges[e].To, s.Edges[e].From, s.Name, len(s.Operations)-1)
		}
	}
	if s.Pairs {
		return s.checkPairs(a)
	}
	return nil
}

// Chosen returns the edges that carry the choices of an architecture, ascending: all, or where nodes keep two of their edges,
// those.
func (s *Space) Chosen(a Architecture) []int {
	var out []int
	for e, op := range a {
		if !s.Pairs || op != 0 {
			out = append(out, e)
		}
	}
	return out
}

// OperationNames returns the names of the operations on the chosen edges, in order.
func (s *Space) OperationNames(a Architecture) []string {
	var out []string
	for _, e := range s.Chosen(a) {
		out = append(out, s.Operations[a[e]])
	}
	return out
}

// Random draws an architecture uniformly from the whole space.
func (s *Space) Random(rng *rand.Rand) Architecture {
	if s.Pairs {
		return s.randomPairs(rng)
	}
	a := make(Architecture, len(s.Edges))
	for e := range a {
		a[e] = rng.IntN(len(s.Operations))
	}
	return a
}

// All yields every architecture once, in lexicographic order of the operation indices (the last edge changes
// fastest). Each one is a fresh slice. The order is not that of the public NAS-Bench-201 index.
func (s *Space) All() iter.Seq[Architecture] {
	if s.Pairs {
		return s.allPairs()
	}
	return func(yield func(Architecture) bool) {
		a := make(Architecture, len(s.Edges))
		for {
			if !yield(a.Clone()) {
				return
			}
			e := len(a) - 1
			for e >= 0 && a[e] == len(s.Operations)-1 {
				a[e] = 0
				e--
			}
			if e < 0 {
				return
			}
			a[e]++
		}
	}
}

// CountOperation returns on how many edges a has the operation with the given name: the number of skip
// connections tells whether a search has collapsed. A name that the space does not have counts zero, and so does "none"
// where it only stands for edges that are not kept.
func (s *Space) CountOperation(a Architecture, name string) int {
	op, ok := s.Operation(name)
	if !ok || s.Pairs && op == 0 {
		return 0
	}
	count := 0
	for _, chosen := range a {
		if chosen == op {
			count++
		}
	}
	return count
}
