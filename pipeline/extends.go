package pipeline

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A document may extend another: a shipped one by its name, or a file, whose path is relative to the document's folder.
// Mappings are merged key by key; everything else replaces what the base has. A key without a value removes it, except
// under inputs, where it leaves an input unconnected. A stage of another kind than the base's begins afresh.

// maxExtends is how many documents may extend each other in a row.
const maxExtends = 16

// extend returns the base of root, merged with it. chain are the files that led here; root is the last one's.
func (l Loader) extend(root *node, p pair, chain []string, f *findings) *node {
	without := *root
	without.pairs = slices.DeleteFunc(slices.Clone(root.pairs), func(q pair) bool { return q.key == "extends" })
	if p.value.kind != textNode || p.value.text == "" {
		f.add(p.value.at, "name a shipped document or a file, such as base.yaml", "extends must be text, found %s", p.value.describe())
		return &without
	}
	file, src, problem, hint := l.base(p.value.text, chain[len(chain)-1])
	switch {
	case problem != "":
	case slices.Contains(chain, file):
		problem = "the documents extend each other in a circle: " + strings.Join(append(slices.Clone(chain), file), ", ")
	case len(chain) >= maxExtends:
		problem = "too many documents extend each other"
	}
	if problem != "" {
		f.add(p.value.at, hint, "%s", problem)
		return &without
	}
	in := text{name: file, lines: documentLines(src)}
	own := findings{text: in}
	base := parseRoot(src, &own)
	f.list = append(f.list, own.list...)
	if base == nil {
		return &without
	}
	base.setText(&in)
	if q := base.get("extends"); q != nil {
		base = l.extend(base, *q, append(slices.Clone(chain), file), f)
	}
	// The name stays out: it is where the results of the base go.
	base.pairs = slices.DeleteFunc(slices.Clone(base.pairs), func(q pair) bool { return q.key == "name" || q.key == "description" })
	return merge(base, &without, nil)
}

// base reads the document that a name or path means.
func (l Loader) base(name, from string) (file, src, problem, hint string) {
	if l.Shipped != nil {
		if text, ok := l.Shipped(name); ok {
			return name, cleanSource(text), "", ""
		}
	}
	path := filepath.FromSlash(name)
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(from), path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		if len(l.Names) > 0 && !strings.ContainsAny(name, `/\.`) {
			hint = Suggest(name, "shipped documents", l.Names)
		}
		return "", "", "reading the document to extend: " + err.Error(), hint
	}
	return path, cleanSource(data), "", ""
}

// setText says for everything in a tree which file it stands in.
func (n *node) setText(t *text) {
	n.at.in = t
	for _, v := range n.items {
		v.setText(t)
	}
	for i := range n.pairs {
		n.pairs[i].at.in = t
		n.pairs[i].value.setText(t)
	}
}

// merge returns base with what over says. path leads to both, from the root.
func merge(base, over *node, path []string) *node {
	if base.kind != mapNode || over.kind != mapNode {
		return over
	}
	inStages := len(path) == 2 && path[0] == "stages"
	if inStages && otherKind(base, over) {
		return over
	}
	out := *over
	out.pairs = slices.Clone(base.pairs)
	for _, p := range over.pairs {
		old := out.get(p.key)
		switch {
		case old == nil:
			out.pairs = append(out.pairs, p)
		case p.value.kind == nullNode && !p.value.at.reported && !(len(path) == 3 && path[2] == "inputs"):
			out.pairs = slices.DeleteFunc(out.pairs, func(q pair) bool { return q.key == p.key })
		default:
			p.value = merge(old.value, p.value, append(slices.Clip(path), p.key))
			*old = p
		}
	}
	return &out
}

func otherKind(base, over *node) bool {
	was, is := base.get("kind"), over.get("kind")
	return was != nil && is != nil && was.value.text != is.value.text
}
