// Package stages puts the stage kinds together. Each folder below holds one of them, or a domain that they share.
package stages

import (
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/architecture"
	"github.com/plateau-nas/plateau/stages/compare"
	"github.com/plateau-nas/plateau/stages/correlation"
	"github.com/plateau-nas/plateau/stages/crossvalidate"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
	"github.com/plateau-nas/plateau/stages/export"
	"github.com/plateau-nas/plateau/stages/learningcurve"
	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/regret"
	"github.com/plateau-nas/plateau/stages/report"
	"github.com/plateau-nas/plateau/stages/sample"
	"github.com/plateau-nas/plateau/stages/search"
	"github.com/plateau-nas/plateau/stages/selection"
	"github.com/plateau-nas/plateau/stages/supernet"
	"github.com/plateau-nas/plateau/stages/table"
	"github.com/plateau-nas/plateau/stages/train"
)

// Registry returns the registry of all stage kinds. Those that need ONNX Runtime ask open for it when they run, so
// that documents can be checked and planned without it.
func Registry(open runtime.Opener) (*pipeline.Registry, error) {
	return pipeline.NewRegistry(
		dataset.Kind(),
		architecture.Kind(open),
		supernet.Kind(),
		search.WeightsKind(open),
		search.Kind(open),
		neighborhood.Kind(open),
		train.Kind(open),
		crossvalidate.Kind(open),
		learningcurve.Kind(open),
		export.Kind(open),
		evaluate.Kind(open),
		sample.Kind(open),
		selection.Kind(open),
		regret.TruthKind(),
		regret.Kind(),
		report.Kind(),
		table.Kind(),
		correlation.Kind(),
		compare.Kind(),
	)
}
