package space

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Sizes of a cell of the DARTS space (Liu, Simonyan and Yang, ICLR 2019).
const (
	DARTSInputs = 2  // inputs of a cell: the outputs of the two cells before it, numbered 0 and 1
	DARTSNodes  = 4  // nodes that compute, numbered from DARTSInputs; the cell's output is their concatenation
	DARTSEdges  = 14 // edges of the relaxed cell: node by node, from every input and earlier node
)

// DARTSOperations returns the candidate operations of the DARTS space in the order of the reference code.
func DARTSOperations() []string {
	return []string{"none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"}
}

// DARTSCellEdges returns the edges of the relaxed cell in the order of alpha's rows: those into node 2, from 0 and 1,
// then those into node 3, from 0, 1 and 2, and so on.
func DARTSCellEdges() []Edge {
	var out []Edge
	for n := range DARTSNodes {
		for from := range DARTSInputs + n {
			out = append(out, Edge{From: from, To: DARTSInputs + n})
		}
	}
	return out
}

// GenotypeEdge is an operation and the state that it is applied to: 0 and 1 are the cell's inputs, 2 to 5 its nodes.
type GenotypeEdge struct {
	Op    string
	Input int
}

// GenotypeCell has for each of the four nodes its two edges; a node is the sum of the two results.
type GenotypeCell [DARTSNodes][2]GenotypeEdge

// Genotype is a discrete architecture of the DARTS space: a normal and a reduction cell. The output of each is the
// concatenation of its nodes 2 to 5.
type Genotype struct {
	Normal, Reduce GenotypeCell
}

// Check reports all that is wrong with a genotype: operations that the space does not have or that compute nothing,
// and inputs that are not two different earlier states.
func (g Genotype) Check() error {
	return errors.Join(g.Normal.check("normal"), g.Reduce.check("reduce"))
}

func (c GenotypeCell) check(cell string) error {
	var errs []error
	for n, edges := range c {
		node := DARTSInputs + n
		for _, e := range edges {
			errs = append(errs, checkGenotypeOperation(fmt.Sprintf("%s cell, node %d", cell, node), e.Op))
			if e.Input < 0 || e.Input >= node {
				errs = append(errs, fmt.Errorf("%s cell, node %d: input %d; a node takes the cell's inputs 0 and 1 and earlier nodes, so 0 to %d", cell, node, e.Input, node-1))
			}
		}
		if edges[0].Input == edges[1].Input {
			errs = append(errs, fmt.Errorf("%s cell, node %d: input %d is taken twice; the two edges of a node come from different states", cell, node, edges[0].Input))
		}
	}
	return errors.Join(errs...)
}

func checkGenotypeOperation(where, op string) error {
	known := DARTSOperations()[1:]
	switch {
	case slices.Contains(known, op):
		return nil
	case op == "none":
		return fmt.Errorf("%s: a genotype has no edges with the operation none; leave the edge out", where)
	}
	hint := ""
	if near := nearest(op, known); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return fmt.Errorf("%s: unknown operation %q: known are %s%s", where, shorten(op, 40), strings.Join(known, ", "), hint)
}

// String writes the genotype in the notation of the reference code, which is Python:
//
//	Genotype(normal=[('sep_conv_3x3', 1), ...], normal_concat=range(2, 6), reduce=[...], reduce_concat=range(2, 6))
func (g Genotype) String() string {
	return fmt.Sprintf("Genotype(normal=%s, normal_concat=range(2, 6), reduce=%s, reduce_concat=range(2, 6))", g.Normal, g.Reduce)
}

// String writes the edges of the cell, node by node, as a list of pairs in Python's notation.
func (c GenotypeCell) String() string {
	var pairs []string
	for _, edges := range c {
		for _, e := range edges {
			pairs = append(pairs, fmt.Sprintf("('%s', %d)", e.Op, e.Input))
		}
	}
	return "[" + strings.Join(pairs, ", ") + "]"
}

// GenotypeNames returns the names of the published genotypes that GenotypeByName knows.
func GenotypeNames() []string { return []string{"DARTS_V1", "DARTS_V2", "PC_DARTS_cifar"} }

// GenotypeByName returns a published genotype: DARTS_V1 and DARTS_V2 (first and second order; Liu, Simonyan and Yang,
// ICLR 2019) and PC_DARTS_cifar (Xu et al., ICLR 2020). The error for an unknown name lists the known ones.
func GenotypeByName(name string) (Genotype, error) {
	const (
		m, a   = "max_pool_3x3", "avg_pool_3x3"
		k      = "skip_connect"
		s3, s5 = "sep_conv_3x3", "sep_conv_5x5"
		d3     = "dil_conv_3x3"
	)
	switch name {
	case "DARTS_V1":
		return Genotype{
			Normal: GenotypeCell{{{s3, 1}, {s3, 0}}, {{k, 0}, {s3, 1}}, {{k, 0}, {s3, 1}}, {{s3, 0}, {k, 2}}},
			Reduce: GenotypeCell{{{m, 0}, {m, 1}}, {{k, 2}, {m, 0}}, {{m, 0}, {k, 2}}, {{k, 2}, {a, 0}}},
		}, nil
	case "DARTS_V2":
		return Genotype{
			Normal: GenotypeCell{{{s3, 0}, {s3, 1}}, {{s3, 0}, {s3, 1}}, {{s3, 1}, {k, 0}}, {{k, 0}, {d3, 2}}},
			Reduce: GenotypeCell{{{m, 0}, {m, 1}}, {{k, 2}, {m, 1}}, {{m, 0}, {k, 2}}, {{k, 2}, {m, 1}}},
		}, nil
	case "PC_DARTS_cifar":
		return Genotype{
			Normal: GenotypeCell{{{s3, 1}, {k, 0}}, {{s3, 0}, {d3, 1}}, {{s5, 0}, {s3, 1}}, {{a, 0}, {d3, 1}}},
			Reduce: GenotypeCell{{{s5, 1}, {m, 0}}, {{s5, 1}, {s5, 2}}, {{s3, 0}, {s3, 3}}, {{s3, 1}, {s3, 2}}},
		}, nil
	}
	hint := ""
	if near := nearest(name, GenotypeNames()); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return Genotype{}, fmt.Errorf("unknown genotype %q: known are %s%s", shorten(name, 40), strings.Join(GenotypeNames(), ", "), hint)
}

// Architecture returns the genotype as an architecture of the space DARTS. The order of a node's two edges is lost, which
// means nothing. The error is what Check says.
func (g Genotype) Architecture() (Architecture, error) {
	if err := g.Check(); err != nil {
		return nil, err
	}
	s := DARTS()
	a := make(Architecture, len(s.Edges))
	for i, nd := range s.groups() {
		for _, e := range g.cells()[i/DARTSNodes][i%DARTSNodes] {
			op, _ := s.Operation(e.Op)
			nd.of(a)[e.Input] = op // edges into a node are in the order of the states, from 0
		}
	}
	return a, nil
}

func (g *Genotype) cells() [2]*GenotypeCell { return [2]*GenotypeCell{&g.Normal, &g.Reduce} }

// GenotypeOf returns an architecture of the space DARTS as a genotype; the edges of a node come in the order of their
// inputs.
func GenotypeOf(a Architecture) (Genotype, error) {
	s := DARTS()
	if err := s.Check(a); err != nil {
		return Genotype{}, err
	}
	var g Genotype
	for i, nd := range s.groups() {
		p := pairOf(nd.of(a))
		for j := range 2 {
			g.cells()[i/DARTSNodes][i%DARTSNodes][j] = GenotypeEdge{Op: s.Operations[p.op[j]], Input: p.edge[j]}
		}
	}
	return g, nil
}
