package pipeline

import (
	"context"
	"errors"
)

// Inspect does what Check does, and has the stages look at the files that their settings name: those that are an Inspector look at what
// they will read, and of others that are a Fingerprinter the facts are found. All mistakes come as one *DiagnosticsError. It
// computes nothing and needs no store.
func (d *Document) Inspect(ctx context.Context, reg *Registry, overrides []string) error {
	var f findings
	_, _, order := d.check(reg, overrides, &f)
	if err := f.err(d.File); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, c := range order {
		stage := c.build()
		settings, err := canonicalSettings(stage, false)
		if err != nil {
			return &StageError{Stage: c.spec.id, Kind: c.kind.Name, Err: err}
		}
		if name := c.kind.Name + " " + string(settings); seen[name] { // of variants that read the same
			continue
		} else {
			seen[name] = true
		}
		err = guard(func() error {
			switch s := stage.(type) {
			case Inspector:
				return s.Inspect(ctx)
			case Fingerprinter:
				_, err := s.Fingerprint(ctx)
				return err
			}
			return nil
		})
		var setting *SettingError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &setting):
			addSettingErrors(err, c.spec, &f)
		case err != nil:
			f.add(c.spec.locate(""), "", "stage %s would stop: %v", c.spec.id, err)
		}
	}
	return f.err(d.File)
}
