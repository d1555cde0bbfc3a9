package pipeline

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// nodeKind is what a value in a document is.
type nodeKind int

const (
	nullNode nodeKind = iota
	boolNode
	intNode
	floatNode
	textNode
	listNode
	mapNode
)

// node is a value of a document with its place. Trees of nodes are what overrides change and settings are decoded from;
// they are made from the YAML library's syntax tree, which keeps positions but would report mistakes one at a time.
type node struct {
	kind  nodeKind
	at    place
	text  string // scalars: as written (text: the value)
	raw   bool   // an override's value that was given without quotes: it may also serve as text
	boole bool
	whole *big.Int
	float float64
	items []*node // list
	pairs []pair  // mapping, in order, keys unique
	start *place  // of what a text begins with, where that came by a reference; nil: at
	found string  // the path that a setting which names a file has become, once settings have been decoded
}

// pair is an entry of a mapping.
type pair struct {
	key   string
	at    place // of the key
	value *node
	meant string // the setting that the unknown name key is taken for, once settings have been decoded
}

// get returns the pair with the key, or nil.
func (n *node) get(key string) *pair {
	if n == nil {
		return nil
	}
	for i := range n.pairs {
		if n.pairs[i].key == key || n.pairs[i].meant == key && key != "" {
			return &n.pairs[i]
		}
	}
	return nil
}

// set replaces or appends a pair.
func (n *node) set(p pair) {
	if old := n.get(p.key); old != nil {
		*old = p
		return
	}
	n.pairs = append(n.pairs, p)
}

// clone returns a deep copy.
func (n *node) clone() *node {
	if n == nil {
		return nil
	}
	c := *n
	c.items = slices.Clone(n.items)
	for i, v := range c.items {
		c.items[i] = v.clone()
	}
	c.pairs = slices.Clone(n.pairs)
	for i := range c.pairs {
		c.pairs[i].value = c.pairs[i].value.clone()
	}
	return &c
}

// describe says what the value is, for messages: `the text "x"`, "2.5", "a list".
func (n *node) describe() string {
	switch n.kind {
	case nullNode:
		return "nothing"
	case textNode:
		text := n.text
		if r := []rune(text); len(r) > 60 {
			text = string(r[:57]) + "..."
		}
		return "the text " + strconv.Quote(text)
	case listNode:
		return "a list"
	case mapNode:
		return "a mapping"
	default:
		return n.text
	}
}

// The scalars of YAML 1.2's core schema. The YAML library's own reading differs: it takes 1e-3 for text and 010 for eight.
var (
	wholePattern = regexp.MustCompile(`^[-+]?[0-9]+$`)
	octalPattern = regexp.MustCompile(`^0o[0-7]+$`)
	hexPattern   = regexp.MustCompile(`^0x[0-9a-fA-F]+$`)
	floatPattern = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
	infPattern   = regexp.MustCompile(`^[-+]?\.(inf|Inf|INF)$`)
	nanPattern   = regexp.MustCompile(`^\.(nan|NaN|NAN)$`)
)

// plainScalar reads an unquoted scalar.
func plainScalar(text string, at place) *node {
	n := &node{kind: textNode, text: text, at: at}
	number := func(digits string, base int) {
		v, ok := new(big.Int).SetString(digits, base)
		if !ok { // the patterns exclude it
			return
		}
		n.kind, n.whole = intNode, v
		n.float, _ = new(big.Float).SetInt(v).Float64()
	}
	switch {
	case text == "" || text == "~" || text == "null" || text == "Null" || text == "NULL":
		n.kind = nullNode
	case text == "true" || text == "True" || text == "TRUE":
		n.kind, n.boole = boolNode, true
	case text == "false" || text == "False" || text == "FALSE":
		n.kind = boolNode
	case wholePattern.MatchString(text):
		number(strings.TrimPrefix(text, "+"), 10)
	case octalPattern.MatchString(text):
		number(text[2:], 8)
	case hexPattern.MatchString(text):
		number(text[2:], 16)
	case floatPattern.MatchString(text):
		n.kind = floatNode
		n.float, _ = strconv.ParseFloat(text, 64) // out of range gives an infinity, which decoding refuses
		// 1e3 is a whole number too: whoever writes it for a count means one.
		if n.float == math.Trunc(n.float) && math.Abs(n.float) < 1<<53 {
			n.whole = big.NewInt(int64(n.float))
		}
	case infPattern.MatchString(text):
		n.kind, n.float = floatNode, math.Inf(1)
		if text[0] == '-' {
			n.float = math.Inf(-1)
		}
	case nanPattern.MatchString(text):
		n.kind, n.float = floatNode, math.NaN()
	}
	return n
}

// split takes a setting's path apart: "a.b[2].c" gives a, b, 2 and c. Indices are ints, keys strings.
func splitPath(path string) ([]any, error) {
	var out []any
	for _, part := range strings.Split(path, ".") {
		key, rest, _ := strings.Cut(part, "[")
		if key == "" {
			return nil, fmt.Errorf("the path %q has an empty name in it", path)
		}
		out = append(out, key)
		if len(key) == len(part) {
			continue
		}
		for _, index := range strings.Split(rest, "[") {
			digits, ok := strings.CutSuffix(index, "]")
			i, err := strconv.Atoi(digits)
			if !ok || err != nil || i < 0 {
				return nil, fmt.Errorf("the path %q has an index that is no whole number in brackets", path)
			}
			out = append(out, i)
		}
	}
	return out, nil
}
