package cmd

import (
	"context"
	"errors"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/plateau-nas/plateau/configs"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/pipelinetest"
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
	validate := pipelinetest.Schema(t, text)
	for _, name := range configs.Names() {
		text, err := configs.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		if text, err = yaml.YAMLToJSON(text); err != nil {
			t.Fatal(err)
		}
		if err := validate(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
