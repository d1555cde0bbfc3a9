package autodiff

import (
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
func Gradients(outputs, seeds, wrt []*graph.Value, opts ...Option) ([]*graph.Value, error) {
	o := &options{without: map[string]bool{}, wrt: map[*graph.Value]bool{}}
	for _, v := range wrt {
		o.wrt[v] = true
	}
	for _, set := range opts {
		if err := set(o); err != nil {
			return nil, fmt.Errorf("taking gradients: %w", err)
		}
	}
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
	p := newPass(o, outputs, full, wrt)
	if err := p.run(p.between(p.reachable(outputs, wrt))); err != nil {
		return nil, err
	}
	grads := p.gradients(wrt)
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

// pass is one walk from outputs back to wrt: over a graph, or over the branch of an If.
type pass struct {
	options *options
	rules   map[string]rule
	active  map[*graph.Value]bool         // depends on wrt
	total   map[*graph.Value]*graph.Value // the sum of the contributions to a value's gradient so far
	// view maps the values of a branch, which are out of reach from outside, to equal ones that can be used; others stand
	// for themselves.
	view  map[*graph.Value]*graph.Value
	scope string // of the If whose branch this is
}

func newPass(o *options, outputs, seeds, wrt []*graph.Value) *pass {
	p := &pass{options: o, rules: rules(o), active: map[*graph.Value]bool{}, total: map[*graph.Value]*graph.Value{}}
	for _, v := range wrt {
		p.active[v] = true
	}
	for i, out := range outputs {
		p.contribute(out, seeds[i])
	}
	return p
}

// run visits nodes from the last to the first.
func (p *pass) run(nodes []*graph.Node) error {
	for _, n := range slices.Backward(nodes) {
		if err := p.visit(n); err != nil {
			return err
		}
	}
	return nil
}

// gradients returns the gradient of each value after run; nil stands for zero.
func (p *pass) gradients(wrt []*graph.Value) []*graph.Value {
	grads := make([]*graph.Value, len(wrt))
	for i, v := range wrt {
		grads[i] = p.total[v]
	}
	return grads
}

// reachable returns the nodes that outputs need, in the order in which they were built.
func (p *pass) reachable(outputs, wrt []*graph.Value) []*graph.Node {
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
		if v == nil || v.Node() == nil || seen[v.Node()] || v.ID() < first {
			continue
		}
		seen[v.Node()] = true
		nodes = append(nodes, v.Node())
		stack = append(stack, dependencies(v.Node())...)
	}
	slices.SortFunc(nodes, func(m, n *graph.Node) int { return m.Outputs[0].ID() - n.Outputs[0].ID() })
	return nodes
}

// between returns those of the nodes that depend on wrt, and marks the active values. The nodes are in the order in
// which they were built.
func (p *pass) between(nodes []*graph.Node) []*graph.Node {
	var out []*graph.Node
	for _, n := range nodes {
		if !slices.ContainsFunc(dependencies(n), func(v *graph.Value) bool { return p.active[v] }) {
			continue
		}
		out = append(out, n)
		for _, v := range n.Outputs {
			// Gradients end where values turn into indices or truth values.
			p.active[v] = p.active[v] || v.DType() == graph.Float32
		}
	}
	return out
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
func (p *pass) visit(n *graph.Node) error {
	g := n.Outputs[0].Graph()
	defer p.openScope(g, n.Scope)()
	dy := make([]*graph.Value, len(n.Outputs))
	known := false
	for i, out := range n.Outputs {
		dy[i] = p.total[out]
		known = known || dy[i] != nil
	}
	inputs := dependencies(n)
	need := make([]bool, len(inputs))
	for i, v := range inputs {
		need[i] = v != nil && p.active[v]
	}
	if !known || !slices.Contains(need, true) {
		return nil
	}
	var grads []*graph.Value
	if n.Op == "If" {
		grads = p.branches(n, dy, need)
	} else {
		r, ok := p.rules[n.Op]
		if !ok {
			return fmt.Errorf("taking gradients: %s (scope %q) has no rule; these have: %s", n.Op, n.Scope, strings.Join(Operators(), ", "))
		}
		if late := p.options.late; late != nil && p.view == nil {
			grads = late.apply(r, n, dy, need)
		} else {
			grads = r(p.visible(n), dy, need)
		}
	}
	for i, d := range grads {
		switch {
		case d == nil || !need[i]:
		case g.Err() == nil && !slices.Equal(d.Shape(), inputs[i].Shape()):
			g.Fail(n.Op, fmt.Errorf("its gradient rule gives %v for the input %v", d.Shape(), inputs[i].Shape()))
		default:
			p.contribute(inputs[i], d)
		}
	}
	if g.Err() != nil {
		return fmt.Errorf("taking the gradient of %s: %w", n.Op, g.Err())
	}
	return nil
}

// visible returns n with inputs and outputs that can be used in the current block.
func (p *pass) visible(n *graph.Node) *graph.Node {
	if p.view == nil {
		return n
	}
	m := *n
	m.Inputs, m.Outputs = p.seen(n.Inputs), p.seen(n.Outputs)
	return &m
}

func (p *pass) seen(vs []*graph.Value) []*graph.Value {
	out := slices.Clone(vs)
	for i, v := range vs {
		if w, ok := p.view[v]; ok {
			out[i] = w
		}
	}
	return out
}

// contribute adds d to the gradient of v, at once, so that no more than the sum need be kept in memory.
func (p *pass) contribute(v, d *graph.Value) {
	if sum := p.total[v]; sum != nil {
		d = graph.Add(sum, d)
	}
	p.total[v] = d
}

// openScope opens the scope of a forward node below the current one.
func (p *pass) openScope(g *graph.Graph, path string) func() {
	path = strings.TrimPrefix(strings.TrimPrefix(path, p.scope), "/")
	if path == "" {
		return func() {}
	}
	return g.Scope(path)
}
