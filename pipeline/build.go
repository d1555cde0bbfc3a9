package pipeline

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/goccy/go-yaml"
)

// Spec is a document that a program builds, in place of a file that a person writes. It means what the document with the same keys
// means: Build writes that document, and reads it.
type Spec struct {
	Name      string         // names the run; empty for "pipeline"
	Seed      uint64         // 0 for the default of documents, 1
	Variables map[string]any // values for ${name}; may be nil
	Stages    []StageSpec    // in the order of the document
}

// StageSpec is a stage of a Spec.
type StageSpec struct {
	ID   string
	Kind string
	// Inputs are STAGE or STAGE.OUTPUT by port. Ports that are left out are connected as in documents.
	Inputs map[string]string
	// Settings is a map, or a struct with the kind's yaml tags, such as the Settings of the package that has the kind; nil
	// for the defaults. A text may hold references, ${name}.
	Settings any
	// More holds other keys of a stage by name: matrix, foreach, when, retries, timeout, resources.
	More map[string]any
}

// Build makes a document of a spec. What is wrong with its kinds, inputs and settings is found by Check and Plan, as in
// documents that are read.
func Build(s Spec) (*Document, error) {
	if s.Name == "" {
		s.Name = "pipeline"
	}
	wrap := func(err error) error { return fmt.Errorf("building the document %s: %w", s.Name, err) }
	root := yaml.MapSlice{{Key: "name", Value: s.Name}}
	if s.Seed != 0 {
		root = append(root, yaml.MapItem{Key: "seed", Value: s.Seed})
	}
	if len(s.Variables) > 0 {
		root = append(root, yaml.MapItem{Key: "variables", Value: s.Variables})
	}
	stages, seen := yaml.MapSlice{}, map[string]bool{}
	for _, stage := range s.Stages {
		if stage.ID == "" || seen[stage.ID] {
			return nil, wrap(fmt.Errorf("a stage has the id %q: give every stage an id of its own", stage.ID))
		}
		seen[stage.ID] = true
		keys := yaml.MapSlice{{Key: "kind", Value: stage.Kind}}
		if len(stage.Inputs) > 0 {
			keys = append(keys, yaml.MapItem{Key: "inputs", Value: stage.Inputs})
		}
		if stage.Settings != nil {
			settings, err := settingsOf(stage.Settings)
			if err != nil {
				return nil, wrap(fmt.Errorf("settings of stage %s: %w", stage.ID, err))
			}
			keys = append(keys, yaml.MapItem{Key: "settings", Value: settings})
		}
		for _, key := range slices.Sorted(maps.Keys(stage.More)) {
			keys = append(keys, yaml.MapItem{Key: key, Value: stage.More[key]})
		}
		stages = append(stages, yaml.MapItem{Key: stage.ID, Value: keys})
	}
	root = append(root, yaml.MapItem{Key: "stages", Value: stages})
	text, err := yaml.Marshal(root)
	if err != nil {
		return nil, wrap(err)
	}
	return Load(s.Name, text)
}

// settingsOf turns a settings struct into the values that a document would hold.
func settingsOf(settings any) (any, error) {
	v := reflect.ValueOf(settings)
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Struct:
		if err := checkSettingsType(v.Type(), ""); err != nil {
			return nil, err
		}
		return plain(v, false)
	case reflect.Map:
		return settings, nil
	}
	return nil, errors.New("want a map or a struct")
}
