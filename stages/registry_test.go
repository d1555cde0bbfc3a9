package stages_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages"
	"github.com/plateau-nas/plateau/stages/compare"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/result"
)

func TestMain(m *testing.M) { stagetest.Main(m) }

// Every input can be had from some stage, and everything is described.
func TestKindsFitTogether(t *testing.T) {
	reg, err := stages.Registry(nil)
	if err != nil {
		t.Fatal(err)
	}
	made := map[pipeline.Type]bool{}
	for _, name := range reg.Names() {
		kind, _ := reg.Lookup(name)
		for _, o := range kind.Outputs {
			made[o.Type] = true
		}
	}
	for _, name := range reg.Names() {
		kind, _ := reg.Lookup(name)
		texts := map[string]string{"the kind": kind.Doc}
		for _, p := range kind.Inputs {
			texts["input "+p.Name] = p.Doc
			if !made[p.Type] {
				t.Errorf("%s: no stage makes a %s for %s", name, p.Type, p.Name)
			}
		}
		for _, o := range kind.Outputs {
			texts["output "+o.Name] = o.Doc
		}
		for what, text := range texts {
			if !strings.HasSuffix(text, ".") {
				t.Errorf("%s: %s is described as %q", name, what, text)
			}
		}
	}
}

// What a comparison counts as the cost of a method has every kind that finds architectures.
func TestCompareCountsEverySearch(t *testing.T) {
	reg, err := stages.Registry(nil)
	if err != nil {
		t.Fatal(err)
	}
	counted := compare.DefaultSettings().Cost
	for _, name := range reg.Names() {
		kind, _ := reg.Lookup(name)
		finds := slices.ContainsFunc(kind.Outputs, func(o pipeline.Output) bool { return o.Type == "architecture" })
		if finds && name != "architecture" && !slices.Contains(counted, name) {
			t.Errorf("the time of stages of kind %s is no cost of a method: %v", name, counted)
		}
	}
}

const document = `
name: tiny
seed: 1
stages:
  data:
    kind: dataset
    settings: {source: shapes, size: 12, train_images: 32, test_images: 10}
  supernet:
    kind: supernet
    settings: {channels: 2, score_batch: 8, training: {batch: 8}}
  search:
    kind: search
    settings: {epochs: 1, candidates: 4, finalists: 2}
  neighborhood:
    kind: neighborhood
`

// What the search has scored, the ranking of its finalists need not score again.
func TestRankingUsesTheScoresOfTheSearch(t *testing.T) {
	outputs := runDocument(t, []byte(document)).Outputs()
	ranking, err := result.ReadRanking(outputs["neighborhood.ranking"])
	if err != nil {
		t.Fatal(err)
	}
	found, err := result.ReadArchitecture(outputs["search.architecture"])
	if err != nil {
		t.Fatal(err)
	}
	if ranking.NeighborsScored != 0 || len(ranking.Finalists) != 2 {
		t.Errorf("%d architectures were scored again for %d finalists", ranking.NeighborsScored, len(ranking.Finalists))
	}
	// Same scores, same aggregate: the same order.
	for i, f := range ranking.Finalists {
		if c := found.Candidates[i]; c.Architecture != f.Architecture || c.Score != f.OwnScore || *c.NeighborhoodScore != f.Aggregate {
			t.Errorf("finalist %d is %s %v %v, the search's candidate %+v", i, f.Architecture, f.OwnScore, f.Aggregate, c)
		}
	}
}
