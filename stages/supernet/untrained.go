package supernet

import (
	"fmt"
	"math"
	"strings"

	"github.com/plateau-nas/plateau/exporter/autodiff"
	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/stages/space"
)

// HasPathJacobian reports whether PathJacobian computes what the networks of the space compute: where a layer of a network is one
// of the supernet by name and shape. In the DARTS space the supernet keeps the layers of edges together.
func (sn *Supernet) HasPathJacobian() bool { return !sn.Space.Pairs && sn.Macro.Partial <= 1 }

// PathJacobian is Network.Sensitivity's Jacobian of every architecture in one graph, with the weights inside: images and choices
// give jacobian. weights are those of the supernet, in the order of its index. What it computes is a stand-alone
// network's as long as the normalizations of that have their first scale and bias, 1 and 0.
func (sn *Supernet) PathJacobian(batch int, weights []float32) (*onnx.ModelProto, error) {
	wrap := func(err error) error { return fmt.Errorf("supernet of %s: jacobian: %w", sn.Space.Name, err) }
	g := graph.New("jacobian")
	if !sn.HasPathJacobian() {
		return nil, wrap(fmt.Errorf("networks of the space do not have the supernet's layers"))
	}
	x := inputImages(g, batch, sn.Macro)
	// The proxies look at tiny eigenvalues: convolutions are computed as they are defined.
	l := &layers{params: params.NewConst(g, sn.Index, weights), plain: true}
	logits := l.macro(x, sn.Macro, l.pathCell(sn.Space, sn.choices(g)))
	grads, err := autodiff.Gradients([]*graph.Value{logits}, []*graph.Value{g.Fill(1, logits.Shape()...)}, []*graph.Value{x})
	if err != nil {
		return nil, wrap(err)
	}
	g.Output(Jacobian, graph.Flatten(grads[0], 1), "Gradient of the sum of the logits by the images.")
	return sn.finish(g, "Gradients of an untrained architecture by its images; normalization uses the statistics of the batch.")
}

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
	return sn.HasPathJacobian()
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
