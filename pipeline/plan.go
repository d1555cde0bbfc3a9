package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/pipeline/store"
)

// Action is what a run will do with a stage.
type Action string

// The actions of a plan.
const (
	ActionRun      Action = "run"      // compute it
	ActionContinue Action = "continue" // compute it from the checkpoint of an unfinished run
	ActionReuse    Action = "reuse"    // take the stored result
	ActionSkip     Action = "skip"     // nothing: the run is not about it
)

// PlanOptions are the choices of a plan.
type PlanOptions struct {
	Overrides []string // "STAGE.SETTING=VALUE", "seed=3", "name=x"; later ones win
	Force     bool     // compute every stage that the run is about anew, from the beginning
	// Only, From and Until choose what the run is about: these stages; these and all that read from them; these and all that
	// they read from. Where more than one is given, what all of them choose. A name means a stage, or all variants
	// of one. What the chosen ones read from others must be in the store.
	Only, From, Until []string
}

// Plan is a document whose every name, type and setting has been checked, and what a run of it will do. It is
// frozen: changes to the document's file do not reach it.
type Plan struct {
	Name      string
	File      string   // the document's file or shipped name
	Text      string   // the document, overrides applied
	Overrides []string // as given
	Seed      uint64
	Forced    bool
	Stages    []*PlannedStage // each after the stages that it reads from
	LeftOut   []LeftOut       // stages whose condition is false, in the order of the document

	byID map[string]*PlannedStage
}

// LeftOut is a stage that is no part of a plan.
type LeftOut struct {
	ID     string `json:"id"`
	Reason string `json:"reason"` // its condition, or the stage that it would need
}

// PlannedStage is a stage of a plan.
type PlannedStage struct {
	ID       string // as in the document, or ID@LABEL-LABEL for a variant
	Template string // the id in the document
	Labels   []Label
	Kind     Kind
	Seed     uint64          // what its random streams come from: derived from the document's seed or the stage's own, and Template
	Settings json.RawMessage // every setting, defaults included, as JSON with sorted keys
	Inputs   []PlannedInput  // in the order of the kind's ports, several of a port that takes many; those that are not connected are left out

	Action  Action
	Reason  string   // why, in words
	Changes []Change // what differs from the stage's latest result, where that is why

	Resources Resources
	Retries   int           // how often it is tried again after errors that may pass
	Timeout   time.Duration // 0: none
	forced    bool          // compute it anew even if there is a result
	// Key names the result in the store. It is empty as long as an input has to be computed first.
	Key string

	keySettings json.RawMessage
	fingerprint map[string]string
	build       func() Stage
}

// Change is a difference between a stage and its latest result.
type Change struct {
	Subject string // "setting count", "input dataset", "seed", "kind", "version", or what a fingerprint names
	Was     string // empty when it is new
	Now     string // empty when it is gone

	text string // in words
}

// PlannedInput says which output a port reads.
type PlannedInput struct {
	Port    string
	Type    Type
	Stage   string
	Output  string
	Implied bool // the document leaves it out
}

// Stage returns the stage with the id, or nil.
func (p *Plan) Stage(id string) *PlannedStage {
	if s := p.byID[id]; s != nil {
		return s
	}
	i := slices.IndexFunc(p.Stages, func(s *PlannedStage) bool { return s.ID == id }) // of a plan that was made by hand
	if i < 0 {
		return nil
	}
	return p.Stages[i]
}

// Plan checks the document and says what a run would do. Mistakes in the document come as a *DiagnosticsError that lists
// all of them. It asks stages for fingerprints, and reads the store, but computes nothing.
func (d *Document) Plan(ctx context.Context, reg *Registry, st *store.Store, o PlanOptions) (*Plan, error) {
	var f findings
	root, s, order := d.check(reg, o.Overrides, &f)
	if err := f.err(d.File); err != nil {
		return nil, err
	}
	p := &Plan{Name: s.name, File: d.File, Text: d.src, Overrides: slices.Clone(o.Overrides), Seed: s.seed, Forced: o.Force, byID: map[string]*PlannedStage{}}
	if len(o.Overrides) > 0 || d.merged {
		p.Text = printYAML(root)
	}
	for _, st := range s.stages {
		if st.left != "" {
			p.LeftOut = append(p.LeftOut, LeftOut{ID: st.id, Reason: st.left})
		}
	}
	known := map[string]map[string]string{}
	for _, c := range order {
		ps, err := planStage(ctx, c, s, known, &f)
		if err != nil {
			return nil, err
		}
		p.Stages = append(p.Stages, ps)
		p.byID[ps.ID] = ps
	}
	if err := f.err(d.File); err != nil { // fingerprints may have found some
		return nil, err
	}
	sel, err := p.choose(o)
	if err != nil {
		return nil, err
	}
	return p, p.foresee(st, sel)
}

// planStage makes the plan of one stage, without what to do with it. known are the fingerprints by kind and settings, so that
// variants which read one folder do not read it once each.
func planStage(ctx context.Context, c *checked, s *spec, known map[string]map[string]string, f *findings) (*PlannedStage, error) {
	root := s.seed
	if c.spec.seed != nil {
		root = *c.spec.seed
	}
	// Variants share the stream of their template: what differs between them is what the document says, and a variant with
	// seed 3 computes what the document without its matrix computes with seed 3.
	ps := &PlannedStage{
		ID: c.spec.id, Template: c.spec.template.id, Labels: labels(c.spec.bound), Kind: c.kind, build: c.build,
		Resources: Resources{Cores: c.control.Resources.Cores, Memory: int64(c.control.Resources.Memory)},
		Retries:   c.control.Retries, Timeout: c.control.Timeout,
		Seed: seed.Derive(root, "stage", c.spec.template.id),
	}
	for _, port := range c.kind.Inputs {
		for _, w := range c.wires {
			if w.port.Name == port.Name {
				ps.Inputs = append(ps.Inputs, PlannedInput{Port: port.Name, Type: port.Type, Stage: w.stage, Output: w.output.Name, Implied: w.implied})
			}
		}
	}
	stage := c.build()
	var err error
	if ps.Settings, err = canonicalSettings(stage, false); err != nil {
		return nil, fmt.Errorf("stage %s: writing its settings down: %w", ps.ID, err)
	}
	if ps.keySettings, err = canonicalSettings(stage, true); err != nil {
		return nil, fmt.Errorf("stage %s: writing its settings down: %w", ps.ID, err)
	}
	fp, ok := stage.(Fingerprinter)
	if !ok {
		return ps, nil
	}
	name := c.kind.Name + " " + string(ps.Settings)
	if ps.fingerprint, ok = known[name]; ok {
		return ps, nil
	}
	err = guard(func() (err error) {
		ps.fingerprint, err = fp.Fingerprint(ctx)
		return err
	})
	if err == nil {
		known[name] = ps.fingerprint
	}
	var se *SettingError
	switch {
	case errors.As(err, &se):
		addSettingErrors(err, c.spec, f)
	case err != nil:
		return nil, &StageError{Stage: ps.ID, Kind: ps.Kind.Name, Err: fmt.Errorf("finding out what its result depends on: %w", err)}
	}
	return ps, nil
}

// foresee decides for each stage, as far as can be told before anything has run, what will be done.
func (p *Plan) foresee(st *store.Store, sel *selection) error {
	results := map[string]*store.Record{} // of stages that will be reused
	for _, ps := range p.Stages {
		if !sel.selected[ps.ID] && !sel.needed[ps.ID] {
			ps.Action, ps.Reason = ActionSkip, "not chosen"
			continue
		}
		ps.forced = p.Forced && sel.selected[ps.ID]
		inputs, missing := ps.inputRecords(p, results)
		if len(missing) > 0 {
			ps.Action, ps.Reason = ActionRun, "reads "+strings.Join(missing, ", ")+", which must run first"
			if ps.forced {
				ps.Reason = "forced"
			} else if ps.Changes = ps.ownChanges(st.Latest(p.Name, ps.ID)); len(ps.Changes) > 0 {
				ps.Reason += "; " + changeText(ps.Changes)
			}
		} else {
			d, err := ps.decide(st, p, inputs)
			if err != nil {
				return err
			}
			ps.Action, ps.Reason, ps.Changes, ps.Key = d.action, d.reason, d.changes, d.key
			if d.action == ActionReuse {
				results[ps.ID] = d.record
			}
		}
		if !sel.selected[ps.ID] && ps.Action != ActionReuse {
			for _, o := range p.Stages {
				o.Action = ActionSkip // the plan is of no use
			}
			return &SelectionError{
				Option: "only", Stage: sel.reader(p, ps.ID), Problem: "it needs stage " + ps.ID + ", which is not chosen and must run: " + ps.Reason,
				Hint: "run --until " + ps.ID + " first, or choose " + ps.ID + ", too",
			}
		}
	}
	return nil
}

// inputRecords lists what the stage will read, sorted by port; missing are stages whose results are not known yet.
func (ps *PlannedStage) inputRecords(p *Plan, results map[string]*store.Record) (inputs []store.Input, missing []string) {
	for _, in := range ps.Inputs {
		r := results[in.Stage]
		if r == nil {
			if !slices.Contains(missing, in.Stage) {
				missing = append(missing, in.Stage)
			}
			continue
		}
		for _, o := range r.Outputs {
			if o.Name == in.Output {
				inputs = append(inputs, store.Input{
					Port: in.Port, Stage: in.Stage, Kind: p.Stage(in.Stage).Kind.Name, Output: in.Output, Type: o.Type, Digest: o.Digest,
					Labels: p.Stage(in.Stage).Labels,
				})
			}
		}
	}
	slices.SortStableFunc(inputs, func(a, b store.Input) int { return strings.Compare(a.Port, b.Port) })
	return inputs, missing
}

func (ps *PlannedStage) identity(inputs []store.Input) identity {
	return identity{
		Kind: ps.Kind.Name, Version: ps.Kind.Version, Settings: ps.keySettings, Seed: ps.Seed,
		Inputs: inputs, Fingerprint: ps.fingerprint,
	}
}
