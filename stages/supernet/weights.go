package supernet

import (
	"fmt"

	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/exporter/safetensors"
)

// Vector is a flat vector with the index of what it holds.
type Vector struct {
	Index *params.Index
	Data  []float32
}

// SaveWeights writes the tensors of the vectors to one safetensors file under their own names.
func SaveWeights(path string, metadata map[string]string, vectors ...Vector) error {
	f := &safetensors.File{Metadata: metadata}
	for _, v := range vectors {
		for _, p := range v.Index.All() {
			f.Tensors = append(f.Tensors, safetensors.Float32(p.Name, p.Shape, p.Of(v.Data)))
		}
	}
	if err := safetensors.Write(path, f); err != nil {
		return fmt.Errorf("saving weights: %w", err)
	}
	return nil
}

// LoadWeights reads the tensors of an index from a safetensors file into a flat vector. Tensors of the file that the
// index does not name are passed over.
func LoadWeights(path string, index *params.Index) ([]float32, error) {
	f, err := safetensors.Read(path)
	if err != nil {
		return nil, fmt.Errorf("loading weights: %w", err)
	}
	flat := make([]float32, index.Total())
	for _, p := range index.All() {
		v, err := f.Float32(p.Name, p.Shape...)
		if err != nil {
			return nil, fmt.Errorf("loading weights from %s: %w", path, err)
		}
		copy(p.Of(flat), v)
	}
	return flat, nil
}
