package evaluator

import (
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/search"
)

// Ports returns the inputs of a stage that evaluates by an evaluator of the document's choice. None is needed by all evaluators;
// CheckInputs says which one is missing.
func Ports() []pipeline.Port {
	return []pipeline.Port{
		{Name: "table", Type: "table", Optional: true, Doc: "For the evaluator table: the table whose score column the search sees."},
		{Name: "dataset", Type: "dataset", Optional: true, Doc: "For all other evaluators, and for costs: the images."},
		{Name: "path", Type: "path-supernet", Optional: true, Doc: "For sharing: the supernet that computes one architecture. Its space is searched."},
		{Name: "parameters", Type: "parameters", Optional: true, Doc: "For sharing, and for exec with inherited weights: the supernet's parameter index."},
		{Name: "weights", Type: "shared-weights", Optional: true, Doc: "For the same: the shared weights that a search has left."},
		{Name: "scores", Type: "scores", Many: true, Optional: true, Explicit: true, Doc: "For scores: what earlier stages have scored."},
		{Name: "trained", Type: search.TrainedWeights, Optional: true, Doc: "For the same as weights: those of a stage of kind weights, which come before those of a search."},
	}
}
