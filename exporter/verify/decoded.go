package verify

import (
	"fmt"
	"os"
	"strings"

	onnxgo "github.com/owulveryck/onnx-go"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

// Reading is how much of a model both decoders have read and agreed on.
type Reading struct {
	Nodes        int
	Edges        int // from each output of a node to each of its inputs
	Attributes   int
	Initializers int
	Elements     int64 // in all initializers together
}

// String is a short line for people.
func (r Reading) String() string {
	return fmt.Sprintf("%d nodes, %d edges, %d attributes, %d initializers with %d elements", r.Nodes, r.Edges, r.Attributes, r.Initializers, r.Elements)
}

// Difference is one point on which the two decoders disagree.
type Difference struct {
	Where  string // "node 3 (Conv), attribute pads"
	Ours   string
	Theirs string
}

// MismatchError says that the second decoder reads another model than we do.
type MismatchError struct {
	Differences []Difference
}

// shown is the number of differences that an error's text lists.
const shown = 8

// Error implements error. It lists the first differences.
func (e *MismatchError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the independent decoder reads %d things differently", len(e.Differences))
	for i, d := range e.Differences {
		if i == shown {
			fmt.Fprintf(&b, "; and %d more", len(e.Differences)-shown)
			break
		}
		fmt.Fprintf(&b, "; %s: %s, not %s", d.Where, d.Theirs, d.Ours)
	}
	return b.String()
}

// UnsupportedError says that a model has parts that the independent decoder cannot read, so that nothing was compared.
// It does not mean that the model is wrong.
type UnsupportedError struct {
	Parts []string
}

// Error implements error.
func (e *UnsupportedError) Error() string {
	return "the independent decoder cannot read this model: " + strings.Join(e.Parts, "; ")
}

// DecodedFile is Decoded for a model file. Tensors in a data file beside it are handed to both decoders as part of the
// model, since the independent decoder knows no external data.
func DecodedFile(path string) (Reading, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Reading{}, fmt.Errorf("verify model: %w", err)
	}
	m, err := onnx.Decode(data)
	if err != nil {
		return Reading{}, fmt.Errorf("verify %s: %w", path, err)
	}
	if external(m) {
		if m, err = onnx.Load(path); err != nil {
			return Reading{}, fmt.Errorf("verify model: %w", err)
		}
		if data, err = onnx.Encode(m); err != nil {
			return Reading{}, fmt.Errorf("verify %s: %w", path, err)
		}
	}
	r, err := Decoded(data)
	if err != nil {
		return r, fmt.Errorf("verify %s: %w", path, err)
	}
	return r, nil
}

func external(m *onnx.ModelProto) bool {
	for _, t := range m.GetGraph().GetInitializer() {
		if t.GetDataLocation() == onnx.TensorProto_EXTERNAL {
			return true
		}
	}
	return false
}

// Decoded decodes the bytes of an .onnx file with our decoder and with an independent one, and compares operators,
// attributes, edges, inputs, outputs and initializers, floats bit by bit. The error is a *MismatchError when they
// disagree, an *UnsupportedError when the other one cannot read models of this kind, and another one when either
// refuses the bytes.
//
// Node names, descriptions, metadata and the operator set version are not compared: the independent decoder drops them.
func Decoded(data []byte) (Reading, error) {
	ours, err := onnx.Decode(data)
	if err != nil {
		return Reading{}, err
	}
	if parts := unsupported(ours); len(parts) > 0 {
		return Reading{}, &UnsupportedError{parts}
	}
	theirs, err := decode(data)
	if err != nil {
		return Reading{}, fmt.Errorf("independent decoder: %w", err)
	}
	c := comparison{ours: ours.GetGraph(), theirs: theirs}
	c.boundaries()
	c.nodes()
	c.initializers()
	if len(c.differences) > 0 {
		return c.read, &MismatchError{c.differences}
	}
	return c.read, nil
}

// decoded is what the independent decoder makes of a file.
type decoded struct {
	*recorder
	inputs, outputs []string
}

// decode runs the independent decoder. It panics on some malformed files; that becomes an error here.
func decode(data []byte) (d *decoded, err error) {
	defer func() {
		if p := recover(); p != nil {
			d, err = nil, fmt.Errorf("it gave up on the file: %v", p)
		}
	}()
	r := new(recorder)
	m := onnxgo.NewModel(r)
	if err := m.UnmarshalBinary(data); err != nil {
		return nil, err
	}
	d = &decoded{recorder: r}
	for _, id := range m.Input {
		d.inputs = append(d.inputs, r.values[id].name)
	}
	for _, id := range m.Output {
		d.outputs = append(d.outputs, r.values[id].name)
	}
	return d, nil
}

// maxDeclared is the number of elements that a file may declare for inputs, outputs and intermediate values: the
// independent decoder allocates a tensor for each of them.
const maxDeclared = 1 << 28

// unsupported lists what the independent decoder cannot read, or reads wrongly without saying so.
func unsupported(m *onnx.ModelProto) []string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	g := m.GetGraph()
	if len(g.GetNode()) == 0 {
		add("it has no nodes")
	}
	var declared int64
	for _, list := range [][]*onnx.ValueInfoProto{g.GetInput(), g.GetOutput(), g.GetValueInfo()} {
		for _, v := range list {
			n := int64(1)
			for _, d := range v.Shape() {
				if d > 0 {
					n = min(n*min(d, maxDeclared), maxDeclared)
				}
				if d == 0 {
					add("value %q has a dimension of size 0", v.GetName())
				}
			}
			declared += n
		}
	}
	if declared > maxDeclared {
		add("its inputs, outputs and values declare more than %d elements", maxDeclared)
	}
	for _, t := range g.GetInitializer() {
		if why := unreadable(t); why != "" {
			add("initializer %q %s", t.GetName(), why)
		}
	}
	for i, n := range g.GetNode() {
		for _, a := range n.GetAttribute() {
			where := fmt.Sprintf("node %d (%s), attribute %s", i, n.GetOpType(), a.GetName())
			switch a.GetType() {
			case onnx.AttributeProto_GRAPH, onnx.AttributeProto_GRAPHS:
				add("%s is a subgraph", where)
			case onnx.AttributeProto_FLOAT, onnx.AttributeProto_INT, onnx.AttributeProto_STRING,
				onnx.AttributeProto_FLOATS, onnx.AttributeProto_INTS, onnx.AttributeProto_STRINGS:
			case onnx.AttributeProto_TENSOR:
				if why := unreadable(a.GetT()); why != "" {
					add("%s %s", where, why)
				}
			default:
				add("%s has the type %v", where, a.GetType())
			}
		}
	}
	return parts
}

// unreadable says why a tensor cannot be compared; empty when it can.
func unreadable(t *onnx.TensorProto) string {
	if t.GetDataLocation() == onnx.TensorProto_EXTERNAL {
		return "is kept in another file"
	}
	n, err := t.Count()
	if err != nil {
		return fmt.Sprintf("is malformed (%v)", err)
	}
	if n == 0 {
		return "has no elements"
	}
	switch kind := onnx.TensorProto_DataType(t.GetDataType()); kind {
	case onnx.TensorProto_FLOAT, onnx.TensorProto_INT64:
		return ""
	default:
		// Among these is bool, which it takes eight bytes each for.
		return fmt.Sprintf("holds %v", kind)
	}
}
