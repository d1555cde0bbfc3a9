package space

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// GenotypeError says where the text of a genotype stops to be one.
type GenotypeError struct {
	Text     string // what was parsed
	Position int    // 1-based character (byte) at which the mistake begins; len(Text)+1 at the end
	Problem  string // what is wrong there and what may stand there
}

// Error implements error.
func (e *GenotypeError) Error() string {
	return fmt.Sprintf("genotype %s: at character %d: %s", strconv.Quote(shorten(e.Text, 120)), e.Position, e.Problem)
}

// ParseGenotype reads the notation that String writes and, with it, what people paste from Python: any white space,
// either quote, commas before a closing bracket, lists in place of range, keywords in any order, and "NAME =" in front.
// The concatenations must be of the nodes 2 to 5. The error is a *GenotypeError or, where the text is well formed, what
// Check says.
func ParseGenotype(text string) (Genotype, error) {
	p := &genotypeParser{text: text}
	g := p.genotype()
	if p.err != nil {
		return Genotype{}, p.err
	}
	if err := g.Check(); err != nil {
		return Genotype{}, fmt.Errorf("genotype %s: %w", strconv.Quote(shorten(text, 120)), err)
	}
	return g, nil
}

// genotypeParser reads from left to right and keeps the first error; after it, every step does nothing.
type genotypeParser struct {
	text string
	at   int
	err  *GenotypeError
}

func (p *genotypeParser) fail(at int, format string, args ...any) {
	if p.err == nil {
		p.err = &GenotypeError{Text: p.text, Position: at + 1, Problem: fmt.Sprintf(format, args...)}
	}
}

func (p *genotypeParser) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// found describes what stands at the current place.
func (p *genotypeParser) found() string {
	if p.at >= len(p.text) {
		return "the end"
	}
	if w := word(p.text[p.at:]); w != "" {
		return strconv.Quote(shorten(w, 40))
	}
	return strconv.Quote(p.text[p.at : p.at+1])
}

// word returns the letters, digits and underscores that s begins with.
func word(s string) string {
	for i := range len(s) {
		c := s[i]
		if !(c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			return s[:i]
		}
	}
	return s
}

// take reads a sign if it comes next.
func (p *genotypeParser) take(sign string) bool {
	p.space()
	if p.err != nil || !strings.HasPrefix(p.text[p.at:], sign) {
		return false
	}
	p.at += len(sign)
	return true
}

func (p *genotypeParser) want(sign string) {
	if !p.take(sign) {
		p.fail(p.at, "found %s, want %q", p.found(), sign)
	}
}

func (p *genotypeParser) name() string {
	p.space()
	w := word(p.text[p.at:])
	p.at += len(w)
	return w
}

// list reads items up to the closing bracket; a comma may stand before it.
func (p *genotypeParser) list(opening, closing string, item func()) {
	p.want(opening)
	for p.err == nil && !p.take(closing) {
		item()
		if !p.take(",") {
			p.want(closing)
			return
		}
	}
}

func (p *genotypeParser) number() int {
	p.space()
	at := p.at
	w := p.name()
	n, err := strconv.Atoi(w)
	if err != nil {
		p.at = at
		p.fail(at, "found %s, want a whole number", p.found())
	}
	return n
}

func (p *genotypeParser) genotype() (g Genotype) {
	p.space()
	at := p.at
	if name := p.name(); name != "Genotype" || p.take("=") {
		p.at = at
		if p.name(); p.take("=") {
			p.space()
			at = p.at
			name = p.name()
		}
		if name != "Genotype" {
			p.at = at
			p.fail(at, "found %s, want Genotype(...)", p.found())
			return g
		}
	}
	seen := map[string]bool{}
	p.list("(", ")", func() {
		p.space()
		at := p.at
		key := p.name()
		if seen[key] {
			p.fail(at, "%s is given twice", key)
		}
		seen[key] = true
		switch key {
		case "normal", "reduce":
			p.want("=")
			cell := p.cell(key)
			if key == "normal" {
				g.Normal = cell
			} else {
				g.Reduce = cell
			}
		case "normal_concat", "reduce_concat":
			p.want("=")
			p.concat(key, true)
		default:
			p.at = at
			p.fail(at, "found %s, want one of normal, normal_concat, reduce, reduce_concat", p.found())
		}
	})
	p.space()
	for _, key := range []string{"normal", "normal_concat", "reduce", "reduce_concat"} {
		if !seen[key] {
			p.fail(p.at, "%s is missing", key)
		}
	}
	if p.at < len(p.text) {
		p.fail(p.at, "found %s, want the end", p.found())
	}
	return g
}

// cell reads a list of eight pairs ('operation', input).
func (p *genotypeParser) cell(key string) (c GenotypeCell) {
	p.space()
	begin, n := p.at, 0
	p.list("[", "]", func() {
		p.space()
		at := p.at
		p.want("(")
		p.space()
		quote := "'"
		if strings.HasPrefix(p.text[p.at:], `"`) {
			quote = `"`
		}
		p.want(quote)
		var e GenotypeEdge
		e.Op = p.name()
		p.want(quote)
		p.want(",")
		e.Input = p.number()
		p.take(",")
		p.want(")")
		if n >= 2*DARTSNodes {
			p.fail(at, "%s has more than %d pairs, two for each of %d nodes", key, 2*DARTSNodes, DARTSNodes)
			return
		}
		c[n/2][n%2] = e
		n++
	})
	if n != 2*DARTSNodes {
		p.fail(begin, "%s has %d pairs, want %d, two for each of %d nodes", key, n, 2*DARTSNodes, DARTSNodes)
	}
	return c
}

// concat reads range(2, 6) or the list of the same numbers; outer tells that list(...) may stand around it.
func (p *genotypeParser) concat(key string, outer bool) {
	p.space()
	at := p.at
	var numbers []int
	want := []int{DARTSInputs, DARTSInputs + DARTSNodes} // arguments of range
	item := func() {
		n := p.number()
		if len(numbers) <= DARTSNodes { // longer ones are wrong anyway
			numbers = append(numbers, n)
		}
	}
	switch w := p.name(); {
	case w == "range":
		p.list("(", ")", item)
	case w == "list" && outer:
		p.want("(")
		p.concat(key, false)
		p.want(")")
		return
	case w == "" && strings.HasPrefix(p.text[p.at:], "["):
		want = []int{2, 3, 4, 5}
		p.list("[", "]", item)
		slices.Sort(numbers)
	default:
		p.at = at
		p.fail(at, "found %s, want range(2, 6) or [2, 3, 4, 5]", p.found())
	}
	if !slices.Equal(numbers, want) {
		p.fail(at, "%s does not name the nodes 2 to 5, want range(2, 6)", key)
	}
}
