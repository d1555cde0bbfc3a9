package pipeline

import (
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

// source is an output that some stage of the document offers.
type source struct {
	stage  *wired
	output Output
}

func (s source) String() string { return s.stage.spec.id + "." + s.output.Name }

// connect resolves the inputs of every stage. Stages whose kind is unknown are in all with no outputs, so that mistakes
// in others are still found; complete is false then, and a missing source is no news.
func connect(s *spec, all []*wired, reg *Registry, complete bool, f *findings) {
	byID := map[string]*wired{}
	for _, w := range all {
		byID[w.spec.id] = w
	}
	for i, w := range all {
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
			connectNamed(s, w, w.kind.Inputs[k], in, byID, f)
		}
		for _, p := range w.kind.Inputs {
			if !given[p.Name] {
				connectImplied(w, p, all, i, reg, complete, f)
			}
		}
	}
}

// connectNamed resolves an input that the document gives.
func connectNamed(s *spec, w *wired, p Port, in inputSpec, byID map[string]*wired, f *findings) {
	if in.from == "" {
		if !p.Optional {
			f.add(in.fAt, "name a stage that writes type "+string(p.Type), "input %s of stage %s is not optional", p.Name, w.spec.id)
		}
		return
	}
	id, output, named := strings.Cut(in.from, ".")
	from, ok := byID[id]
	if !ok {
		if s.stage(id) == nil {
			f.add(in.fAt, Suggest(id, "stages", s.stageIDs()), "input %s of stage %s: there is no stage %q", p.Name, w.spec.id, id)
		}
		return // the stage is there, but its kind is not known; that has been reported
	}
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
	connectTo := func(o Output) {
		w.wires = append(w.wires, wire{port: p, stage: id, output: o, at: in.fAt})
	}
	switch {
	case named && found == nil:
		f.add(in.fAt, Suggest(output, "outputs", names), "input %s of stage %s: stage %s (kind %s) has no output %q",
			p.Name, w.spec.id, id, from.kind.Name, output)
	case named && found.Type != p.Type:
		f.add(in.fAt, fitting(from, p), "input %s of stage %s takes type %s, but %s has type %s", p.Name, w.spec.id, p.Type, in.from, found.Type)
	case found == nil:
		f.add(in.fAt, "", "input %s of stage %s takes type %s, which stage %s (kind %s) does not write: %s",
			p.Name, w.spec.id, p.Type, id, from.kind.Name, describeOutputs(from.kind.Outputs))
	case len(fits) > 1:
		f.add(in.fAt, "name one: "+id+"."+strings.Join(fits, ", "+id+"."), "input %s of stage %s: stage %s writes more than one output of type %s",
			p.Name, w.spec.id, id, p.Type)
	default:
		connectTo(*found)
	}
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

// connectImplied resolves an input that the document leaves out. The one earlier output that fits is meant; for an input that
// is not optional and has no earlier one, the one later output.
func connectImplied(w *wired, p Port, all []*wired, self int, reg *Registry, complete bool, f *findings) {
	offers := func(stages []*wired) []source {
		var out []source
		for _, from := range stages {
			for _, o := range from.kind.Outputs {
				if o.Type == p.Type {
					out = append(out, source{from, o})
				}
			}
		}
		return out
	}
	candidates := offers(all[:self])
	if len(candidates) == 0 && !p.Optional {
		candidates = offers(all[self+1:])
	}
	switch len(candidates) {
	case 0:
		if !p.Optional && complete {
			f.add(w.spec.at, writers(p.Type, reg), "stage %s needs type %s for its input %s, and no other stage writes it",
				w.spec.id, p.Type, p.Name)
		}
	case 1:
		c := candidates[0]
		w.wires = append(w.wires, wire{port: p, stage: c.stage.spec.id, output: c.output, implied: true, at: w.spec.at})
	default:
		names := make([]string, len(candidates))
		for i, c := range candidates {
			names[i] = c.String()
		}
		f.add(w.spec.at, "under inputs: write "+p.Name+": "+names[len(names)-1], "input %s of stage %s could be any of %s",
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
