package pipeline

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// Registry is the set of stage kinds that documents may use.
type Registry struct {
	kinds map[string]Kind
}

// NewRegistry returns a registry of the kinds. The error lists every kind that is declared wrongly: a name given
// twice, a missing New, two outputs in one file, settings of a type that documents cannot express.
func NewRegistry(kinds ...Kind) (*Registry, error) {
	r := &Registry{kinds: make(map[string]Kind, len(kinds))}
	var errs []error
	for _, k := range kinds {
		if err := checkKind(k); err != nil {
			errs = append(errs, fmt.Errorf("stage kind %q: %w", k.Name, err))
		}
		if _, ok := r.kinds[k.Name]; ok {
			errs = append(errs, fmt.Errorf("stage kind %q is declared twice", k.Name))
		}
		r.kinds[k.Name] = k
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return r, nil
}

// With returns a registry that has these kinds, too: those that ship, and one's own. The error is that of NewRegistry.
func (r *Registry) With(kinds ...Kind) (*Registry, error) {
	all := make([]Kind, 0, len(r.kinds)+len(kinds))
	for _, name := range r.Names() {
		all = append(all, r.kinds[name])
	}
	return NewRegistry(append(all, kinds...)...)
}

// Lookup returns the kind of that name.
func (r *Registry) Lookup(name string) (Kind, bool) {
	k, ok := r.kinds[name]
	return k, ok
}

// Names returns the names of all kinds, sorted.
func (r *Registry) Names() []string {
	names := make([]string, 0, len(r.kinds))
	for name := range r.kinds {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func checkKind(k Kind) error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !validID(k.Name) {
		fail("the name must be of letters, digits, - and _")
	}
	seen := map[string]bool{}
	for _, p := range k.Inputs {
		if !validID(p.Name) || p.Type == "" {
			fail("input %q needs a name and a type", p.Name)
		}
		if seen[p.Name] {
			fail("input %q is declared twice", p.Name)
		}
		seen[p.Name] = true
	}
	names, files := map[string]bool{}, map[string]bool{}
	for _, o := range k.Outputs {
		if !validID(o.Name) || o.Type == "" {
			fail("output %q needs a name and a type", o.Name)
		}
		if o.File == "" || o.File != filepath.Base(o.File) || strings.HasPrefix(o.File, ".") {
			fail("output %q: %q is no plain file name", o.Name, o.File)
		}
		if names[o.Name] || files[o.File] {
			fail("output %q or its file %q is declared twice", o.Name, o.File)
		}
		names[o.Name], files[o.File] = true, true
	}
	if k.New == nil {
		fail("New is missing")
		return errors.Join(errs...)
	}
	v := reflect.ValueOf(k.New())
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		fail("New must return a pointer to a struct, not %v", v.Type())
		return errors.Join(errs...)
	}
	if err := checkSettingsType(v.Elem().Type(), ""); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// validID says whether a name consists of letters, digits, - and _. Such names are safe as folder names.
func validID(s string) bool {
	for i, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-' && i > 0:
		default:
			return false
		}
	}
	return s != "" && len(s) <= 100
}
