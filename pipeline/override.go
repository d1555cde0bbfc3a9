package pipeline

import (
	"strings"
)

// Overrides change a document before it is checked: "STAGE.KEY.SUB=VALUE" a setting, "variables.KEY=VALUE" a variable,
// "seed=3" and "name=x" the document itself, "stages.STAGE.matrix.seed=[1, 2]" anything at all. Values are YAML: numbers,
// true, [1, 2], {a: 1}; what is not, is text.

// applyOverrides changes root. Mistakes name the override.
func applyOverrides(root *node, overrides []string, f *findings) {
	f.overrides = overrides
	for _, text := range overrides {
		applyOverride(root, text, f)
	}
}

func applyOverride(root *node, text string, f *findings) {
	at := place{override: text}
	path, value, ok := strings.Cut(text, "=")
	path = strings.TrimSpace(path)
	if !ok || path == "" {
		f.add(at, "write STAGE.SETTING=VALUE, such as search.epochs=10", "an override needs a name, = and a value")
		return
	}
	keys, err := splitPath(path)
	if err != nil {
		f.add(at, "", "%v", err)
		return
	}
	v := overrideValue(value, at)
	first, _ := keys[0].(string)
	if vars := root.get("variables"); len(keys) == 1 && first != "seed" && first != "name" && vars != nil && vars.value.get(first) != nil {
		applyToDocument(root, []any{"variables", first}, v, f)
		return
	}
	if len(keys) == 1 {
		if first != "seed" && first != "name" {
			hint := Suggest(first, "keys", []string{"seed", "name"})
			if p := root.get("stages"); p != nil && p.value.get(first) != nil {
				hint = "name a setting of the stage: " + first + ".SETTING=VALUE"
			}
			f.add(at, hint, "a document has no key %q that can be set", first)
			return
		}
		root.set(pair{key: first, at: at, value: v})
		return
	}
	stages := root.get("stages")
	if stages == nil || stages.value.kind != mapNode {
		return // reported for the document
	}
	stage := stages.value.get(first)
	if stage == nil && (first == "variables" || first == "stages") {
		applyToDocument(root, keys, v, f)
		return
	}
	if name, _, ok := strings.Cut(first, "@"); ok && stages.value.get(name) != nil {
		f.add(at, "set "+name+".SETTING=VALUE for all of them, or change the matrix: stages."+name+".matrix...=VALUE",
			"%q is one of the stages that %s stands for", first, name)
		return
	}
	if stage == nil {
		ids := make([]string, len(stages.value.pairs))
		for i, p := range stages.value.pairs {
			ids[i] = p.key
		}
		f.add(at, Suggest(first, "stages", ids), "the document has no stage %q", first)
		return
	}
	if stage.value.kind != mapNode {
		return // reported for the document
	}
	settings := stage.value.get("settings")
	if settings == nil || settings.value.kind == nullNode {
		stage.value.set(pair{key: "settings", at: at, value: &node{kind: mapNode, at: at}})
		settings = stage.value.get("settings")
	}
	assign(settings.value, keys[1:], v, f)
}

// applyToDocument sets a value anywhere in the document. A variable keeps its type.
func applyToDocument(root *node, keys []any, v *node, f *findings) {
	if keys[0] == "variables" && len(keys) == 2 {
		name, _ := keys[1].(string)
		vars := root.get("variables")
		if vars == nil || vars.value.get(name) == nil {
			var known []string
			if vars != nil {
				for _, p := range vars.value.pairs {
					known = append(known, p.key)
				}
			}
			f.add(v.at, Suggest(name, "variables", known), "the document has no variable %q", name)
			return
		}
	}
	if keys[0] == "variables" {
		if was := descend(root, keys); was != nil && !sameType(was, v) {
			f.add(v.at, "", "the variable %s is %s in the document, and cannot be %s", strings.TrimPrefix(overridePath(v.at), "variables."), was.describe(), v.describe())
			return
		}
	}
	if stages := root.get("stages"); keys[0] == "stages" && stages != nil {
		if id, ok := keys[1].(string); ok && stages.value.get(id) == nil {
			var ids []string
			for _, p := range stages.value.pairs {
				ids = append(ids, p.key)
			}
			f.add(v.at, Suggest(id, "stages", ids), "the document has no stage %q", id)
			return
		}
	}
	assign(root, keys, v, f)
}

// overridePath is the part of an override before "=".
func overridePath(at place) string {
	path, _, _ := strings.Cut(at.override, "=")
	return strings.TrimSpace(path)
}

// descend returns what is at the path below n, or nil.
func descend(n *node, keys []any) *node {
	for _, key := range keys {
		switch key := key.(type) {
		case string:
			p := n.get(key)
			if p == nil {
				return nil
			}
			n = p.value
		case int:
			if n == nil || key >= len(n.items) {
				return nil
			}
			n = n.items[key]
		}
	}
	return n
}

// sameType says whether one value may stand for another: numbers for numbers, texts for texts. A value without quotes may be
// text as well.
func sameType(was, v *node) bool {
	number := func(n *node) bool { return n.kind == intNode || n.kind == floatNode }
	switch {
	case was.kind == nullNode || strings.Contains(was.text, "${") || strings.Contains(v.text, "${"):
		return true
	case was.kind == textNode:
		return v.kind == textNode || v.raw
	case number(was):
		return number(v)
	}
	return was.kind == v.kind
}

// assign puts v at the path below n, making mappings on the way.
func assign(n *node, keys []any, v *node, f *findings) {
	last := len(keys) == 1
	switch key := keys[0].(type) {
	case string:
		if n.kind == textNode && strings.HasPrefix(n.text, "${") { // a reference: keep what it stands for, and change a part of it
			whole := *n
			*n = node{kind: mapNode, at: n.at, pairs: []pair{{key: mergeKey, at: n.at, value: &whole}}}
		}
		if n.kind != mapNode {
			f.add(v.at, "", "%q is a part of %s, which has none", key, n.describe())
			return
		}
		if last {
			n.set(pair{key: key, at: v.at, value: v})
			return
		}
		child := n.get(key)
		if child == nil || child.value.kind == nullNode {
			n.set(pair{key: key, at: v.at, value: &node{kind: mapNode, at: v.at}})
			child = n.get(key)
		}
		assign(child.value, keys[1:], v, f)
	case int:
		if n.kind != listNode {
			f.add(v.at, "", "[%d] is an entry of a list, but the document gives %s", key, n.describe())
			return
		}
		if key >= len(n.items) {
			f.add(v.at, "", "there is no entry [%d]; the document gives a list of %d", key, len(n.items))
			return
		}
		if last {
			n.items[key] = v
			return
		}
		assign(n.items[key], keys[1:], v, f)
	}
}

// overrideValue reads the part after "=".
func overrideValue(text string, at place) *node {
	asText := &node{kind: textNode, text: text, at: at, raw: true}
	trimmed := strings.TrimSpace(text)
	if trimmed == "" {
		return asText
	}
	if !strings.ContainsAny(trimmed[:1], `[{"'`) {
		n := plainScalar(trimmed, at)
		n.text, n.raw = text, true // a text setting takes "007" and "null" as they stand
		return n
	}
	var f findings
	n := parseYAML(trimmed, &f)
	if n == nil || len(f.list) > 0 {
		return asText
	}
	n.relocate(at)
	return n
}

// relocate makes n and everything below it stand at one place.
func (n *node) relocate(at place) {
	n.at = at
	for _, v := range n.items {
		v.relocate(at)
	}
	for i := range n.pairs {
		n.pairs[i].at = at
		n.pairs[i].value.relocate(at)
	}
}
