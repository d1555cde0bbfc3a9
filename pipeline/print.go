package pipeline

import (
	"encoding/json"
	"regexp"
	"strings"
)

// plainText matches text that is safe without quotes.
var plainText = regexp.MustCompile(`^[A-Za-z0-9_./][A-Za-z0-9_./ +|~-]*$`)

// printYAML writes a tree as YAML text that reads back to an equal tree. It is how a document looks after overrides.
func printYAML(n *node) string {
	var b strings.Builder
	printBlock(&b, n, 0)
	return b.String()
}

func printBlock(b *strings.Builder, n *node, depth int) {
	indent := strings.Repeat("  ", depth)
	for _, p := range n.pairs {
		b.WriteString(indent + printText(p.key) + ":")
		if p.value.kind == mapNode && len(p.value.pairs) > 0 {
			b.WriteByte('\n')
			printBlock(b, p.value, depth+1)
			continue
		}
		b.WriteByte(' ')
		printFlow(b, p.value)
		b.WriteByte('\n')
	}
}

func printFlow(b *strings.Builder, n *node) {
	switch n.kind {
	case nullNode:
		if n.raw {
			b.WriteString(quote(n.text))
			return
		}
		b.WriteString("null")
	case textNode:
		b.WriteString(printText(n.text))
	case listNode:
		b.WriteByte('[')
		for i, v := range n.items {
			if i > 0 {
				b.WriteString(", ")
			}
			printFlow(b, v)
		}
		b.WriteByte(']')
	case mapNode:
		b.WriteByte('{')
		for i, p := range n.pairs {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(printText(p.key) + ": ")
			printFlow(b, p.value)
		}
		b.WriteByte('}')
	default:
		b.WriteString(strings.TrimSpace(n.text))
	}
}

func printText(s string) string {
	if plainText.MatchString(s) && !strings.HasSuffix(s, " ") && plainScalar(s, place{}).kind == textNode {
		return s
	}
	return quote(s)
}

// quote writes a JSON string, which is also a YAML one.
func quote(s string) string {
	out, err := json.Marshal(s)
	if err != nil { // strings always marshal
		return `""`
	}
	return string(out)
}
