package space

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// computation is what a cell computes, free of its nodes and edges: inputs, results of operations and outputs. What a term is applied
// to comes before it, so the terms are a graph without cycles, and two cells compute the same when one graph is the other with its
// terms in another order.
type computation struct{ terms []term }

// term is an input of the cell, the result of an operation on a sum of earlier terms, or such a sum that is an output.
type term struct {
	label string // "x" or "x0" and "x1" for inputs, the operation's name, outputLabel
	of    addends
}

const outputLabel = "out"

// addends are a sum of terms, ascending, each with how often it is counted; the empty sum is zero.
type addends []addend

type addend struct{ term, times int }

// plus returns a + times * b.
func (a addends) plus(b addends, times int) addends {
	out := slices.Clone(a)
	for _, t := range b {
		at, found := slices.BinarySearchFunc(out, t.term, func(x addend, term int) int { return cmp.Compare(x.term, term) })
		if !found {
			out = slices.Insert(out, at, addend{term: t.term})
		}
		out[at].times += times * t.times
	}
	return out
}

// The operations that Class knows something of.
const (
	operationNone = "none"
	operationSkip = "skip_connect"
)

// computed returns what one cell of an architecture computes.
func (s *Space) computed(cell int, a Architecture) *computation {
	c := &computation{}
	first := cell * s.CellEdges()
	edges := s.Edges[first : first+s.CellEdges()]
	inputs := 1
	if s.Pairs {
		inputs = edges[0].To // the first node that is computed
	}
	values := make([]addends, s.Nodes)
	for n := range inputs {
		label := "x"
		if inputs > 1 {
			label = fmt.Sprintf("x%d", n)
		}
		values[n] = addends{{c.add(term{label: label}), 1}}
	}
	halves := s.Cell(first) == "reduce" // at its inputs, where a skip connection has weights therefore
	for e, edge := range edges {
		op := s.Operations[a[first+e]]
		switch {
		case op == operationNone:
		case op == operationSkip && !(halves && edge.From < inputs):
			values[edge.To] = values[edge.To].plus(values[edge.From], 1)
		default:
			values[edge.To] = values[edge.To].plus(c.apply(op, values[edge.From]), 1)
		}
	}
	outputs := values[s.Nodes-1:]
	if s.Pairs {
		outputs = values[inputs:]
	}
	for _, v := range outputs {
		c.add(term{outputLabel, v})
	}
	return c.live()
}

func (c *computation) add(t term) int {
	c.terms = append(c.terms, t)
	return len(c.terms) - 1
}

// apply returns the result of an operation on a sum. Operations make zero of zero, average pools are linear, and max pools carry a
// common factor out.
func (c *computation) apply(op string, to addends) addends {
	var out addends
	switch {
	case len(to) == 0:
	case strings.HasPrefix(op, "avg_pool_"):
		for _, t := range to {
			out = out.plus(addends{{c.shared(op, addends{{t.term, 1}}), 1}}, t.times)
		}
	case strings.HasPrefix(op, "max_pool_"):
		factor := to.factor()
		out = addends{{c.shared(op, to.over(factor)), factor}}
	default: // it has weights of its own
		out = addends{{c.add(term{op, to}), 1}}
	}
	return out
}

// factor returns the greatest common divisor of how often the terms are counted.
func (a addends) factor() int {
	factor := 0
	for _, t := range a {
		for factor, t.times = t.times, factor; t.times != 0; {
			factor, t.times = t.times, factor%t.times
		}
	}
	return factor
}

// over returns the sum divided by a common divisor.
func (a addends) over(divisor int) addends {
	out := slices.Clone(a)
	for i := range out {
		out[i].times /= divisor
	}
	return out
}

// shared returns the term of an operation without weights, which is one however often it is computed.
func (c *computation) shared(op string, to addends) int {
	at := slices.IndexFunc(c.terms, func(t term) bool { return t.label == op && slices.Equal(t.of, to) })
	if at < 0 {
		at = c.add(term{op, to})
	}
	return at
}

// live leaves out what no output depends on, and inputs as well.
func (c *computation) live() *computation {
	used := make([]bool, len(c.terms))
	for i := len(c.terms) - 1; i >= 0; i-- {
		if used[i] = used[i] || c.terms[i].label == outputLabel; used[i] {
			for _, t := range c.terms[i].of {
				used[t.term] = true
			}
		}
	}
	out, at := &computation{}, make([]int, len(c.terms))
	for i, t := range c.terms {
		if !used[i] {
			continue
		}
		t.of = slices.Clone(t.of)
		for j := range t.of {
			t.of[j].term = at[t.of[j].term] // it ascends as before
		}
		at[i] = out.add(t)
	}
	return out
}
