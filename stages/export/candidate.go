package export

import (
	"encoding/json"
	"fmt"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// Candidate writes a network to path as the stage kind "export" would, without its checks and measurements: for programs that
// measure the candidates of a search. weights and statistics are in the order of n.Indexes; the metadata say what the model
// takes and gives.
func Candidate(path string, n supernet.Network, weights, statistics []float32, d *dataset.Dataset, s Settings) error {
	wrap := func(err error) error { return fmt.Errorf("export candidate %s: %w", n.Architecture, err) }
	if err := s.Validate(); err != nil {
		return wrap(err)
	}
	reference, err := n.Inference(weights, statistics)
	if err != nil {
		return wrap(err)
	}
	gives := logitsAlone // a program that measures candidates finds one output
	if s.Softmax {
		gives = probabilitiesAlone
	}
	m, err := build(reference, d, s, gives)
	if err != nil {
		return wrap(err)
	}
	output := evaluate.ScoresLogits
	if s.Softmax {
		output = evaluate.ScoresProbabilities
	}
	props := map[string]string{
		KeySpace: n.Space, KeyArchitecture: n.Architecture,
		evaluate.KeyInput: string(s.Input), evaluate.KeyOutput: string(output),
	}
	for key, v := range map[string]any{
		KeyMacro: n.Macro, evaluate.KeyClasses: d.Classes,
		evaluate.KeyNormalization: map[string]any{"mean": d.Mean, "std": d.Std},
	} {
		text, err := json.Marshal(v)
		if err != nil {
			return wrap(err)
		}
		props[key] = string(text)
	}
	m.MetadataProps = nil
	onnx.SetMetadata(m, props)
	if err := onnx.Save(path, m, onnx.SaveOptions{ExternalThreshold: -1}); err != nil {
		return wrap(err)
	}
	return nil
}
