package pipeline

import (
	"errors"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Limits on what is read as a document. Real ones stay far below; the parser recurses, so depth must be bounded.
const (
	maxDocumentBytes = 1 << 20
	maxDocumentDepth = 64
	maxDocumentNodes = 200_000 // aliases counted as often as they are used
)

// parseYAML reads a text with one YAML document into a tree. Mistakes go to f; the tree is nil when there is nothing to
// go on with. An empty text gives nil and no mistake.
func parseYAML(src string, f *findings) *node {
	if len(src) > maxDocumentBytes {
		f.add(place{}, "", "the document has %d bytes; more than %d are not read", len(src), maxDocumentBytes)
		return nil
	}
	if !utf8.ValidString(src) {
		line, column := invalidUTF8(src)
		f.add(place{line: line, column: column}, "save the file as UTF-8", "the text is not UTF-8")
		return nil
	}
	file := parse(src, f)
	if file == nil {
		return nil
	}
	var docs []*ast.DocumentNode
	for _, d := range file.Docs {
		if d.Body != nil {
			docs = append(docs, d)
		}
	}
	if len(docs) == 0 {
		return nil
	}
	c := converter{f: f, anchors: map[string]*anchor{}}
	root := c.node(docs[0].Body)
	for _, d := range docs[1:] {
		at := tokenPlace(d.Start)
		f.add(at, "keep one pipeline to a file", "a second YAML document starts here; a file holds one")
	}
	return root
}

// parse runs the YAML parser, and turns its error (it gives one) and its panics into a finding.
func parse(src string, f *findings) (file *ast.File) {
	defer func() {
		if r := recover(); r != nil {
			f.add(place{}, "", "the YAML parser gives up on this text: %v", r)
			file = nil
		}
	}()
	tokens := lexer.Tokenize(src)
	if tk := tooDeep(tokens); tk != nil {
		f.add(tokenPlace(tk), "", "values are nested more than %d deep", maxDocumentDepth)
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var at place
		summary := err.Error()
		var yerr yaml.Error
		if errors.As(err, &yerr) {
			at, summary = tokenPlace(yerr.GetToken()), yerr.GetMessage()
		}
		hint := ""
		if strings.Contains(summary, `'\t'`) || strings.Contains(summary, "'\t'") {
			summary, hint = "a tab cannot indent YAML", "use spaces"
		}
		if at.line > 0 && at.line <= len(f.lines) && strings.Contains(f.lines[at.line-1], "${") {
			hint = `within {...} and [...] a reference needs quotes: "${name}"`
		}
		if at.line > 0 && at.line <= len(f.lines) && hint == "" && quotedBackslash.MatchString(f.lines[at.line-1]) {
			hint = escapesHint
		}
		f.add(at, hint, "not valid YAML: %s", summary)
		return nil
	}
	return file
}

// quotedBackslash matches a line with a backslash after a double quote: a path of Windows, more often than not.
var quotedBackslash = regexp.MustCompile(`"[^"]*\\`)

// tooDeep returns the token at which values are nested too deep for the recursive parser, or nil.
func tooDeep(tokens token.Tokens) *token.Token {
	flow, entries, line := 0, 0, 0
	var columns []int // at which the lines around this one begin, each further right; the lexer's IndentLevel only grows behind blank lines
	for _, tk := range tokens {
		if tk.Type == token.CommentType {
			continue
		}
		if tk.Position.Line != line {
			line, entries = tk.Position.Line, 0
			for len(columns) > 0 && columns[len(columns)-1] >= tk.Position.Column {
				columns = columns[:len(columns)-1]
			}
			columns = append(columns, tk.Position.Column)
		}
		switch tk.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType, token.MappingValueType:
			if flow == 0 {
				entries++ // "- - - x" nests on one line
			}
		}
		if flow > maxDocumentDepth || entries > maxDocumentDepth || len(columns) > maxDocumentDepth {
			return tk
		}
	}
	return nil
}

// converter turns the YAML library's syntax tree into nodes.
type converter struct {
	f       *findings
	anchors map[string]*anchor
	count   int
	full    bool // the limit on nodes has been reported
}

// anchor is a value that aliases repeat. open is true while the value itself is being read.
type anchor struct {
	value ast.Node
	open  bool
}

func (c *converter) node(n ast.Node) *node {
	if c.count++; c.count > maxDocumentNodes {
		if !c.full {
			c.full = true
			c.f.add(astPlace(n), "", "the document has more than %d values once its aliases are filled in", maxDocumentNodes)
		}
		return &node{kind: nullNode, at: place{reported: true}}
	}
	switch n := n.(type) {
	case nil:
		return &node{kind: nullNode}
	case *ast.MappingNode:
		return c.mapping(n, n.Values)
	case *ast.MappingValueNode:
		return c.mapping(n, []*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		out := &node{kind: listNode, at: astPlace(n)}
		for _, v := range n.Values {
			out.items = append(out.items, c.node(v))
		}
		return out
	case *ast.AnchorNode:
		name := n.Name.GetToken().Value
		a := &anchor{value: n.Value, open: true}
		c.anchors[name] = a
		out := c.node(n.Value)
		a.open = false
		return out
	case *ast.AliasNode:
		return c.alias(n)
	case *ast.LiteralNode:
		return &node{kind: textNode, text: n.Value.Value, at: astPlace(n)}
	case *ast.TagNode:
		c.f.add(tokenPlace(n.Start), "remove it; the setting decides the type", "YAML tags such as %s are not used in documents", n.Start.Value)
		return c.node(n.Value)
	default:
		return c.scalar(n)
	}
}

func (c *converter) scalar(n ast.Node) *node {
	tk, at := n.GetToken(), astPlace(n)
	if tk == nil {
		return &node{kind: nullNode}
	}
	switch tk.Type {
	case token.DoubleQuoteType, token.SingleQuoteType:
		return &node{kind: textNode, text: tk.Value, at: at}
	case token.ImplicitNullType:
		return &node{kind: nullNode, at: at}
	}
	if s, ok := n.(*ast.StringNode); ok {
		return plainScalar(s.Value, at)
	}
	return plainScalar(tk.Value, at)
}

func (c *converter) alias(n *ast.AliasNode) *node {
	name := n.Value.GetToken().Value
	at := tokenPlace(n.Start)
	at.width = 1 + utf8.RuneCountInString(name)
	a := c.anchors[name]
	if a == nil {
		known := make([]string, 0, len(c.anchors))
		for k := range c.anchors {
			known = append(known, k)
		}
		c.f.add(at, Suggest(name, "anchors", known), "there is no anchor &%s before this alias", name)
		return &node{kind: nullNode, at: place{reported: true}}
	}
	if a.open {
		c.f.add(at, "", "the alias *%s stands inside the value that it repeats", name)
		return &node{kind: nullNode, at: place{reported: true}}
	}
	a.open = true
	defer func() { a.open = false }()
	return c.node(a.value)
}

func (c *converter) mapping(n ast.Node, values []*ast.MappingValueNode) *node {
	out := &node{kind: mapNode, at: astPlace(n)}
	if len(values) > 0 {
		out.at = astPlace(values[0].Key)
	}
	var merged []*node
	for _, v := range values {
		if v.Key.IsMergeKey() {
			value := c.node(v.Value)
			if at := astPlace(v.Key); value.kind == textNode && strings.Contains(value.text, "${") && out.get(mergeKey) == nil {
				out.pairs = append(out.pairs, pair{key: mergeKey, at: at, value: value}) // merged when the value is known
				continue
			}
			merged = append(merged, c.merge(v, value)...)
			continue
		}
		key, at := v.Key.GetToken().Value, astPlace(v.Key)
		if k, ok := v.Key.(*ast.MappingKeyNode); ok {
			if _, scalar := k.Value.(ast.ScalarNode); !scalar {
				c.f.add(at, "", "a key must be a single word")
				continue
			}
			key, at = k.Value.GetToken().Value, astPlace(k.Value)
		}
		value := c.node(v.Value)
		if value.kind == nullNode && !value.at.reported { // nothing was written, so point at the key
			value.at = at
		}
		if first := out.get(key); first != nil {
			c.f.add(at, "", "%s is given twice; the first is on line %d", key, first.at.line)
			continue
		}
		out.pairs = append(out.pairs, pair{key: key, at: at, value: value})
	}
	for _, m := range merged {
		for _, p := range m.pairs {
			if out.get(p.key) == nil {
				out.pairs = append(out.pairs, p)
			}
		}
	}
	return out
}

// mergeKey is the key whose value is merged into the mapping that it stands in.
const mergeKey = "<<"

// merge returns the mappings of a "<<" entry.
func (c *converter) merge(v *ast.MappingValueNode, value *node) []*node {
	list := []*node{value}
	if value.kind == listNode {
		list = value.items
	}
	for _, m := range list {
		if m.kind != mapNode {
			if m.at.reported {
				return nil
			}
			c.f.add(astPlace(v.Key), "write <<: *name, where &name marks a mapping", "<< merges mappings, but this is %s", m.describe())
			return nil
		}
	}
	return list
}

func astPlace(n ast.Node) place {
	if n == nil {
		return place{}
	}
	return tokenPlace(n.GetToken())
}

func tokenPlace(tk *token.Token) place {
	if tk == nil || tk.Position == nil {
		return place{}
	}
	at := place{line: tk.Position.Line, column: tk.Position.Column, width: utf8.RuneCountInString(tk.Value)}
	switch tk.Type {
	case token.DoubleQuoteType, token.SingleQuoteType:
		at.width = utf8.RuneCountInString(strings.TrimSpace(tk.Origin))
	case token.ImplicitNullType:
		at.width = 1
	}
	return at
}

func invalidUTF8(src string) (line, column int) {
	line, column = 1, 1
	for i, r := range src {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(src[i:]); size == 1 {
				return line, column
			}
		}
		column++
		if r == '\n' {
			line, column = line+1, 1
		}
	}
	return line, column
}

// documentLines splits a clean text into lines for excerpts.
func documentLines(src string) []string {
	return strings.Split(src, "\n")
}

// cleanSource removes a byte order mark, which editors on Windows write, and unifies line ends.
func cleanSource(src []byte) string {
	return strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimPrefix(string(src), "\ufeff"))
}
