package supernet

import (
	"fmt"
	"strings"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/params"
)

// runningMomentum is the share of the old value that a running statistic keeps each step: PyTorch's
// default momentum of 0.1, which weighs the new one.
const runningMomentum = 0.9

// layers writes the layers of a network. One of them is used for one network.
type layers struct {
	params params.Binder
	// parts is Macro.Partial: the operations of the cells are given one in so many channels. 0 and 1 are all.
	parts int
	// running binds the running statistics. When it is nil, normalization uses the statistics of the batch.
	running params.Binder
	// statistics of the batch, in the order in which running would bind them; collected when running is nil.
	statistics []statistic
	// copied makes the relaxed DARTS cell copy a state for each edge that leaves it (see spread).
	copied bool
	// plain leaves convolutions of small images as they are (see convolve).
	plain bool
	// pointwise normalizes the 1x1 convolutions of joined cells by the statistics of their input (see normalizedPointwise).
	pointwise bool
	// dual leaves normalizations out and carries derivatives through the layers, which are constants (see PathFlow).
	dual bool
	// watch, when not nil, notes what proxies look at.
	watch *watch
}

// statistic is a batch statistic and the name under which its running average is kept.
type statistic struct {
	name  string
	value *graph.Value
	// unbias is what the value is multiplied with before it enters the average: n/(n-1) for the variance, as
	// in PyTorch, since ONNX returns the variance of the population.
	unbias float32
	init   params.Init
}

// param declares a parameter under the name of the open scopes.
func (l *layers) param(g *graph.Graph, leaf string, init params.Init, shape ...int) *graph.Value {
	return l.params.Param(parameterName(g, leaf), init, shape...)
}

func parameterName(g *graph.Graph, leaf string) string {
	return strings.ReplaceAll(g.ScopePath(), "/", ".") + "." + leaf
}

// conv is a convolution without bias and with same padding. Its weight is declared as "weight".
func (l *layers) conv(x *graph.Value, out, kernel, stride int) *graph.Value {
	g := x.Graph()
	w := l.param(g, "weight", params.Conv, out, x.Dim(1), kernel, kernel)
	return l.convolve(x, w, graph.Same(kernel, stride, 1, 1))
}

// The numbers of pixels up to which convolutions are taken as matrix products: 16x16 with 3x3 kernels, where they are up to twice as
// fast with their gradients, at 4x4 five times; 8x8 for depthwise ones.
const (
	smallImage = 256
	smallPlane = 64
)

// convolve is a convolution without bias, by the way that is fastest for it with its gradients. Constant weights, as in
// evaluation, are for the runtime's own layout.
func (l *layers) convolve(x, w *graph.Value, c graph.ConvConfig) *graph.Value {
	height, width := x.Dim(2), x.Dim(3)
	pixels, kernel := height*width, [2]int{w.Dim(2), w.Dim(3)}
	switch {
	case l.plain || w.IsConstant() || c.Stride != [2]int{1, 1}:
	case w.Dim(1) == 1 && c.Groups > 1:
		if kernel != [2]int{1, 1} && pixels <= smallPlane {
			return graph.DepthwiseByPlanes(x, w, c)
		}
	case kernel != [2]int{3, 3} || pixels > smallImage || c != graph.Same(3, 1, 1, 1):
	case min(height, width) >= graph.WinogradTile:
		return graph.ConvWinograd(x, w)
	case pixels <= graph.WinogradTile*graph.WinogradTile:
		return graph.ConvByProducts(x, w, c)
	}
	return l.carried(graph.Conv(x, w, nil, c))
}

// norm is batch normalization. Without affine it has no parameters; scale, when not nil, is a factor for all
// channels (of one element), which costs nothing here.
func (l *layers) norm(x *graph.Value, affine bool, scale *graph.Value) *graph.Value {
	if l.dual {
		return x
	}
	g := x.Graph()
	defer g.Scope("bn")()
	c := x.Dim(1)
	gamma, beta := g.Fill(1, c), g.Fill(0, c)
	switch {
	case affine && scale != nil:
		g.Fail("BatchNorm", fmt.Errorf("an affine normalization cannot also be scaled"))
	case affine:
		gamma, beta = l.param(g, "weight", params.Ones, c), l.param(g, "bias", params.Zeros, c)
	case scale != nil:
		gamma = graph.Expand(scale, c)
	}
	if l.running != nil {
		mean := l.running.Param(parameterName(g, runningMean), params.Zeros, c)
		variance := l.running.Param(parameterName(g, runningVariance), params.Ones, c)
		return graph.BatchNorm(x, gamma, beta, mean, variance, graph.DefaultEpsilon)
	}
	zero := g.Fill(0, c)
	y, mean, variance := graph.BatchNormTrain(x, gamma, beta, zero, zero, graph.DefaultEpsilon, 0)
	l.observe(mean, variance, x.Size()/c)
	return y
}

// The names of running statistics.
const (
	runningMean     = "running_mean"
	runningVariance = "running_var"
)

// observe keeps the statistics of a batch of n elements a channel under the names that their averages have.
func (l *layers) observe(mean, variance *graph.Value, n int) {
	l.normalizes(variance, n)
	g := mean.Graph()
	l.statistics = append(l.statistics,
		statistic{parameterName(g, runningMean), mean, 1, params.Zeros},
		statistic{parameterName(g, runningVariance), variance, float32(n) / float32(max(n-1, 1)), params.Ones})
}

// reluConvNorm is ReLU, convolution, normalization.
func (l *layers) reluConvNorm(x *graph.Value, out, kernel, stride int, affine bool, scale *graph.Value) *graph.Value {
	return l.norm(l.conv(l.relu(x), out, kernel, stride), affine, scale)
}

// residual halves the resolution and sets the number of channels.
func (l *layers) residual(x *graph.Value, out int) *graph.Value {
	g := x.Graph()
	in := func(name string, f func() *graph.Value) *graph.Value {
		defer g.Scope(name)()
		return f()
	}
	a := in("conv_a", func() *graph.Value { return l.reluConvNorm(x, out, 3, 2, true, nil) })
	b := in("conv_b", func() *graph.Value { return l.reluConvNorm(a, out, 3, 1, true, nil) })
	s := in("shortcut", func() *graph.Value { return l.conv(graph.AveragePool(x, graph.SquarePool(2, 2, 0)), out, 1, 1) })
	return graph.Add(b, s)
}

// pooled halves the resolution and sets the number of channels. No ReLU is behind it, since the operations of cells begin with one.
func (l *layers) pooled(x *graph.Value, out int) *graph.Value {
	return l.norm(graph.MaxPool(l.conv(x, out, 3, 1), graph.SquarePool(2, 2, 0)), true, nil)
}

// macro writes the skeleton around the cells and returns the logits [N, classes].
func (l *layers) macro(x *graph.Value, m Macro, cell func(x *graph.Value) *graph.Value) *graph.Value {
	x = l.stem(x, m)
	l.block(x)
	return l.body(x, m, cell)
}

// stem is what comes before the first cell.
func (l *layers) stem(x *graph.Value, m Macro) *graph.Value {
	g := x.Graph()
	defer g.Scope("stem")()
	if m.Stem == StemWhitened {
		return l.pooled(l.relu(l.patches(x)), m.Channels)
	}
	if m.Stem == StemDeep {
		done := g.Scope("first")
		x = graph.Relu(l.norm(l.conv(x, (m.Channels+1)/2, 3, 1), true, nil))
		done()
	}
	x = l.norm(l.conv(x, m.Channels, 3, 1), true, nil)
	if m.stride() == 1 {
		return x
	}
	return graph.MaxPool(x, graph.SquarePool(2, 2, 0))
}

// body is everything after the stem.
func (l *layers) body(x *graph.Value, m Macro, cell func(x *graph.Value) *graph.Value) *graph.Value {
	g := x.Graph()
	in := func(name string, f func() *graph.Value) *graph.Value {
		defer g.Scope(name)()
		return f()
	}
	c := m.Channels
	for stage := range m.stages() {
		for i := range m.Cells {
			x = in(fmt.Sprintf("stage%d/cell%d", stage, i), func() *graph.Value { return cell(x) })
			l.block(x)
		}
		if stage < m.stages()-1 {
			c *= 2
			x = in(fmt.Sprintf("reduction%d", stage), func() *graph.Value {
				if m.Reduction == ReductionPooled {
					return l.pooled(l.relu(x), c)
				}
				return l.residual(x, c)
			})
			l.block(x)
		}
	}
	return in("head", func() *graph.Value {
		x := graph.Flatten(graph.GlobalAveragePool(l.responds(l.relu(l.norm(x, true, nil)))), 1)
		w := l.param(g, "linear.weight", params.Linear, m.Classes, c)
		b := l.param(g, "linear.bias", params.Bias(c), m.Classes)
		return l.carried(graph.Gemm(x, w, b, graph.GemmConfig{TransB: true}))
	})
}
