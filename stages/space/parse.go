package space

import (
	"fmt"
	"strconv"
	"strings"
)

// Format writes a as the string by which NAS-Bench-201 names architectures:
//
//	|op~0|+|op~0|op~1|+|op~0|op~1|op~2|
//
// that is, for each node after the input the operations on its incoming edges with the node each comes from,
// nodes joined by "+". An architecture that is not of the space still prints, with "?" for what is not there,
// so that it can stand in a message; Parse refuses such a string.
//
// Where nodes keep two of their edges, these are written cell by cell and node by node with the state that each takes, in the
// order of the states, with short names of operations (m and a for max and average pool, k for skip, s3 and s5 for
// sep_conv, d3 and d5 for dil_conv); here DARTS_V2:
//
//	normal s3:0 s3:1/s3:0 s3:1/k:0 s3:1/k:0 d3:2, reduce m:0 m:1/m:1 k:2/m:0 k:2/m:1 k:2
//
// A whole network is written as its name.
func (s *Space) Format(a Architecture) string {
	if s.Pairs {
		return s.formatPairs(a)
	}
	if s.Whole {
		if s.Check(a) != nil {
			return "?"
		}
		return s.Operations[a[0]]
	}
	var b strings.Builder
	for e, edge := range s.Edges {
		if e == 0 || edge.To != s.Edges[e-1].To {
			if e > 0 {
				b.WriteByte('+')
			}
			b.WriteByte('|')
		}
		name := "?"
		if e < len(a) && a[e] >= 0 && a[e] < len(s.Operations) {
			name = s.Operations[a[e]]
		}
		fmt.Fprintf(&b, "%s~%d|", name, edge.From)
	}
	return b.String()
}

// ParseError says where the text of an architecture stops to be one.
type ParseError struct {
	Space    string // name of the space
	Text     string // what was parsed
	Position int    // 1-based character (byte) at which the mistake begins; len(Text)+1 at the end
	Found    string // what stands there, "" at the end of the text
	Want     string // what may stand there
	Nearest  string // the operation that was probably meant, "" when none is near
}

// Error implements error.
func (e *ParseError) Error() string {
	found := "the end"
	if e.Found != "" {
		found = strconv.Quote(shorten(e.Found, 40))
	}
	msg := fmt.Sprintf("architecture %s of space %s: at character %d found %s, want %s",
		strconv.Quote(shorten(e.Text, 160)), e.Space, e.Position, found, e.Want)
	if e.Nearest != "" {
		msg += fmt.Sprintf("; did you mean %q?", e.Nearest)
	}
	return msg
}

// Parse reads what Format writes, and nothing else. The error is a *ParseError.
//
// Where nodes keep two of their edges, it also takes them in any order, operations by their full names, and more or less
// white space; and in the DARTS space what ParseGenotype and GenotypeByName take.
func (s *Space) Parse(text string) (Architecture, error) {
	if s.Pairs {
		return s.parsePairs(text)
	}
	p := parser{space: s, text: text}
	if s.Whole {
		op := p.operation()
		if p.err == nil && p.at < len(text) {
			p.fail(text[p.at:], "the end")
		}
		if p.err != nil {
			return nil, p.err
		}
		return Architecture{op}, nil
	}
	a := make(Architecture, 0, len(s.Edges))
	for e, edge := range s.Edges {
		if e == 0 || edge.To != s.Edges[e-1].To {
			if e > 0 {
				p.literal("+")
			}
			p.literal("|")
		}
		a = append(a, p.operation())
		p.literal(fmt.Sprintf("~%d", edge.From))
		p.literal("|")
	}
	if p.err == nil && p.at < len(text) {
		p.fail(text[p.at:], fmt.Sprintf("the end after the %d operations of a cell", len(s.Edges)))
	}
	if p.err != nil {
		return nil, p.err
	}
	return a, nil
}

// parser reads from left to right and keeps the first error; after it, every step does nothing.
type parser struct {
	space *Space
	text  string
	at    int
	err   *ParseError
}

func (p *parser) fail(found, want string) {
	if p.err == nil {
		p.err = &ParseError{Space: p.space.Name, Text: p.text, Position: p.at + 1, Found: found, Want: want}
	}
}

func (p *parser) literal(want string) {
	if p.err != nil {
		return
	}
	rest := p.text[p.at:]
	if !strings.HasPrefix(rest, want) {
		found := rest
		if end := strings.IndexAny(rest[min(1, len(rest)):], "|+~"); end >= 0 {
			found = rest[:end+1]
		}
		p.fail(found, strconv.Quote(want))
		return
	}
	p.at += len(want)
}

func (p *parser) operation() int {
	if p.err != nil {
		return 0
	}
	rest := p.text[p.at:]
	name := rest
	if end := strings.IndexAny(rest, "|+~"); end >= 0 {
		name = rest[:end]
	}
	op, ok := p.space.Operation(name)
	if !ok {
		found := name
		if found == "" && rest != "" {
			found = rest[:1]
		}
		p.fail(found, "one of "+strings.Join(p.space.Operations, ", "))
		p.err.Nearest = nearest(name, p.space.Operations)
		return 0
	}
	p.at += len(name)
	return op
}

func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return text[:limit] + "..."
}
