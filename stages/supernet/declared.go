package supernet

import (
	"fmt"
	"strings"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/stages/space"
)

// named applies an operation by its name (space.ParseOperation) to x, with stride 1. scale, when not nil, is a factor of a
// convolution's result. Its result is nil for "none".
func (l *layers) named(name string, x *graph.Value, affine bool, scale *graph.Value) *graph.Value {
	g := x.Graph()
	o, err := space.ParseOperation(name)
	if err != nil {
		g.Fail("cell", err)
		return x
	}
	switch o.Kind {
	case "none":
		return nil
	case "skip_connect":
		return x
	case "avg_pool":
		return graph.AveragePool(x, graph.SquarePool(o.Kernel, 1, o.Kernel/2))
	case "max_pool":
		return graph.MaxPool(x, graph.SquarePool(o.Kernel, 1, o.Kernel/2))
	case "nor_conv":
		w := l.param(g, "weight", params.Conv, x.Dim(1), x.Dim(1), o.Kernel, o.Kernel)
		return l.norm(l.convolve(l.activate(x, o.Activation), w, graph.Same(o.Kernel, 1, o.Dilation, 1)), affine, scale)
	case "dep_conv", "dil_conv":
		return l.separable(l.activate(x, o.Activation), 1, o.Kernel, 1, o.Dilation, affine, scale)
	case "sep_conv":
		done := g.Scope("a")
		x = l.separable(l.activate(x, o.Activation), 1, o.Kernel, 1, o.Dilation, affine, nil)
		done()
		defer g.Scope("b")()
		return l.separable(l.activate(x, o.Activation), 1, o.Kernel, 1, o.Dilation, affine, scale)
	}
	g.Fail("cell", fmt.Errorf("operations of the kind %q are not built", o.Kind))
	return x
}

// scales reports whether named takes a factor for an operation, which costs nothing there.
func scales(operation string) bool {
	o, err := space.ParseOperation(operation)
	return err == nil && strings.HasSuffix(o.Kind, "_conv")
}

func (l *layers) activate(x *graph.Value, name string) *graph.Value {
	l.activates(x)
	switch name {
	case "hardswish":
		return graph.HardSwish(x)
	case "swish":
		return graph.Swish(x)
	case "gelu":
		return graph.Gelu(x)
	}
	return graph.Relu(x)
}

// joins reports whether joinedCell knows all convolutions of a space.
func joins(s *space.Space) bool {
	for _, op := range s.Operations {
		if scales(op) && kernelOf(op) == 0 {
			return false
		}
	}
	return true
}
