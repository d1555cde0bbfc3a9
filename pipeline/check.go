package pipeline

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
)

// checked is a stage of a document in which no mistake was found.
type checked struct {
	*wired
	*settled
	control *control
}

// settled is a stage with its settings.
type settled struct {
	settings Stage        // to be looked at
	build    func() Stage // makes it again; each run gets its own
}

// check applies the overrides and finds every mistake that can be found without touching anything outside the document.
// The stages are in the order in which they can run. They are nil when there are mistakes.
func (d *Document) check(reg *Registry, overrides []string, f *findings) (root *node, s *spec, order []*checked) {
	*f = findings{text: d.seen.text, list: slices.Clone(d.seen.list)}
	root = d.root.clone()
	applyOverrides(root, overrides, f)
	s = readSpec(root, d.File, f)

	complete := true
	var all []*wired
	settings, controls := map[string]*settled{}, map[string]*control{}
	for _, st := range s.stages {
		w := &wired{spec: st}
		all = append(all, w)
		kind, ok := reg.Lookup(st.kind)
		if !ok {
			complete = false
			if st.kind != "" {
				f.add(st.kindAt, Suggest(st.kind, "kinds", reg.Names()), "stage %s: there is no stage kind %q", st.id, st.kind)
			}
			st.reportUnknown(nil, f)
			st.readControl(newControl(Kind{}), f)
			continue
		}
		st.reportUnknown(optionNames(options(reflect.TypeOf(kind.New()).Elem())), f)
		complete = complete && !st.broken
		w.kind = kind
		settings[st.id] = checkSettings(kind, st, f)
		if c, ok := settings[st.id].settings.(OutputChooser); ok {
			w.kind.Outputs = slices.DeleteFunc(slices.Clone(kind.Outputs), func(o Output) bool { return !c.Writes(o.Name) })
		}
		controls[st.id] = newControl(kind)
		st.readControl(controls[st.id], f)
	}
	connect(s, all, reg, complete, f)
	sorted := sortStages(all, f)
	if len(f.list) > 0 {
		return root, s, nil
	}
	for _, w := range sorted {
		if w.spec.left != "" {
			continue
		}
		order = append(order, &checked{wired: w, settled: settings[w.spec.id], control: controls[w.spec.id]})
	}
	checkInputs(order, settings, f)
	if len(f.list) > 0 {
		return root, s, nil
	}
	return root, s, order
}

// checkInputs lets the stages validate their settings against those of the stages before them.
func checkInputs(order []*checked, settings map[string]*settled, f *findings) {
	for _, c := range order {
		v, ok := c.settings.(InputsValidator)
		if !ok {
			continue
		}
		from := map[string][]Stage{}
		for _, w := range c.wires {
			from[w.port.Name] = append(from[w.port.Name], settings[w.stage].settings)
		}
		if err := guard(func() error { return v.ValidateInputs(from) }); err != nil {
			addSettingErrors(err, c.spec, f)
		}
	}
}

// checkSettings decodes a stage's settings and lets the stage validate them.
func checkSettings(kind Kind, st *stageSpec, f *findings) *settled {
	decode := func(f *findings) (stage Stage, guessed int) {
		stage = kind.New()
		d := decoder{f: f, owner: "stage kind " + kind.Name}
		if st.settings != nil {
			d.structure(st.settings, reflect.ValueOf(stage).Elem(), "")
		}
		return stage, d.guessed
	}
	before := len(f.list)
	stage, guessed := decode(f)
	if v, ok := stage.(Validator); ok && len(f.list)-before <= guessed {
		// Settings of the wrong type would only bring further complaints about values that nobody wrote.
		if err := guard(v.Validate); err != nil {
			addSettingErrors(err, st, f)
		}
	}
	return &settled{settings: stage, build: func() Stage {
		again, _ := decode(&findings{text: f.text}) // the text says where paths begin
		return again
	}}
}

// guard calls fn and turns a panic into a *PanicError.
func guard(fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &PanicError{Value: r, Stack: debug.Stack()}
		}
	}()
	return fn()
}

// PanicError says that a stage panicked. Its message has no stack trace; Stack does.
type PanicError struct {
	Value any
	Stack []byte
}

// Error implements error.
func (e *PanicError) Error() string {
	return fmt.Sprintf("internal error: %v; this is a defect of plateau or of the stage kind, not of the document", e.Value)
}

// addSettingErrors reports what Validate, ValidateInputs or Fingerprint returned, each mistake at the setting that it names.
func addSettingErrors(err error, st *stageSpec, f *findings) {
	for _, m := range settingErrors(err, "") {
		at := st.locate(m.path)
		if m.path == "" {
			f.add(at, "", "settings of stage %s: %v", st.id, m.err)
			continue
		}
		hint := ""
		if len(m.known) > 0 {
			value := ""
			if n := st.lookup(m.path); n != nil {
				value = n.text
			}
			hint = Suggest(value, "values", m.known)
		}
		summary := m.err.Error()
		if n := st.lookup(m.path); n != nil && n.kind == textNode {
			summary = n.plainly(summary)
			if hint == "" {
				hint = f.aboutText(n, m.err)
			}
		}
		if !strings.Contains(summary, m.path+":") && !strings.HasPrefix(summary, m.path+" ") {
			summary = m.path + ": " + summary
		}
		f.add(at, hint, "%s", summary)
	}
}

// settingMistake is one setting's part of an error.
type settingMistake struct {
	path  string // empty when the error names no setting
	err   error
	known []string
}

// settingErrors takes joined errors apart. The path of a *SettingError inside another one is relative to the outer path.
func settingErrors(err error, prefix string) []settingMistake {
	join := func(path string) string {
		return strings.TrimPrefix(prefix+"."+path, ".")
	}
	if se, ok := err.(*SettingError); ok {
		path := join(se.Path)
		var inner *SettingError
		if errors.As(se.Err, &inner) {
			return settingErrors(se.Err, path)
		}
		return []settingMistake{{path, se.Err, se.Known}}
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var out []settingMistake
		for _, e := range many.Unwrap() {
			out = append(out, settingErrors(e, prefix)...)
		}
		return out
	}
	var se *SettingError
	if errors.As(err, &se) {
		return []settingMistake{{join(se.Path), err, se.Known}}
	}
	return []settingMistake{{prefix, err, nil}}
}

// lookup returns the value that the document gives for a setting, or nil.
func (st *stageSpec) lookup(path string) *node {
	keys, err := splitPath(path)
	if err != nil {
		return nil
	}
	return descend(st.settings, keys)
}

// locate returns the place of a setting: its value, else the value of the nearest enclosing setting that the document
// gives, else the stage's id.
func (st *stageSpec) locate(path string) place {
	for path != "" {
		if n := st.lookup(path); n != nil {
			return n.at
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			break
		}
		path = path[:i]
	}
	return st.at
}

// Check finds every mistake in the document that can be found without touching anything outside it. The error is
// a *DiagnosticsError.
func (d *Document) Check(ctx context.Context, reg *Registry, overrides []string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var f findings
	d.check(reg, overrides, &f)
	return f.err(d.File)
}
