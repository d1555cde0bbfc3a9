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
	File string
	src  string
	root *node
	seen findings // mistakes found while reading; parsing went on
}

// LoadFile reads the document at path. See Load.
func LoadFile(path string) (*Document, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the document %s: %w", path, err)
	}
	return Load(path, src)
}

// Load reads a document. file is the name under which mistakes are reported, and without its folder and extension the name
// of a document that gives itself none. The error is a *DiagnosticsError, and only of texts that are no YAML
// mapping: mistakes in what the text says are found by Plan, all at once.
func Load(file string, src []byte) (*Document, error) {
	d := &Document{File: file, src: cleanSource(src)}
	d.seen = findings{file: file, lines: documentLines(d.src)}
	d.root = parseYAML(d.src, &d.seen)
	if d.root == nil && len(d.seen.list) == 0 {
		d.seen.add(place{}, documentForm, "the document is empty")
	}
	if d.root != nil && d.root.kind != mapNode {
		d.seen.add(d.root.at, documentForm, "a document is a mapping, found %s", d.root.describe())
		d.root = nil
	}
	if d.root == nil {
		return nil, d.seen.err(file)
	}
	return d, nil
}

const documentForm = "write name:, seed: and stages:; `plateau configs show quickstart` prints an example"

// The keys of a document and of a stage.
var (
	documentKeys = []string{"name", "description", "seed", "stages"}
	stageKeys    = []string{"kind", "description", "inputs", "settings"}
)

// spec is a document's content, after overrides, before any kind is known.
type spec struct {
	name   string
	seed   uint64
	stages []*stageSpec
}

type stageSpec struct {
	id       string
	at       place // of the id
	kind     string
	kindAt   place
	inputs   []inputSpec
	settings *node // a mapping, or nil
	unknown  []pair
	broken   bool // something was wrong with it, so not everything is known
}

type inputSpec struct {
	port string
	at   place
	from string // STAGE or STAGE.OUTPUT; empty: explicitly unconnected
	fAt  place
}

// readSpec reads the fixed part of a document: everything but settings.
func readSpec(root *node, file string, f *findings) *spec {
	s := &spec{seed: defaultSeed}
	base := filepath.Base(file)
	s.name = strings.TrimSuffix(base, filepath.Ext(base))
	for _, p := range root.pairs {
		switch p.key {
		case "name":
			s.name = readText(p, f)
		case "description":
			readText(p, f)
		case "seed":
			if p.value.whole == nil || !p.value.whole.IsUint64() {
				f.add(p.value.at, "", "seed must be a whole number that is not negative, found %s", p.value.describe())
				continue
			}
			s.seed = p.value.whole.Uint64()
		case "stages":
			s.stages = readStages(p, f)
		default:
			f.add(p.at, Suggest(p.key, "keys", documentKeys), "a document has no key %q", p.key)
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
	return s
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

func readStages(p pair, f *findings) []*stageSpec {
	if p.value.kind != mapNode {
		f.add(p.value.at, "under stages: write one key a stage, such as data:", "stages must be a mapping, found %s", p.value.describe())
		return nil
	}
	if len(p.value.pairs) == 0 {
		f.add(p.value.at, "", "the document has no stages")
	}
	var out []*stageSpec
	for _, sp := range p.value.pairs {
		if !validID(sp.key) {
			f.add(sp.at, "", "the stage id %q must be of letters, digits, - and _, and not start with -", sp.key)
		}
		out = append(out, readStage(sp, f))
	}
	return out
}

func readStage(sp pair, f *findings) *stageSpec {
	s := &stageSpec{id: sp.key, at: sp.at}
	if sp.value.kind != mapNode {
		s.broken = true
		f.add(sp.value.at, "write kind: and settings: under it", "stage %s must be a mapping, found %s", s.id, sp.value.describe())
		return s
	}
	for _, p := range sp.value.pairs {
		switch p.key {
		case "kind":
			s.kind, s.kindAt = readText(p, f), p.value.at
			s.broken = s.broken || s.kind == ""
		case "description":
			readText(p, f)
		case "inputs":
			s.inputs = readInputs(s.id, p, f)
		case "settings":
			if p.value.kind == nullNode && !p.value.raw {
				continue // "settings:" with nothing below it
			}
			if p.value.kind != mapNode {
				f.add(p.value.at, "", "settings of stage %s must be a mapping, found %s", s.id, p.value.describe())
				continue
			}
			s.settings = p.value
		default:
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
		hint := Suggest(p.key, "keys", stageKeys)
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
		spec := inputSpec{port: in.key, at: in.at, fAt: in.value.at}
		switch in.value.kind {
		case nullNode: // leaves an optional input unconnected
		case listNode, mapNode:
			f.add(in.value.at, "", "input %s of stage %s must be STAGE or STAGE.OUTPUT, found %s", in.key, id, in.value.describe())
			continue
		default:
			spec.from = in.value.text
		}
		out = append(out, spec)
	}
	return out
}

// stageIDs returns the ids of the document's stages, for suggestions.
func (s *spec) stageIDs() []string {
	ids := make([]string, len(s.stages))
	for i, st := range s.stages {
		ids[i] = st.id
	}
	return ids
}

func (s *spec) stage(id string) *stageSpec {
	i := slices.IndexFunc(s.stages, func(st *stageSpec) bool { return st.id == id })
	if i < 0 {
		return nil
	}
	return s.stages[i]
}
