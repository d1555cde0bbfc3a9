package graph

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Expose makes values that the branches of the If node n compute, those of the nodes that want chooses, available outside as
// further results of n, and returns under which values. Autodiff uses it to keep what the forward pass has
// computed for the backward pass. Nested Ifs expose their results and their own branches' values too.
//
// A further result has a meaning only where the branch that computes it was taken: the other branch returns an
// empty tensor in its place, so that what is not there costs nothing. Results that nobody uses are left out of the model.
func Expose(n *Node, want func(*Node) bool) map[*Value]*Value {
	g := n.Outputs[0].graph
	out := map[*Value]*Value{}
	if g.err != nil {
		return out
	}
	type slot struct {
		like   *Value
		values []*Value // one for each body, nil where the body has none
	}
	var slots []*slot
	inner := map[*Value]*Value{}
	for i, body := range n.Bodies {
		for _, m := range body.Block.nodes {
			if len(m.Bodies) > 0 {
				maps.Copy(inner, Expose(m, want))
			} else if !want(m) {
				continue
			}
		values:
			for _, v := range m.Outputs {
				for k, r := range body.Results {
					if r == v {
						out[v] = n.Outputs[k] // it is a result already
						continue values
					}
				}
				// Branches share a slot for values of one type and shape.
				var place *slot
				for _, s := range slots {
					if s.values[i] == nil && sameType(s.like, v) {
						place = s
						break
					}
				}
				if place == nil {
					place = &slot{like: v, values: make([]*Value, len(n.Bodies))}
					slots = append(slots, place)
				}
				place.values[i] = v
			}
		}
	}
	for _, s := range slots {
		result := g.newValue(n.Outputs[0].block, s.like.dtype, s.like.shape)
		result.node, result.index, result.empty = n, len(n.Outputs), true
		result.name = fmt.Sprintf("%s:%d", strings.TrimSuffix(n.Outputs[0].name, ":0"), len(n.Outputs))
		g.names[result.name]++
		n.Outputs = append(n.Outputs, result)
		for i, v := range s.values {
			if v == nil {
				v = g.absent(n.Bodies[i].Block, s.like)
			} else {
				out[v] = result
			}
			n.Bodies[i].Results = append(n.Bodies[i].Results, v)
		}
	}
	for v, s := range inner {
		if r, ok := out[s]; ok {
			out[v] = r
		}
	}
	return out
}

func sameType(a, b *Value) bool { return a.dtype == b.dtype && slices.Equal(a.shape, b.shape) }

// absent builds, in a branch, the empty tensor that stands for a value of the other branch. Its rank is the same.
func (g *Graph) absent(b *Block, like *Value) *Value {
	current := g.block
	g.block = b
	defer func() { g.block = current }()
	shape := append([]int{0}, like.shape[min(1, len(like.shape)):]...)
	if len(like.shape) == 0 {
		shape = nil
	}
	var empty *Value
	switch {
	case shape == nil && like.dtype == Float32:
		empty = g.Scalar(0)
	case like.dtype == Float32:
		empty = g.Floats(nil, shape...)
	default:
		empty = Cast(g.Floats(make([]float32, size(shape)), shape...), like.dtype)
	}
	return g.node("Identity", []*Value{empty}, nil, nil, []spec{{like.dtype, empty.shape}}, false)[0]
}
