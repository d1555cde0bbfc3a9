package params

import (
	"fmt"
	"slices"

	"github.com/plateau-nas/plateau/exporter/graph"
)

// Binder gives a network its parameters while it is built. Names are unique within a network; asking a Flat or
// Const binder again for the same name gives the same value, so several copies of a network in one graph share
// their weights. Mistakes are kept by the graph, like those of its own operations.
type Binder interface {
	Param(name string, init Init, shape ...int) *graph.Value
}

var (
	_ Binder = (*Collector)(nil)
	_ Binder = (*Flat)(nil)
	_ Binder = (*Const)(nil)
)

// Collector notes the parameters that a network asks for, on a graph that is thrown away.
type Collector struct {
	graph *graph.Graph
	index *Index
}

// NewCollector returns a collector for the network that is built on g.
func NewCollector(g *graph.Graph) *Collector { return &Collector{graph: g, index: new(Index)} }

// Index returns the parameters asked for so far.
func (c *Collector) Index() *Index { return c.index }

// Param declares a parameter. A name that has been declared is an error.
func (c *Collector) Param(name string, init Init, shape ...int) *graph.Value {
	if err := c.index.Add(name, init, shape...); err != nil {
		c.graph.Fail("Param", err)
	}
	return c.graph.Input(name, graph.Float32, shape, "")
}

// Collect builds a network on a scratch graph and returns the index of its parameters, in the order in which it
// asked for them.
func Collect(build func(*graph.Graph, Binder)) (*Index, error) {
	g := graph.New("collect")
	c := NewCollector(g)
	build(g, c)
	if err := g.Err(); err != nil {
		return nil, fmt.Errorf("collecting parameters: %w", err)
	}
	return c.index, nil
}

// Flat binds parameters to the parts of one vector inside the graph.
type Flat struct {
	graph  *graph.Graph
	index  *Index
	values []*graph.Value
}

// NewFlat splits the vector flat, of shape [index.Total()], into the parameters of the index.
func NewFlat(index *Index, flat *graph.Value) *Flat {
	return &Flat{graph: flat.Graph(), index: index, values: index.Unpack(flat)}
}

// Values returns the parameters in the order of the index: what gradients are taken of.
func (f *Flat) Values() []*graph.Value { return f.values }

// Param returns the value of a parameter, which must be in the index with the same shape.
func (f *Flat) Param(name string, init Init, shape ...int) *graph.Value {
	i, err := f.index.find(name, shape)
	if err != nil {
		f.graph.Fail("Param", err)
		return f.graph.Fill(0, shape...)
	}
	return f.values[i]
}

// Const binds parameters to data that the model holds: one initializer each, under the parameter's name.
type Const struct {
	graph *graph.Graph
	index *Index
	data  []float32
	made  map[string]*graph.Value
}

// NewConst binds the parameters of the index to the flat vector data.
func NewConst(g *graph.Graph, index *Index, data []float32) *Const {
	if len(data) != index.Total() {
		g.Fail("Param", fmt.Errorf("the weights have %d elements, the index %d", len(data), index.Total()))
	}
	return &Const{graph: g, index: index, data: data, made: map[string]*graph.Value{}}
}

// Param returns an initializer with the data of a parameter, which must be in the index with the same shape.
func (c *Const) Param(name string, init Init, shape ...int) *graph.Value {
	if v, ok := c.made[name]; ok && slices.Equal(v.Shape(), shape) {
		return v
	}
	i, err := c.index.find(name, shape)
	if err != nil {
		c.graph.Fail("Param", err)
	}
	if c.graph.Err() != nil {
		return c.graph.Fill(0, shape...)
	}
	v := c.graph.Parameter(name, c.index.params[i].Of(c.data), shape...)
	c.made[name] = v
	return v
}

func (ix *Index) find(name string, shape []int) (int, error) {
	i, ok := ix.byName[name]
	if !ok {
		return 0, fmt.Errorf("the index of %d parameters has none named %q", len(ix.params), name)
	}
	if p := ix.params[i]; !slices.Equal(p.Shape, shape) {
		return 0, fmt.Errorf("parameter %q has the shape %v in the index, not %v", name, p.Shape, shape)
	}
	return i, nil
}

// Unpack splits a vector of shape [Total] into the parameters, in order: one Split and a Reshape for each.
func (ix *Index) Unpack(flat *graph.Value) []*graph.Value {
	g := flat.Graph()
	defer g.Scope("parameters")()
	if !slices.Equal(flat.Shape(), []int{ix.total}) || ix.total == 0 {
		g.Fail("Unpack", fmt.Errorf("the vector %v does not hold the %d elements of %d parameters", flat.Shape(), ix.total, len(ix.params)))
		out := make([]*graph.Value, len(ix.params))
		for i, p := range ix.params {
			out[i] = g.Fill(0, p.Shape...)
		}
		return out
	}
	sizes := make([]int, len(ix.params))
	for i, p := range ix.params {
		sizes[i] = p.Size()
	}
	parts := graph.Split(flat, 0, sizes...)
	for i, p := range ix.params {
		done := g.Scope(p.Name)
		parts[i] = graph.Reshape(parts[i], p.Shape...)
		done()
	}
	return parts
}

// Pack joins one value for each parameter, in order, into a vector of shape [Total]: a Reshape for each and one
// Concat. With gradients it undoes what Unpack did to the parameters.
func (ix *Index) Pack(values []*graph.Value) *graph.Value {
	if len(values) == 0 || len(values) != len(ix.params) {
		if len(values) > 0 {
			values[0].Graph().Fail("Pack", fmt.Errorf("%d values for %d parameters", len(values), len(ix.params)))
			return values[0]
		}
		return nil
	}
	g := values[0].Graph()
	defer g.Scope("pack")()
	flat := make([]*graph.Value, len(values))
	for i, v := range values {
		if p := ix.params[i]; !slices.Equal(v.Shape(), p.Shape) {
			g.Fail("Pack", fmt.Errorf("the value for parameter %q has the shape %v, not %v", p.Name, v.Shape(), p.Shape))
		}
		flat[i] = graph.Reshape(v, v.Size())
	}
	return graph.Concat(0, flat...)
}
