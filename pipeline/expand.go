package pipeline

import (
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/pipeline/store"
)

// This file makes the stages that one stage of a document stands for: a stage with a matrix or foreach is a template, and each
// of its variants is a stage of its own, named TEMPLATE@LABEL or TEMPLATE@LABEL-LABEL.

// maxStages is how many stages a document, and so a single one of its stages, may stand for.
const maxStages = 10_000

// seedAxis is the axis whose values are seeds.
const seedAxis = "seed"

// itemAxis is the axis that foreach makes.
const itemAxis = "item"

// axis is one dimension of a matrix.
type axis struct {
	name   string
	at     place
	values []binding
}

// readAxes reads a stage's matrix or foreach: nil when it has neither. ok is false when there was a mistake. chain are the stages
// whose matrix is that of the next, of stages; the last is the one to read.
func readAxes(chain []string, stages *node, vars *variables, f *findings) (axes []axis, ok bool) {
	id := chain[len(chain)-1]
	stage := stages.get(id).value
	matrix, each := stage.get("matrix"), stage.get("foreach")
	before := len(f.list)
	sc := &scope{variables: vars}
	switch {
	case matrix != nil && each == nil && matrix.value.kind == textNode && !strings.Contains(matrix.value.text, "${"):
		return sameAxes(chain, matrix.value, stages, vars, f)
	case matrix != nil && each != nil:
		f.add(each.at, "foreach is a matrix with one axis; keep one of them", "stage %s has both foreach and matrix", id)
	case each != nil:
		axes = append(axes, readAxis(id, itemAxis, "foreach", *each, sc, f))
	case matrix != nil:
		m := sc.resolve(matrix.value, f)
		if m.at.reported {
			return nil, false
		}
		if m.kind != mapNode || len(m.pairs) == 0 {
			f.add(m.at, "write one key an axis, such as seed: [1, 2, 3], or the stage whose matrix it is", "matrix of stage %s must be a mapping with an axis, found %s", id, m.describe())
			return nil, false
		}
		for _, p := range m.pairs {
			if !validID(p.key) {
				f.add(p.at, "", "the axis %q must be of letters, digits, - and _, and not start with -", p.key)
			}
			axes = append(axes, readAxis(id, p.key, "the axis "+p.key, p, sc, f))
		}
	}
	count := 1
	for _, a := range axes {
		count *= max(len(a.values), 1)
		if count > maxStages {
			f.add(stage.at, "", "stage %s stands for more than %d stages", id, maxStages)
			return nil, false
		}
	}
	return axes, len(f.list) == before
}

// sameAxes reads the matrix of another stage: "matrix: search".
func sameAxes(chain []string, name *node, stages *node, vars *variables, f *findings) ([]axis, bool) {
	id := chain[len(chain)-1]
	other := stages.get(name.text)
	var known []string
	for _, p := range stages.pairs {
		if p.value.get("matrix") != nil || p.value.get("foreach") != nil {
			known = append(known, p.key)
		}
	}
	switch {
	case slices.Contains(chain, name.text):
		f.add(name.at, "", "the matrix of stage %s is that of itself", id)
	case other == nil || !slices.Contains(known, name.text):
		f.add(name.at, Suggest(name.text, "stages with a matrix", known), "the matrix of stage %s: there is no stage %q with a matrix", id, name.text)
	default:
		before := len(f.list)
		axes, ok := readAxes(append(slices.Clone(chain), name.text), stages, vars, f)
		for i := range axes {
			axes[i].at = name.at
		}
		f.drop(before) // what is wrong with the other matrix is said there
		return axes, ok
	}
	return nil, false
}

// readAxis reads an axis: a list of scalars, or a mapping from labels to values.
func readAxis(id, name, what string, p pair, sc *scope, f *findings) axis {
	a := axis{name: name, at: p.at}
	values := sc.resolve(p.value, f)
	add := func(label string, at place, v *node) {
		switch {
		case v.at.reported:
		case !validLabel(label):
			f.add(at, "write LABEL: VALUE instead of a list, so that each value has a name of letters, digits, _, +, - and dots inside",
				"%s of stage %s: %s cannot be part of a stage's name", what, id, v.describe())
		case slices.ContainsFunc(a.values, func(b binding) bool { return b.label == label }):
			f.add(at, "", "%s of stage %s has %s twice", what, id, label)
		default:
			a.values = append(a.values, binding{axis: name, label: label, value: v})
		}
	}
	switch {
	case values.at.reported:
	case values.kind == listNode && len(values.items) > 0:
		for _, v := range values.items {
			label := ""
			if v.kind != listNode && v.kind != mapNode && v.kind != nullNode {
				label = v.text
			}
			add(label, v.at, v)
		}
	case values.kind == mapNode && len(values.pairs) > 0:
		for _, v := range values.pairs {
			add(v.key, v.at, v.value)
		}
	default:
		f.add(values.at, "write a list of values, or LABEL: VALUE under it", "%s of stage %s must be a list or a mapping, and not empty, found %s",
			what, id, values.describe())
	}
	return a
}

// validLabel says whether a label can be part of a stage's id, and so of a folder's name.
func validLabel(s string) bool {
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("_+-.", r):
		default:
			return false
		}
	}
	return s != "" && len(s) <= 100 && s[0] != '.' && s[len(s)-1] != '.'
}

// variants lists every combination of the axes' values; the last axis changes fastest. Without axes there is one, with no value.
func variants(axes []axis) [][]binding {
	out := [][]binding{nil}
	for _, a := range axes {
		var next [][]binding
		for _, head := range out {
			for _, v := range a.values {
				next = append(next, append(slices.Clip(head), v))
			}
		}
		out = next
	}
	return out
}

// variantID names a variant of a template.
func variantID(template string, bound []binding) string {
	if len(bound) == 0 {
		return template
	}
	labels := make([]string, len(bound))
	for i, b := range bound {
		labels[i] = b.label
	}
	return template + "@" + strings.Join(labels, "-")
}

// labels are the bindings as they are recorded.
func labels(bound []binding) []store.Label {
	var out []store.Label
	for _, b := range bound {
		out = append(out, store.Label{Axis: b.axis, Value: b.label})
	}
	return out
}

// readStages reads the stages, each as the one or the many that it stands for.
func readStages(p pair, vars *variables, f *findings) (stages []*stageSpec, templates []*template) {
	if p.value.kind != mapNode {
		f.add(p.value.at, "under stages: write one key a stage, such as data:", "stages must be a mapping, found %s", p.value.describe())
		return nil, nil
	}
	if len(p.value.pairs) == 0 {
		f.add(p.value.at, "", "the document has no stages")
	}
	for _, sp := range p.value.pairs {
		if !validID(sp.key) {
			f.add(sp.at, "", "the stage id %q must be of letters, digits, - and _, and not start with -", sp.key)
		}
		t := &template{id: sp.key, at: sp.at, used: map[string]bool{}}
		templates = append(templates, t)
		ok := true
		if sp.value.kind == mapNode {
			t.axes, ok = readAxes([]string{sp.key}, p.value, vars, f)
		}
		for i := range t.axes {
			if len(t.axes[i].values) == 0 { // so that mistakes below are found all the same
				t.axes[i].values = []binding{{axis: t.axes[i].name, value: unusable}}
			}
		}
		seen := map[string]bool{}
		for _, bound := range variants(t.axes) {
			if len(stages) == maxStages {
				f.add(sp.at, "", "the document stands for more than %d stages", maxStages)
				break
			}
			id := variantID(sp.key, bound)
			if seen[id] {
				f.add(sp.at, "give the values labels that tell them apart: write LABEL: VALUE instead of a list", "two variants of stage %s have the name %s", sp.key, id)
				break
			}
			if len(id) > 200 {
				f.add(sp.at, "give the values short labels", "the name %s of a variant of stage %s is too long for a folder", id, sp.key)
				break
			}
			seen[id] = true
			sc := &scope{variables: vars, bound: bound, used: t.used, lenient: !ok}
			st := readStage(id, sp, sc, f)
			st.template, st.bound = t, bound
			st.broken = st.broken || !ok
			t.variants = append(t.variants, st)
			stages = append(stages, st)
		}
		if !ok {
			for _, a := range t.axes {
				t.used[a.name] = true // nothing more is said about them
			}
		}
	}
	return stages, templates
}
