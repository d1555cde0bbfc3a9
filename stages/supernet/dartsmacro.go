package supernet

import (
	"errors"
	"fmt"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/pipeline"
)

// Stem is how a network begins. The DARTS space has StemCIFAR and StemImageNet; networks of other spaces begin with a 3x3 convolution and
// normalization, which in them is the empty Stem, or with one of the others.
type Stem string

const (
	// StemCIFAR is a 3x3 convolution to three times the channels, with normalization.
	StemCIFAR Stem = "cifar"
	// StemImageNet are three 3x3 convolutions of stride 2, to an eighth of the resolution.
	StemImageNet Stem = "imagenet"
	// StemPooled is a 3x3 convolution with normalization and a 2x2 max pool, so that cells run at half the resolution. Where time is
	// short, a cell at full resolution costs more than it gives.
	StemPooled Stem = "pooled"
	// StemDeep is two 3x3 convolutions with normalization, the first to half of the channels, and a 2x2 max pool.
	StemDeep Stem = "deep"
	// StemWhitened is a 2x2 convolution that whitens patches (see Whiten), ReLU, and a ReductionPooled to the channels.
	StemWhitened Stem = "whitened"
)

// Stems returns the names of all stems.
func Stems() []string {
	return []string{string(StemCIFAR), string(StemImageNet), string(StemPooled), string(StemDeep), string(StemWhitened)}
}

// DARTSMacro is the skeleton of the DARTS space (Liu, Simonyan and Yang, ICLR 2019; quark0/darts, cnn/model.py and
// model_search.py): a stem, Layers cells of which each takes the outputs of the two before it, global average pool and a
// linear layer. Cells Layers/3 and 2*Layers/3 are reduction cells: they halve the resolution and double the channels.
type DARTSMacro struct {
	Channels int    `json:"channels"` // channels of a node in the first cells; 16 in search, 36 and 48 in retraining
	Layers   int    `json:"layers"`   // cells; 8 in search, 20 and 14 in retraining
	Classes  int    `json:"classes"`
	Image    [3]int `json:"image"`          // channels, height, width of the input
	Stem     Stem   `json:"stem,omitempty"` // "" is StemCIFAR
}

// Check reports whether a network can be built on the skeleton, and all that is wrong with it. Errors about settings are
// *pipeline.SettingError.
func (m DARTSMacro) Check() error {
	var errs []error
	if m.Channels < 1 {
		errs = append(errs, &pipeline.SettingError{Path: "channels", Err: fmt.Errorf("%d channels; at least 1 is needed", m.Channels)})
	}
	if m.Layers < 1 {
		errs = append(errs, &pipeline.SettingError{Path: "layers", Err: fmt.Errorf("%d layers; at least 1 is needed", m.Layers)})
	}
	if m.Classes < 2 {
		errs = append(errs, fmt.Errorf("%d classes; a classifier needs at least 2", m.Classes))
	}
	step := 4 // both halvings want even sizes
	switch m.Stem {
	case StemImageNet:
		step = 32
		if m.Channels%2 != 0 {
			errs = append(errs, &pipeline.SettingError{Path: "channels", Err: fmt.Errorf("%d channels; the ImageNet stem begins with half of them, so give an even number", m.Channels)})
		}
	case StemCIFAR, "":
	default:
		errs = append(errs, &pipeline.SettingError{Path: "stem", Err: fmt.Errorf("unknown stem %q: known are %s and %s", m.Stem, StemCIFAR, StemImageNet)})
	}
	if m.Image[0] < 1 || m.Image[1] < 2*step || m.Image[2] < 2*step || m.Image[1]%step != 0 || m.Image[2]%step != 0 {
		errs = append(errs, fmt.Errorf("images of %d channels, %dx%d; at least one channel is needed, and height and width must be multiples of %d from %d up", m.Image[0], m.Image[1], m.Image[2], step, 2*step))
	}
	return errors.Join(errs...)
}

// place is where a cell stands in the skeleton.
type place struct {
	index       int
	channels    int // of a node
	reduce      bool
	afterReduce bool // the cell before it is a reduction cell, or the ImageNet stem
}

// places returns the places of all cells.
func (m DARTSMacro) places() []place {
	out := make([]place, m.Layers)
	c, after := m.Channels, m.Stem == StemImageNet
	for i := range out {
		reduce := i == m.Layers/3 || i == 2*m.Layers/3
		if reduce {
			c *= 2
		}
		out[i] = place{index: i, channels: c, reduce: reduce, afterReduce: after}
		after = reduce
	}
	return out
}

// darts writes the skeleton around the cells and returns the logits [N, classes], and those of the auxiliary head when
// there is one.
func (l *layers) darts(x *graph.Value, m DARTSMacro, auxiliary bool, cell func(p place, s0, s1 *graph.Value) *graph.Value) (logits, second *graph.Value) {
	g := x.Graph()
	s0, s1 := l.dartsStem(x, m)
	for _, p := range m.places() {
		done := g.Scope(fmt.Sprintf("cell%d", p.index))
		s0, s1 = s1, cell(p, s0, s1)
		done()
		if auxiliary && p.index == 2*m.Layers/3 {
			done := g.Scope("auxiliary")
			second = l.auxiliaryHead(s1, m)
			done()
		}
	}
	defer g.Scope("head")()
	return l.linear(graph.Flatten(graph.GlobalAveragePool(l.responds(s1)), 1), m.Classes), second
}

// linear is a linear layer of x [N, features].
func (l *layers) linear(x *graph.Value, out int) *graph.Value {
	g := x.Graph()
	w := l.param(g, "linear.weight", params.Linear, out, x.Dim(1))
	b := l.param(g, "linear.bias", params.Bias(x.Dim(1)), out)
	return graph.Gemm(x, w, b, graph.GemmConfig{TransB: true})
}

// dartsStem returns the two inputs of the first cell.
func (l *layers) dartsStem(x *graph.Value, m DARTSMacro) (s0, s1 *graph.Value) {
	g, c := x.Graph(), m.Channels
	layer := func(name string, x *graph.Value, out, stride int) *graph.Value {
		defer g.Scope(name)()
		return l.norm(l.conv(x, out, 3, stride), true, nil)
	}
	if m.Stem != StemImageNet {
		s := layer("stem", x, 3*c, 1)
		return s, s
	}
	s0 = layer("stem0/b", l.relu(layer("stem0/a", x, c/2, 2)), c, 2)
	return s0, layer("stem1", l.relu(s0), c, 2)
}

// auxiliaryHead classifies the features in the middle of the network. On CIFAR they are 8x8, on ImageNet 7x7; the reference
// code leaves the last normalization out on ImageNet.
func (l *layers) auxiliaryHead(x *graph.Value, m DARTSMacro) *graph.Value {
	g, stride := x.Graph(), 3
	if m.Stem == StemImageNet {
		stride = 2
	}
	if x.Dim(2) < 5 || x.Dim(3) < 5 {
		g.Fail("auxiliary head", fmt.Errorf("its 5x5 pool does not fit features of %dx%d; give larger images or leave the head out", x.Dim(2), x.Dim(3)))
		return graph.Flatten(x, 1)
	}
	x = graph.AveragePool(graph.Relu(x), graph.SquarePool(5, stride, 0))
	if x.Dim(2) != 2 || x.Dim(3) != 2 {
		g.Fail("auxiliary head", fmt.Errorf("its pool leaves %dx%d, the head is made for 2x2; images of 32x32 fit the stem %s and 224x224 the stem %s", x.Dim(2), x.Dim(3), StemCIFAR, StemImageNet))
		return graph.Flatten(x, 1)
	}
	done := g.Scope("conv_a")
	x = graph.Relu(l.norm(l.conv(x, 128, 1, 1), true, nil))
	done()
	done = g.Scope("conv_b")
	x = graph.Conv(x, l.param(g, "weight", params.Conv, 768, 128, 2, 2), nil, graph.ConvConfig{})
	if m.Stem != StemImageNet {
		x = l.norm(x, true, nil)
	}
	done()
	return l.linear(graph.Flatten(graph.Relu(x), 1), m.Classes)
}
