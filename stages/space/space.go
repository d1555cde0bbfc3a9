// Package space describes search spaces: which architectures there are, how they are written, and how far
// apart they lie.
//
// Its nouns: a Space is a cell, that is, nodes joined by edges and the candidate operations of an edge; an
// Architecture chooses one operation an edge; Probabilities are its relaxed form, a distribution over the
// operations for each edge, and a one-hot distribution is an architecture again; two architectures are
// neighbors at radius r when they differ on at most r edges. In the DARTS space a node keeps two of its edges, so that an
// architecture has "none" on all others, and a neighbor changes the operation or the input of an edge that is kept; a
// Genotype is the same architecture as two lists of such edges.
//
// A class (Space.Class) is the set of architectures that compute the same; NAS-Bench-201's 15,625 have 5,044.
//
// A Declaration is a space of one's own: nodes, edges, and operations by names that tell their settings (Operation).
//
// The package is pure Go and knows no other: no files, no graphs, no scores.
package space

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"
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

	// Cells names the kinds of cells that are chosen apart, each with edges of its own: Edges has those of the first, then those
	// of the second. Nil when there is one.
	Cells []string
	// Pairs tells that every node keeps two of its edges: an architecture has "none", which is operation 0, on the others, and
	// another operation on those that are kept. Each node has at least two edges then.
	Pairs bool
	// Whole tells that an operation is a whole network instead of a part of a cell (Plain).
	Whole bool
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

// DARTS returns the space of DARTS (Liu, Simonyan and Yang, ICLR 2019): a normal and a reduction cell with 2 inputs, 4 nodes
// and 14 edges each, 8 operations, two edges kept a node. An architecture is one operation for each of the 28 edges,
// of which 12 are "none".
func DARTS() *Space {
	cell := DARTSCellEdges()
	return &Space{
		Name:       "darts",
		Nodes:      DARTSInputs + DARTSNodes,
		Edges:      append(cell, cell...),
		Operations: DARTSOperations(),
		Cells:      []string{"normal", "reduce"},
		Pairs:      true,
	}
}

// Names returns the names of the spaces that can be searched. ByName also knows that of Plain.
func Names() []string { return []string{"nasbench201", "darts"} }

// ByName returns the space with the given name, or the one that a declaration in JSON describes, as Reference writes it. The
// error for an unknown name lists the known ones.
func ByName(name string) (*Space, error) {
	if strings.HasPrefix(name, "{") {
		return parseReference(name)
	}
	switch name {
	case "nasbench201":
		return NASBench201(), nil
	case "darts":
		return DARTS(), nil
	case plainName:
		return Plain(), nil
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

// Size returns the number of architectures in the space, or the largest int where there are more; BigSize has no limit.
func (s *Space) Size() int {
	if n := s.BigSize(); n.IsInt64() && n.Int64() <= math.MaxInt {
		return int(n.Int64())
	}
	return math.MaxInt
}

// BigSize returns the number of architectures in the space.
func (s *Space) BigSize() *big.Int {
	n := big.NewInt(1)
	if !s.Pairs {
		return n.Exp(big.NewInt(int64(len(s.Operations))), big.NewInt(int64(len(s.Edges))), nil)
	}
	for _, nd := range s.groups() {
		n.Mul(n, big.NewInt(int64(s.pairStates(nd.size()))))
	}
	return n
}

// CellEdges returns how many edges each of the cells has: edge e belongs to cell e / CellEdges().
func (s *Space) CellEdges() int { return len(s.Edges) / max(1, len(s.Cells)) }

// Cell returns the name of the cell that an edge belongs to, "" where the space has only one.
func (s *Space) Cell(edge int) string {
	if len(s.Cells) == 0 {
		return ""
	}
	return s.Cells[edge/s.CellEdges()]
}

// EdgeName returns how an edge is called in messages and tables: "2<-0", with the cell in front where there are several,
// "reduce 2<-0".
func (s *Space) EdgeName(edge int) string {
	name := fmt.Sprintf("%d<-%d", s.Edges[edge].To, s.Edges[edge].From)
	if cell := s.Cell(edge); cell != "" {
		name = cell + " " + name
	}
	return name
}

// product and power stay at the largest int where the result is larger.
func product(a, b int) int {
	high, low := bits.Mul64(uint64(a), uint64(b))
	if high != 0 || low > math.MaxInt {
		return math.MaxInt
	}
	return int(low)
}

func sum(a, b int) int {
	if a > math.MaxInt-b {
		return math.MaxInt
	}
	return a + b
}

func power(base, exponent int) int {
	n := 1
	for range exponent {
		n = product(n, base)
	}
	return n
}
