package pipeline_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/pipeline"
)

const matrixDocument = `
name: matrix
variables:
  seeds: [3, 4]
  digits: 2
stages:
  data:
    kind: numbers
    matrix:
      seed: ${seeds}
      shape:
        plain: {signed: false}
        odd: {signed: true}
    settings:
      count: 3
      shape: ${shape}
  add:
    kind: sum
    matrix: {seed: "${seeds}", shape: [odd, plain]}
    settings: {digits: "${digits}"}
  all:
    kind: gather
`

// planned lists the stages of a plan with what they read.
func planned(p *pipeline.Plan) []string {
	var out []string
	for _, s := range p.Stages {
		line := s.ID
		for _, in := range s.Inputs {
			line += " " + in.Stage
		}
		out = append(out, line)
	}
	return out
}

func TestAMatrixStandsForAStageOfEachCombination(t *testing.T) {
	b := newBench(t)
	b.run(matrixDocument)
	want := []string{
		"data@3-plain", "data@3-odd", "data@4-plain", "data@4-odd",
		"add@3-odd data@3-odd", "add@3-plain data@3-plain", "add@4-odd data@4-odd", "add@4-plain data@4-plain",
		"all add@3-odd add@3-plain add@4-odd add@4-plain",
	}
	if diff := cmp.Diff(want, planned(b.plan(matrixDocument, pipeline.PlanOptions{}))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	table := b.read("all/table.txt")
	lines := strings.Split(strings.TrimSpace(table), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[3], "add@4-plain seed=4 shape=plain: ") {
		t.Errorf("table:\n%s", table)
	}
}

// A variant with seed 3 is what the document without its matrix is with seed 3, so that one can look into a single one.
func TestAVariantComputesWhatItsSeedWouldAlone(t *testing.T) {
	b := newBench(t)
	b.run(matrixDocument)
	want := b.read("data@4-plain/numbers.txt")
	if b.read("data@3-plain/numbers.txt") == want {
		t.Error("two seeds give the same numbers")
	}
	const alone = "seed: 4\nstages: {data: {kind: numbers, settings: {count: 3}}}"
	res := b.run(alone)
	if b.read("data/numbers.txt") != want || cached(res) != "data" {
		t.Errorf("alone it gives %q, as a variant %q; reused %q", b.read("data/numbers.txt"), want, cached(res))
	}
}

func TestWhatADocumentExpandsTo(t *testing.T) {
	for name, c := range map[string]struct {
		document  string
		overrides []string
		want      []string
		left      []string
	}{
		"foreach over a list": {
			document: "stages: {d: {kind: numbers, foreach: [1, 0.5], settings: {scale: '${item}'}}, g: {kind: report, inputs: {total: s@0.5.total}}, s: {kind: sum, foreach: [1, 0.5]}}",
			want:     []string{"d@1", "d@0.5", "s@0.5 d@0.5", "g s@0.5", "s@1 d@1"},
		},
		"foreach over labels": {
			document: "stages:\n  d: {kind: numbers}\n  s:\n    kind: sum\n    foreach: {few: {digits: 1}, many: {digits: 9}}\n    settings: ${item}\n  g: {kind: gather, inputs: {totals: [s@many, s@few.total]}}",
			want:     []string{"d", "s@few d", "s@many d", "g s@many s@few"},
		},
		"an axis from the command line": {
			document:  matrixDocument,
			overrides: []string{"variables.seeds=[9]", "stages.add.matrix.shape=[odd]"},
			want:      []string{"data@9-plain", "data@9-odd", "add@9-odd data@9-odd", "all add@9-odd"},
		},
		"the matrix of another stage": {
			document: "stages:\n  d: {kind: numbers, matrix: {seed: [1, 2], n: [3, 4]}, settings: {count: '${n}'}}\n  s: {kind: sum, matrix: d}\n  m: {kind: mean, matrix: s, when: '${seed} == 2', settings: {digits: '${n}'}}",
			want:     []string{"d@1-3", "d@1-4", "d@2-3", "d@2-4", "s@1-3 d@1-3", "s@1-4 d@1-4", "s@2-3 d@2-3", "s@2-4 d@2-4", "m@2-3 d@2-3", "m@2-4 d@2-4"},
			left:     []string{"m@1-3: ${seed} == 2 is false", "m@1-4: ${seed} == 2 is false"},
		},
		"conditions": {
			document: "variables: {mode: quick}\nstages:\n  d: {kind: numbers}\n  slow: {kind: mean, when: '${mode} == full'}\n  fast: {kind: sum, when: 'not ${mode} == full'}\n  page: {kind: report}",
			want:     []string{"d", "fast d", "page fast"},
			left:     []string{"slow: ${mode} == full is false"},
		},
		"what needs a stage that is left out": {
			document: "stages:\n  d: {kind: numbers, when: false}\n  s: {kind: sum}\n  o: {kind: numbers, inputs: {}}\n  e: {kind: fail}\n  r: {kind: report, inputs: {total: s}}",
			want:     []string{"o", "s o", "e", "r s e"},
			left:     []string{"d: when is false"},
		},
		"explicitly": {
			document: "stages:\n  d: {kind: numbers, when: false}\n  s: {kind: sum, inputs: {numbers: d}}\n  o: {kind: numbers}\n  r: {kind: report, inputs: {total: s}}",
			want:     []string{"o"},
			left:     []string{"d: when is false", "s: reads d, which is left out", "r: reads s, which is left out"},
		},
		"a variant left out": {
			document: "variables: {n: [1, 2, 3]}\nstages:\n  d:\n    kind: numbers\n    matrix: {n: '${n}'}\n    when: ${n} != 2 and (${n} < 3 or false)\n    settings: {count: '${n}'}\n  s: {kind: sum}",
			want:     []string{"d@1", "s d@1"},
			left:     []string{"d@2: ${n} != 2 and (${n} < 3 or false) is false", "d@3: ${n} != 2 and (${n} < 3 or false) is false"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newBench(t).plan(c.document, pipeline.PlanOptions{Overrides: c.overrides})
			if diff := cmp.Diff(c.want, planned(p)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			var left []string
			for _, l := range p.LeftOut {
				left = append(left, l.ID+": "+l.Reason)
			}
			if diff := cmp.Diff(c.left, left); diff != "" {
				t.Errorf("left out, -want +got:\n%s", diff)
			}
		})
	}
}

func TestVariablesKeepTheirTypesAndFillTexts(t *testing.T) {
	b := newBench(t)
	p := b.plan(`
variables: {base: 2, exponent: 3, title: "n${base}", deep: {tags: [a, b]}}
stages:
  data:
    kind: numbers
    settings:
      count: ${base}
      scale: 1e-${exponent}
      tags: [x, "${deep.tags[1]}", "${title}!", "$${base}"]
`, pipeline.PlanOptions{Overrides: []string{"variables.base=4"}})
	got := string(p.Stages[0].Settings)
	for _, want := range []string{`"count":4`, `"scale":0.001`, `"tags":["x","b","n4!","${base}"]`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
}

// A reference can be merged with what is beside it, and an override changes a part of what a reference stands for.
func TestAReferenceIsMergedWithWhatIsBesideIt(t *testing.T) {
	const document = `
variables: {shape: {width: 3, signed: true}, more: {deep: {list: [1, 2]}}}
stages:
  data:
    kind: numbers
    foreach: {few: {count: 2, shape: {width: 2}}, many: {count: 9, scale: 4}}
    settings: ${item}
  other:
    kind: numbers
    settings:
      <<: ${more.none}
      shape: {<<: "${shape}", width: 7}
`
	b := newBench(t)
	p := b.plan(strings.Replace(document, "      <<: ${more.none}\n", "", 1), pipeline.PlanOptions{Overrides: []string{"data.shape.signed=true", "data.count=3", "variables.more.deep.list[1]=5"}})
	for id, want := range map[string]string{
		"data@few": `"count":3,"file":"","pause":"0s","scale":1,"shape":{"signed":true,"width":2}`, "data@many": `"count":3,"file":"","pause":"0s","scale":4,"shape":{"signed":true,"width":1}`,
		"other": `"shape":{"signed":true,"width":7}`,
	} {
		if got := string(p.Stage(id).Settings); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
	again := b.plan(p.Text, pipeline.PlanOptions{})
	for i, s := range again.Stages {
		if string(s.Settings) != string(p.Stages[i].Settings) {
			t.Errorf("the plan's text gives %s\n%s", s.Settings, p.Text)
		}
	}
	d, err := pipeline.Load("toy.yaml", []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	err = d.Check(t.Context(), b.registry(), []string{"variables.more.deep.list[0]=x"})
	if err == nil || !strings.Contains(err.Error(), "none is no part of a mapping") || !strings.Contains(err.Error(), "the variable more.deep.list[0] is 1 in the document, and cannot be the text \"x\"") {
		t.Errorf("error: %v", err)
	}
}

func TestADocumentExtendsAnother(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"base.yaml":      "name: base\nseed: 5\nstages:\n  data: {kind: numbers, settings: {count: 3, tags: [a], shape: {width: 2}}}\n  add: {kind: sum, settings: {digits: 3}}\n  page: {kind: report}\n",
		"sub/mid.yaml":   "extends: ../base.yaml\nstages:\n  data: {settings: {tags: [b], shape: {signed: true}, count: }}\n",
		"sub/child.yaml": "extends: mid.yaml\nstages:\n  add: {kind: mean}\n  page: \n  last: {kind: report}\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	b := newBench(t)
	d, err := pipeline.LoadFile(filepath.Join(dir, "sub", "child.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := d.Plan(t.Context(), b.registry(), b.store, pipeline.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "child" || p.Seed != 5 {
		t.Errorf("name %s, seed %d", p.Name, p.Seed)
	}
	if diff := cmp.Diff([]string{"data", "add data", "last add"}, planned(p)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := string(p.Stage("data").Settings); !strings.Contains(got, `"count":5`) || !strings.Contains(got, `"tags":["b"]`) || !strings.Contains(got, `"signed":true,"width":2`) {
		t.Errorf("settings of data: %s", got)
	}
	if got := string(p.Stage("add").Settings); got != `{"digits":6}` {
		t.Errorf("settings of add: %s", got)
	}
	// The plan's text needs no other file.
	again := b.plan(p.Text, pipeline.PlanOptions{})
	if diff := cmp.Diff(planned(p), planned(again)); diff != "" || again.Seed != 5 {
		t.Errorf("-plan +its text:\n%s%s", diff, p.Text)
	}
}

// A slip of the pen must not fill the machine's memory.
func TestADocumentStandsForABoundedNumberOfStages(t *testing.T) {
	var list []string
	for i := range 101 {
		list = append(list, strconv.Itoa(i))
	}
	values := strings.Join(list, ", ")
	d, err := pipeline.Load("toy.yaml", []byte("stages:\n  d: {kind: numbers, matrix: {a: ["+values+"], b: ["+values+"]}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Check(t.Context(), allKinds(t), nil); err == nil || !strings.Contains(err.Error(), "stage d stands for more than 10000 stages") {
		t.Errorf("error: %v", err)
	}
}
