package verify

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"gorgonia.org/tensor"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

// comparison walks through both readings and gathers where they differ.
type comparison struct {
	ours        *onnx.GraphProto
	theirs      *decoded
	read        Reading
	differences []Difference
}

func (c *comparison) differ(where string, ours, theirs any) {
	c.differences = append(c.differences, Difference{where, fmt.Sprint(ours), fmt.Sprint(theirs)})
}

// names compares two lists of names of values.
func (c *comparison) names(where string, ours, theirs []string) {
	if !slices.Equal(ours, theirs) {
		c.differ(where, fmt.Sprintf("%q", ours), fmt.Sprintf("%q", theirs))
	}
}

// boundaries compares inputs and outputs, and their sizes where the file fixes them.
func (c *comparison) boundaries() {
	held := map[string]bool{}
	for _, t := range c.ours.GetInitializer() {
		held[t.GetName()] = true
	}
	var inputs, outputs []string
	for _, v := range c.ours.GetInput() {
		if !held[v.GetName()] { // before IR version 4 initializers are declared as inputs too
			inputs = append(inputs, v.GetName())
			c.declared("input", v)
		}
	}
	for _, v := range c.ours.GetOutput() {
		outputs = append(outputs, v.GetName())
		if !held[v.GetName()] {
			c.declared("output", v)
		}
	}
	c.names("inputs", inputs, c.theirs.inputs)
	c.names("outputs", outputs, c.theirs.outputs)
}

// declared compares the shape of an input or output. The independent decoder drops dimensions without a size.
func (c *comparison) declared(what string, v *onnx.ValueInfoProto) {
	where := fmt.Sprintf("%s %q", what, v.GetName())
	fixed := slices.DeleteFunc(v.Shape(), func(d int64) bool { return d < 0 })
	for _, other := range c.theirs.values {
		if other.name != v.GetName() {
			continue
		}
		if other.data == nil {
			c.differ(where, fmt.Sprintf("a tensor of shape %v", v.Shape()), "nothing")
		} else if got := dims(other.data); !slices.Equal(got, fixed) {
			c.differ(where, fmt.Sprintf("fixed dimensions %v", fixed), got)
		}
		return
	}
	c.differ(where, "declared", "missing")
}

// nodes compares operators, in order, with their edges and attributes.
func (c *comparison) nodes() {
	ours, theirs := c.ours.GetNode(), c.theirs.calls
	if len(ours) != len(theirs) {
		c.differ("number of nodes", len(ours), len(theirs))
	}
	for i := range min(len(ours), len(theirs)) {
		n, other := ours[i], theirs[i]
		where := fmt.Sprintf("node %d (%s)", i, n.GetOpType())
		if n.GetOpType() != other.op {
			c.differ(where, n.GetOpType(), other.op)
		}
		inputs := n.GetInput()
		if len(inputs) == 0 && len(n.GetOutput()) > 0 {
			inputs = []string{n.GetName() + "/input"} // made up by the independent decoder for operators without inputs
		}
		c.names(where+", inputs", inputs, other.inputs)
		c.names(where+", outputs", n.GetOutput(), other.outputs)
		c.read.Nodes++
		c.read.Edges += len(n.GetInput()) * len(n.GetOutput())
		c.attributes(where, n.GetAttribute(), other.attrs)
	}
}

func (c *comparison) attributes(where string, ours []*onnx.AttributeProto, theirs map[string]any) {
	known := map[string]bool{}
	for _, a := range ours {
		at := where + ", attribute " + a.GetName()
		known[a.GetName()] = true
		v, ok := theirs[a.GetName()]
		if !ok {
			c.differ(at, "present", "missing")
			continue
		}
		c.read.Attributes++
		switch a.GetType() {
		case onnx.AttributeProto_FLOAT:
			scalar(c, at, a.GetF(), v)
		case onnx.AttributeProto_INT:
			scalar(c, at, a.GetI(), v)
		case onnx.AttributeProto_STRING:
			scalar(c, at, string(a.GetS()), v)
		case onnx.AttributeProto_FLOATS:
			list(c, at, a.GetFloats(), v)
		case onnx.AttributeProto_INTS:
			list(c, at, a.GetInts(), v)
		case onnx.AttributeProto_STRINGS:
			texts := make([]string, len(a.GetStrings()))
			for i, s := range a.GetStrings() {
				texts[i] = string(s)
			}
			list(c, at, texts, v)
		case onnx.AttributeProto_TENSOR:
			t, _ := v.(tensor.Tensor)
			c.tensor(at, a.GetT(), t)
		}
	}
	extra := []string{}
	for name := range theirs {
		if !known[name] {
			extra = append(extra, name)
		}
	}
	sort.Strings(extra)
	for _, name := range extra {
		c.differ(where+", attribute "+name, "absent", theirs[name])
	}
}

func scalar[T comparable](c *comparison, where string, ours T, theirs any) {
	if v, ok := theirs.(T); !ok || v != ours {
		c.differ(where, ours, theirs)
	}
}

func list[T comparable](c *comparison, where string, ours []T, theirs any) {
	if v, ok := theirs.([]T); !ok || !slices.Equal(v, ours) {
		c.differ(where, ours, theirs)
	}
}

// initializers compares the tensors that the file holds, and looks for any that only they have.
func (c *comparison) initializers() {
	declared := map[string]bool{}
	for _, vs := range [][]*onnx.ValueInfoProto{c.ours.GetInput(), c.ours.GetOutput(), c.ours.GetValueInfo()} {
		for _, v := range vs {
			declared[v.GetName()] = true
		}
	}
	theirs := map[string]tensor.Tensor{}
	for _, v := range c.theirs.values {
		if v.data != nil {
			theirs[v.name] = v.data
		}
	}
	for _, t := range c.ours.GetInitializer() {
		where := fmt.Sprintf("initializer %q", t.GetName())
		if other := theirs[t.GetName()]; other == nil {
			c.differ(where, "present", "missing")
		} else if c.tensor(where, t, other) {
			c.read.Initializers++
		}
		declared[t.GetName()] = true
	}
	extra := []string{}
	for name := range theirs {
		if !declared[name] {
			extra = append(extra, name)
		}
	}
	sort.Strings(extra)
	for _, name := range extra {
		c.differ(fmt.Sprintf("initializer %q", name), "absent", theirs[name].Shape())
	}
}

// tensor compares type, shape and elements; it reports whether they are equal.
func (c *comparison) tensor(where string, ours *onnx.TensorProto, theirs tensor.Tensor) bool {
	if theirs == nil {
		c.differ(where, "a tensor", "none")
		return false
	}
	if got := dims(theirs); !slices.Equal(got, ours.GetDims()) {
		c.differ(where, fmt.Sprintf("shape %v", ours.GetDims()), got)
		return false
	}
	before := len(c.differences)
	switch onnx.TensorProto_DataType(ours.GetDataType()) {
	case onnx.TensorProto_FLOAT:
		want, err := ours.Float32s()
		elements(c, where, want, err, theirs, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) })
	case onnx.TensorProto_INT64:
		want, err := ours.Int64s()
		elements(c, where, want, err, theirs, func(a, b int64) bool { return a == b })
	}
	return len(c.differences) == before
}

func elements[T any](c *comparison, where string, ours []T, err error, theirs tensor.Tensor, equal func(a, b T) bool) {
	if err != nil {
		c.differ(where, err, "readable")
		return
	}
	got, ok := theirs.Data().([]T)
	if v, one := theirs.Data().(T); one { // a tensor of rank 0
		got, ok = []T{v}, true
	}
	if !ok || len(got) != len(ours) {
		c.differ(where, fmt.Sprintf("%d elements of %T", len(ours), *new(T)), fmt.Sprintf("%d of %v", theirs.Size(), theirs.Dtype()))
		return
	}
	for i := range ours {
		if !equal(ours[i], got[i]) {
			c.differ(fmt.Sprintf("%s, element %d", where, i), ours[i], got[i])
			return // one is enough to find the place
		}
	}
	c.read.Elements += int64(len(ours))
}

func dims(t tensor.Tensor) []int64 {
	out := []int64{}
	for _, d := range t.Shape() {
		out = append(out, int64(d))
	}
	return out
}
