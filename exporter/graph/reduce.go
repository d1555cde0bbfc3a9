package graph

import "slices"

// reduced returns the axes in order and the shape that is left. No axes means all.
func (v *Value) reduced(op string, keep bool, axes []int) ([]int, []int) {
	if len(axes) == 0 {
		for i := range v.shape {
			axes = append(axes, i)
		}
	}
	resolved := make([]int, len(axes))
	for i, a := range axes {
		resolved[i] = v.axis(op, a)
	}
	slices.Sort(resolved)
	resolved = slices.Compact(resolved)
	var out []int
	for i, d := range v.shape {
		switch {
		case !slices.Contains(resolved, i):
			out = append(out, d)
		case keep:
			out = append(out, 1)
		}
	}
	return resolved, out
}

func keepAttr(keep bool) Attribute {
	if keep {
		return Attribute{"keepdims", 1}
	}
	return Attribute{"keepdims", 0}
}

// ReduceSum adds up the elements along the axes (all, when none are given); keep leaves them with length 1.
func ReduceSum(x *Value, keep bool, axes ...int) *Value {
	a, out := x.reduced("ReduceSum", keep, axes)
	return x.graph.node("ReduceSum", []*Value{x, x.graph.Ints(a...)}, Attributes{keepAttr(keep)}, nil, []spec{{x.dtype, out}}, true)[0]
}

func reduceAttr(op string, x *Value, keep bool, axes []int) *Value {
	a, out := x.reduced(op, keep, axes)
	return x.graph.node(op, []*Value{x}, Attributes{{"axes", a}, keepAttr(keep)}, nil, []spec{{x.dtype, out}}, true)[0]
}

// ReduceMean averages the elements along the axes (all, when none are given); keep leaves them with length 1.
func ReduceMean(x *Value, keep bool, axes ...int) *Value {
	return reduceAttr("ReduceMean", x, keep, axes)
}

// ReduceMax takes the largest element along the axes (all, when none are given); keep leaves them with length 1.
func ReduceMax(x *Value, keep bool, axes ...int) *Value {
	return reduceAttr("ReduceMax", x, keep, axes)
}

// ReduceSumSquare adds up the squares along the axes (all, when none are given); keep leaves them with length 1.
func ReduceSumSquare(x *Value, keep bool, axes ...int) *Value {
	return reduceAttr("ReduceSumSquare", x, keep, axes)
}

// ReduceAxes reads the axes back from a node of this file.
func ReduceAxes(n *Node) []int {
	if n.Op != "ReduceSum" {
		return n.Attrs.Ints("axes", nil)
	}
	v, err := n.Inputs[1].data.Int64s()
	if err != nil {
		return nil
	}
	out := make([]int, len(v))
	for i, x := range v {
		out[i] = int(x)
	}
	return out
}
