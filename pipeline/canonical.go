package pipeline

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/plateau-nas/plateau/pipeline/store"
)

// keyFormat is part of every key. Raise it when the way in which keys are made changes.
const keyFormat = 1

// identity is what a stage's key is the hash of. Equal identities promise equal bytes.
type identity struct {
	Kind        string
	Version     int
	Settings    json.RawMessage // canonical
	Seed        uint64
	Inputs      []store.Input // sorted by port
	Fingerprint map[string]string
}

// key returns the stage's key: the SHA-256, in hexadecimal, of the identity's JSON.
func (id identity) key() (string, error) {
	text, err := json.Marshal(struct {
		Format      int               `json:"format"`
		Kind        string            `json:"kind"`
		Version     int               `json:"version"`
		Settings    json.RawMessage   `json:"settings"`
		Seed        uint64            `json:"seed"`
		Inputs      []store.Input     `json:"inputs"`
		Fingerprint map[string]string `json:"fingerprint"` // encoding/json sorts the keys
	}{keyFormat, id.Kind, id.Version, id.Settings, id.Seed, id.Inputs, id.Fingerprint})
	if err != nil {
		return "", fmt.Errorf("making a key for a stage of kind %s: %w", id.Kind, err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// canonicalSettings writes settings as JSON with sorted keys, defaults included. Equal settings give equal text, however
// the document wrote them. With forKey, settings that cannot change results are left out.
func canonicalSettings(settings any, forKey bool) (json.RawMessage, error) {
	value, err := plain(reflect.ValueOf(settings), forKey)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil { // maps are written with sorted keys
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// plain turns settings into maps, slices and scalars under the names that documents use.
func plain(v reflect.Value, forKey bool) (any, error) {
	t := v.Type()
	if t.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil, nil
		}
		return plain(v.Elem(), forKey)
	}
	if t == durationType {
		return time.Duration(v.Int()).String(), nil
	}
	if isText(t) {
		p := reflect.New(t) // the method may be the pointer's, and v need not be addressable
		p.Elem().Set(v)
		text, err := p.Interface().(encoding.TextMarshaler).MarshalText()
		return string(text), err
	}
	switch t.Kind() {
	case reflect.Struct:
		out := map[string]any{}
		for _, o := range options(t) {
			if forKey && o.hidden {
				continue
			}
			field, err := plain(v.FieldByIndex(o.index), forKey)
			if err != nil {
				return nil, fmt.Errorf("setting %s: %w", o.name, err)
			}
			out[o.name] = field
		}
		return out, nil
	case reflect.Slice, reflect.Array:
		out := make([]any, v.Len()) // a nil slice and an empty one mean the same
		for i := range out {
			item, err := plain(v.Index(i), forKey)
			if err != nil {
				return nil, err
			}
			out[i] = item
		}
		return out, nil
	case reflect.Map:
		out := map[string]any{}
		for _, k := range v.MapKeys() {
			item, err := plain(v.MapIndex(k), forKey)
			if err != nil {
				return nil, err
			}
			out[k.String()] = item
		}
		return out, nil
	case reflect.Float32, reflect.Float64:
		if v.Float() == 0 {
			return 0, nil // also -0
		}
		if t.Kind() == reflect.Float64 {
			return v.Float(), nil
		}
		// As float64, 0.1 would be written 0.10000000149011612.
		return json.Number(fmt.Sprint(float32(v.Float()))), nil
	default:
		return v.Interface(), nil
	}
}

// flatten lists settings one by one, "neighborhood.radius" -> "1", for explanations.
func flatten(settings json.RawMessage) map[string]string {
	out := map[string]string{}
	d := json.NewDecoder(bytes.NewReader(settings))
	d.UseNumber()
	var value any
	if d.Decode(&value) == nil {
		flattenInto(out, "", value)
	}
	return out
}

func flattenInto(out map[string]string, path string, value any) {
	if m, ok := value.(map[string]any); ok {
		for k, v := range m {
			name := k
			if path != "" {
				name = path + "." + k
			}
			flattenInto(out, name, v)
		}
		return
	}
	text, err := json.Marshal(value)
	if err != nil { // it has just been decoded from JSON
		text = []byte(fmt.Sprint(value))
	}
	out[path] = string(text)
}

// sortedKeys returns the keys of both maps, sorted, each once.
func sortedKeys[V any](a, b map[string]V) []string {
	var keys []string
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}
