package main

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/plateau-nas/plateau/configs"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages"
)

// An editor that knows the schema must find nothing wrong with the documents that ship.
func TestShippedDocumentsFitTheSchema(t *testing.T) {
	reg, err := stages.Registry(func(context.Context) (*runtime.Runtime, error) { return nil, errors.New("not needed for the schema") })
	if err != nil {
		t.Fatal(err)
	}
	text, err := pipeline.Schema(reg)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("plateau.schema.json", value); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("plateau.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range configs.Names() {
		text, err := configs.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		if text, err = yaml.YAMLToJSON(text); err != nil {
			t.Fatal(err)
		}
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(document); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
