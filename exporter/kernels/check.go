package kernels

import (
	"fmt"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

// Missing is a node that has no kernel on a provider.
type Missing struct {
	Node     string // its name
	Operator string
	Opset    int64
	// Types are the element types of its inputs, those of its outputs after an arrow; a question mark stands for one
	// that cannot be told.
	Types string
	Why   string // what there is no kernel for
}

func (m Missing) String() string {
	return fmt.Sprintf("node %q (%s, operator set %d, %s): %s", m.Node, m.Operator, m.Opset, m.Types, m.Why)
}

// Check returns every node of the model, those in branches and bodies too, for which the provider has no kernel by its published
// table, in the order of the model: none when the whole model can run there. An operator without a kernel counts as
// having one where all that ONNX defines it by do. The only provider whose table is known is CUDA; others are an error.
func Check(m *onnx.ModelProto, provider string) ([]Missing, error) {
	t, err := tableOf(provider)
	if err != nil {
		return nil, err
	}
	opset, err := onnx.OpsetOf(m)
	if err != nil {
		return nil, fmt.Errorf("checking a model for kernels of %s: %w", provider, err)
	}
	c := &check{table: t, opset: opset}
	c.graph(m.GetGraph(), types{})
	return c.missing, nil
}

type check struct {
	table   *table
	opset   int64
	missing []Missing
}

func (c *check) graph(g *onnx.GraphProto, around types) {
	known := around.inside(g)
	for _, n := range g.GetNode() {
		for _, a := range n.GetAttribute() {
			if a.GetG() != nil {
				c.graph(a.GetG(), known)
			}
			for _, inner := range a.GetGraphs() {
				c.graph(inner, known)
			}
		}
		k, v, why := c.find(n, known)
		known.infer(n, k, v)
		if why == "" {
			why = c.fits(n.GetInput(), k.inputs, v, known)
		}
		if why == "" {
			why = c.fits(n.GetOutput(), k.outputs, v, known)
		}
		if why != "" {
			c.missing = append(c.missing, Missing{n.GetName(), n.GetOpType(), c.opset, known.describe(n), why})
		}
	}
}

// find returns the kernel of a node and its version, or why there is none.
func (c *check) find(n *onnx.NodeProto, known types) (kernel, version, string) {
	op := n.GetOpType()
	// What stands in for a kernel that is not there: one type for all.
	k := kernel{inputs: []string{"T*"}, outputs: []string{"T*"}}
	switch d := n.GetDomain(); {
	case d != "" && d != "ai.onnx":
		return k, version{}, fmt.Sprintf("operators of the domain %s are not in the table", d)
	case op == "Constant":
		return kernel{outputs: []string{"T"}}, version{}, "" // becomes an initializer when a model is loaded
	}
	for _, l := range c.table.limits[op] {
		for _, a := range n.GetAttribute() {
			if a.GetName() == l.attribute && a.GetI() == l.value {
				return c.table.kernels[op], version{}, fmt.Sprintf("%s=%d: %s", l.attribute, l.value, l.why)
			}
		}
	}
	if own, ok := c.table.kernels[op]; ok {
		if v, ok := own.at(c.opset); ok {
			return own, v, ""
		}
	}
	return k, version{}, c.function(n, known)
}

// function reports what is missing of the operators that define that of the node.
func (c *check) function(n *onnx.NodeProto, known types) string {
	at := slices.IndexFunc(c.table.functions[n.GetOpType()], func(f function) bool { return f.first <= c.opset && c.opset <= f.last })
	if at < 0 {
		return "there is no kernel for this version of the operator"
	}
	typ := ""
	if len(n.GetInput()) > 0 {
		typ = known[n.GetInput()[0]]
	}
	for _, op := range c.table.functions[n.GetOpType()][at].body {
		k := c.table.kernels[op]
		v, ok := k.at(c.opset)
		if p, _ := parameter(k.inputs, 0); !ok || !v.allows(p, typ) {
			return fmt.Sprintf("it is defined by %s, among others, which has no kernel for %s", op, typ)
		}
	}
	return ""
}

// fits reports the first value whose element type the kernel does not take.
func (c *check) fits(names, parameters []string, v version, known types) string {
	if v.types == nil { // a function
		return ""
	}
	for i, name := range names {
		if name == "" {
			continue
		}
		p, ok := parameter(parameters, i)
		switch typ := known[name]; {
		case !ok:
			return fmt.Sprintf("the kernel has no position for %q", name)
		case typ == "":
			return fmt.Sprintf("the element type of %q cannot be told", name)
		case !v.allows(p, typ):
			return fmt.Sprintf("the kernel does not take %s for %s, which is %q", typ, p, name)
		}
	}
	return ""
}

// describe lists the element types of a node's inputs and outputs.
func (t types) describe(n *onnx.NodeProto) string {
	list := func(names []string) string {
		var out []string
		for _, name := range names {
			switch typ := t[name]; {
			case name == "":
				out = append(out, "-")
			case typ == "":
				out = append(out, "?")
			default:
				out = append(out, typ)
			}
		}
		return strings.Join(out, ", ")
	}
	return list(n.GetInput()) + " -> " + list(n.GetOutput())
}
