package graph

import (
	"fmt"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

// DType is the type of a value's elements.
type DType int

// The element types that graphs use.
const (
	Float32 DType = iota + 1
	Int64
	Int32
	Bool
	Uint8
)

// String returns the type's name in Go's spelling.
func (t DType) String() string {
	switch t {
	case Float32:
		return "float32"
	case Int64:
		return "int64"
	case Int32:
		return "int32"
	case Bool:
		return "bool"
	case Uint8:
		return "uint8"
	}
	return fmt.Sprintf("DType(%d)", int(t))
}

// ONNX returns the type's number in the ONNX schema.
func (t DType) ONNX() onnx.TensorProto_DataType {
	switch t {
	case Float32:
		return onnx.TensorProto_FLOAT
	case Int64:
		return onnx.TensorProto_INT64
	case Int32:
		return onnx.TensorProto_INT32
	case Bool:
		return onnx.TensorProto_BOOL
	case Uint8:
		return onnx.TensorProto_UINT8
	}
	return onnx.TensorProto_UNDEFINED
}

// Value is a tensor that the graph computes, reads or holds.
type Value struct {
	graph *Graph
	block *Block
	id    int
	name  string
	dtype DType
	shape []int
	node  *Node // nil for inputs and constants
	index int   // position among the node's outputs
	data  *onnx.TensorProto
	doc   string
	empty bool // may be an empty tensor at run time, see Expose
}

// Graph returns the graph that the value belongs to.
func (v *Value) Graph() *Graph { return v.graph }

// Name returns the value's name in the ONNX model.
func (v *Value) Name() string { return v.name }

// Doc returns the sentence that describes an input or output.
func (v *Value) Doc() string { return v.doc }

// DType returns the type of the value's elements.
func (v *Value) DType() DType { return v.dtype }

// Shape returns the value's dimensions. The slice must not be changed.
func (v *Value) Shape() []int { return v.shape }

// Dim returns dimension i; negative i counts from the end.
func (v *Value) Dim(i int) int {
	if i < 0 {
		i += len(v.shape)
	}
	if i < 0 || i >= len(v.shape) {
		v.graph.fail("Dim", "dimension %d of a value of shape %v", i, v.shape)
		return 1
	}
	return v.shape[i]
}

// Rank returns the number of dimensions.
func (v *Value) Rank() int { return len(v.shape) }

// Size returns the number of elements.
func (v *Value) Size() int { return size(v.shape) }

// Node returns the node that computes the value; nil for inputs and constants.
func (v *Value) Node() *Node { return v.node }

// Index returns the position of the value among its node's outputs.
func (v *Value) Index() int { return v.index }

// ID orders values: a value has a larger ID than every value that it is computed from.
func (v *Value) ID() int { return v.id }

// IsConstant reports whether the value is a constant or a parameter held in the model.
func (v *Value) IsConstant() bool { return v.data != nil }

// Constant returns the tensor of a constant, or nil.
func (v *Value) Constant() *onnx.TensorProto { return v.data }

func (v *Value) String() string { return fmt.Sprintf("%s %v%v", v.name, v.dtype, v.shape) }

// Node is one application of an ONNX operator.
type Node struct {
	Op      string
	Scope   string
	Inputs  []*Value // nil entries are omitted optional inputs
	Outputs []*Value
	Attrs   Attributes
	Bodies  []Body // subgraphs of control flow, in the order of the operator's definition

	private bool // never merged with an equal node
}

// Block is a list of nodes in the order in which they run: the graph's own, or a body's.
type Block struct {
	parent *Block
	nodes  []*Node
	seen   map[string]*Node
}

// Nodes returns the block's nodes in the order in which they run. The slice must not be changed.
func (b *Block) Nodes() []*Node { return b.nodes }

// Body is the subgraph of one branch. It has no inputs; it uses values of the blocks around it.
type Body struct {
	Name    string // the attribute that holds it: "then_branch"
	Block   *Block
	Results []*Value
}

// Graph is a graph under construction. It is not safe for use by several goroutines at once.
type Graph struct {
	name    string
	err     error
	scope   []string
	root    *Block
	block   *Block
	inputs  []*Value
	outputs []*Value
	consts  []*Value
	byData  map[string]*Value
	names   map[string]int
	nextID  int
}

// New returns an empty graph.
func New(name string) *Graph {
	root := &Block{seen: map[string]*Node{}}
	return &Graph{name: name, root: root, block: root, byData: map[string]*Value{}, names: map[string]int{}}
}

// Err returns the first error that was made while building.
func (g *Graph) Err() error { return g.err }

// Fail records an error for the operation op at the current scope, unless there is one already. Packages that
// build graphs use it for mistakes of their own, so that they too are reported once and with the scope.
func (g *Graph) Fail(op string, err error) {
	if g.err != nil {
		return
	}
	if s := g.ScopePath(); s != "" {
		g.err = fmt.Errorf("%s: %s: %w", s, op, err)
	} else {
		g.err = fmt.Errorf("%s: %w", op, err)
	}
}

func (g *Graph) fail(op, format string, args ...any) { g.Fail(op, fmt.Errorf(format, args...)) }

// Scope opens a scope and returns the function that closes it: defer g.Scope("cell0")().
func (g *Graph) Scope(name string) func() {
	depth := len(g.scope)
	g.scope = append(g.scope, name)
	return func() { g.scope = g.scope[:depth] }
}

// ScopePath returns the open scopes, outermost first, joined by slashes.
func (g *Graph) ScopePath() string { return strings.Join(g.scope, "/") }

// Inputs returns the graph's inputs in the order of their declaration.
func (g *Graph) Inputs() []*Value { return g.inputs }

// Outputs returns the graph's outputs in the order of their declaration.
func (g *Graph) Outputs() []*Value { return g.outputs }

// Nodes returns the nodes of the graph's own block in the order in which they were built.
func (g *Graph) Nodes() []*Node { return g.root.nodes }

// Input declares an input. The doc sentence is written into the model.
func (g *Graph) Input(name string, dtype DType, shape []int, doc string) *Value {
	v := g.newValue(g.root, dtype, shape)
	if g.names[name] > 0 || name == "" {
		g.fail("Input", "the name %q is empty or taken", name)
	}
	g.names[name]++
	v.name, v.doc = name, doc
	for _, d := range shape {
		if d < 0 {
			g.fail("Input", "input %q has the shape %v; shapes are static", name, shape)
		}
	}
	g.inputs = append(g.inputs, v)
	return v
}

// Output declares v as the output with the given name, which must not be that of another value.
func (g *Graph) Output(name string, v *Value, doc string) {
	if g.err != nil {
		return
	}
	if v == nil || v.graph != g || v.block != g.root {
		g.fail("Output", "output %q is not a value of this graph's own block", name)
		return
	}
	if g.names[name] > 0 || name == "" {
		g.fail("Output", "the name %q is empty or taken", name)
		return
	}
	// An Identity of its own gives the output its name without renaming what others may also declare.
	out := g.node("Identity", []*Value{v}, nil, nil, []spec{{v.dtype, v.shape}}, false)[0]
	g.names[name]++
	out.name, out.doc = name, doc
	g.outputs = append(g.outputs, out)
}

func (g *Graph) newValue(b *Block, dtype DType, shape []int) *Value {
	g.nextID++
	return &Value{graph: g, block: b, id: g.nextID, dtype: dtype, shape: slices.Clone(shape)}
}

// dummy stands in for the result of a failed call, so that callers need no checks.
func (g *Graph) dummy(dtype DType, shape []int) *Value {
	v := g.newValue(g.root, dtype, shape)
	for i, d := range v.shape {
		v.shape[i] = max(d, 0)
	}
	v.name = "error"
	return v
}

type spec struct {
	dtype DType
	shape []int
}

// node appends a node to the current block, or returns the equal one that is there already.
func (g *Graph) node(op string, in []*Value, attrs Attributes, bodies []Body, out []spec, share bool) []*Value {
	for i, v := range in {
		if v == nil {
			continue
		}
		if v.graph != g {
			g.fail(op, "input %d belongs to another graph", i)
		} else if !g.block.within(v.block) {
			g.fail(op, "input %d (%s) belongs to a branch that has been closed", i, v.name)
		}
	}
	if g.err != nil {
		vs := make([]*Value, len(out))
		for i, s := range out {
			vs[i] = g.dummy(s.dtype, s.shape)
		}
		return vs
	}
	key := ""
	if share {
		key = fmt.Sprintf("%s:%d", nodeKey(op, in, attrs), len(out))
		if n := g.equal(key); n != nil {
			return slices.Clone(n.Outputs)
		}
	}
	attrs.sort()
	n := &Node{Op: op, Scope: g.ScopePath(), Inputs: slices.Clone(in), Attrs: attrs, Bodies: bodies, private: !share}
	base := g.unique(op)
	for i, s := range out {
		v := g.newValue(g.block, s.dtype, s.shape)
		v.node, v.index, v.name = n, i, base
		if len(out) > 1 {
			v.name = fmt.Sprintf("%s:%d", base, i)
		}
		n.Outputs = append(n.Outputs, v)
	}
	g.block.nodes = append(g.block.nodes, n)
	if share {
		g.block.seen[key] = n
	}
	return slices.Clone(n.Outputs) // the caller may keep and change its slice
}

// equal returns the node that was built with the key in the current block or one around it, or nil.
func (g *Graph) equal(key string) *Node {
	for b := g.block; b != nil; b = b.parent {
		if n, ok := b.seen[key]; ok {
			return n
		}
	}
	return nil
}

func (g *Graph) unique(op string) string {
	base := op
	if s := g.ScopePath(); s != "" {
		base = s + "/" + op
	}
	k := g.names[base]
	g.names[base]++
	if k == 0 {
		return base
	}
	for {
		name := fmt.Sprintf("%s_%d", base, k)
		if g.names[name] == 0 {
			g.names[name]++
			return name
		}
		k++
	}
}

// within reports whether b is the block a or lies inside it.
func (b *Block) within(a *Block) bool {
	for ; b != nil; b = b.parent {
		if b == a {
			return true
		}
	}
	return false
}

func nodeKey(op string, in []*Value, attrs Attributes) string {
	var sb strings.Builder
	sb.WriteString(op)
	for _, v := range in {
		if v == nil {
			sb.WriteString(",-")
		} else {
			fmt.Fprintf(&sb, ",%d", v.id)
		}
	}
	attrs.sort()
	for _, a := range attrs {
		fmt.Fprintf(&sb, ";%s=%v", a.Name, a.Value)
	}
	return sb.String()
}

func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
