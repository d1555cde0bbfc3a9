package params

import (
	"fmt"
	"slices"
)

// Parameter is a named tensor within the flat vector.
type Parameter struct {
	Name   string `json:"name"`   // readable path, such as "cell0.edge3.nor_conv_3x3.weight"
	Shape  []int  `json:"shape"`  // row-major
	Offset int    `json:"offset"` // of the first element, in elements
	Init   Init   `json:"init"`
	FanIn  int    `json:"-"` // inputs that feed one output; 0 where Init does not depend on it
}

// Size returns the number of elements.
func (p Parameter) Size() int { return count(p.Shape) }

// Index is the ordered list of the parameters of a network. Their tensors follow each other in the flat vector
// without gaps. The zero value is an empty index.
type Index struct {
	params []Parameter
	byName map[string]int
	total  int
}

// Add appends a parameter. Names are unique and no dimension is zero.
func (ix *Index) Add(name string, init Init, shape ...int) error {
	if name == "" {
		return fmt.Errorf("adding a parameter of shape %v: it has no name", shape)
	}
	if _, ok := ix.byName[name]; ok {
		return fmt.Errorf("adding parameter %q: there is one of this name already; two layers must not share a name", name)
	}
	for _, d := range shape {
		if d <= 0 {
			return fmt.Errorf("adding parameter %q: the shape %v has no elements", name, shape)
		}
	}
	fanIn, err := init.fanIn(shape)
	if err != nil {
		return fmt.Errorf("adding parameter %q: %w", name, err)
	}
	if ix.byName == nil {
		ix.byName = map[string]int{}
	}
	ix.byName[name] = len(ix.params)
	p := Parameter{Name: name, Shape: append([]int{}, shape...), Offset: ix.total, Init: init, FanIn: fanIn}
	ix.params = append(ix.params, p)
	ix.total += p.Size()
	return nil
}

// Total returns the number of elements of all parameters together: the length of the flat vector.
func (ix *Index) Total() int { return ix.total }

// Len returns the number of parameters.
func (ix *Index) Len() int { return len(ix.params) }

// All returns the parameters in order. The slice must not be changed.
func (ix *Index) All() []Parameter { return ix.params }

// Lookup returns the parameter of the given name.
func (ix *Index) Lookup(name string) (Parameter, bool) {
	i, ok := ix.byName[name]
	if !ok {
		return Parameter{}, false
	}
	return ix.params[i], true
}

// Equal reports whether both indexes list the same parameters in the same order.
func (ix *Index) Equal(other *Index) bool {
	return slices.EqualFunc(ix.params, other.params, func(a, b Parameter) bool {
		return a.Name == b.Name && a.Init == b.Init && slices.Equal(a.Shape, b.Shape)
	})
}

// Of returns the part of the flat vector that holds p; it shares memory with flat.
func (p Parameter) Of(flat []float32) []float32 { return flat[p.Offset : p.Offset+p.Size()] }

// Copy copies parameters by name from one flat vector to another, say from a supernet to a stand-alone network.
// rename tells for a parameter of dst what it is called in src, or false to leave it as it is; nil keeps names.
// It returns the number of parameters copied; a source that is missing or has another shape is an error, and then
// dst is unchanged.
func Copy(dst []float32, dstIndex *Index, src []float32, srcIndex *Index, rename func(string) (string, bool)) (int, error) {
	if len(dst) != dstIndex.Total() || len(src) != srcIndex.Total() {
		return 0, fmt.Errorf("copying parameters: the vectors have %d and %d elements, their indexes %d and %d",
			len(dst), len(src), dstIndex.Total(), srcIndex.Total())
	}
	type move struct{ to, from Parameter }
	var moves []move
	for _, p := range dstIndex.params {
		name, ok := p.Name, true
		if rename != nil {
			name, ok = rename(p.Name)
		}
		if !ok {
			continue
		}
		q, found := srcIndex.Lookup(name)
		if !found {
			return 0, fmt.Errorf("copying parameters: %q, wanted for %q, is not in the source", name, p.Name)
		}
		if !slices.Equal(p.Shape, q.Shape) {
			return 0, fmt.Errorf("copying parameters: %q has the shape %v in the source, %q wants %v", name, q.Shape, p.Name, p.Shape)
		}
		moves = append(moves, move{p, q})
	}
	for _, m := range moves {
		copy(m.to.Of(dst), m.from.Of(src))
	}
	return len(moves), nil
}

func count(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
