package stages_test

import (
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages"
)

// What cannot work is said before anything runs, where it takes two stages to see it, too.
func TestSettingsThatDoNotFitTheStagesBeforeThem(t *testing.T) {
	const shared = `
name: toy
stages:
  data: {kind: dataset, settings: {source: shapes}}
  supernet: {kind: supernet}
  search:
    kind: search
    settings: {SEARCH}
  neighborhood:
    kind: neighborhood
    settings: {radius: RADIUS}
`
	const sampled = `
name: toy
stages:
  FIRST
  search:
    kind: sample
    settings: {SEARCH}
`
	const image, table = "data: {kind: dataset, settings: {source: shapes}}", "table: {kind: table, settings: {path: t.csv, column: accuracy}}"
	with := func(text string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(text) }
	for _, c := range []struct{ name, document, want string }{
		{"fits", with(shared, "SEARCH", "neighborhood: {radius: 6}", "RADIUS", "6"), ""},
		{"the radius of a search", with(shared, "SEARCH", "neighborhood: {radius: 7}", "RADIUS", "1"),
			"toy.yaml:7:39: neighborhood.radius: radius 7 is larger than the 6 edges of space nasbench201; use at most 6"},
		{"the radius of a ranking", with(shared, "SEARCH", "epochs: 9", "RADIUS", "8"),
			"toy.yaml:10:24: radius 8 is larger than the 6 edges of space nasbench201; use at most 6"},
		{"another space", with(shared, "SEARCH", "neighborhood: {radius: 99}", "RADIUS", "1", "kind: supernet", "kind: supernet, settings: {space: darts}"),
			"neighborhood.radius: radius 99 is larger than any distance in space darts; use at most"},
		{"no weights to be given", with(shared, "SEARCH", "weights: {at: given, warm_up: 0}", "RADIUS", "1"),
			"toy.yaml:7:30: weights.at: the weights are to be given, but nothing is connected to input trained; add a stage of kind weights"},
		{"no partial channels", with(shared, "SEARCH", "algorithm: pc_darts, weights: {at: center, warm_up: 0}", "RADIUS", "1"),
			"toy.yaml:7:27: algorithm: pc_darts is for supernets that give their operations a part of the channels"},
		{"no table", with(sampled, "FIRST", image, "SEARCH", "budget: 10"),
			"toy.yaml:4:3: evaluator.kind: the evaluator is a table, and the input table is not connected; add a stage of the kind table"},
		{"no images for costs", with(sampled, "FIRST", table, "SEARCH", "evaluator: {costs: {metrics: [multiply_adds]}}"),
			"evaluator.costs: multiply_adds depends on the images, and the input dataset is not connected"},
		{"the radius on a table", with(sampled, "FIRST", table, "SEARCH", "neighborhood: {radius: 7}"),
			"toy.yaml:6:39: neighborhood.radius: radius 7 is larger than the 6 edges of space nasbench201"},
		{"no images", with(sampled, "FIRST", table, "SEARCH", "evaluator: {kind: training}"),
			"toy.yaml:6:34: evaluator.kind: the evaluator training needs images, and the input dataset is not connected; add a stage of the kind dataset"},
		{"no supernet", with(sampled, "FIRST", image, "SEARCH", "evaluator: {kind: sharing}"),
			"toy.yaml:6:34: evaluator.kind: weight sharing needs shared weights, and not all of the inputs path, parameters and weights are connected"},
		{"nothing to inherit", with(sampled, "FIRST", image, "SEARCH", "evaluator: {kind: exec, exec: {command: [measure, \"{model}\"], score: latency_ms, weights: inherited}}"),
			"evaluator.exec.weights: a model with inherited weights needs shared weights"},
		{"the radius without a supernet", with(sampled, "FIRST", image, "SEARCH", "evaluator: {kind: proxy}, neighborhood: {radius: 7}"),
			"neighborhood.radius: radius 7 is larger than the 6 edges of space nasbench201"},
		{"radii", with(sampled, "FIRST", table, "kind: sample", "kind: correlation", "SEARCH", "radii: [1, 7]"),
			"toy.yaml:6:27: radii[1]: radius 7 is larger than the 6 edges of space nasbench201; use at most 6"},
	} {
		t.Run(c.name, func(t *testing.T) {
			reg, err := stages.Registry(nil)
			if err != nil {
				t.Fatal(err)
			}
			d, err := pipeline.Load("toy.yaml", []byte(strings.TrimPrefix(c.document, "\n")))
			if err != nil {
				t.Fatal(err)
			}
			err = d.Check(t.Context(), reg, nil)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "has a mistake")):
				t.Errorf("the error is %v\nwant %s", err, c.want)
			}
		})
	}
}
