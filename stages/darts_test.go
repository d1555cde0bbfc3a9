package stages_test

import (
	"math"
	"os"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
)

const dartsDocument = `
name: darts
seed: 1
stages:
  data:
    kind: dataset
    settings: {source: shapes, size: 32, train_images: 16, test_images: 8, valid_fraction: 0.5}
  supernet:
    kind: supernet
    settings: {space: darts, channels: 2, cells: 2, image_size: 8, score_batch: 4, training: {batch: 4}}
  search:
    kind: search
    settings:
      algorithm: darts
      epochs: 2
      finalists: 2
      score_images: 4
      weights: {at: center}
      neighborhood: {radius: 1, samples: 2}
  neighborhood:
    kind: neighborhood
    settings: {samples: 8, score_images: 4}
  train:
    kind: train
    inputs: {architecture: neighborhood.architecture}
    settings: {channels: 2, cells: 3, epochs: 2, auxiliary: 0.4, drop_path: 0.2, training: {batch: 4}}
  export:
    kind: export
    inputs: {architecture: neighborhood.architecture}
    settings: {batch: 4}
  evaluate:
    kind: evaluate
    settings: {batch: 4, latency_runs: 1}
  report:
    kind: report
    inputs: {architecture: neighborhood.architecture}
`

// The whole way from a relaxed search of the DARTS space to a report on the exported network.
func TestDARTSSpaceEndToEnd(t *testing.T) {
	res := runDocument(t, []byte(dartsDocument))
	outputs, metrics := res.Outputs(), metricsByStage(res)
	found, err := result.ReadArchitecture(outputs["search.architecture"])
	if err != nil {
		t.Fatal(err)
	}
	s, a, err := found.Parse()
	if err != nil || s.Name != "darts" || !a.Equal(s.Derive(found.Probabilities)) || len(found.Operations) != 16 {
		t.Errorf("found %s: %v", found.Architecture, err)
	}
	if found.Algorithm != "na_darts" || len(found.Candidates) != 2 || len(found.Alpha) != 28 {
		t.Errorf("%s with %d candidates", found.Algorithm, len(found.Candidates))
	}
	ranking, err := result.ReadRanking(outputs["neighborhood.ranking"])
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range ranking.Finalists {
		worst, err := s.Parse(f.Worst.Architecture)
		center, _ := s.Parse(f.Architecture)
		if err != nil || f.Neighbors != 8 || s.Distance(center, worst) != 1 {
			t.Errorf("finalist %s: %d neighbors, the worst %s", f.Architecture, f.Neighbors, f.Worst.Architecture)
		}
	}
	if n := metrics["train.parameters"]; n != metrics["evaluate.parameters"] || n < 1000 {
		t.Errorf("%v parameters in training, %v in use", n, metrics["evaluate.parameters"])
	}
	page, err := os.ReadFile(outputs["report.report"])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"normal cell</text>", "reduce cell</text>"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the report lacks %s", want)
		}
	}
}

// Random search, and search by samples of the relaxed space, train and score genotypes along single paths.
func TestPathsOfTheDARTSSpaceAreSearched(t *testing.T) {
	document, _, _ := strings.Cut(dartsDocument, "      algorithm: darts")
	document = strings.Replace(document, "cells: 2", "cells: 1", 1)
	for algorithm, settings := range map[string]string{
		"na_rs":    "candidates: 2, neighborhood: {samples: 2}",
		"na_darts": "algorithm: darts, weights: {at: center}, alpha: {relaxation: gumbel}, neighborhood: {samples: 2}",
		"darts":    "algorithm: darts, weights: {at: path}, neighborhood: {radius: 0}",
	} {
		outputs := runDocument(t, []byte(document+"      {epochs: 1, finalists: 1, score_images: 4, "+settings+"}\n")).Outputs()
		found, err := result.ReadArchitecture(outputs["search.architecture"])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := space.DARTS().Parse(found.Architecture); err != nil || found.Algorithm != algorithm || found.OwnScore == nil || math.IsNaN(*found.OwnScore) {
			t.Errorf("%s: %+v, %v", algorithm, found, err)
		}
	}
}
