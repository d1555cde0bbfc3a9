package supernet

import (
	"errors"
	"fmt"
	"strings"

	"github.com/plateau-nas/plateau/exporter/autodiff"
	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/params"
)

// Names of the inputs and outputs of Sensitivity and Flow, beside ParamsGradient, which is that of the loss, or in Flow of the sum of the
// logits.
const (
	Direction = "direction" // float32 [parameters]
	Curvature = "curvature" // float32 [parameters], the Hessian of the loss times the direction
	Jacobian  = "jacobian"  // float32 [batch, channels*height*width], gradient of the sum of the logits by the images
	Fisher    = "fisher"    // float32 [layers], see Sensitivity.Fisher
	Seed      = "seed"      // float32 [1], the gradient of each logit that Flow begins with
)

// Sensitivity says which derivatives of an untrained network are computed.
type Sensitivity struct {
	Batch    int
	Gradient bool // of the loss by the weights: ParamsGradient
	// Curvature is the product of the Hessian of the loss by the weights of convolutions and the linear layer with Direction, of
	// which only the elements at these weights are read; the others of the product are zero.
	Curvature bool
	Jacobian  bool
	// Fisher gives for each convolution and linear layer half the mean over the images of the squares of (sum over positions of
	// activation times its gradient), summed over the channels, times the number of weights that a channel has.
	Fisher bool
	// Patterns gives Agreements and Codes of what activations are given.
	Patterns bool
	// Spread gives Covariances of the blocks of Macro.BlockShapes, and Transfer, for the inputs Signs, their Transfers. The DARTS space,
	// whose cells have two inputs, has none.
	Spread, Transfer bool
	// Response gives what the global pool is given, and Variances.
	Response bool
}

// watch returns what notes the values that patterns and spectra are of; nil where there are none.
func (s Sensitivity) watch() *watch {
	if s.Patterns || s.Spread || s.Transfer || s.Response {
		return &watch{response: s.Response}
	}
	return nil
}

// write builds the network on x and returns its logits.
func (n Network) write(x *graph.Value, l *layers) (*graph.Value, error) {
	gt, ok, err := n.Genotype()
	if err != nil {
		return nil, err
	}
	if ok {
		logits, _ := l.darts(x, gt.Macro, false, l.genotypeCell(gt.Genotype, nil))
		return logits, nil
	}
	s, a, err := n.resolve()
	if err != nil {
		return nil, err
	}
	return l.network(x, n.Macro, s, a), nil
}

// Sensitivity returns derivatives of the network at the weights that it is given, normalization using the statistics of the
// batch: what zero-cost proxies are made of. Its inputs are images, params, with Gradient, Curvature or Fisher also labels,
// with Curvature the direction, and with Transfer the signs; its outputs are what s asks for. It also returns what patterns
// and variances are of.
func (n Network) Sensitivity(s Sensitivity) (*onnx.ModelProto, Watched, error) {
	wrap := func(err error) error { return fmt.Errorf("network %s: sensitivity: %w", n.Architecture, err) }
	index, _, err := n.Indexes()
	if err != nil {
		return nil, Watched{}, err
	}
	g := graph.New("sensitivity")
	x := inputImages(g, s.Batch, n.Macro)
	flat := params.NewFlat(index, g.Input(Params, graph.Float32, []int{index.Total()}, "All weights, in the order of the parameter index."))
	l := &layers{params: flat, plain: true, watch: s.watch()} // the proxies look at the results of convolutions
	logits, err := n.write(x, l)
	if err != nil {
		return nil, Watched{}, err
	}
	if err := s.derive(g, index, flat.Values(), x, logits, l.watch); err != nil {
		return nil, Watched{}, wrap(err)
	}
	m, err := g.Model(graph.ModelOptions{Doc: "Derivatives of an untrained network.", Metadata: n.metadata(g)})
	if err != nil {
		return nil, Watched{}, wrap(err)
	}
	return m, l.watch.list(), nil
}

// derive writes what s asks for of a network from x to logits. weights, in the order of the index, are needed for derivatives by them.
func (s Sensitivity) derive(g *graph.Graph, index *params.Index, weights []*graph.Value, x, logits *graph.Value, w *watch) error {
	layersOf := weighted(g)
	if s.Gradient || s.Curvature || s.Fisher {
		loss := objective(g, logits, 0)
		wrt := append([]*graph.Value{}, weights...)
		if s.Fisher {
			for _, l := range layersOf {
				wrt = append(wrt, l.Outputs[0])
			}
		}
		grads, err := autodiff.Gradients([]*graph.Value{loss}, nil, wrt)
		if err != nil {
			return err
		}
		if s.Gradient {
			g.Output(ParamsGradient, index.Pack(grads[:index.Len()]), "Gradient of the loss by the weights.")
		}
		if s.Fisher {
			g.Output(Fisher, fisher(g, layersOf, grads[index.Len():]), "What each layer has of Fisher information.")
		}
		if s.Curvature {
			product, err := curvature(g, index, weights, grads[:index.Len()])
			if err != nil {
				return err
			}
			g.Output(Curvature, product, "Hessian of the loss times the direction.")
		}
	}
	if s.Jacobian {
		grads, err := autodiff.Gradients([]*graph.Value{logits}, []*graph.Value{g.Fill(1, logits.Shape()...)}, []*graph.Value{x})
		if err != nil {
			return err
		}
		g.Output(Jacobian, graph.Flatten(grads[0], 1), "Gradient of the sum of the logits by the images.")
	}
	if s.Patterns {
		w.patterns(g)
	}
	if (s.Spread || s.Transfer) && len(w.blocks) < 2 {
		return errors.New("the skeleton has no blocks that follow each other")
	}
	if s.Spread {
		w.covariances(g)
	}
	if s.Response {
		w.responses(g)
	}
	if s.Transfer {
		return w.transfers(g)
	}
	return nil
}

// weighted returns the convolutions and linear layers that the graph has so far.
func weighted(g *graph.Graph) []*graph.Node {
	var out []*graph.Node
	for _, n := range g.Nodes() {
		if n.Op == "Conv" || n.Op == "Gemm" {
			out = append(out, n)
		}
	}
	return out
}

// fisher joins the Fisher information of layers, given the gradients of their results.
func fisher(g *graph.Graph, layers []*graph.Node, grads []*graph.Value) *graph.Value {
	defer g.Scope("fisher")()
	out := make([]*graph.Value, len(layers))
	for i, l := range layers {
		y := l.Outputs[0]
		each := graph.Mul(y, grads[i])
		if y.Rank() > 2 {
			each = graph.ReduceSum(each, false, 2, 3)
		}
		perChannel := float32(l.Inputs[1].Size() / y.Dim(1))
		sum := graph.Reshape(graph.ReduceSumSquare(each, false), 1)
		out[i] = graph.Mul(sum, g.Scalar(perChannel/float32(2*y.Dim(0))))
	}
	return graph.Concat(0, out...)
}

// curvature is the gradient of the product of gradients and direction by the weights of layers.
func curvature(g *graph.Graph, index *params.Index, weights, grads []*graph.Value) (*graph.Value, error) {
	defer g.Scope("curvature")()
	direction := index.Unpack(g.Input(Direction, graph.Float32, []int{index.Total()}, "What the Hessian is multiplied with, in the order of the parameter index."))
	var dots, wrt []*graph.Value
	for i, p := range index.All() {
		if IsLayerWeight(p) {
			dots = append(dots, graph.Reshape(graph.ReduceSum(graph.Mul(grads[i], direction[i]), false), 1))
			wrt = append(wrt, weights[i])
		}
	}
	second, err := autodiff.Gradients([]*graph.Value{graph.Sum(dots...)}, nil, wrt)
	if err != nil {
		return nil, err
	}
	out := make([]*graph.Value, index.Len())
	next := 0
	for i, p := range index.All() {
		if IsLayerWeight(p) {
			out[i] = second[next]
			next++
		} else {
			out[i] = g.Fill(0, p.Shape...)
		}
	}
	return index.Pack(out), nil
}

// IsLayerWeight reports whether a parameter is the weight of a convolution or linear layer: not a bias, nor one of a
// normalization.
func IsLayerWeight(p params.Parameter) bool { return p.Init == params.Conv || p.Init == params.Linear }

// Flow returns the gradient of the sum of the logits of one image by the weights, of the network without its normalizations:
// images [1, channels, height, width], params and seed give grad_params. The elements of params and grad_params that belong to
// normalizations mean nothing.
func (n Network) Flow() (*onnx.ModelProto, error) {
	index, _, err := n.Indexes()
	if err != nil {
		return nil, err
	}
	g := graph.New("flow")
	x := inputImages(g, 1, n.Macro)
	flat := params.NewFlat(index, g.Input(Params, graph.Float32, []int{index.Total()}, "All weights, in the order of the parameter index."))
	// A normalization by mean 0 and variance 1 leaves everything as it is.
	logits, err := n.write(x, &layers{params: idle{flat, g}, running: idle{flat, g}})
	if err != nil {
		return nil, err
	}
	seed := g.Input(Seed, graph.Float32, []int{1}, "Gradient of each logit.")
	grads, err := autodiff.Gradients([]*graph.Value{logits}, []*graph.Value{graph.Expand(graph.Reshape(seed, 1, 1), logits.Shape()...)}, flat.Values())
	if err != nil {
		return nil, fmt.Errorf("network %s: flow: %w", n.Architecture, err)
	}
	g.Output(ParamsGradient, index.Pack(grads), "Gradient of the sum of the logits by the weights.")
	m, err := g.Model(graph.ModelOptions{Doc: "How much flows through the weights of a network without normalization.", Metadata: n.metadata(g)})
	if err != nil {
		return nil, fmt.Errorf("network %s: flow: %w", n.Architecture, err)
	}
	return m, nil
}

// idle binds the parameters and statistics of normalizations to constants with which they do nothing.
type idle struct {
	params.Binder
	graph *graph.Graph
}

// Param implements params.Binder.
func (b idle) Param(name string, init params.Init, shape ...int) *graph.Value {
	switch {
	case init == params.Zeros:
		return b.graph.Fill(0, shape...)
	case init != params.Ones:
		return b.Binder.Param(name, init, shape...)
	case isRunning(name):
		return b.graph.Fill(1-graph.DefaultEpsilon, shape...)
	}
	return b.graph.Fill(1, shape...)
}

// isRunning tells a running variance from the scale of a normalization.
func isRunning(name string) bool { return strings.HasSuffix(name, ".running_var") }
