package pipeline_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/pipelinetest"
)

// compileSchema returns what says whether a document fits the schema of all kinds of these tests.
func compileSchema(t *testing.T) func(document string) error {
	t.Helper()
	text, err := pipeline.Schema(allKinds(t))
	if err != nil {
		t.Fatal(err)
	}
	validate := pipelinetest.Schema(t, text)
	return func(document string) error {
		t.Helper()
		text, err := yaml.YAMLToJSON([]byte(document))
		if err != nil {
			t.Fatal(err)
		}
		return validate(text)
	}
}

func TestTheSchemaTakesWhatACheckTakes(t *testing.T) {
	validate := compileSchema(t)
	for _, document := range []string{
		sumDocument, slowDocument, matrixDocument,
		"$schema: x.json\nname: a.b\nseed: 3\nstages:\n  d: {kind: numbers, settings: {shape: {width: 2}, tags: [a], pause: 1m30s}}\n",
		"stages:\n  d: {kind: numbers, settings: }\n  s: {kind: report, inputs: {total: s, extra: null}}\n  g: {kind: gather, inputs: {totals: [a, b.c]}}\n",
		"extends: base\nstages:\n  d: {settings: {scale: 1}}\n  gone: \n",
	} {
		if err := validate(document); err != nil {
			t.Errorf("%v\n%s", err, document)
		}
	}
}

func TestTheSchemaFindsTheMistakesOfADocument(t *testing.T) {
	validate := compileSchema(t)
	for _, document := range []string{
		"stage: {}", "stages: []", "name: x", "seed: -1\nstages: {d: {kind: numbers}}",
		"stages: {d: {}}", "stages: {d: {kind: nmubers}}", "stages: {d: {kind: numbers, count: 3}}", "stages: {'a b': {kind: numbers}}",
		"stages: {d: {kind: numbers, settings: {cuont: 3}}}", "stages: {d: {kind: numbers, settings: {count: three}}}",
		"stages: {d: {kind: numbers, settings: {source: twos}}}", "stages: {d: {kind: numbers, settings: {shape: {sigend: true}}}}",
		"stages: {s: {kind: sum, inputs: {number: d}}}", "stages: {s: {kind: sum, inputs: {numbers: [d]}}}", "stages: {s: {kind: sum, inputs: {numbers: null}}}",
		"extends: base\nstages: {d: {kind: numbers, settings: {cuont: 1}}}",
	} {
		if validate(document) == nil {
			t.Errorf("the schema takes %s", document)
		}
	}
}

// Equal declarations give equal text, and the text carries the help.
func TestTheSchemaCarriesDefaultsAndHelp(t *testing.T) {
	one, err := pipeline.Schema(allKinds(t))
	if err != nil {
		t.Fatal(err)
	}
	two, err := pipeline.Schema(allKinds(t))
	if err != nil || !bytes.Equal(one, two) {
		t.Errorf("the text differs: %v", err)
	}
	for _, want := range []string{`"How many numbers to draw."`, `"default": 5`, `"default": "random"`, `"ones"`, "A condition; when it is false"} {
		if !strings.Contains(string(one), want) {
			t.Errorf("%s is not in the schema", want)
		}
	}
}
