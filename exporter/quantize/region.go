package quantize

import (
	"errors"
	"fmt"
	"slices"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

// ErrNothing is the error about a model that has nothing to write in fewer bits.
var ErrNothing = errors.New("it has no convolution and no product with a constant matrix")

// network is a model as the passes look at it.
type network struct {
	graph    *onnx.GraphProto
	constant map[string]*onnx.TensorProto
	producer map[string]*onnx.NodeProto
	readers  map[string][]*onnx.NodeProto
	output   map[string]bool
	taken    map[string]bool
	// inside are the products, and what lies between products: behind one and before another. What is before the first one, the
	// normalization of pixels, and behind the last, the softmax, stays as it is.
	inside map[*onnx.NodeProto]bool
}

func newNetwork(m *onnx.ModelProto) (*network, error) {
	g := m.GetGraph()
	n := &network{
		graph: g, constant: map[string]*onnx.TensorProto{}, producer: map[string]*onnx.NodeProto{}, readers: map[string][]*onnx.NodeProto{},
		output: map[string]bool{}, taken: map[string]bool{}, inside: map[*onnx.NodeProto]bool{},
	}
	opset, err := onnx.OpsetOf(m)
	if err != nil {
		return nil, err
	}
	if opset < 13 { // QuantizeLinear along an axis
		return nil, fmt.Errorf("it is written in operator set %d; 13 or newer is needed", opset)
	}
	for _, t := range g.GetInitializer() {
		n.constant[t.GetName()], n.taken[t.GetName()] = t, true
	}
	for _, v := range g.GetInput() {
		delete(n.constant, v.GetName()) // a default, which a caller may replace
		n.taken[v.GetName()] = true
	}
	for _, v := range g.GetOutput() {
		n.output[v.GetName()] = true
	}
	for _, node := range g.GetNode() {
		for _, a := range node.GetAttribute() {
			if a.GetG() != nil || len(a.GetGraphs()) > 0 {
				return nil, fmt.Errorf("its %s has branches, which are not supported", title(node))
			}
		}
		for _, name := range node.GetOutput() {
			n.producer[name], n.taken[name] = node, true
		}
		for _, name := range node.GetInput() {
			if name != "" && !slices.Contains(n.readers[name], node) {
				n.readers[name] = append(n.readers[name], node)
			}
		}
	}
	n.findInside()
	if len(n.inside) == 0 {
		return nil, ErrNothing
	}
	return n, nil
}

func (n *network) findInside() {
	behind, before := map[string]bool{}, map[string]bool{} // values behind a product; values that lead to one
	for _, node := range n.graph.GetNode() {
		if n.product(node) || slices.ContainsFunc(node.GetInput(), func(v string) bool { return behind[v] }) {
			for _, v := range node.GetOutput() {
				behind[v] = true
			}
		}
	}
	for _, node := range slices.Backward(n.graph.GetNode()) {
		leads := slices.ContainsFunc(node.GetOutput(), func(v string) bool { return before[v] })
		if n.product(node) || leads {
			for _, v := range node.GetInput() {
				before[v] = true
			}
		}
		if n.product(node) || leads && slices.ContainsFunc(node.GetInput(), func(v string) bool { return behind[v] }) {
			n.inside[node] = true
		}
	}
}

// product tells whether a node is a convolution, or a product with a matrix, of a value and constant weights.
func (n *network) product(node *onnx.NodeProto) bool {
	if !standard(node) || len(node.GetInput()) < 2 || n.constant[node.GetInput()[0]] != nil {
		return false
	}
	w := n.constant[node.GetInput()[1]]
	if w.GetDataType() != int32(onnx.TensorProto_FLOAT) {
		return false
	}
	switch node.GetOpType() {
	case "Conv":
		return len(w.GetDims()) > 2
	case "Gemm", "MatMul":
		return len(w.GetDims()) == 2
	}
	return false
}

// soleReader is the node that alone reads a value; nil when others do, or the value leaves the graph.
func (n *network) soleReader(value string) *onnx.NodeProto {
	if n.output[value] || len(n.readers[value]) != 1 {
		return nil
	}
	return n.readers[value][0]
}

// unique returns base, or base with a number when something has that name, and reserves it.
func (n *network) unique(base string) string {
	name := base
	for i := 1; n.taken[name]; i++ {
		name = fmt.Sprintf("%s_%d", base, i)
	}
	n.taken[name] = true
	return name
}

// hold adds a constant under its name.
func (n *network) hold(t *onnx.TensorProto) string {
	n.graph.Initializer = append(n.graph.Initializer, t)
	return t.GetName()
}

// dropUnread removes the constants that nothing reads any more, and the descriptions of values that are no longer what they describe.
func (n *network) dropUnread() {
	read := map[string]bool{}
	for _, node := range n.graph.GetNode() {
		for _, name := range node.GetInput() {
			read[name] = true
		}
	}
	for name := range n.output {
		read[name] = true
	}
	n.graph.Initializer = slices.DeleteFunc(n.graph.Initializer, func(t *onnx.TensorProto) bool { return !read[t.GetName()] })
	n.graph.ValueInfo = nil
}

func standard(n *onnx.NodeProto) bool { return n.GetDomain() == "" || n.GetDomain() == "ai.onnx" }

func attribute(n *onnx.NodeProto, name string) *onnx.AttributeProto {
	for _, a := range n.GetAttribute() {
		if a.GetName() == name {
			return a
		}
	}
	return nil
}

// title names a node in errors.
func title(n *onnx.NodeProto) string { return fmt.Sprintf("%s node %q", n.GetOpType(), n.GetName()) }
