package pipeline

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Setting describes one setting of a stage kind, for help.
type Setting struct {
	Path    string   `json:"path"`              // as in a document and after STAGE. in an override: "neighborhood.radius"; goals[].metric for that of each entry of a list
	Type    string   `json:"type"`              // what a document gives: "a whole number", "text", "a list of texts"
	Values  []string `json:"values,omitempty"`  // that a text takes, where these are names; nil for any
	Default string   `json:"default,omitempty"` // as a document would write it; empty for a setting that has none, and for lists and texts that are empty
	Doc     string   `json:"doc,omitempty"`
	Free    bool     `json:"free,omitempty"` // it cannot change results, so that changing it computes nothing again
}

// DescribeSettings lists the settings of a kind in the order of their declaration, groups of settings taken apart.
func DescribeSettings(kind Kind) ([]Setting, error) {
	out, err := describeStruct(reflect.ValueOf(kind.New()).Elem(), "", false, nil)
	if err != nil {
		return nil, fmt.Errorf("describing the settings of %s: %w", kind.Name, err)
	}
	return out, nil
}

// describeStruct describes the settings in v. within are the types that enclose it, so that one that holds itself ends.
func describeStruct(v reflect.Value, prefix string, free bool, within []reflect.Type) ([]Setting, error) {
	if slices.Contains(within, v.Type()) {
		return nil, nil
	}
	within = append(slices.Clip(within), v.Type())
	var out []Setting
	for _, o := range options(v.Type()) {
		field := v.FieldByIndex(o.index)
		s := Setting{Path: prefix + o.name, Values: o.enum, Doc: o.doc, Free: free || o.hidden}
		inner, suffix := field, ""
		switch t := field.Type(); {
		case isText(t) || t == durationType:
		case t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct && !isText(t.Elem()):
			inner = reflect.New(t.Elem()).Elem()
			if !field.IsNil() {
				inner = field.Elem()
			}
		case (t.Kind() == reflect.Slice || t.Kind() == reflect.Map) && t.Elem().Kind() == reflect.Struct && !isText(t.Elem()):
			inner, suffix = reflect.New(t.Elem()).Elem(), map[reflect.Kind]string{reflect.Slice: "[]", reflect.Map: ".NAME"}[t.Kind()]
		}
		group := inner.Kind() == reflect.Struct && !isText(inner.Type())
		if !group || suffix != "" || s.Doc != "" {
			s.Type = inWords(field.Type(), len(o.enum) > 0)
			if !group {
				value, err := plain(field, false)
				if err != nil {
					return nil, fmt.Errorf("setting %s: %w", s.Path, err)
				}
				if s.Default, err = written(field, value); err != nil {
					return nil, fmt.Errorf("setting %s: %w", s.Path, err)
				}
			}
			out = append(out, s)
		}
		if group {
			more, err := describeStruct(inner, s.Path+suffix+".", s.Free, within)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		}
	}
	return out, nil
}

// written is a default as a document has it; empty where there is nothing to write.
func written(v reflect.Value, value any) (string, error) {
	switch k := v.Kind(); {
	case k == reflect.Pointer && v.IsNil(), (k == reflect.Slice || k == reflect.Map || k == reflect.String) && v.Len() == 0:
		return "", nil
	}
	if text, ok := value.(string); ok {
		return text, nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	return strings.ReplaceAll(string(text), `","`, `", "`), nil
}

// inWords says what a document gives for a setting of the type.
func inWords(t reflect.Type, named bool) string {
	switch {
	case t == sizeType:
		return "a size such as 512MB"
	case named && t.Kind() == reflect.String:
		return "a name"
	case t == durationType || isText(t):
		return expected(t)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return inWords(t.Elem(), named)
	case reflect.Slice, reflect.Array:
		each := strings.TrimPrefix(strings.TrimPrefix(inWords(t.Elem(), named), "a "), "an ")
		plural := map[string]string{"whole number": "whole numbers", "number": "numbers", "text": "texts", "name": "names", "true or false": "true or false", "mapping": "mappings"}
		if p, ok := plural[each]; ok {
			each = p
		}
		if t.Kind() == reflect.Array {
			return fmt.Sprintf("a list of %d %s", t.Len(), each)
		}
		return "a list of " + each
	case reflect.Map:
		return "a mapping of names"
	case reflect.Struct:
		return "a group"
	}
	return expected(t)
}
