package pipeline

import (
	"encoding"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Settings are structs. This file reads their declaration; decode.go fills them from a document and canonical.go writes
// them for a stage's key.

// option is one setting: a field of a settings struct, those of inlined structs included.
type option struct {
	name   string
	index  []int // for reflect.Value.FieldByIndex
	typ    reflect.Type
	doc    string
	enum   []string
	hidden bool // key:"-"
	file   bool // file:"true"
}

var (
	durationType  = reflect.TypeFor[time.Duration]()
	sizeType      = reflect.TypeFor[size]()
	textType      = reflect.TypeFor[encoding.TextUnmarshaler]()
	marshalerType = reflect.TypeFor[encoding.TextMarshaler]()
)

// isText says whether values of the type are written as text that the type reads itself.
func isText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

// options lists the settings of a struct type in the order of its fields.
func options(t reflect.Type) []option {
	var out []option
	for i := range t.NumField() {
		f := t.Field(i)
		tag, flags, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		inline := slices.Contains(strings.Split(flags, ","), "inline") || f.Anonymous && tag == ""
		if tag == "-" || !f.IsExported() && !(inline && f.Type.Kind() == reflect.Struct) {
			continue
		}
		if inline && f.Type.Kind() == reflect.Struct && !isText(f.Type) {
			for _, o := range options(f.Type) {
				o.index = append([]int{i}, o.index...)
				o.hidden = o.hidden || f.Tag.Get("key") == "-"
				out = append(out, o)
			}
			continue
		}
		o := option{name: tag, index: []int{i}, typ: f.Type, doc: f.Tag.Get("doc"), hidden: f.Tag.Get("key") == "-", file: f.Tag.Get("file") == "true"}
		if o.name == "" {
			o.name = strings.ToLower(f.Name)
		}
		if e := f.Tag.Get("enum"); e != "" {
			o.enum = strings.Split(e, ",")
		}
		out = append(out, o)
	}
	return out
}

func optionNames(opts []option) []string {
	names := make([]string, len(opts))
	for i, o := range opts {
		names[i] = o.name
	}
	return names
}

// checkSettingsType refuses declarations that a document could not fill.
func checkSettingsType(t reflect.Type, path string) error {
	switch {
	case t == durationType || isText(t):
		if isText(t) && !t.Implements(marshalerType) && !reflect.PointerTo(t).Implements(marshalerType) {
			return fmt.Errorf("setting %s: %v reads text but does not write it, so it cannot be part of a key", path, t)
		}
		return nil
	}
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return nil
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return checkSettingsType(t.Elem(), path)
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return fmt.Errorf("setting %s: the keys of a mapping must be text, not %v", path, t.Key())
		}
		return checkSettingsType(t.Elem(), path)
	case reflect.Struct:
		seen := map[string]bool{}
		for _, o := range options(t) {
			name := strings.TrimPrefix(path+"."+o.name, ".")
			if o.file && o.typ.Kind() != reflect.String {
				return fmt.Errorf("setting %s: a path is a string, not a %v", name, o.typ)
			}
			if seen[o.name] {
				return fmt.Errorf("setting %s is declared twice", name)
			}
			seen[o.name] = true
			if err := checkSettingsType(o.typ, name); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("setting %s: documents cannot hold a %v", path, t)
}

// decoder fills settings from nodes and notes every mistake.
type decoder struct {
	f     *findings
	owner string // "stage kind train", for messages about unknown settings
	// guessed counts the names and values that are unknown and like a known one, which they are taken for: so the other
	// settings can be looked at too.
	guessed int
}

// value decodes n into v, which must be settable. path names the setting; enum limits text.
func (d *decoder) value(n *node, v reflect.Value, path string, enum []string) {
	t := v.Type()
	if n.kind == nullNode && t.Kind() != reflect.Pointer && !(n.raw && t.Kind() == reflect.String) {
		hint := "remove the line to keep the default"
		if n.at.override != "" {
			hint = ""
		}
		d.f.add(n.at, hint, "%s has no value; it must be %s", path, expected(t))
		return
	}
	switch {
	case t == durationType:
		d.duration(n, v, path)
		return
	case t == sizeType && n.kind == intNode: // without a unit it is a number
		n = &node{kind: textNode, text: n.text, at: n.at}
		fallthrough
	case isText(t) && t.Kind() != reflect.Pointer:
		if n.kind != textNode && !n.raw {
			d.wrongType(n, t, path)
			return
		}
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.text)); err != nil {
			d.f.add(n.at, "", "%s: %v", path, err)
		}
		return
	}
	switch t.Kind() {
	case reflect.Bool:
		if n.kind != boolNode {
			d.wrongType(n, t, path)
			return
		}
		v.SetBool(n.boole)
	case reflect.String:
		d.text(n, v, path, enum)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		d.whole(n, t, path, func(i *big.Int) bool {
			if !i.IsInt64() || v.OverflowInt(i.Int64()) {
				return false
			}
			v.SetInt(i.Int64())
			return true
		})
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		d.whole(n, t, path, func(i *big.Int) bool {
			if !i.IsUint64() || v.OverflowUint(i.Uint64()) {
				return false
			}
			v.SetUint(i.Uint64())
			return true
		})
	case reflect.Float32, reflect.Float64:
		d.float(n, v, path)
	case reflect.Pointer:
		if n.kind == nullNode {
			v.SetZero()
			return
		}
		p := reflect.New(t.Elem())
		if !v.IsNil() {
			p.Elem().Set(v.Elem()) // keep the defaults of what it points to
		}
		d.value(n, p.Elem(), path, enum)
		v.Set(p)
	case reflect.Slice, reflect.Array:
		d.list(n, v, path, enum)
	case reflect.Map:
		d.dictionary(n, v, path, enum)
	case reflect.Struct:
		d.structure(n, v, path)
	default: // excluded by checkSettingsType
		d.f.add(n.at, "", "%s cannot be set in a document", path)
	}
}

func (d *decoder) structure(n *node, v reflect.Value, path string) {
	if n.kind != mapNode {
		d.wrongType(n, v.Type(), path)
		return
	}
	opts := options(v.Type())
	for k, p := range n.pairs {
		i := slices.IndexFunc(opts, func(o option) bool { return o.name == p.key })
		full := strings.TrimPrefix(path+"."+p.key, ".")
		if i < 0 {
			d.f.add(p.at, Suggest(p.key, "settings", optionNames(opts)), "%s has no setting %q", d.owner, full)
			near := Nearest(p.key, optionNames(opts))
			if near == "" || slices.ContainsFunc(n.pairs, func(o pair) bool { return o.key == near }) {
				continue
			}
			d.guessed++
			n.pairs[k].meant = near
			i = slices.IndexFunc(opts, func(o option) bool { return o.name == near })
		}
		field := v.FieldByIndex(opts[i].index)
		d.value(p.value, field, full, opts[i].enum)
		if opts[i].file && field.Kind() == reflect.String {
			p.value.found = d.f.locateFile(p.value, field.String())
			field.SetString(p.value.found)
		}
	}
}

func (d *decoder) text(n *node, v reflect.Value, path string, enum []string) {
	if n.kind != textNode && !n.raw {
		hint := ""
		if n.kind != listNode && n.kind != mapNode {
			hint = "put it in quotes if text is meant: " + strconv.Quote(n.text)
		}
		d.f.add(n.at, hint, "%s must be text, found %s", path, n.describe())
		return
	}
	if len(enum) > 0 && !slices.Contains(enum, n.text) {
		d.f.add(n.at, Suggest(n.text, "values", enum), "%s: unknown value %q", path, n.text)
		if near := Nearest(n.text, enum); near != "" {
			d.guessed++
			v.SetString(near)
		}
		return
	}
	v.SetString(n.text)
}

func (d *decoder) whole(n *node, t reflect.Type, path string, set func(*big.Int) bool) {
	if n.whole == nil {
		d.wrongType(n, t, path)
		return
	}
	if !set(n.whole) {
		want := expected(t)
		if t.Bits() == 64 && (n.whole.Sign() > 0 || t.Kind() == reflect.Int || t.Kind() == reflect.Int64) {
			want += " of at most 64 bits"
		}
		d.f.add(n.at, "", "%s must be %s, found %s", path, want, n.describe())
	}
}

func (d *decoder) float(n *node, v reflect.Value, path string) {
	if n.kind != floatNode && n.kind != intNode {
		d.wrongType(n, v.Type(), path)
		return
	}
	value := n.float
	if v.Kind() == reflect.Float32 {
		value = float64(float32(value)) // the nearest one; reflect would refuse the largest as an overflow
	}
	if math.IsNaN(value) || math.IsInf(value, 0) {
		d.f.add(n.at, "", "%s must be a finite number, found %s", path, n.describe())
		return
	}
	v.SetFloat(value)
}

func (d *decoder) duration(n *node, v reflect.Value, path string) {
	if n.kind != textNode && !(n.kind == intNode && n.whole.Sign() == 0) {
		d.wrongType(n, v.Type(), path)
		return
	}
	dur, err := time.ParseDuration(n.text)
	if err != nil {
		d.wrongType(n, v.Type(), path)
		return
	}
	v.SetInt(int64(dur))
}

func (d *decoder) list(n *node, v reflect.Value, path string, enum []string) {
	if n.kind != listNode {
		d.wrongType(n, v.Type(), path)
		return
	}
	out := v
	if v.Kind() == reflect.Slice {
		out = reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	} else if v.Len() != len(n.items) {
		d.f.add(n.at, "", "%s must have %d entries, found %d", path, v.Len(), len(n.items))
		return
	}
	for i, item := range n.items {
		d.value(item, out.Index(i), fmt.Sprintf("%s[%d]", path, i), enum)
	}
	if v.Kind() == reflect.Slice {
		v.Set(out)
	}
}

func (d *decoder) dictionary(n *node, v reflect.Value, path string, enum []string) {
	if n.kind != mapNode {
		d.wrongType(n, v.Type(), path)
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(n.pairs))
	for _, p := range n.pairs {
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(p.value, e, path+"."+p.key, enum)
		out.SetMapIndex(reflect.ValueOf(p.key).Convert(v.Type().Key()), e)
	}
	v.Set(out)
}

func (d *decoder) wrongType(n *node, t reflect.Type, path string) {
	d.f.add(n.at, "", "%s must be %s, found %s", path, expected(t), n.describe())
}

// expected says in words what a document must hold for a setting of the type.
func expected(t reflect.Type) string {
	switch {
	case t == durationType:
		return "a duration such as 90s or 1h30m"
	case isText(t):
		return "text"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	case reflect.Int8, reflect.Int16, reflect.Int32:
		return fmt.Sprintf("a whole number of at most %d bits", t.Bits())
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return fmt.Sprintf("a whole number from 0 to %d", uint64(1)<<t.Bits()-1)
	case reflect.Uint, reflect.Uint64:
		return "a whole number that is not negative"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Pointer:
		return expected(t.Elem())
	case reflect.Array:
		return fmt.Sprintf("a list of %d entries", t.Len())
	case reflect.Slice:
		return "a list"
	default:
		return "a mapping"
	}
}
