package kernels

import (
	"fmt"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/rewrite"
)

// Adapt returns the encoded model in the form that a provider computes rightly: for "cpu" as it is; for every other one with
// batch normalization in training mode written out, since their kernels normalize by the statistics that they are given
// (CUDA's does so without a word). A model that needs no change comes back as the same bytes.
func Adapt(provider string, model []byte) ([]byte, error) {
	if provider == "cpu" {
		return model, nil
	}
	m, err := onnx.Decode(model)
	if err != nil {
		return nil, fmt.Errorf("adapting a model to the provider %s: %w", provider, err)
	}
	n, err := rewrite.WriteOutStatistics(m)
	if err != nil {
		return nil, fmt.Errorf("adapting a model to the provider %s: %w", provider, err)
	}
	if n == 0 {
		return model, nil
	}
	return onnx.Encode(m)
}
