package rewrite

import (
	"fmt"
	"slices"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

// Cost is what a model holds and computes.
type Cost struct {
	// Parameters counts the elements of weights: those of convolutions and matrix products with their biases, and
	// the scales and biases of normalizations. Running statistics and other constants do not count. Folding a
	// batch normalization replaces its scale and bias by the bias of the convolution, so it lowers the number.
	Parameters int64
	// MultiplyAdds counts the multiplications of convolutions and matrix products for one image; adding a
	// bias, normalizations, activations and pools do not count.
	MultiplyAdds int64
}

// CostOf measures a model. Shapes are inferred from those of the inputs; inputs gives shapes where the model leaves
// them open or others are meant, and may be nil: then an open first dimension is taken as one image. An operator
// that is not known is an error that names it.
func CostOf(m *onnx.ModelProto, inputs map[string][]int64) (Cost, error) {
	var c Cost
	w, err := newWalk(m, inputs)
	if err != nil {
		return c, fmt.Errorf("measure model: %w", err)
	}
	p := parameters{model: newIndex(m), walk: w, seen: map[string]bool{}}
	for _, n := range m.GetGraph().GetNode() {
		if err := w.visit(n); err != nil {
			return c, fmt.Errorf("measure model: %w", err)
		}
		k, err := w.multiplyAdds(n)
		if err != nil {
			return c, fmt.Errorf("measure model: %s: %w", title(n), err)
		}
		c.MultiplyAdds += k
		p.visit(n)
	}
	if batch := w.batch(m); batch > 1 {
		c.MultiplyAdds /= batch
	}
	c.Parameters = p.total
	return c, nil
}

// batch returns the first dimension of the first input that is not an initializer.
func (w *walk) batch(m *onnx.ModelProto) int64 {
	initializer := map[string]bool{}
	for _, t := range m.GetGraph().GetInitializer() {
		initializer[t.GetName()] = true
	}
	for _, v := range m.GetGraph().GetInput() {
		if s := w.shapes[v.GetName()]; !initializer[v.GetName()] && len(s) > 0 {
			return s[0]
		}
	}
	return 1
}

// multiplyAdds counts the multiplications of one node whose shapes are known; 0 for all but convolutions and
// matrix products.
func (w *walk) multiplyAdds(n *onnx.NodeProto) (int64, error) {
	in := func(i int) []int64 { return w.shapes[input(n, i)] }
	switch n.GetOpType() {
	case "Conv":
		out := w.shapes[n.GetOutput()[0]]
		return product(slices.Concat(in(1)[1:], out)...) // every output element: C/group times the kernel
	case "ConvTranspose":
		return product(slices.Concat(in(1)[1:], in(0))...) // every input element: M/group times the kernel
	case "Gemm":
		k := in(0)[1]
		if intAttribute(n, "transA", 0) != 0 {
			k = in(0)[0]
		}
		return product(append([]int64{k}, w.shapes[n.GetOutput()[0]]...)...)
	case "MatMul":
		return product(append([]int64{in(0)[len(in(0))-1]}, w.shapes[n.GetOutput()[0]]...)...)
	}
	return 0, nil
}

// parameters counts the constants that nodes use as weights, each once.
type parameters struct {
	model *index
	walk  *walk
	seen  map[string]bool
	total int64
}

func (p *parameters) visit(n *onnx.NodeProto) {
	switch n.GetOpType() {
	case "Conv", "ConvTranspose", "Gemm", "InstanceNormalization", "LayerNormalization", "GroupNormalization":
		for i := 1; i < len(n.GetInput()); i++ {
			p.add(n.GetInput()[i])
		}
	case "MatMul":
		p.add(input(n, 0))
		p.add(input(n, 1))
	case "BatchNormalization":
		p.add(input(n, 1))
		p.add(input(n, 2))
	case "PRelu":
		p.add(input(n, 1))
	case "Add":
		// A bias of its own behind a product. Any other sum with a constant is arithmetic.
		for i := range 2 {
			if q := p.model.producer[input(n, i)]; q != nil && (q.GetOpType() == "Conv" || q.GetOpType() == "ConvTranspose" || q.GetOpType() == "MatMul") {
				p.add(input(n, 1-i))
			}
		}
	}
}

// add counts a value when it is a float constant, or one that has only been given another shape, order or type, or is the whole
// numbers that a DequantizeLinear scales.
func (p *parameters) add(name string) {
	scaled := false
	for range len(p.model.taken) + 1 {
		if t := p.model.held[name]; t != nil {
			if !p.seen[name] && (isFloat(t) || scaled) {
				p.seen[name] = true
				count, _ := product(t.GetDims()...) // the walk has checked it
				p.total += count
			}
			return
		}
		n := p.model.producer[name]
		if n == nil {
			return
		}
		switch n.GetOpType() {
		case "Identity", "Reshape", "Transpose", "Cast", "Squeeze", "Unsqueeze", "Flatten":
			name = input(n, 0)
		case "DequantizeLinear":
			name, scaled = input(n, 0), true
		default:
			return
		}
	}
}

func isFloat(t *onnx.TensorProto) bool {
	switch onnx.TensorProto_DataType(t.GetDataType()) {
	case onnx.TensorProto_FLOAT, onnx.TensorProto_DOUBLE, onnx.TensorProto_FLOAT16, onnx.TensorProto_BFLOAT16:
		return true
	}
	return false
}
