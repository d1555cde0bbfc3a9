package pipeline

import (
	"fmt"
	"slices"
)

// This file decides which stages of a document a run is about.

// SelectionError says that stages were chosen that a document does not have, or that cannot run without others.
type SelectionError struct {
	Option  string // "only", "from" or "until"
	Stage   string
	Problem string
	Hint    string
}

// Error implements error.
func (e *SelectionError) Error() string {
	text := fmt.Sprintf("--%s %s: %s", e.Option, e.Stage, e.Problem)
	if e.Hint != "" {
		text += "\n  " + e.Hint
	}
	return text
}

// selection is the stages that a run is about, and those that it needs for them.
type selection struct {
	all      bool
	selected map[string]bool
	needed   map[string]bool // read from by a selected stage, directly or not
}

// choose reads the options. A name means a stage, or all variants of one.
func (p *Plan) choose(o PlanOptions) (*selection, error) {
	s := &selection{all: len(o.Only)+len(o.From)+len(o.Until) == 0, selected: map[string]bool{}, needed: map[string]bool{}}
	readers := map[string][]string{}
	for _, ps := range p.Stages {
		s.selected[ps.ID] = true
		for _, in := range ps.Inputs {
			readers[in.Stage] = append(readers[in.Stage], ps.ID)
		}
	}
	sources := func(id string) []string {
		var out []string
		for _, in := range p.Stage(id).Inputs {
			out = append(out, in.Stage)
		}
		return out
	}
	none := func(string) []string { return nil }
	for _, f := range []struct {
		option string
		names  []string
		next   func(string) []string
	}{
		{"only", o.Only, none},
		{"from", o.From, func(id string) []string { return readers[id] }},
		{"until", o.Until, sources},
	} {
		if len(f.names) == 0 {
			continue
		}
		reached := map[string]bool{}
		for _, name := range f.names {
			ids, err := p.variants(f.option, name)
			if err != nil {
				return nil, err
			}
			reach(reached, ids, f.next)
		}
		for id := range s.selected {
			if !reached[id] {
				delete(s.selected, id)
			}
		}
	}
	if s.all {
		return s, nil
	}
	for id := range s.selected {
		reach(s.needed, sources(id), sources)
	}
	return s, nil
}

// variants lists the stages of the plan that a name means.
func (p *Plan) variants(option, name string) ([]string, error) {
	var ids, known []string
	for _, ps := range p.Stages {
		if ps.ID == name || ps.Template == name {
			ids = append(ids, ps.ID)
		}
		if !slices.Contains(known, ps.Template) {
			known = append(known, ps.Template)
		}
	}
	if len(ids) > 0 {
		return ids, nil
	}
	for _, l := range p.LeftOut {
		if l.ID == name {
			return nil, &SelectionError{Option: option, Stage: name, Problem: "the stage is left out: " + l.Reason}
		}
	}
	return nil, &SelectionError{Option: option, Stage: name, Problem: "the document has no such stage", Hint: Suggest(name, "stages", known)}
}

// reach adds ids and all that next leads to.
func reach(reached map[string]bool, ids []string, next func(string) []string) {
	for _, id := range ids {
		if !reached[id] {
			reached[id] = true
			reach(reached, next(id), next)
		}
	}
}

// reader names a selected stage that reads from id, directly or not, for messages.
func (s *selection) reader(p *Plan, id string) string {
	for _, ps := range p.Stages {
		below := map[string]bool{}
		if !s.selected[ps.ID] {
			continue
		}
		reach(below, []string{ps.ID}, func(id string) []string {
			var out []string
			for _, in := range p.Stage(id).Inputs {
				out = append(out, in.Stage)
			}
			return out
		})
		if below[id] {
			return ps.ID
		}
	}
	return ""
}
