package graph

import "slices"

// written returns the inputs of the node as the model has them. Graphs are built, and differentiated, from small steps that nothing
// is gained by running one by one: what is reshaped again is reshaped once, what gets its first shape back is not reshaped, and what
// is expanded only to be broadcast is not expanded. A node that is left without use is not written.
func (n *Node) written() []*Value {
	in := slices.Clone(n.Inputs)
	for i, v := range in {
		if v == nil {
			continue
		}
		if x := v.unreshaped(); x != v && (n.Op == "Reshape" && i == 0 || slices.Equal(x.shape, v.shape)) {
			in[i] = x
		}
	}
	switch n.Op {
	case "Add", "Sub", "Mul", "Div":
		for i, v := range n.Inputs {
			// One operand must keep the shape.
			if v.node != nil && v.node.Op == "Expand" && slices.Equal(in[1-i].shape, n.Outputs[0].shape) {
				in[i] = v.node.Inputs[0]
			}
		}
	}
	return in
}

// unreshaped returns what v was reshaped from, through any number of nodes, or v.
func (v *Value) unreshaped() *Value {
	for v.node != nil && v.node.Op == "Reshape" {
		v = v.node.Inputs[0]
	}
	return v
}
