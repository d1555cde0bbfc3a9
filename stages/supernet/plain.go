package supernet

import (
	"errors"
	"fmt"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/space"
)

// plainHalvings is how often ResNet-9 halves the resolution before its last pool.
const plainHalvings = 3

// checkPlain is CheckFor for the networks of space.Plain.
func (m Macro) checkPlain(s *space.Space) error {
	var errs []error
	only := func(given bool, path string) {
		if given {
			errs = append(errs, &pipeline.SettingError{Path: path, Err: fmt.Errorf("networks of the space %s have channels, which are their width, and nothing else to choose; leave the setting out", s.Name)})
		}
	}
	if m.Channels < 1 {
		errs = append(errs, &pipeline.SettingError{Path: "channels", Err: fmt.Errorf("%d channels; at least 1 is needed", m.Channels)})
	}
	only(m.Cells != 1, "cells")
	only(m.stages() != DefaultStages, "stages")
	only(m.Stem != "", "stem")
	only(m.Reduction != "", "reduction")
	only(m.Partial > 1, "partial")
	if m.Classes < 2 {
		errs = append(errs, fmt.Errorf("%d classes; a classifier needs at least 2", m.Classes))
	}
	if least := 1 << plainHalvings; m.Image[0] < 1 || m.Image[1] < least || m.Image[2] < least {
		errs = append(errs, fmt.Errorf("images of %d channels, %dx%d; at least one channel and %dx%d pixels are needed", m.Image[0], m.Image[1], m.Image[2], least, least))
	}
	return errors.Join(errs...)
}

// plainNetwork writes a network of space.Plain and returns its logits.
func (l *layers) plainNetwork(name string, x *graph.Value, m Macro) *graph.Value {
	if name != space.ResNet9 {
		x.Graph().Fail("network", fmt.Errorf("the network %q is not built", name))
		return x
	}
	return l.resnet9(x, m)
}

// resnet9 is the network of Page, "How to train your ResNet" (2018), which led DAWNBench on CIFAR-10: a convolution to width
// Channels; three of twice the channels each, with a max pool that halves the resolution, of which the first and the third end
// with a residual block of two convolutions; a max pool over what is left and a linear layer. Every convolution is 3x3 without bias,
// with batch normalization and ReLU behind it. The factor of 1/8 on Page's logits is left out.
func (l *layers) resnet9(x *graph.Value, m Macro) *graph.Value {
	g := x.Graph()
	in := func(name string, f func() *graph.Value) *graph.Value {
		defer g.Scope(name)()
		return f()
	}
	convolution := func(name string, x *graph.Value, out int) *graph.Value {
		return in(name, func() *graph.Value { return l.relu(l.norm(l.conv(x, out, 3, 1), true, nil)) })
	}
	layer := func(name string, out int, residual bool) {
		x = in(name, func() *graph.Value {
			y := graph.MaxPool(convolution("widen", x, out), graph.SquarePool(2, 2, 0))
			if residual {
				y = graph.Add(y, convolution("residual_b", convolution("residual_a", y, out), out))
			}
			return y
		})
	}
	c := m.Channels
	x = convolution("prep", x, c)
	layer("layer1", 2*c, true)
	layer("layer2", 4*c, false)
	layer("layer3", 8*c, true)
	return in("head", func() *graph.Value {
		top := graph.MaxPool(l.responds(x), graph.PoolConfig{Kernel: [2]int{x.Dim(2), x.Dim(3)}})
		w := l.param(g, "linear.weight", params.Linear, m.Classes, 8*c)
		b := l.param(g, "linear.bias", params.Bias(8*c), m.Classes)
		return graph.Gemm(graph.Flatten(top, 1), w, b, graph.GemmConfig{TransB: true})
	})
}
