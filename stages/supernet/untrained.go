package supernet

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/stages/space"
)

// HasPathSensitivity reports whether PathSensitivity can compute the networks of the space: where a layer of a network is one of the
// supernet by name and shape. In the DARTS space the supernet keeps the layers of edges together, and
// whole networks have no supernet. Patterns and variances are to be seen
// only where operations have one activation, at their beginning, and one normalization.
func (sn *Supernet) HasPathSensitivity(s Sensitivity) bool {
	if sn.Space.Pairs || sn.Space.Whole || sn.Macro.Partial > 1 || s.Curvature || s.Fisher {
		return false
	}
	return !s.Patterns && !s.Response || !slices.ContainsFunc(sn.Space.Operations, func(name string) bool {
		o, err := space.ParseOperation(name)
		return err != nil || o.Kind == "sep_conv"
	})
}

// PathSensitivity is Network.Sensitivity for every architecture in one graph, which is also given the choices. weights are those of
// the supernet, in the order of its index; they lie inside the graph, unless it has their gradient: then they are the input params. What it
// computes is a stand-alone network's as long as the normalizations of that have their first scale and bias, 1 and 0.
func (sn *Supernet) PathSensitivity(s Sensitivity, weights []float32) (*onnx.ModelProto, Watched, error) {
	wrap := func(err error) error { return fmt.Errorf("supernet of %s: sensitivity: %w", sn.Space.Name, err) }
	if !sn.HasPathSensitivity(s) {
		return nil, Watched{}, wrap(errors.New("what is asked for is not the same in a supernet"))
	}
	g := graph.New("sensitivity")
	x := inputImages(g, s.Batch, sn.Macro)
	choices := sn.choices(g)
	l := &layers{plain: true, watch: s.watch()} // the proxies look at the results of convolutions
	var values []*graph.Value
	if s.Gradient {
		flat := params.NewFlat(sn.Index, g.Input(Params, graph.Float32, []int{sn.Index.Total()}, "All shared weights, in the order of the parameter index."))
		l.params, values = flat, flat.Values()
	} else {
		l.params = params.NewConst(g, sn.Index, weights)
	}
	logits := l.macro(x, sn.Macro, l.pathCell(sn.Space, choices))
	if err := s.derive(g, sn.Index, values, x, logits, l.watch); err != nil {
		return nil, Watched{}, wrap(err)
	}
	m, err := sn.finish(g, "Derivatives of an untrained architecture; normalization uses the statistics of the batch.")
	return m, l.watch.list(), err
}

// Activates reports whether an operation begins with an activation.
func Activates(operation string) bool { return scales(operation) }

// choices declares the input that tells the architecture.
func (sn *Supernet) choices(g *graph.Graph) *graph.Value {
	return g.Input(Choices, graph.Int64, []int{len(sn.Space.Edges)}, "The operation on each edge, as its place in the list of operations.")
}

// Flowing is the output of PathFlow: float32 [1, classes].
const Flowing = "flowing"

// HasPathFlow reports whether PathFlow can compute the networks of the space: where every operation is linear for what is
// nowhere negative.
func (sn *Supernet) HasPathFlow() bool {
	for _, name := range sn.Space.Operations {
		o, err := space.ParseOperation(name)
		if err != nil || o.Kind == "max_pool" || o.Activation != "" && o.Activation != space.Activations()[0] {
			return false
		}
	}
	return sn.HasPathSensitivity(Sensitivity{})
}

// PathFlow tells for every architecture how much flows through the weights of its layers (Network.Flow), with the weights inside:
// an image that is nowhere negative, [1, channels, height, width], and choices give for each class the sum over the weights of
// |w| times the gradient of the logit by it, in the network with |w| for its weights and without normalization. The sum over the
// classes is the proxy synflow.
//
// It takes no backward pass. The sum over a layer's weights of w dR/dw is the derivative of R by a factor t of the whole
// layer at t = 1. So with R(t), all layers having the factor t, the sum over all layers is dR/dt, which is carried forward
// beside R: a layer maps the value v and its derivative d to W v and W d + W v. Since nothing is negative, ReLU changes neither. v and
// d are a batch of two images.
func (sn *Supernet) PathFlow(weights []float32) (*onnx.ModelProto, error) {
	g := graph.New("flow")
	if !sn.HasPathFlow() {
		return nil, fmt.Errorf("supernet of %s: flow: an operation of the space is not linear", sn.Space.Name)
	}
	x := inputImages(g, 1, sn.Macro)
	absolute := make([]float32, len(weights))
	for i, w := range weights {
		absolute[i] = float32(math.Abs(float64(w)))
	}
	l := &layers{params: unbiased{params.NewConst(g, sn.Index, absolute), g}, plain: true, dual: true}
	both := graph.Concat(0, x, g.Fill(0, x.Shape()...))
	logits := l.macro(both, sn.Macro, l.pathCell(sn.Space, sn.choices(g)))
	g.Output(Flowing, graph.Slice(logits, graph.Range{Axis: 0, Start: 1, End: 2}), "Sum over the weights of weight times gradient of the logit.")
	return sn.finish(g, "How much flows through the weights of an architecture without normalization.")
}

// unbiased binds biases to zero: they are no weights of layers, and what flows does not begin in them.
type unbiased struct {
	params.Binder
	graph *graph.Graph
}

// Param implements params.Binder.
func (b unbiased) Param(name string, init params.Init, shape ...int) *graph.Value {
	if strings.HasSuffix(name, ".bias") {
		return b.graph.Fill(0, shape...)
	}
	return b.Binder.Param(name, init, shape...)
}

// carried adds the value of a layer's result to its derivative, where one is carried (see PathFlow).
func (l *layers) carried(y *graph.Value) *graph.Value {
	if !l.dual {
		return y
	}
	sum := y.Graph().Floats([]float32{1, 0, 1, 1}, 2, 2)
	return graph.Reshape(graph.MatMul(sum, graph.Reshape(y, 2, -1)), y.Shape()...)
}
