package rewrite

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/exporter/onnx"
)

// FoldBatchNorm removes every BatchNormalization in inference form whose input comes straight from a Conv or Gemm
// that nothing else reads: it scales the weights of that node and gives it a bias. It returns how many it removed.
// The statistics and the affine terms that it no longer needs stay behind as initializers until RemoveUnused.
//
// With s = scale / sqrt(variance + epsilon), the folded weight is s * W and the folded bias s * (b - mean) + bias.
// The arithmetic is in float64, so each folded number is rounded once.
func FoldBatchNorm(m *onnx.ModelProto) (int, error) {
	opset, err := onnx.OpsetOf(m)
	if err != nil {
		return 0, fmt.Errorf("fold batch normalization: %w", err)
	}
	x := newIndex(m)
	gone := map[*onnx.NodeProto]bool{}
	for _, n := range m.GetGraph().GetNode() {
		if !inferenceBatchNorm(n, opset) {
			continue
		}
		source := input(n, 0)
		p := x.producer[source]
		if p == nil || gone[p] || x.uses[source] != 1 || len(p.GetOutput()) != 1 {
			continue
		}
		a, ok, err := affineOf(x, n)
		if err != nil {
			return len(gone), fmt.Errorf("fold %s: %w", title(n), err)
		}
		if !ok {
			continue
		}
		switch {
		case standard(p, "Conv"):
			ok, err = foldConv(m, x, p, a)
		case standard(p, "Gemm"):
			ok, err = foldGemm(m, x, p, a)
		default:
			ok = false
		}
		if err != nil {
			return len(gone), fmt.Errorf("fold %s into %s: %w", title(n), title(p), err)
		}
		if ok {
			bypass(m, x, p, n)
			gone[n] = true
		}
	}
	remove(m.GetGraph(), gone)
	return len(gone), nil
}

// bypass makes the result of p stand for that of n, which reads it alone. It keeps the name of p's, unless n's is an
// output of the graph.
func bypass(m *onnx.ModelProto, x *index, p, n *onnx.NodeProto) {
	from, to := n.GetOutput()[0], p.GetOutput()[0]
	if x.output[from] {
		p.Output[0] = from
		x.producer[from] = p
		return
	}
	rename(m.GetGraph().GetNode(), from, to)
	x.uses[to] = x.uses[from]
}

// inferenceBatchNorm reports whether a node normalizes with given statistics, per channel.
func inferenceBatchNorm(n *onnx.NodeProto, opset int64) bool {
	if !standard(n, "BatchNormalization") || len(n.GetInput()) != 5 || len(n.GetOutput()) == 0 {
		return false
	}
	for _, extra := range n.GetOutput()[1:] {
		if extra != "" { // asks for the statistics of the batch: training, before opset 14
			return false
		}
	}
	if opset < 7 {
		return intAttribute(n, "is_test", 0) == 1 && intAttribute(n, "spatial", 1) == 1
	}
	return intAttribute(n, "training_mode", 0) == 0 && intAttribute(n, "spatial", 1) == 1
}

// LowerBatchNorm replaces every remaining BatchNormalization in inference form by a multiplication and an addition,
// which any target knows, and returns how many it replaced. It needs the rank of the input, so the shapes of the
// model must be known; where they are not, it leaves the node alone.
func LowerBatchNorm(m *onnx.ModelProto) (int, error) {
	opset, err := onnx.OpsetOf(m)
	if err != nil {
		return 0, fmt.Errorf("lower batch normalization: %w", err)
	}
	g := m.GetGraph()
	w, err := newWalk(m, nil)
	if err != nil {
		return 0, nil // shapes are not known at all
	}
	x := newIndex(m)
	count := 0
	var nodes []*onnx.NodeProto
	for _, n := range g.GetNode() {
		nodes = append(nodes, n)
		if w.visit(n) != nil || !inferenceBatchNorm(n, opset) {
			continue
		}
		rank := len(w.shapes[input(n, 0)])
		a, ok, err := affineOf(x, n)
		if err != nil {
			return count, fmt.Errorf("lower %s: %w", title(n), err)
		}
		if !ok || rank < 2 {
			continue
		}
		// [C, 1, ...]: the channels are the second dimension.
		dims := slices.Repeat([]int64{1}, rank-1)
		dims[0] = int64(len(a.scale))
		stem := n.GetName()
		if stem == "" {
			stem = n.GetOutput()[0]
		}
		scale, shift, scaled := x.unique(stem+"/scale"), x.unique(stem+"/shift"), x.unique(stem+"/Mul")
		x.setConstant(m, onnx.NewFloat32(scale, dims, float32s(a.scale)))
		x.setConstant(m, onnx.NewFloat32(shift, dims, float32s(a.shift)))
		nodes = append(nodes[:len(nodes)-1],
			&onnx.NodeProto{OpType: "Mul", Name: scaled, Input: []string{input(n, 0), scale}, Output: []string{scaled}},
			&onnx.NodeProto{OpType: "Add", Name: stem + "/Add", Input: []string{scaled, shift}, Output: []string{n.GetOutput()[0]}})
		count++
	}
	g.Node = nodes
	return count, nil
}

func float32s(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x)
	}
	return out
}

// affine is a normalization as y = scale * x + shift, per channel.
type affine struct {
	scale, shift []float64
}

// affineOf reads a BatchNormalization; false when its terms are not float32 constants of one length.
func affineOf(x *index, n *onnx.NodeProto) (affine, bool, error) {
	var terms [4][]float32
	for i := range terms {
		t := x.constant[input(n, 1+i)]
		if t == nil || t.GetDataType() != int32(onnx.TensorProto_FLOAT) || len(t.GetDims()) != 1 {
			return affine{}, false, nil
		}
		var err error
		if terms[i], err = t.Float32s(); err != nil {
			return affine{}, false, err
		}
		if len(terms[i]) != len(terms[0]) {
			return affine{}, false, fmt.Errorf("scale, bias, mean and variance have different lengths, among them %d and %d", len(terms[0]), len(terms[i]))
		}
	}
	scale, bias, mean, variance := terms[0], terms[1], terms[2], terms[3]
	epsilon := float64(floatAttribute(n, "epsilon", 1e-5))
	a := affine{make([]float64, len(scale)), make([]float64, len(scale))}
	for i := range scale {
		v := float64(variance[i]) + epsilon
		if !(v > 0) {
			return affine{}, false, fmt.Errorf("variance %g of channel %d plus epsilon %g is not positive", variance[i], i, epsilon)
		}
		a.scale[i] = float64(scale[i]) / math.Sqrt(v)
		a.shift[i] = float64(bias[i]) - a.scale[i]*float64(mean[i])
	}
	return a, true, nil
}

func foldConv(m *onnx.ModelProto, x *index, n *onnx.NodeProto, a affine) (bool, error) {
	w, ok, err := weights(x, input(n, 1))
	if !ok || err != nil {
		return false, err
	}
	channels := len(a.scale)
	if len(w.dims) < 3 || w.dims[0] != int64(channels) {
		return false, fmt.Errorf("the normalization has %d channels, the weight has the shape %v", channels, w.dims)
	}
	bias := make([]float64, channels)
	if name := input(n, 2); name != "" {
		b, ok, err := weights(x, name)
		if !ok || err != nil {
			return false, err
		}
		if len(b.data) != channels {
			return false, fmt.Errorf("the bias has %d elements instead of %d", len(b.data), channels)
		}
		for i, v := range b.data {
			bias[i] = float64(v)
		}
	}
	each := len(w.data) / max(channels, 1)
	for i := range w.data {
		w.data[i] = float32(float64(w.data[i]) * a.scale[i/each])
	}
	replaceWeights(m, x, n, w, a.apply(bias))
	return true, nil
}

func foldGemm(m *onnx.ModelProto, x *index, n *onnx.NodeProto, a affine) (bool, error) {
	w, ok, err := weights(x, input(n, 1))
	if !ok || err != nil {
		return false, err
	}
	if len(w.dims) != 2 {
		return false, fmt.Errorf("the weight has the shape %v, not that of a matrix", w.dims)
	}
	columns, channels := int(w.dims[1]), int(w.dims[1])
	transposed := intAttribute(n, "transB", 0) != 0
	if transposed {
		channels = int(w.dims[0])
	}
	if channels != len(a.scale) {
		return false, fmt.Errorf("the normalization has %d channels, the weight has the shape %v", len(a.scale), w.dims)
	}
	bias := make([]float64, channels)
	if name := input(n, 2); name != "" {
		b, ok, err := weights(x, name)
		if !ok || err != nil {
			return false, err
		}
		// A term with rows of its own cannot become a bias per channel.
		if len(b.data) != 1 && (len(b.data) != channels || b.dims[len(b.dims)-1] != int64(channels)) {
			return false, nil
		}
		beta := float64(floatAttribute(n, "beta", 1))
		for i := range bias {
			bias[i] = beta * float64(b.data[i%len(b.data)])
		}
	}
	for i := range w.data {
		c := i % columns
		if transposed {
			c = i / columns
		}
		w.data[i] = float32(float64(w.data[i]) * a.scale[c])
	}
	replaceWeights(m, x, n, w, a.apply(bias))
	if attribute(n, "beta") != nil {
		setAttribute(n, onnx.FloatAttribute("beta", 1))
	}
	return true, nil
}

// apply gives the folded bias for each channel's bias before the normalization.
func (a affine) apply(bias []float64) []float32 {
	out := make([]float32, len(bias))
	for i, b := range bias {
		out[i] = float32(a.scale[i]*b + a.shift[i])
	}
	return out
}

// weight is a constant's content, copied so that it can be changed.
type weight struct {
	name string
	dims []int64
	data []float32
}

// weights reads a float32 constant; false when the value is something else, which folding then leaves alone.
func weights(x *index, name string) (weight, bool, error) {
	t := x.constant[name]
	if t == nil || t.GetDataType() != int32(onnx.TensorProto_FLOAT) {
		return weight{}, false, nil
	}
	data, err := t.Float32s()
	return weight{name, slices.Clone(t.GetDims()), data}, err == nil, err
}

// replaceWeights gives a node its folded weight and bias. They take the name of the weight, and of the bias beside it,
// where nothing else uses that name.
func replaceWeights(m *onnx.ModelProto, x *index, n *onnx.NodeProto, w weight, bias []float32) {
	name := w.name
	if x.uses[name] > 1 || x.producer[name] != nil {
		name = x.unique(w.name + "_folded")
		x.uses[w.name]--
		x.uses[name]++
	}
	x.setConstant(m, onnx.NewFloat32(name, w.dims, w.data))
	n.Input[1] = name

	old := input(n, 2)
	biasName := old
	if old == "" || x.uses[old] > 1 || x.producer[old] != nil {
		base := name + "_bias"
		if stem, ok := strings.CutSuffix(name, "weight"); ok {
			base = stem + "bias"
		}
		biasName = x.unique(base)
		if old != "" {
			x.uses[old]--
		}
		x.uses[biasName]++
	}
	x.setConstant(m, onnx.NewFloat32(biasName, []int64{int64(len(bias))}, bias))
	n.Input = append(n.Input[:2], biasName)
}
