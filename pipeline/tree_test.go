package pipeline

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/pipeline/store"
)

// compareTrees ignores places and how numbers were written.
var compareTrees = cmp.Options{
	cmp.AllowUnexported(node{}, pair{}),
	cmpopts.IgnoreFields(node{}, "at", "raw", "text"),
	cmpopts.IgnoreFields(pair{}, "at"),
	cmpopts.EquateNaNs(),
	cmpopts.EquateEmpty(),
	cmp.Comparer(func(a, b *big.Int) bool {
		if a == nil || b == nil {
			return a == b
		}
		return a.Cmp(b) == 0
	}),
}

func genText(t *rapid.T, label string) string {
	return rapid.OneOf(
		rapid.String(),
		rapid.StringMatching(`[ -~]{0,12}`),
		rapid.SampledFrom([]string{"", "null", "true", "~", "1e3", "010", "0x1f", ".inf", "- a", "a: b", "# x", "[", "&a", "*a", "a\nb", " a ", "é漢", "'", `"`, "%", "@x", "|"}),
	).Filter(func(s string) bool { return strings.ToValidUTF8(s, "") == s }).Draw(t, label)
}

func genNode(t *rapid.T, depth int) *node {
	kinds := []nodeKind{nullNode, boolNode, intNode, floatNode, textNode}
	if depth > 0 {
		kinds = append(kinds, listNode, mapNode)
	}
	switch kind := rapid.SampledFrom(kinds).Draw(t, "kind"); kind {
	case textNode:
		return &node{kind: textNode, text: genText(t, "text")}
	case listNode:
		n := &node{kind: listNode}
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			n.items = append(n.items, genNode(t, depth-1))
		}
		return n
	case mapNode:
		n := &node{kind: mapNode}
		for range rapid.IntRange(0, 3).Draw(t, "pairs") {
			key := genText(t, "key")
			if n.get(key) == nil && key != "<<" {
				n.pairs = append(n.pairs, pair{key: key, value: genNode(t, depth-1)})
			}
		}
		return n
	case boolNode:
		return plainScalar(rapid.SampledFrom([]string{"true", "false"}).Draw(t, "bool"), place{})
	case intNode:
		return plainScalar(fmt.Sprint(rapid.Int64().Draw(t, "int")), place{})
	case floatNode:
		return plainScalar(fmt.Sprintf("%e", rapid.Float64().Draw(t, "float")), place{})
	default:
		return &node{kind: nullNode}
	}
}

// What a document says after overrides is written into run.json; reading it must give the same pipeline.
func TestAPrintedTreeReadsBackEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := &node{kind: mapNode, pairs: []pair{{key: "a", value: genNode(t, 3)}, {key: "b", value: genNode(t, 3)}}}
		text := printYAML(want)
		var f findings
		got := parseYAML(text, &f)
		if len(f.list) > 0 {
			t.Fatalf("%s\n%v", text, f.list)
		}
		if diff := cmp.Diff(want, got, compareTrees); diff != "" {
			t.Fatalf("%s\n-want +got:\n%s", text, diff)
		}
		if got, want := texts(got), texts(want); !cmp.Equal(got, want) {
			t.Fatalf("texts %q, want %q, of\n%s", got, want, text)
		}
	})
}

// texts lists the texts in a tree in order.
func texts(n *node) []string {
	var out []string
	if n.kind == textNode {
		out = append(out, n.text)
	}
	for _, v := range n.items {
		out = append(out, texts(v)...)
	}
	for _, p := range n.pairs {
		out = append(out, texts(p.value)...)
	}
	return out
}

type level int

func (l level) MarshalText() ([]byte, error) { return []byte(strings.Repeat("+", int(l))), nil }
func (l *level) UnmarshalText(b []byte) error {
	*l = level(len(b))
	return nil
}

// inner is inlined, outer holds one of everything that settings can be.
type inner struct {
	Radius int `yaml:"radius"`
}

type outer struct {
	inner
	Flag    bool             `yaml:"flag"`
	Count   int8             `yaml:"count"`
	Size    uint64           `yaml:"size"`
	Rate    float32          `yaml:"rate"`
	Exact   float64          `yaml:"exact"`
	Name    string           `yaml:"name"`
	Wait    time.Duration    `yaml:"wait"`
	Level   level            `yaml:"level"`
	List    []int            `yaml:"list"`
	Pair    [2]bool          `yaml:"pair"`
	Table   map[string]inner `yaml:"table"`
	Maybe   *inner           `yaml:"maybe"`
	Workers int              `yaml:"workers" key:"-"`
	Skipped func()           `yaml:"-"`
}

func genOuter(t *rapid.T) *outer {
	finite := func(f float64) bool { return !math.IsInf(f, 0) && !math.IsNaN(f) }
	s := &outer{
		inner: inner{Radius: rapid.Int().Draw(t, "radius")},
		Flag:  rapid.Bool().Draw(t, "flag"), Count: rapid.Int8().Draw(t, "count"), Size: rapid.Uint64().Draw(t, "size"),
		Rate: rapid.Float32().Draw(t, "rate"), Exact: rapid.Float64().Filter(finite).Draw(t, "exact"), Name: genText(t, "name"),
		Wait: time.Duration(rapid.Int64().Draw(t, "wait")), Level: level(rapid.IntRange(1, 5).Draw(t, "level")),
		List: rapid.SliceOfN(rapid.Int(), 0, 3).Draw(t, "list"), Workers: rapid.Int().Draw(t, "workers"),
		Table: map[string]inner{},
	}
	for range rapid.IntRange(0, 2).Draw(t, "entries") {
		s.Table[genText(t, "entry")] = inner{Radius: rapid.Int().Draw(t, "value")}
	}
	if rapid.Bool().Draw(t, "maybe") {
		s.Maybe = &inner{Radius: rapid.Int().Draw(t, "inside")}
	}
	return s
}

// Writing settings canonically, reading that text as a document's, and writing them again gives the same text: nothing is lost or
// rounded on either way.
func TestSettingsSurviveCanonicalTextAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type settings struct {
			outer `yaml:",inline"`
		}
		want := genOuter(t)
		want.Rate = float32(math.Abs(float64(want.Rate)))
		if math.IsInf(float64(want.Rate), 0) || math.IsNaN(float64(want.Rate)) {
			want.Rate = 1
		}
		text, err := canonicalSettings(settings{*want}, false)
		if err != nil {
			t.Fatal(err)
		}
		var f findings
		tree := parseYAML("settings: "+string(text), &f) // JSON is YAML
		if tree == nil || len(f.list) > 0 {
			t.Fatalf("%s\n%v", text, f.list)
		}
		var got settings
		d := decoder{f: &f, owner: "test"}
		d.structure(tree.get("settings").value, reflect.ValueOf(&got).Elem(), "")
		if len(f.list) > 0 {
			t.Fatalf("%s\n%v", text, f.list)
		}
		again, err := canonicalSettings(got, false)
		if err != nil {
			t.Fatal(err)
		}
		if string(again) != string(text) {
			t.Fatalf("first  %s\nagain  %s", text, again)
		}
	})
}

// A key depends on every part of an identity and on nothing else.
func TestKeysDifferExactlyWhenIdentitiesDo(t *testing.T) {
	gen := func(t *rapid.T) identity {
		pick := func(label string) string { return rapid.SampledFrom([]string{"a", "b"}).Draw(t, label) }
		id := identity{
			Kind: pick("kind"), Version: rapid.IntRange(1, 2).Draw(t, "version"), Seed: rapid.Uint64Range(1, 2).Draw(t, "seed"),
			Settings: json.RawMessage(`{"x":"` + pick("setting") + `"}`),
		}
		if rapid.Bool().Draw(t, "inputs") {
			id.Inputs = []store.Input{{Port: pick("port"), Stage: pick("stage"), Kind: pick("from"), Output: pick("output"), Type: pick("type"), Digest: pick("digest")}}
		}
		if rapid.Bool().Draw(t, "fingerprint") {
			id.Fingerprint = map[string]string{pick("fact"): pick("value"), "z": "1"}
		}
		return id
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := gen(t), gen(t)
		ka, err := a.key()
		if err != nil {
			t.Fatal(err)
		}
		kb, err := b.key()
		if err != nil {
			t.Fatal(err)
		}
		if equal := reflect.DeepEqual(a, b); equal != (ka == kb) {
			t.Fatalf("identities equal: %v, keys equal: %v\n%+v\n%+v", equal, ka == kb, a, b)
		}
	})
}

func TestSettingsThatCannotChangeResultsStayOutOfTheKey(t *testing.T) {
	type settings struct {
		Epochs  int `yaml:"epochs"`
		Workers int `yaml:"workers" key:"-"`
		Cache   struct {
			Size int `yaml:"size"`
		} `yaml:"cache" key:"-"`
	}
	s := settings{Epochs: 3, Workers: 4}
	key, err := canonicalSettings(&s, true)
	if err != nil || string(key) != `{"epochs":3}` {
		t.Errorf("for the key: %s, %v", key, err)
	}
	all, err := canonicalSettings(&s, false)
	if err != nil || string(all) != `{"cache":{"size":0},"epochs":3,"workers":4}` {
		t.Errorf("all: %s, %v", all, err)
	}
}

func TestScalarsAreReadAsYAML12(t *testing.T) {
	for _, c := range []struct {
		text  string
		kind  nodeKind
		float float64
	}{
		{"3", intNode, 3}, {"+3", intNode, 3}, {"010", intNode, 10}, {"0o10", intNode, 8}, {"0x1F", intNode, 31}, {"-0", intNode, 0},
		{"1e-3", floatNode, 1e-3}, {"5e3", floatNode, 5000}, {"1.", floatNode, 1}, {".5", floatNode, 0.5}, {"-.inf", floatNode, math.Inf(-1)},
		{"1_000", textNode, 0}, {"1:30", textNode, 0}, {"yes", textNode, 0}, {"2024-01-02", textNode, 0}, {"1e", textNode, 0}, {".", textNode, 0},
		{"True", boolNode, 0}, {"", nullNode, 0}, {"~", nullNode, 0}, {"NULL", nullNode, 0},
	} {
		n := plainScalar(c.text, place{})
		if n.kind != c.kind || n.float != c.float {
			t.Errorf("%q: kind %d value %v, want %d %v", c.text, n.kind, n.float, c.kind, c.float)
		}
	}
	if n := plainScalar("5e3", place{}); n.whole == nil || n.whole.Int64() != 5000 {
		t.Error("5e3 is a whole number as well")
	}
}

// No text, however odd, may bring the reader down; and every mistake has a place inside the text.
func FuzzLoad(f *testing.F) {
	for _, s := range []string{"", "a", "a: [1, {b: c}]\n", "stages: {x: {kind: y, settings: {a: &q [1], b: *q}}}", "<<: {a: 1}", "? a\n: b", "a: |\n  x", "\xff", "- - - x", "a: !!map {}", "a: \"\\u0000\""} {
		f.Add(s)
	}
	reg, err := NewRegistry()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Load("fuzz.yaml", []byte(text))
		if err == nil {
			err = d.Check(t.Context(), reg, []string{"a.b[0]=" + text})
		}
		list, ok := err.(*DiagnosticsError)
		if err != nil && !ok {
			t.Fatalf("not a list of mistakes: %v", err)
		}
		if err == nil {
			return
		}
		lines := strings.Count(cleanSource([]byte(text)), "\n") + 1
		for _, m := range list.Diagnostics {
			if m.Line < 0 || m.Line > lines+1 || m.Column < 0 {
				t.Errorf("mistake at %d:%d of %d lines: %s", m.Line, m.Column, lines, m.Summary)
			}
		}
	})
}
