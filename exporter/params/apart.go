package params

import "math/rand/v2"

// InitializeApart is Initialize with a generator for each parameter, which stream gives by its name. Then a parameter's first
// values do not depend on what else the index has: networks that share layers begin with the same weights in them.
func (ix *Index) InitializeApart(stream func(name string) *rand.Rand) []float32 {
	flat := make([]float32, ix.Total())
	for _, p := range ix.params {
		p.fill(p.Of(flat), stream(p.Name))
	}
	return flat
}
