package pipeline

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// schemaDialect is the version of JSON Schema that Schema writes.
const schemaDialect = "https://json-schema.org/draft/2020-12/schema"

// object is a JSON Schema. encoding/json sorts its keys, so equal registries give equal text.
type object = map[string]any

// Schema returns the JSON Schema of documents that use the registry's kinds, for editors: every key, kind, input and setting
// with its type, default, names and sentence, from the declarations by which documents are checked. What only a check
// of the whole document can find, such as the name of a stage that is not there, it lets pass.
func Schema(reg *Registry) ([]byte, error) {
	definitions := object{"reference": object{"type": "string", "pattern": `\$\{`, "description": "The value of a variable or axis, ${name}."}}
	controls, err := structSchema(reflect.ValueOf(newControl(Kind{})).Elem())
	if err != nil {
		return nil, err
	}
	stage := object{
		"type": []string{"object", "null"}, "additionalProperties": false,
		"properties": keySchemas(stageDecl, map[string]object{
			"kind":        {"enum": reg.Names()},
			"description": {"type": "string"},
			"foreach":     orReference(object{"type": []string{"array", "object"}, "minItems": 1, "minProperties": 1}),
			"matrix":      {"type": []string{"object", "string"}, "minProperties": 1},
			"when":        {"type": []string{"boolean", "string"}},
			"seed":        orReference(object{"type": "integer", "minimum": 0}),
			"inputs":      {"type": []string{"object", "null"}},
			"settings":    {},
		}),
	}
	maps.Copy(stage["properties"].(object), controls["properties"].(object))
	var cases []object
	for _, name := range reg.Names() {
		kind, _ := reg.Lookup(name)
		settings, err := settingsSchema(kind)
		if err != nil {
			return nil, fmt.Errorf("describing the stage kind %s: %w", name, err)
		}
		definitions["settings."+name] = settings
		definitions["inputs."+name] = inputsSchema(kind)
		cases = append(cases, object{
			"if": object{"required": []string{"kind"}, "properties": object{"kind": object{"const": name}}},
			"then": object{"description": kind.Doc, "properties": object{
				"settings": orReference(object{"$ref": "#/$defs/settings." + name}),
				"inputs":   object{"$ref": "#/$defs/inputs." + name},
			}},
		})
	}
	if len(cases) > 0 {
		stage["allOf"] = cases
	}
	definitions["stage"] = stage
	root := object{
		"$schema": schemaDialect, "title": "plateau pipeline", "type": "object", "additionalProperties": false,
		"$defs": definitions,
		"properties": keySchemas(append([]key{{schemaKey, "Where an editor finds this schema."}}, documentDecl...), map[string]object{
			schemaKey:     {"type": "string"},
			"name":        {"type": "string", "pattern": `^[A-Za-z0-9][A-Za-z0-9_.-]*$`},
			"description": {"type": "string"},
			"extends":     {"type": "string", "minLength": 1},
			"seed":        orReference(object{"type": "integer", "minimum": 0, "default": defaultSeed}),
			"variables":   {"type": []string{"object", "null"}},
			"stages": {
				"type": "object", "additionalProperties": false,
				"patternProperties": object{`^[A-Za-z0-9_][A-Za-z0-9_-]*$`: object{"$ref": "#/$defs/stage"}},
			},
		}),
		// In a document that extends another, a stage may leave out its kind, and a stage without a value is removed.
		"if": object{"required": []string{"extends"}},
		"else": object{
			"required":   []string{"stages"},
			"properties": object{"stages": object{"additionalProperties": object{"type": "object", "required": []string{"kind"}}}},
		},
	}
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the schema: %w", err)
	}
	return append(text, '\n'), nil
}

// keySchemas gives each key's schema its sentence.
func keySchemas(keys []key, schemas map[string]object) object {
	out := object{}
	for _, k := range keys {
		s := schemas[k.name]
		if s == nil { // the lists are fixed, and a test compares them
			s = object{}
		}
		s["description"] = k.doc
		out[k.name] = s
	}
	return out
}

// orReference lets a reference stand in the place of a value.
func orReference(s object) object {
	return object{"anyOf": []any{s, object{"$ref": "#/$defs/reference"}}}
}

// inputsSchema describes the inputs of a kind.
func inputsSchema(kind Kind) object {
	ports := object{}
	for _, p := range kind.Inputs {
		types := []string{"string"}
		if p.Many {
			types = append(types, "array")
		}
		if p.Optional {
			types = append(types, "null")
		}
		doc := p.Doc
		if doc != "" {
			doc += " "
		}
		explicit := ""
		if p.Explicit {
			explicit = " Only when it is named here."
		}
		ports[p.Name] = object{"type": types, "items": object{"type": "string"}, "description": doc + "Type " + string(p.Type) + "." + explicit}
	}
	return object{"type": []string{"object", "null"}, "additionalProperties": false, "properties": ports}
}

// settingsSchema describes the settings of a kind, with the defaults that its New gives.
func settingsSchema(kind Kind) (object, error) {
	v := reflect.ValueOf(kind.New()).Elem()
	s, err := structSchema(v)
	if err != nil {
		return nil, err
	}
	s["type"] = []string{"object", "null"} // "settings:" with nothing below it
	return s, nil
}

func structSchema(v reflect.Value) (object, error) {
	properties := object{}
	for _, o := range options(v.Type()) {
		s, err := valueSchema(v.FieldByIndex(o.index), o.enum)
		if err != nil {
			return nil, fmt.Errorf("setting %s: %w", o.name, err)
		}
		if o.doc != "" {
			s["description"] = o.doc
		}
		properties[o.name] = s
	}
	return object{"type": "object", "additionalProperties": false, "properties": properties}, nil
}

// valueSchema describes a setting whose default is v. Groups of settings have their defaults one by one.
func valueSchema(v reflect.Value, enum []string) (object, error) {
	t := v.Type()
	if t.Kind() == reflect.Struct && !isText(t) {
		s, err := structSchema(v)
		if err != nil {
			return nil, err
		}
		return orReference(s), nil
	}
	s, err := typeSchema(t, enum)
	if err != nil {
		return nil, err
	}
	value, err := plain(v, false)
	if err != nil {
		return nil, err
	}
	out := orReference(s)
	if t.Kind() != reflect.Pointer || !v.IsNil() {
		out["default"] = value
	}
	return out, nil
}

// typeSchema describes what a document may hold for a setting of the type; see decoder.
func typeSchema(t reflect.Type, enum []string) (object, error) {
	switch {
	case t == durationType:
		return object{"anyOf": []object{{"type": "string", "pattern": `^[-+]?([0-9.]+(ns|us|µs|μs|ms|s|m|h))+$|^0$`}, {"const": 0}}}, nil
	case t == sizeType:
		return object{"anyOf": []object{{"type": "string", "pattern": `^[0-9.]+ *([KMGT]i?B|kB|B)?$`}, {"type": "integer", "minimum": 0}}}, nil
	case t.Kind() != reflect.Pointer && isText(t):
		return object{"type": "string"}, nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}, nil
	case reflect.String:
		if len(enum) > 0 {
			return object{"enum": slices.Clone(enum)}, nil
		}
		return object{"type": "string"}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return object{"type": "integer"}, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer", "minimum": 0}, nil
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}, nil
	case reflect.Pointer:
		s, err := typeSchema(t.Elem(), enum)
		if err != nil {
			return nil, err
		}
		return object{"anyOf": []any{s, object{"type": "null"}}}, nil
	case reflect.Slice, reflect.Array:
		s, err := typeSchema(t.Elem(), enum)
		if err != nil {
			return nil, err
		}
		out := object{"type": "array", "items": orReference(s)}
		if t.Kind() == reflect.Array {
			out["minItems"], out["maxItems"] = t.Len(), t.Len()
		}
		return out, nil
	case reflect.Map:
		s, err := typeSchema(t.Elem(), enum)
		if err != nil {
			return nil, err
		}
		return object{"type": "object", "additionalProperties": orReference(s)}, nil
	case reflect.Struct:
		return structSchema(reflect.New(t).Elem())
	}
	return nil, fmt.Errorf("documents cannot hold a %v", strings.TrimPrefix(t.String(), "*")) // excluded by checkSettingsType
}
