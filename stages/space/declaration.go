package space

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Declaration is a search space of one's own, as it stands in a document: one cell with one input and one output, in which
// every edge has one of the operations. This is NAS-Bench-201:
//
//	name: my-nasbench201
//	nodes: 4
//	edges: [1<-0, 2<-0, 2<-1, 3<-0, 3<-1, 3<-2]
//	operations: [none, skip_connect, nor_conv_1x1, nor_conv_3x3, avg_pool_3x3]
//
// and this a smaller one with other operations:
//
//	name: wide
//	nodes: 3
//	operations: [skip_connect, sep_conv_5x5, nor_conv_3x3_d2_hardswish, max_pool_3x3]
type Declaration struct {
	Name       string   `yaml:"name" json:"name" doc:"What the space is called: letters, digits, - and _."`
	Nodes      int      `yaml:"nodes" json:"nodes" doc:"Nodes of the cell; node 0 is its input, the last one its output, and a node is the sum of its edges."`
	Edges      []string `yaml:"edges" json:"edges" doc:"Edges as TO<-FROM, ascending in TO, then in FROM; all pairs of nodes when the list is empty."`
	Operations []string `yaml:"operations" json:"operations" doc:"Operations that an edge can have: none, skip_connect, and nor_conv, dep_conv, dil_conv, sep_conv, avg_pool or max_pool with _3x3 or another kernel; convolutions also take _d2 (dilation) and, last, _hardswish, _swish or _gelu (activation)."`
}

// DeclarationError is a mistake in one part of a declaration.
type DeclarationError struct {
	Path string // the part as in a document, such as "edges[2]"
	Err  error
}

// Error implements error.
func (e *DeclarationError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *DeclarationError) Unwrap() error { return e.Err }

// Limits of a declared space, so that what is counted stays a number.
const (
	maxNodes      = 10
	maxOperations = 32
)

// Space returns the declared space, or all that is wrong with the declaration: every error is a *DeclarationError, joined by
// errors.Join.
func (d Declaration) Space() (*Space, error) {
	var errs []error
	fail := func(path, format string, args ...any) {
		errs = append(errs, &DeclarationError{path, fmt.Errorf(format, args...)})
	}
	switch {
	case d.Name == "":
		fail("name", "the space has no name; give one by which files and messages can call it")
	case strings.Trim(d.Name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" || len(d.Name) > 64:
		fail("name", "%q; use up to 64 letters, digits, - and _", shorten(d.Name, 64))
	case known(d.Name):
		fail("name", "%s is a space that exists; give another name", d.Name)
	}
	s := &Space{Name: d.Name, Nodes: d.Nodes, Operations: slices.Clone(d.Operations)}
	if d.Nodes < 2 || d.Nodes > maxNodes {
		fail("nodes", "%d nodes; a cell has from 2, an input and an output, to %d", d.Nodes, maxNodes)
	} else {
		s.Edges = d.edges(fail)
	}
	d.checkOperations(fail)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

func (d Declaration) edges(fail func(path, format string, args ...any)) []Edge {
	var out []Edge
	if len(d.Edges) == 0 {
		for to := range d.Nodes {
			for from := range to {
				out = append(out, Edge{From: from, To: to})
			}
		}
		return out
	}
	wrong := false
	for i, text := range d.Edges {
		path := fmt.Sprintf("edges[%d]", i)
		to, from, ok := strings.Cut(text, "<-")
		t, err := strconv.Atoi(strings.TrimSpace(to))
		f, err2 := strconv.Atoi(strings.TrimSpace(from))
		e := Edge{From: f, To: t}
		before := len(out) > 0 && (t < out[len(out)-1].To || t == out[len(out)-1].To && f <= out[len(out)-1].From)
		switch {
		case !ok || err != nil || err2 != nil:
			fail(path, "%q is no edge; write TO<-FROM, such as 1<-0", shorten(text, 40))
		case f < 0 || t >= d.Nodes || t < 0:
			fail(path, "%s: the nodes are 0 to %d", text, d.Nodes-1)
		case f >= t:
			fail(path, "%s leads back; data flows to nodes with higher numbers, so write %d<-%d", text, max(t, f), min(t, f))
		case slices.Contains(out, e):
			fail(path, "%s is given twice", text)
		case before:
			last := out[len(out)-1]
			fail(path, "%s is out of order after %d<-%d; edges ascend in the node that they lead to, then in the one that they come from", text, last.To, last.From)
		default:
			out = append(out, e)
			continue
		}
		wrong = true
	}
	if wrong {
		return nil
	}
	for n := range d.Nodes {
		if n > 0 && !slices.ContainsFunc(out, func(e Edge) bool { return e.To == n }) {
			what := fmt.Sprintf("node %d", n)
			if n == d.Nodes-1 {
				what = fmt.Sprintf("the output, node %d,", n)
			}
			fail("edges", "no edge leads to %s", what)
		}
		if n < d.Nodes-1 && !slices.ContainsFunc(out, func(e Edge) bool { return e.From == n }) {
			what := fmt.Sprintf("node %d", n)
			if n == 0 {
				what = "the input, node 0"
			}
			fail("edges", "no edge leaves %s, so the output cannot depend on it", what)
		}
	}
	return out
}

func (d Declaration) checkOperations(fail func(path, format string, args ...any)) {
	if len(d.Operations) < 2 || len(d.Operations) > maxOperations {
		fail("operations", "%d operations; a choice needs from 2 to %d", len(d.Operations), maxOperations)
	}
	computes := false
	for i, name := range d.Operations {
		path := fmt.Sprintf("operations[%d]", i)
		if slices.Contains(d.Operations[:i], name) {
			fail(path, "%s is given twice", shorten(name, 40))
			continue
		}
		o, err := ParseOperation(name)
		if err != nil {
			fail(path, "%w", err)
		}
		computes = computes || err != nil || strings.HasSuffix(o.Kind, "_conv")
	}
	if !computes {
		fail("operations", "none of them has weights; add a convolution, such as nor_conv_3x3")
	}
}

// Reference returns the text by which files refer to the space and ByName finds it again: its name or, for a space of
// one's own, its declaration as JSON.
func (s *Space) Reference() string {
	if known(s.Name) {
		return s.Name
	}
	d := Declaration{Name: s.Name, Nodes: s.Nodes, Operations: s.Operations, Edges: []string{}}
	for _, e := range s.Edges {
		d.Edges = append(d.Edges, fmt.Sprintf("%d<-%d", e.To, e.From))
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d); err != nil {
		return s.Name // strings and numbers always encode
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// known reports whether ByName finds a space by this name.
func known(name string) bool { return name == plainName || slices.Contains(Names(), name) }

// parseReference reads the declaration that Reference writes.
func parseReference(text string) (*Space, error) {
	var d Declaration
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return nil, fmt.Errorf("reading the declaration of a search space: %w", err)
	}
	if strings.TrimSpace(text[dec.InputOffset():]) != "" {
		return nil, errors.New("reading the declaration of a search space: something follows its end")
	}
	s, err := d.Space()
	if err != nil {
		return nil, fmt.Errorf("declaration of the search space %q: %w", shorten(d.Name, 64), err)
	}
	return s, nil
}
