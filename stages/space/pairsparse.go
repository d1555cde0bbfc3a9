package space

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ShortName returns the short name of an operation in the notation of genotypes: s3 for sep_conv_3x3. An operation without
// one keeps its name.
func ShortName(operation string) string {
	switch operation {
	case "max_pool_3x3":
		return "m"
	case "avg_pool_3x3":
		return "a"
	case "skip_connect":
		return "k"
	case "sep_conv_3x3":
		return "s3"
	case "sep_conv_5x5":
		return "s5"
	case "dil_conv_3x3":
		return "d3"
	case "dil_conv_5x5":
		return "d5"
	}
	return operation
}

func (s *Space) formatPairs(a Architecture) string {
	var b strings.Builder
	for i, g := range s.groups() {
		switch {
		case g.first%s.CellEdges() == 0:
			if i > 0 {
				b.WriteString(", ")
			}
			if cell := s.Cell(g.first); cell != "" {
				b.WriteString(cell + " ")
			}
		default:
			b.WriteByte('/')
		}
		between := ""
		for e := g.first; e < g.end; e++ {
			name := "?"
			if e < len(a) && a[e] >= 0 && a[e] < len(s.Operations) {
				if a[e] == 0 {
					continue
				}
				name = ShortName(s.Operations[a[e]])
			}
			fmt.Fprintf(&b, "%s%s:%d", between, name, s.Edges[e].From)
			between = " "
		}
	}
	return b.String()
}

func (s *Space) parsePairs(text string) (Architecture, error) {
	if s.Name == "darts" {
		// A name has none of the signs of the two notations.
		trimmed := strings.TrimSpace(text)
		var g Genotype
		var err error
		switch {
		case strings.Contains(text, "("):
			g, err = ParseGenotype(text)
		case trimmed != "" && trimmed == word(trimmed) && !slices.Contains(s.Cells, trimmed):
			g, err = GenotypeByName(trimmed)
		default:
			return s.parseShort(text)
		}
		if err != nil {
			return nil, err
		}
		return g.Architecture()
	}
	return s.parseShort(text)
}

func (s *Space) parseShort(text string) (Architecture, error) {
	p := shortParser{parser{space: s, text: text}}
	a := make(Architecture, len(s.Edges))
	for i, g := range s.groups() {
		switch {
		case g.first%s.CellEdges() == 0:
			if i > 0 {
				p.sign(",")
			}
			if cell := s.Cell(g.first); cell != "" {
				p.sign(cell)
			}
		default:
			p.sign("/")
		}
		p.edge(a, g)
		p.edge(a, g)
	}
	p.blanks()
	if p.err == nil && p.at < len(text) {
		p.fail(p.found(), "the end")
	}
	if p.err != nil {
		return nil, p.err
	}
	return a, nil
}

// shortParser reads the notation of formatPairs.
type shortParser struct{ parser }

func (p *shortParser) blanks() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// found returns what stands at the current place: a word or a sign, "" at the end.
func (p *shortParser) found() string {
	rest := p.text[p.at:]
	if w := word(rest); w != "" || rest == "" {
		return w
	}
	return rest[:1]
}

func (p *shortParser) sign(want string) {
	p.blanks()
	if p.err != nil {
		return
	}
	if p.found() != want {
		p.fail(p.found(), strconv.Quote(want))
		return
	}
	p.at += len(want)
}

// edge reads an operation and the state it takes, and writes it into the node's part of a.
func (p *shortParser) edge(a Architecture, g group) {
	p.blanks()
	if p.err != nil {
		return
	}
	var known []string
	op, name := 0, p.found()
	for i, full := range p.space.Operations[1:] {
		short := ShortName(full)
		if name == full || name == short {
			op = i + 1
		}
		if short != full {
			short += " (" + full + ")"
		}
		known = append(known, short)
	}
	if op == 0 {
		p.fail(name, "one of "+strings.Join(known, ", "))
		p.err.Nearest = nearest(name, p.space.Operations[1:])
		return
	}
	p.at += len(name)
	p.sign(":")
	p.blanks()
	if p.err != nil {
		return
	}
	digits := p.found()
	for e := g.first; e < g.end; e++ {
		if digits != strconv.Itoa(p.space.Edges[e].From) {
			continue
		}
		if a[e] != 0 {
			p.fail(digits, fmt.Sprintf("another state than %s, which the node takes already", digits))
			return
		}
		a[e] = op
		p.at += len(digits)
		return
	}
	var states []string
	for e := g.first; e < g.end; e++ {
		states = append(states, strconv.Itoa(p.space.Edges[e].From))
	}
	p.fail(digits, fmt.Sprintf("a state that node %d can take, one of %s", p.space.Edges[g.first].To, strings.Join(states, ", ")))
}
