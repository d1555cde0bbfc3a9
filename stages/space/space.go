// Package space describes search spaces: which architectures there are, how they are written, and how far
// apart they lie.
//
// Its nouns: a Space is a cell, that is, nodes joined by edges and the candidate operations of an edge; an
// Architecture chooses one operation an edge; Probabilities are its relaxed form, a distribution over the
// operations for each edge, and a one-hot distribution is an architecture again; two architectures are
// neighbors at radius r when they differ on at most r edges. A Genotype is an architecture of the DARTS space: two cells
// that keep two edges a node.
//
// The package is pure Go and knows no other: no files, no graphs, no scores.
package space

import (
	"fmt"
	"strings"
)

// Edge joins two nodes of a cell. Data flows from the node From to the node To, and From < To.
type Edge struct {
	From, To int
}

// Space is a cell-based search space in which an architecture is one operation an edge. A Space is not
// changed once it is made, so it may be shared between goroutines.
type Space struct {
	Name       string   // as in documents and files: "nasbench201"
	Nodes      int      // nodes of the cell, the input node 0 included; the last one is the output
	Edges      []Edge   // in the order of an architecture's operations, ascending in To, then in From
	Operations []string // candidate operations of every edge, by their public names, in the field's order
}

// NASBench201 returns the space of NAS-Bench-201 (Dong and Yang, ICLR 2020): 4 nodes, 6 edges, 5 operations,
// 15,625 architectures. The order of edges and operations is that of the reference code.
func NASBench201() *Space {
	return &Space{
		Name:       "nasbench201",
		Nodes:      4,
		Edges:      []Edge{{0, 1}, {0, 2}, {1, 2}, {0, 3}, {1, 3}, {2, 3}},
		Operations: []string{"none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"},
	}
}

// Names returns the names that ByName knows.
func Names() []string { return []string{"nasbench201"} }

// ByName returns the space with the given name. The error for an unknown name lists the known ones.
func ByName(name string) (*Space, error) {
	if name == "nasbench201" {
		return NASBench201(), nil
	}
	hint := ""
	if near := nearest(name, Names()); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return nil, fmt.Errorf("unknown search space %q: known are %s%s", name, strings.Join(Names(), ", "), hint)
}

// Operation returns the index of the operation with the given name, and whether the space has it.
func (s *Space) Operation(name string) (int, bool) {
	for i, op := range s.Operations {
		if op == name {
			return i, true
		}
	}
	return 0, false
}

// Size returns the number of architectures in the space.
func (s *Space) Size() int { return power(len(s.Operations), len(s.Edges)) }

func power(base, exponent int) int {
	n := 1
	for range exponent {
		n *= base
	}
	return n
}
