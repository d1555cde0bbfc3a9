package pipeline

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// defaultSeed is the seed of a document that names none.
const defaultSeed = 1

// Document is a parsed pipeline document. Apart from its syntax nothing has been checked; Plan does that.
type Document struct {
	// File is the name under which mistakes are reported: a path, or the name of a shipped document.
	File   string
	src    string
	root   *node
	merged bool     // with a document that it extends, so that src is not all of it
	seen   findings // mistakes found while reading; parsing went on
}

// Loader reads documents. The zero value knows files only.
type Loader struct {
	// Shipped returns the text of the document of that name, which others may extend; ok is false when there is none.
	Shipped func(name string) (text []byte, ok bool)
	// Names lists the documents that Shipped knows, for suggestions.
	Names []string
}

// LoadFile reads the document at path, with files as the only documents that it can extend. See Loader.Load.
func LoadFile(path string) (*Document, error) { return Loader{}.LoadFile(path) }

// Load reads a document, with files as the only documents that it can extend. See Loader.Load.
func Load(file string, src []byte) (*Document, error) { return Loader{}.Load(file, src) }

// LoadFile reads the document at path. See Load.
func (l Loader) LoadFile(path string) (*Document, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the document %s: %w", path, err)
	}
	return l.Load(path, src)
}

// Load reads a document, and those that it extends. file is the name under which mistakes are reported, and without its folder
// and extension the name of a document that gives itself none. The error is a *DiagnosticsError, and only of texts that are
// no YAML mapping: mistakes in what the text says are found by Plan, all at once.
func (l Loader) Load(file string, src []byte) (*Document, error) {
	d := &Document{File: file, src: cleanSource(src)}
	d.seen = findings{text: text{name: file, lines: documentLines(d.src)}}
	d.root = parseRoot(d.src, &d.seen)
	if d.root == nil {
		return nil, d.seen.err(file)
	}
	if p := d.root.get("extends"); p != nil {
		d.root, d.merged = l.extend(d.root, *p, []string{file}, &d.seen), true
	}
	return d, nil
}

// parseRoot parses a document's text. It returns nil when there is nothing to go on with.
func parseRoot(src string, f *findings) *node {
	root := parseYAML(src, f)
	if root == nil && len(f.list) == 0 {
		f.add(place{}, documentForm, "the document is empty")
	}
	if root != nil && root.kind != mapNode {
		f.add(root.at, documentForm, "a document is a mapping, found %s", root.describe())
		return nil
	}
	return root
}

// StageIDs lists the ids of the stages as the document gives them, in order.
func (d *Document) StageIDs() []string {
	var ids []string
	if stages := d.root.get("stages"); stages != nil {
		for _, p := range stages.value.pairs {
			ids = append(ids, p.key)
		}
	}
	return ids
}

const documentForm = "write name:, seed: and stages:; `plateau configs show quickstart` prints an example"

// key is a fixed key of documents: what it is called, and what it means, in one sentence.
type key struct {
	name, doc string
}

// The keys of a document and of a stage; see also Schema.
var (
	documentDecl = []key{
		{"name", "Names the run and its folder, runs/NAME; the file's name when it is left out."},
		{"description", "What the pipeline is for."},
		{"extends", "A shipped document or a file which this one is merged over."},
		{"seed", "Every random stream of the run comes from it."},
		{"variables", "Values for ${name} anywhere in the stages."},
		{"stages", "The stages, by id."},
	}
	stageDecl = []key{
		{"kind", "What the stage does."},
		{"description", "What the stage is for."},
		{"foreach", "Values, each of which makes a stage of its own; they are ${item} in the stage."},
		{"matrix", "Axes with values, or the stage whose axes they are; each combination makes a stage of its own."},
		{"when", "A condition; when it is false the stage is left out."},
		{"seed", "The seed of this stage, in place of the document's."},
		{"inputs", "The outputs that the stage reads, by port: STAGE or STAGE.OUTPUT. What is left out is found by its type."},
		{"settings", "The settings of the stage's kind; those left out keep their defaults."},
	}
)

// stageKeys are the names of all keys of a stage.
func stageKeys() []string { return append(keyNames(stageDecl), optionNames(controlDecl)...) }

func keyNames(keys []key) []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	return names
}

// schemaKey is where editors find the schema of a document. It means nothing here.
const schemaKey = "$schema"

// spec is a document's content, after overrides, before any kind is known.
type spec struct {
	name      string
	seed      uint64
	stages    []*stageSpec // every variant of every template
	templates []*template
	byID      map[string]*stageSpec
}

// template is a stage as the document gives it: it stands for one stage, or for one a variant of its matrix.
type template struct {
	id       string
	at       place // of the id
	axes     []axis
	used     map[string]bool // the axes that make a difference
	variants []*stageSpec
}

type stageSpec struct {
	id       string
	template *template
	bound    []binding // what tells it from the other variants
	at       place     // of the id
	kind     string
	kindAt   place
	seed     *uint64 // in place of the document's
	inputs   []inputSpec
	settings *node  // a mapping, or nil
	control  []pair // the keys that say how it is run
	unknown  []pair
	left     string // why the stage is left out of a run; empty: it is not
	broken   bool   // something was wrong with it, so not everything is known
}

type inputSpec struct {
	port string
	at   place
	from []reference // none: explicitly unconnected
	list bool        // the document writes a list
	fAt  place       // of the value

	broken bool // something in it was wrong, which has been reported
}

// reference names an output: STAGE or STAGE.OUTPUT.
type reference struct {
	text string
	at   place
}

// readSpec reads the fixed part of a document: everything but settings.
func readSpec(root *node, file string, f *findings) *spec {
	s := &spec{seed: defaultSeed}
	base := filepath.Base(file)
	s.name = strings.TrimSuffix(base, filepath.Ext(base))
	vars := readVariables(root.get("variables"), f)
	for _, p := range root.pairs {
		switch p.key {
		case "name":
			s.name = readText(p, f)
		case "description":
			readText(p, f)
		case "seed":
			if v := readSeed(p, &scope{variables: vars}, f); v != nil {
				s.seed = *v
			}
		case "stages":
			s.stages, s.templates = readStages(p, vars, f)
		case schemaKey, "variables":
		case "extends": // taken care of by Load
		default:
			f.add(p.at, Suggest(p.key, "keys", keyNames(documentDecl)), "a document has no key %q", p.key)
		}
	}
	if s.name != "" && !validName(s.name) {
		at := place{}
		if p := root.get("name"); p != nil {
			at = p.value.at
		}
		f.add(at, "", "the name %q must be of letters, digits, -, _ and dots, and start with a letter or digit", s.name)
	}
	if root.get("stages") == nil {
		f.add(root.at, documentForm, "the document has no stages")
	}
	s.byID = make(map[string]*stageSpec, len(s.stages))
	for _, st := range s.stages {
		s.byID[st.id] = st
	}
	return s
}

// readSeed returns nil when there was a mistake.
func readSeed(p pair, sc *scope, f *findings) *uint64 {
	n := sc.resolve(p.value, f)
	if n.whole == nil || !n.whole.IsUint64() {
		f.add(n.at, "", "seed must be a whole number that is not negative, found %s", n.describe())
		return nil
	}
	v := n.whole.Uint64()
	return &v
}

// validName is validID with dots inside: names become folder names.
func validName(s string) bool {
	if strings.HasPrefix(s, ".") || strings.HasSuffix(s, ".") {
		return false
	}
	return validID(strings.ReplaceAll(s, ".", "x")) && s[0] != '_'
}

// readText returns a pair's text. A number is no text, unless an override gave it.
func readText(p pair, f *findings) string {
	n := p.value
	if n.kind == textNode || n.raw {
		if n.text == "" {
			f.add(n.at, "", "%s has no value", p.key)
		}
		return n.text
	}
	hint := ""
	if n.kind != listNode && n.kind != mapNode && n.kind != nullNode {
		hint = "put it in quotes: " + strconv.Quote(n.text)
	}
	f.add(n.at, hint, "%s must be text, found %s", p.key, n.describe())
	return ""
}

// readStage reads one variant of a stage.
func readStage(id string, sp pair, sc *scope, f *findings) *stageSpec {
	s := &stageSpec{id: id, at: sp.at}
	if sp.value.kind != mapNode {
		s.broken = true
		f.add(sp.value.at, "write kind: and settings: under it", "stage %s must be a mapping, found %s", s.id, sp.value.describe())
		return s
	}
	for _, b := range sc.bound {
		if b.axis == seedAxis {
			s.seed = readSeed(pair{value: b.value}, sc, f)
			sc.used[seedAxis] = true
		}
	}
	for _, p := range sp.value.pairs {
		switch p.key {
		case "kind":
			s.kind, s.kindAt = readText(p, f), p.value.at
			s.broken = s.broken || s.kind == ""
		case "description":
			readText(p, f)
		case "matrix", "foreach": // read already
		case "when":
			if !sc.condition(sc.whole(p.value, f), f) {
				s.left = "when is false"
				if p.value.kind == textNode {
					s.left = p.value.text + " is false"
				}
			}
		case "seed":
			s.seed = readSeed(p, sc, f)
		case "inputs":
			p.value = sc.resolve(p.value, f)
			s.inputs = readInputs(s.id, p, f)
		case "settings":
			p.value = sc.resolve(p.value, f)
			if p.value.kind == nullNode && !p.value.raw {
				continue // "settings:" with nothing below it
			}
			if p.value.kind != mapNode {
				f.add(p.value.at, "", "settings of stage %s must be a mapping, found %s", s.id, p.value.describe())
				continue
			}
			s.settings = p.value
		default:
			if slices.Contains(optionNames(controlDecl), p.key) {
				p.value = sc.resolve(p.value, f)
				s.control = append(s.control, p)
				continue
			}
			s.unknown = append(s.unknown, p) // a setting in the wrong place, perhaps; reported once the kind is known
		}
	}
	if sp.value.get("kind") == nil {
		s.broken = true
		f.add(s.at, "", "stage %s names no kind", s.id)
	}
	return s
}

// reportUnknown reports the stage's unknown keys. settings are the names that its kind knows.
func (s *stageSpec) reportUnknown(settings []string, f *findings) {
	for _, p := range s.unknown {
		hint := Suggest(p.key, "keys", stageKeys())
		if slices.Contains(settings, p.key) {
			hint = "it is a setting: write it under settings:"
		}
		f.add(p.at, hint, "stage %s has no key %q", s.id, p.key)
	}
}

func readInputs(id string, p pair, f *findings) []inputSpec {
	if p.value.kind == nullNode {
		return nil
	}
	if p.value.kind != mapNode {
		f.add(p.value.at, "write INPUT: STAGE or INPUT: STAGE.OUTPUT under it", "inputs of stage %s must be a mapping, found %s", id, p.value.describe())
		return nil
	}
	var out []inputSpec
	for _, in := range p.value.pairs {
		spec := inputSpec{port: in.key, at: in.at, fAt: in.value.at, broken: in.value.at.reported}
		list := []*node{in.value}
		switch {
		case in.value.kind == nullNode: // leaves an optional input unconnected
			list = nil
		case in.value.kind == listNode:
			list, spec.list = in.value.items, true
			if len(list) == 0 {
				f.add(in.value.at, "remove it to have it chosen, or write nothing after "+in.key+": to leave it unconnected", "input %s of stage %s is an empty list", in.key, id)
				spec.broken = true
			}
		}
		for _, n := range list {
			if n.at.reported {
				continue
			}
			if n.kind == listNode || n.kind == mapNode || n.kind == nullNode {
				f.add(n.at, "", "input %s of stage %s must be STAGE or STAGE.OUTPUT, found %s", in.key, id, n.describe())
				continue
			}
			spec.from = append(spec.from, reference{n.text, n.at})
		}
		spec.broken = spec.broken || len(spec.from) < len(list)
		out = append(out, spec)
	}
	return out
}

// stageIDs returns the ids that the document gives, for suggestions.
func (s *spec) stageIDs() []string {
	ids := make([]string, len(s.templates))
	for i, t := range s.templates {
		ids[i] = t.id
	}
	return ids
}
