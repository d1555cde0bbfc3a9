package graph

import (
	"fmt"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

// ModelOptions says what Model writes around the graph.
type ModelOptions struct {
	Doc string
	// Metadata becomes the model's metadata properties.
	Metadata map[string]string
	// DynamicBatch makes the first dimension of every input and output of rank 2 and more the named dimension
	// "batch". The graph must have been built so that no operator depends on its size (Flatten rather than
	// Reshape to a constant shape).
	DynamicBatch bool
}

// Model returns the graph as an ONNX model, without the nodes that no output needs, or the first error that was
// made while building.
func (g *Graph) Model(o ModelOptions) (*onnx.ModelProto, error) {
	if g.err == nil && len(g.outputs) == 0 {
		g.fail("Model", "graph %q has no outputs", g.name)
	}
	if g.err != nil {
		return nil, g.err
	}
	live := map[*Node]bool{}
	used := map[*Value]bool{}
	markLive(g.outputs, live, used)
	p := &onnx.GraphProto{Name: g.name, DocString: o.Doc}
	for _, v := range g.inputs {
		p.Input = append(p.Input, v.info(o.DynamicBatch))
	}
	for _, v := range g.consts {
		if used[v] {
			p.Initializer = append(p.Initializer, v.data)
		}
	}
	private := &statistics{names: map[*Node][2]string{}}
	private.collect(g.root, live)
	before, constants, err := private.emit(g.inputs)
	if err != nil {
		return nil, err
	}
	p.Initializer = append(p.Initializer, constants...)
	nodes, err := nodeProtos(g.root, live, used, private)
	if err != nil {
		return nil, err
	}
	p.Node = append(before, nodes...)
	for _, v := range g.outputs {
		p.Output = append(p.Output, v.info(o.DynamicBatch))
	}
	m := &onnx.ModelProto{
		IrVersion:    onnx.IRVersion,
		ProducerName: "plateau",
		OpsetImport:  []*onnx.OperatorSetIdProto{{Version: onnx.Opset}},
		Graph:        p,
		DocString:    o.Doc,
	}
	onnx.SetMetadata(m, o.Metadata)
	return m, nil
}

// Encode is Model as the bytes of an .onnx file.
func (g *Graph) Encode(o ModelOptions) ([]byte, error) {
	m, err := g.Model(o)
	if err != nil {
		return nil, err
	}
	return onnx.Encode(m)
}

// markLive marks everything that the values are computed from, in bodies too. Of an If only the results that are used
// count.
func markLive(from []*Value, live map[*Node]bool, used map[*Value]bool) {
	stack := append([]*Value(nil), from...)
	for len(stack) > 0 {
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if v == nil || used[v] {
			continue
		}
		used[v] = true
		n := v.node
		if n == nil {
			continue
		}
		for _, b := range n.Bodies {
			stack = append(stack, b.Results[v.index])
		}
		if !live[n] {
			live[n] = true
			stack = append(stack, n.written()...)
		}
	}
}

func nodeProtos(b *Block, live map[*Node]bool, used map[*Value]bool, private *statistics) ([]*onnx.NodeProto, error) {
	var out []*onnx.NodeProto
	for _, n := range b.nodes {
		if !live[n] {
			continue
		}
		p := &onnx.NodeProto{OpType: n.Op, Name: n.Outputs[0].name}
		for _, v := range n.written() {
			if v == nil {
				p.Input = append(p.Input, "")
			} else {
				p.Input = append(p.Input, v.name)
			}
		}
		if names, ok := private.names[n]; ok {
			copy(p.Input[3:], names[:])
		}
		for _, v := range n.Outputs {
			if len(n.Bodies) == 0 || used[v] {
				p.Output = append(p.Output, v.name)
			}
		}
		for _, a := range n.Attrs {
			ap, err := a.proto()
			if err != nil {
				return nil, fmt.Errorf("node %s: %w", p.Name, err)
			}
			p.Attribute = append(p.Attribute, ap)
		}
		for _, body := range n.Bodies {
			nodes, err := nodeProtos(body.Block, live, used, private)
			if err != nil {
				return nil, err
			}
			bp := &onnx.GraphProto{Name: p.Name + "/" + body.Name, Node: nodes}
			for i, v := range body.Results {
				if used[n.Outputs[i]] {
					bp.Output = append(bp.Output, v.info(false))
				}
			}
			p.Attribute = append(p.Attribute, onnx.GraphAttribute(body.Name, bp))
		}
		out = append(out, p)
	}
	return out, nil
}

func (v *Value) info(dynamicBatch bool) *onnx.ValueInfoProto {
	shape := dims(v.shape)
	if dynamicBatch && len(shape) >= 2 {
		shape[0] = -1
	}
	info := onnx.NewValueInfo(v.name, v.dtype.ONNX(), shape, v.doc)
	if v.empty && len(shape) > 0 {
		info.Type.GetTensorType().Shape.Dim[0] = new(onnx.TensorShapeProto_Dimension) // not known
	}
	return info
}
