package pipeline

import (
	"strings"
)

// Overrides change a document before it is checked: "STAGE.KEY.SUB=VALUE" a setting, "seed=3" and "name=x" the document
// itself. Values are YAML: numbers, true, [1, 2], {a: 1}; what is not, is text.

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

// assign puts v at the path below n, making mappings on the way.
func assign(n *node, keys []any, v *node, f *findings) {
	last := len(keys) == 1
	switch key := keys[0].(type) {
	case string:
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
