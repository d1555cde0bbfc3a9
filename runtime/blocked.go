package runtime

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// blockedPays tells whether ONNX Runtime's blocked layout (channels in blocks of the vector width) can serve a model. Convolutions
// run in it only when their weights are constants, while pooling always does: where weights are fed, as in training, all that it adds
// are conversions before and after each pooling, which take longer than the pooling itself. graph is a GraphProto that
// describeModel has read; what cannot be read counts as constant.
func blockedPays(graph []byte) bool {
	f := convolutions{}
	f.scan(graph, nil)
	return f.fixed > 0 || f.all == 0
}

// convolutions counts the convolutions of a graph and its branches.
type convolutions struct {
	all   int
	fixed int // whose weights can be computed when the model is loaded
}

// scan counts those of one graph. outer holds what is constant around it.
func (f *convolutions) scan(graph []byte, outer map[string]bool) {
	constant := map[string]bool{}
	for name := range outer {
		constant[name] = true
	}
	each := func(wanted protowire.Number, yield func([]byte)) {
		_ = fields(graph, func(number protowire.Number, bytes []byte, _ uint64) error {
			if number == wanted {
				yield(bytes)
			}
			return nil
		})
	}
	each(5, func(initializer []byte) { // TensorProto.name is 8
		name, _ := stringField(initializer, 8)
		constant[name] = true
	})
	each(11, func(input []byte) { // an initializer that is listed as an input is a default
		name, _ := stringField(input, 1)
		delete(constant, name)
	})
	each(1, func(message []byte) {
		n := readNode(message)
		for _, branch := range n.branches {
			f.scan(branch, constant)
		}
		if (n.op == "Conv" || n.op == "ConvTranspose") && len(n.inputs) > 1 {
			f.all++
			if constant[n.inputs[1]] {
				f.fixed++
			}
		}
		for _, name := range n.inputs {
			if name != "" && !constant[name] {
				return
			}
		}
		if len(n.branches) > 0 || len(n.inputs) == 0 && n.op != "Constant" {
			return // branches may use what is around them; random numbers have no inputs
		}
		for _, name := range n.outputs {
			constant[name] = true
		}
	})
}

// node is what blockedPays wants to know of a NodeProto.
type node struct {
	op              string
	inputs, outputs []string
	branches        [][]byte
}

func readNode(message []byte) node {
	var n node
	_ = fields(message, func(number protowire.Number, bytes []byte, _ uint64) error {
		switch number {
		case 1:
			n.inputs = append(n.inputs, string(bytes))
		case 2:
			n.outputs = append(n.outputs, string(bytes))
		case 4:
			n.op = string(bytes)
		case 5: // NodeProto.attribute
			return fields(bytes, func(number protowire.Number, bytes []byte, _ uint64) error {
				if number == 6 || number == 11 { // AttributeProto.g, graphs
					n.branches = append(n.branches, bytes)
				}
				return nil
			})
		}
		return nil
	})
	return n
}
