package pipeline

import (
	"regexp"
	"slices"
	"strings"
)

// This file puts the values of variables where a document refers to them: ${name}, ${name.key}, ${name[0]}.

// referencePattern matches a reference, and the "$${" that stands for a "${" which is none.
var referencePattern = regexp.MustCompile(`\$?\$\{[^{}]*\}`)

// binding is the value that an axis of a matrix has in one of the stages that it stands for.
type binding struct {
	axis  string
	label string
	value *node
}

// scope is what references in a part of a document may name.
type scope struct {
	variables *variables
	bound     []binding       // of the stage; these hide variables of the same name
	used      map[string]bool // the axes that something refers to
	lenient   bool            // the stage's axes are not all known, so that an unknown name is no news
}

// variables are a document's variables. A variable may refer to others.
type variables struct {
	raw   *node // a mapping, or nil
	done  map[string]*node
	open  []string // being resolved, for cycles
	wrong map[string]bool
}

// readVariables reads the document's variables.
func readVariables(p *pair, f *findings) *variables {
	v := &variables{done: map[string]*node{}, wrong: map[string]bool{}}
	if p == nil || p.value.kind == nullNode {
		return v
	}
	if p.value.kind != mapNode {
		f.add(p.value.at, "write NAME: VALUE under it", "variables must be a mapping, found %s", p.value.describe())
		return v
	}
	v.raw = p.value
	for _, p := range v.raw.pairs {
		if !validID(p.key) {
			f.add(p.at, "", "the name of the variable %q must be of letters, digits, - and _, and not start with -", p.key)
		}
		v.get(p.key, f) // so that mistakes in one that nothing uses are found, too
	}
	return v
}

func (v *variables) names() []string {
	if v.raw == nil {
		return nil
	}
	names := make([]string, len(v.raw.pairs))
	for i, p := range v.raw.pairs {
		names[i] = p.key
	}
	return names
}

// get returns a variable's value, or nil.
func (v *variables) get(name string, f *findings) *node {
	if n, ok := v.done[name]; ok {
		return n
	}
	p := v.raw.get(name)
	if p == nil {
		return nil
	}
	if i := slices.Index(v.open, name); i >= 0 {
		cycle := append(slices.Clone(v.open[i:]), name)
		f.add(p.at, "", "the variables refer to each other in a cycle: %s", strings.Join(cycle, " -> "))
		return unusable
	}
	v.open = append(v.open, name)
	n := (&scope{variables: v}).resolve(p.value, f)
	v.open = v.open[:len(v.open)-1]
	v.done[name] = n
	return n
}

// unusable stands for a value that could not be found, which has been reported.
var unusable = &node{kind: nullNode, at: place{reported: true}}

// resolve returns n with the values in the place of references. Parts without any are shared, not copied.
func (s *scope) resolve(n *node, f *findings) *node {
	switch n.kind {
	case textNode:
		return s.text(n, f)
	case listNode:
		items, changed := make([]*node, len(n.items)), false
		for i, v := range n.items {
			items[i] = s.resolve(v, f)
			changed = changed || items[i] != v
		}
		if !changed {
			return n
		}
		c := *n
		c.items = items
		return &c
	case mapNode:
		if p := n.get(mergeKey); p != nil && p.value.kind == textNode {
			return s.merged(n, *p, f)
		}
		pairs, changed := slices.Clone(n.pairs), false
		for i, p := range pairs {
			pairs[i].value = s.resolve(p.value, f)
			changed = changed || pairs[i].value != p.value
		}
		if !changed {
			return n
		}
		c := *n
		c.pairs = pairs
		return &c
	}
	return n
}

// merged resolves a mapping with an entry "<<: ${name}": what the variable has, with what the mapping itself says merged over it
// as an extending document is.
func (s *scope) merged(n *node, p pair, f *findings) *node {
	own := *n
	own.pairs = slices.DeleteFunc(slices.Clone(n.pairs), func(q pair) bool { return q.key == mergeKey })
	over, base := s.resolve(&own, f), s.resolve(p.value, f)
	switch {
	case base.at.reported:
		return over
	case base.kind != mapNode:
		f.add(p.value.at, "", "<< merges mappings, but this is %s", base.describe())
		return over
	}
	return merge(base, over, nil)
}

// text resolves a text. One that is a reference and nothing else becomes the value, of whatever type it is.
func (s *scope) text(n *node, f *findings) *node {
	if !strings.Contains(n.text, "${") {
		return n
	}
	found := referencePattern.FindStringIndex(n.text)
	if found == nil {
		return n
	}
	if found[0] == 0 && found[1] == len(n.text) && !strings.HasPrefix(n.text, "$$") {
		return s.lookup(n.text[2:len(n.text)-1], n.at, f)
	}
	bad, replaced := false, false
	var start *place
	out := referencePattern.ReplaceAllStringFunc(n.text, func(ref string) string {
		if strings.HasPrefix(ref, "$$") {
			return ref[1:]
		}
		first := !replaced && found[0] == 0
		replaced = true
		v := s.lookup(ref[2:len(ref)-1], n.at, f)
		if first {
			start = v.begins()
		}
		if v.at.reported {
			bad = true
			return ""
		}
		if v.kind == listNode || v.kind == mapNode || v.kind == nullNode {
			f.add(n.at, "", "%s is %s and cannot be part of a text", ref, v.describe())
			bad = true
			return ""
		}
		return v.text
	})
	if bad {
		return unusable
	}
	if !replaced {
		return &node{kind: textNode, text: out, at: n.at}
	}
	c := plainScalar(out, n.at) // "1e-${digits}" is a number where one belongs
	c.text, c.raw, c.start = out, true, start
	return c
}

// lookup finds what a reference names. It returns unusable when that is a mistake.
func (s *scope) lookup(path string, at place, f *findings) *node {
	path = strings.TrimSpace(path)
	keys, err := splitPath(path)
	if err != nil {
		f.add(at, "write ${NAME}, ${NAME.KEY} or ${NAME[0]}", "%v", err)
		return unusable
	}
	name, _ := keys[0].(string)
	n := s.named(name, at, f)
	if n == nil && s.lenient {
		return unusable
	}
	if n == nil {
		known := s.variables.names()
		for _, b := range s.bound {
			known = append(known, b.axis)
		}
		f.add(at, Suggest(name, "variables", known), "there is no variable %q", name)
		return unusable
	}
	for _, key := range keys[1:] {
		if n.at.reported {
			return unusable
		}
		var next *node
		hint := ""
		switch key := key.(type) {
		case string:
			if p := n.get(key); p != nil {
				next = p.value
			}
			if n.kind == mapNode {
				names := make([]string, len(n.pairs))
				for i, p := range n.pairs {
					names[i] = p.key
				}
				hint = Suggest(key, "keys", names)
			}
		case int:
			if n.kind == listNode && key < len(n.items) {
				next = n.items[key]
			}
		}
		if next == nil {
			f.add(at, hint, "${%s}: %v is no part of %s", path, key, n.describe())
			return unusable
		}
		n = next
	}
	return n
}

func (s *scope) named(name string, at place, f *findings) *node {
	for _, b := range s.bound {
		switch {
		case b.axis == name:
			s.used[name] = true
			return b.value
		case b.axis == itemAxis && name == "key":
			s.used[itemAxis] = true
			return &node{kind: textNode, text: b.label, at: at}
		}
	}
	return s.variables.get(name, f)
}
