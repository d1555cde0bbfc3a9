package pipeline

import (
	"encoding/json"
	"reflect"
)

// Settable is a place of a document that an override can set: what a shell completes, and a form shows.
type Settable struct {
	Path    string   // as overrides write it: "search.epochs", "seed", the name of a variable
	Doc     string   // one sentence; may be empty
	Default string   // the kind's, as JSON; empty for what is no setting
	Values  []string // the values there are, where they have names; nil otherwise
}

// Settables lists what overrides can set in a document: its seed and name, its variables, and the settings of every stage
// whose kind is known, in the order of the document and of the kinds' declarations. A document with mistakes lists what
// can be understood.
func (d *Document) Settables(reg *Registry) []Settable {
	var out []Settable
	for _, k := range documentDecl {
		if k.name == "seed" || k.name == "name" {
			out = append(out, Settable{Path: k.name, Doc: k.doc})
		}
	}
	if p := d.root.get("variables"); p != nil && p.value != nil {
		for _, v := range p.value.pairs {
			out = append(out, Settable{Path: v.key, Doc: "A variable of the document."})
		}
	}
	stages := d.root.get("stages")
	if stages == nil || stages.value == nil {
		return out
	}
	for _, stage := range stages.value.pairs {
		named := stage.value.get("kind")
		if named == nil || named.value == nil {
			continue
		}
		if kind, ok := reg.Lookup(named.value.text); ok {
			out = append(out, settablesOf(stage.key+".", reflect.ValueOf(kind.New()).Elem())...)
		}
	}
	return out
}

// settablesOf lists the settings of a struct, those of groups by their own names.
func settablesOf(prefix string, v reflect.Value) []Settable {
	var out []Settable
	for _, o := range options(v.Type()) {
		field := v.FieldByIndex(o.index)
		if t := field.Type(); t.Kind() == reflect.Struct && !isText(t) {
			out = append(out, settablesOf(prefix+o.name+".", field)...)
			continue
		}
		s := Settable{Path: prefix + o.name, Doc: o.doc, Values: o.enum}
		if value, err := plain(field, false); err == nil {
			if text, err := json.Marshal(value); err == nil {
				s.Default = string(text)
			}
		}
		if field.Kind() == reflect.Bool {
			s.Values = []string{"true", "false"}
		}
		out = append(out, s)
	}
	return out
}
