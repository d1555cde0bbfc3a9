package autodiff

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/exporter/graph"
)

// Gradients builds the gradients of outputs with respect to wrt in the current block of their graph, and returns
// one float32 value for each entry of wrt, of its shape.
//
// seeds holds the gradient of the loss with respect to each output; a nil entry, or nil for the whole list, stands for one and is
// allowed where the output has one element. Values of wrt may be inputs, constants or computed; the gradient is the total derivative, also through other
// values of wrt. A value that no output depends on gets zeros.
//
// An operator without a rule between wrt and outputs is an error that names it.
func Gradients(outputs, seeds, wrt []*graph.Value) ([]*graph.Value, error) {
	if len(outputs) == 0 || len(seeds) > 0 && len(seeds) != len(outputs) {
		return nil, fmt.Errorf("taking gradients: %d seeds for %d outputs", len(seeds), len(outputs))
	}
	for i, v := range slices.Concat(outputs, wrt) {
		if v == nil || v.DType() != graph.Float32 {
			return nil, fmt.Errorf("taking gradients: value %d of outputs and wrt is %v; gradients are of float32 values", i, v)
		}
	}
	g := outputs[0].Graph()
	if g.Err() != nil {
		return nil, g.Err()
	}
	defer g.Scope("gradient")()
	full := make([]*graph.Value, len(outputs))
	for i, out := range outputs {
		switch {
		case i < len(seeds) && seeds[i] != nil:
			full[i] = seeds[i]
			if !slices.Equal(full[i].Shape(), out.Shape()) {
				return nil, fmt.Errorf("taking gradients: the seed of output %d is %v, the output %v", i, full[i].Shape(), out.Shape())
			}
		case out.Size() == 1:
			full[i] = g.Fill(1, out.Shape()...)
		default:
			return nil, fmt.Errorf("taking gradients: output %d is %v; without a seed it must have one element, like a loss", i, out.Shape())
		}
	}
	grads, err := backward(outputs, full, wrt, false)
	if err != nil {
		return nil, err
	}
	if g.Err() != nil {
		return nil, fmt.Errorf("taking gradients: %w", g.Err())
	}
	for i, v := range grads {
		if v == nil {
			grads[i] = zeros(g, wrt[i].Shape())
		}
	}
	return grads, nil
}

// backward is Gradients without its checks: nil stands for a gradient of zero. With leaves set, gradients are the
// direct derivatives that treat each value of wrt as independent of the others.
func backward(outputs, seeds, wrt []*graph.Value, leaves bool) ([]*graph.Value, error) {
	b := &pass{rules: rules(), active: map[*graph.Value]bool{}, terms: map[*graph.Value][]*graph.Value{}}
	for _, v := range wrt {
		b.active[v] = true
	}
	if leaves {
		b.leaves = map[*graph.Value]bool{}
		for _, v := range wrt {
			b.leaves[v] = true
		}
	}
	for i, out := range outputs {
		b.terms[out] = append(b.terms[out], seeds[i])
	}
	nodes := b.between(outputs, wrt)
	for _, n := range slices.Backward(nodes) {
		if err := b.visit(n); err != nil {
			return nil, err
		}
	}
	grads := make([]*graph.Value, len(wrt))
	for i, v := range wrt {
		grads[i] = b.total(v)
	}
	return grads, nil
}

// pass is the state of one walk from outputs to wrt.
type pass struct {
	rules  map[string]rule
	active map[*graph.Value]bool           // depends on wrt
	leaves map[*graph.Value]bool           // do not walk through these
	terms  map[*graph.Value][]*graph.Value // contributions to a value's gradient so far
}

// between returns, in the order in which they were built, the nodes that outputs need and that depend on wrt, and
// marks the active values.
func (b *pass) between(outputs, wrt []*graph.Value) []*graph.Node {
	if len(wrt) == 0 {
		return nil
	}
	first := wrt[0].ID()
	for _, v := range wrt {
		first = min(first, v.ID())
	}
	seen := map[*graph.Node]bool{}
	var nodes []*graph.Node
	stack := slices.Clone(outputs)
	for len(stack) > 0 {
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		// What was built before all of wrt cannot depend on it.
		if v == nil || v.Node() == nil || seen[v.Node()] || b.leaves[v] || v.ID() < first {
			continue
		}
		seen[v.Node()] = true
		nodes = append(nodes, v.Node())
		stack = append(stack, dependencies(v.Node())...)
	}
	slices.SortFunc(nodes, func(m, n *graph.Node) int { return m.Outputs[0].ID() - n.Outputs[0].ID() })
	return slices.DeleteFunc(nodes, func(n *graph.Node) bool {
		for _, v := range dependencies(n) {
			if b.active[v] {
				for _, out := range n.Outputs {
					// Gradients end where values turn into indices or truth values.
					b.active[out] = b.active[out] || out.DType() == graph.Float32
				}
				return false
			}
		}
		return true
	})
}

// dependencies returns the inputs of a node followed by the values that its bodies use. Entries may be nil.
func dependencies(n *graph.Node) []*graph.Value {
	if len(n.Bodies) == 0 {
		return n.Inputs
	}
	all := slices.Clone(n.Inputs)
	for _, body := range n.Bodies {
		for _, v := range body.Captured() {
			if !slices.Contains(all, v) {
				all = append(all, v)
			}
		}
	}
	return all
}

// visit adds what node n contributes to the gradients of its inputs.
func (b *pass) visit(n *graph.Node) error {
	g := n.Outputs[0].Graph()
	defer openScope(g, n.Scope)()
	dy := make([]*graph.Value, len(n.Outputs))
	known := false
	for i, out := range n.Outputs {
		if !b.leaves[out] {
			dy[i] = b.total(out)
			known = known || dy[i] != nil
		}
	}
	inputs := dependencies(n)
	need := make([]bool, len(inputs))
	for i, v := range inputs {
		need[i] = v != nil && b.active[v]
	}
	if !known || !slices.Contains(need, true) {
		return nil
	}
	r, ok := b.rules[n.Op]
	if !ok {
		return fmt.Errorf("taking gradients: %s (scope %q) has no rule; these have: %s", n.Op, n.Scope, strings.Join(Operators(), ", "))
	}
	for i, d := range r(n, dy, need) {
		switch {
		case d == nil || !need[i]:
		case g.Err() == nil && !slices.Equal(d.Shape(), inputs[i].Shape()):
			g.Fail(n.Op, fmt.Errorf("its gradient rule gives %v for the input %v", d.Shape(), inputs[i].Shape()))
		default:
			b.terms[inputs[i]] = append(b.terms[inputs[i]], d)
		}
	}
	if g.Err() != nil {
		return fmt.Errorf("taking the gradient of %s: %w", n.Op, g.Err())
	}
	return nil
}

// total returns the gradient of v, the sum of the contributions to it; nil when there are none.
func (b *pass) total(v *graph.Value) *graph.Value {
	terms := b.terms[v]
	if len(terms) == 0 {
		return nil
	}
	sum := graph.Sum(terms...)
	b.terms[v] = []*graph.Value{sum}
	return sum
}

// openScope opens the scope of a forward node below the current one, unless the node was built in it.
func openScope(g *graph.Graph, path string) func() {
	current := g.ScopePath()
	if path == current || path == "" {
		return func() {}
	}
	if rest, ok := strings.CutPrefix(path, current+"/"); ok {
		path = rest
	}
	return g.Scope(path)
}

// errNoGradient is for inputs of an operator that its rule cannot differentiate by.
var errNoGradient = errors.New("the gradient with respect to this input is not supported")
