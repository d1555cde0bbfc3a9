package pipeline

import (
	"fmt"
	"slices"
	"strings"
)

// This file decides which output each input reads, and in which order the stages run.

// wire is a connected input.
type wire struct {
	port    Port
	stage   string // id of the stage that writes it
	output  Output
	implied bool
	at      place
}

// wired is a stage whose kind is known, with its inputs.
type wired struct {
	spec  *stageSpec
	kind  Kind
	wires []wire
}

// family is the variants of one template.
type family struct {
	template *template
	members  []*wired
}

// source is an output that some family of the document offers.
type source struct {
	family *family
	output Output
}

func (s source) String() string { return s.family.template.id + "." + s.output.Name }

// wiring connects the stages of a document.
type wiring struct {
	spec     *spec
	all      []*wired
	byID     map[string]*wired
	families []*family // in the document's order
	place    map[string]int
	registry *Registry
	sorted   map[string]map[string][]*wired // see byLabels
	complete bool                           // every stage's kind is known, so that a missing source is news
	f        *findings
}

// connect resolves the inputs of every stage. Stages whose kind is unknown are in all with no outputs, so that mistakes
// in others are still found; complete is false then, and a missing source is no news.
func connect(s *spec, all []*wired, reg *Registry, complete bool, f *findings) {
	c := &wiring{spec: s, all: all, byID: make(map[string]*wired, len(all)), place: make(map[string]int, len(all)), registry: reg, complete: complete, f: f}
	for _, w := range all {
		c.byID[w.spec.id] = w
		t := w.spec.template
		if n := len(c.families); n == 0 || c.families[n-1].template != t {
			c.place[t.id] = n
			c.families = append(c.families, &family{template: t})
		}
		last := c.families[len(c.families)-1]
		last.members = append(last.members, w)
	}
	for _, w := range all {
		if w.kind.Name == "" {
			continue
		}
		ports := make([]string, len(w.kind.Inputs))
		for k, p := range w.kind.Inputs {
			ports[k] = p.Name
		}
		given := map[string]bool{}
		for _, in := range w.spec.inputs {
			given[in.port] = true
			k := slices.Index(ports, in.port)
			if k < 0 {
				f.add(in.at, Suggest(in.port, "inputs", ports), "stage kind %s has no input %q", w.kind.Name, in.port)
				continue
			}
			c.named(w, w.kind.Inputs[k], in)
		}
		for _, p := range w.kind.Inputs {
			if !given[p.Name] && !p.Explicit {
				c.implied(w, p)
			}
		}
	}
	c.leaveOut()
	c.reportUnusedAxes()
}

// named resolves an input that the document gives.
func (c *wiring) named(w *wired, p Port, in inputSpec) {
	if len(in.from) == 0 {
		if !p.Optional && !in.broken {
			c.f.add(in.fAt, "name a stage that writes type "+string(p.Type), "input %s of stage %s is not optional", p.Name, w.spec.id)
		}
		return
	}
	if in.list && !p.Many {
		c.f.add(in.fAt, "", "input %s of stage %s takes one artifact, found a list", p.Name, w.spec.id)
		return
	}
	for _, ref := range in.from {
		c.reference(w, p, ref)
	}
}

// target finds the stages that a reference means, and the output when it names one. A label may have dots in it, an output may not.
func (c *wiring) target(text string) (members []*wired, output string, named bool) {
	find := func(id string) []*wired {
		if i, ok := c.place[id]; ok {
			return c.families[i].members
		}
		if w := c.byID[id]; w != nil {
			return []*wired{w}
		}
		return nil
	}
	if members = find(text); members != nil {
		return members, "", false
	}
	if i := strings.LastIndexByte(text, '.'); i >= 0 {
		return find(text[:i]), text[i+1:], true
	}
	return nil, "", false
}

// reference resolves one reference of an input.
func (c *wiring) reference(w *wired, p Port, ref reference) {
	members, output, named := c.target(ref.text)
	if len(members) == 0 {
		id, _, _ := strings.Cut(ref.text, ".")
		c.f.add(ref.at, c.suggestStage(id), "input %s of stage %s: there is no stage %q", p.Name, w.spec.id, id)
		return
	}
	from := members[0] // all are of one kind
	if from.kind.Name == "" {
		return // the stage is there, but its kind is not known; that has been reported
	}
	id := strings.TrimSuffix(ref.text, "."+output)
	var fits, names []string
	var found *Output
	for _, o := range from.kind.Outputs {
		names = append(names, o.Name)
		switch {
		case named && o.Name == output:
			found = &o
		case !named && o.Type == p.Type:
			fits = append(fits, o.Name)
			found = &o
		}
	}
	switch {
	case named && found == nil:
		c.f.add(ref.at, Suggest(output, "outputs", names), "input %s of stage %s: stage %s (kind %s) has no output %q",
			p.Name, w.spec.id, id, from.kind.Name, output)
	case named && found.Type != p.Type:
		c.f.add(ref.at, fitting(from, p), "input %s of stage %s takes type %s, but %s has type %s", p.Name, w.spec.id, p.Type, ref.text, found.Type)
	case found == nil:
		c.f.add(ref.at, "", "input %s of stage %s takes type %s, which stage %s (kind %s) does not write: %s",
			p.Name, w.spec.id, p.Type, id, from.kind.Name, describeOutputs(from.kind.Outputs))
	case len(fits) > 1:
		c.f.add(ref.at, "name one: "+id+"."+strings.Join(fits, ", "+id+"."), "input %s of stage %s: stage %s writes more than one output of type %s",
			p.Name, w.spec.id, id, p.Type)
	default:
		c.wire(w, p, members, *found, wire{at: ref.at}, !strings.Contains(id, "@"))
	}
}

// suggestStage is the hint for a reference to a stage that is not there.
func (c *wiring) suggestStage(id string) string {
	if name, _, ok := strings.Cut(id, "@"); ok {
		if i, ok := c.place[name]; ok {
			var ids []string
			for _, m := range c.families[i].members {
				ids = append(ids, m.spec.id)
			}
			return Suggest(id, "stages", ids)
		}
	}
	return Suggest(id, "stages", c.spec.stageIDs())
}

// wire connects a port with an output of the members. With match, only with those that have the same values on the axes that
// both stages have.
func (c *wiring) wire(w *wired, p Port, members []*wired, o Output, as wire, match bool) {
	t := members[0].spec.template
	fitting := members
	if shared := c.sharedAxes(w.spec.template, t); match && len(shared) > 0 {
		fitting = c.byLabels(t, shared)[labelsOn(w.spec.bound, shared)]
		if len(fitting) == 0 {
			c.f.add(as.at, "its stages are "+listIDs(members), "input %s of stage %s: none of the stages that %s stands for has the same %s",
				p.Name, w.spec.id, t.id, strings.Join(shared, " and "))
			return
		}
	}
	if len(fitting) > 1 && !p.Many {
		live := slices.DeleteFunc(slices.Clone(fitting), func(m *wired) bool { return m.spec.left != "" })
		if len(live) != 1 {
			c.f.add(as.at, "name one, such as "+fitting[0].spec.id+", or write matrix: "+t.id+" in stage "+w.spec.template.id,
				"input %s of stage %s takes one artifact, and %s stands for %s", p.Name, w.spec.id, t.id, listIDs(fitting))
			return
		}
		fitting = live
	}
	for _, m := range fitting {
		if !slices.Contains(m.kind.Outputs, o) { // variants may be set to write other outputs
			c.f.add(as.at, "", "input %s of stage %s: stage %s, as it is set, does not write %s", p.Name, w.spec.id, m.spec.id, o.Name)
			continue
		}
		w.wires = append(w.wires, wire{port: p, stage: m.spec.id, output: o, implied: as.implied, at: as.at})
	}
}

func listIDs(members []*wired) string {
	const most = 6
	ids := make([]string, 0, most+1)
	for i, m := range members {
		if i == most {
			ids = append(ids, fmt.Sprintf("and %d more", len(members)-most))
			break
		}
		ids = append(ids, m.spec.id)
	}
	return strings.Join(ids, ", ")
}

func fitting(from *wired, p Port) string {
	var fits []string
	for _, o := range from.kind.Outputs {
		if o.Type == p.Type {
			fits = append(fits, from.spec.id+"."+o.Name)
		}
	}
	if len(fits) == 0 {
		return ""
	}
	return "did you mean " + strings.Join(fits, " or ") + "?"
}

// writers says which kinds write a type.
func writers(t Type, reg *Registry) string {
	var kinds []string
	for _, name := range reg.Names() {
		kind, _ := reg.Lookup(name)
		if slices.ContainsFunc(kind.Outputs, func(o Output) bool { return o.Type == t }) {
			kinds = append(kinds, name)
		}
	}
	if len(kinds) == 0 {
		return "no stage kind writes it"
	}
	return "add a stage of kind " + strings.Join(kinds, " or ")
}

func describeOutputs(outputs []Output) string {
	if len(outputs) == 0 {
		return "it has no outputs"
	}
	parts := make([]string, len(outputs))
	for i, o := range outputs {
		parts[i] = o.Name + " has type " + string(o.Type)
	}
	return strings.Join(parts, ", ")
}

// implied resolves an input that the document leaves out. The one earlier output that fits is meant; for an input that
// is not optional and has no earlier one, the one later output. What is left out of the run counts only when nothing else fits.
func (c *wiring) implied(w *wired, p Port) {
	self := c.place[w.spec.template.id]
	offers := func(families []*family, leftToo bool) []source {
		var out []source
		for _, from := range families {
			left := !slices.ContainsFunc(from.members, func(m *wired) bool { return m.spec.left == "" })
			if left && !leftToo {
				continue
			}
			for _, o := range from.members[0].kind.Outputs {
				if o.Type == p.Type {
					out = append(out, source{from, o})
				}
			}
		}
		return out
	}
	var candidates []source
	for _, leftToo := range []bool{false, true} {
		if len(candidates) == 0 && !(leftToo && p.Optional) {
			candidates = offers(c.families[:self], leftToo)
		}
		if len(candidates) == 0 && !p.Optional {
			candidates = offers(c.families[self+1:], leftToo)
		}
	}
	switch len(candidates) {
	case 0:
		if !p.Optional && c.complete {
			c.f.add(w.spec.at, writers(p.Type, c.registry), "stage %s needs type %s for its input %s, and no other stage writes it",
				w.spec.id, p.Type, p.Name)
		}
	case 1:
		c.wire(w, p, candidates[0].family.members, candidates[0].output, wire{at: w.spec.at, implied: true}, true)
	default:
		names := make([]string, len(candidates))
		for i, s := range candidates {
			names[i] = s.String()
		}
		c.f.add(w.spec.at, "under inputs: write "+p.Name+": "+names[len(names)-1], "input %s of stage %s could be any of %s",
			p.Name, w.spec.id, strings.Join(names, ", "))
	}
}

// sortStages returns the stages in an order in which each comes after those that it reads from, otherwise in the document's. When
// they form a cycle it reports one and returns nil.
func sortStages(all []*wired, f *findings) []*wired {
	const (
		unseen = iota
		open
		done
	)
	byID := map[string]*wired{}
	for _, w := range all {
		byID[w.spec.id] = w
	}
	state := map[string]int{}
	var order []*wired
	var path []string
	var visit func(w *wired) bool
	visit = func(w *wired) bool {
		state[w.spec.id] = open
		path = append(path, w.spec.id)
		for _, in := range w.wires {
			from := byID[in.stage]
			switch state[in.stage] {
			case open:
				cycle := append(slices.Clone(path[slices.Index(path, in.stage):]), in.stage)
				slices.Reverse(cycle) // in the direction in which data would flow
				f.add(in.at, "", "the stages wait for each other in a cycle: %s", strings.Join(cycle, " -> "))
				return false
			case unseen:
				if !visit(from) {
					return false
				}
			}
		}
		path = path[:len(path)-1]
		state[w.spec.id] = done
		order = append(order, w)
		return true
	}
	for _, w := range all {
		if state[w.spec.id] == unseen && !visit(w) {
			return nil
		}
	}
	return order
}
