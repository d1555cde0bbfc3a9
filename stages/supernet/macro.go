package supernet

import (
	"errors"
	"fmt"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/space"
)

// Macro is the skeleton of NAS-Bench-201 (Dong and Yang, ICLR 2020): a 3x3 convolution to Channels; three stages of Cells
// equal cells at Channels, 2*Channels and 4*Channels; a residual block of stride 2 between them; batch normalization, ReLU,
// global average pool and a linear layer. For the DARTS space it stands for a DARTSMacro.
type Macro struct {
	Channels int    `json:"channels"` // channels of the first stage; the benchmark uses 16
	Cells    int    `json:"cells"`    // cells a stage, the benchmark uses 5; in the DARTS space cells in all, its layers
	Classes  int    `json:"classes"`
	Image    [3]int `json:"image"`          // channels, height, width of the input
	Stem     Stem   `json:"stem,omitempty"` // "" is the space's own; see StemFor
	// Reduction is what lies between stages: ReductionResidual, which "" stands for, or ReductionPooled. The DARTS space has reduction
	// cells of its own.
	Reduction Reduction `json:"reduction,omitempty"`
	// Stages is the number of stages, of which each has twice the channels and half the resolution of the one before; 0 is
	// the 3 of the benchmark. The DARTS space has 3.
	Stages int `json:"stages,omitempty"`
	// Partial is for supernets: the operations of a cell are given one in so many channels, and the others go past them (PC-DARTS,
	// see partial.go). 0 and 1 are all channels.
	Partial int `json:"partial,omitempty"`
}

// Reduction halves the resolution and doubles the channels between the stages of a skeleton.
type Reduction string

const (
	// ReductionResidual is the block of NAS-Bench-201: two 3x3 convolutions, the first of stride 2, and a 1x1 convolution past them.
	ReductionResidual Reduction = "residual"
	// ReductionPooled is one 3x3 convolution, a 2x2 max pool and normalization. It looks at twice the resolution for half of the
	// multiply-adds, and shallow networks of it are trained in few epochs; Page's ResNet-9 has it, and Jordan's networks ("94% on
	// CIFAR-10 in 3.29 Seconds on a Single GPU", 2024, arXiv 2404.00498).
	ReductionPooled Reduction = "pooled"
)

// Reductions returns the names of all reductions.
func Reductions() []string { return []string{string(ReductionResidual), string(ReductionPooled)} }

// ReductionFor returns the reduction that a setting of this name means: residual is the usual one.
func ReductionFor(name string) Reduction {
	if name == string(ReductionResidual) {
		return ""
	}
	return Reduction(name)
}

func (m Macro) stages() int {
	if m.Stages == 0 {
		return DefaultStages
	}
	return m.Stages
}

// The number of stages of a skeleton.
const (
	DefaultStages = 3
	maxStages     = 6
)

// CheckFor is Check for the networks of a space. A mistake in Stem is a *pipeline.SettingError too.
func (m Macro) CheckFor(s *space.Space) error {
	if s.Whole {
		return m.checkPlain(s)
	}
	if !s.Pairs {
		err := errors.Join(m.Check(), m.checkPartial(s))
		if m.Stem != "" && m.stride() == 1 {
			err = errors.Join(err, &pipeline.SettingError{Path: "stem", Err: fmt.Errorf("%q is no stem of the space %s, which has %s, %s and %s; leave the setting out for a 3x3 convolution alone", m.Stem, s.Name, StemPooled, StemDeep, StemWhitened)})
		}
		if m.Reduction != "" && m.Reduction != ReductionPooled {
			err = errors.Join(err, pipeline.UnknownValue("reduction", string(m.Reduction), Reductions()))
		}
		return err
	}
	var errs []error
	if m.stages() != DefaultStages {
		errs = append(errs, &pipeline.SettingError{Path: "stages", Err: fmt.Errorf("%d stages; networks of the space %s have %d, so leave the setting out", m.Stages, s.Name, DefaultStages)})
	}
	if m.Reduction != "" {
		errs = append(errs, &pipeline.SettingError{Path: "reduction", Err: fmt.Errorf("networks of the space %s have reduction cells of their own, so leave the setting out", s.Name)})
	}
	for _, err := range flatten(m.DARTS().Check()) {
		if se := new(pipeline.SettingError); errors.As(err, &se) && se.Path == "layers" {
			err = &pipeline.SettingError{Path: "cells", Err: fmt.Errorf("%d cells; at least 1 is needed", m.Cells)}
		}
		errs = append(errs, err)
	}
	return errors.Join(append(errs, m.checkPartial(s))...)
}

// StemFor returns the stem of a network of a space that a setting of this name means: cifar is the usual one of every space.
func StemFor(s *space.Space, name string) Stem {
	if !s.Pairs && name == string(StemCIFAR) {
		return ""
	}
	return Stem(name)
}

// stride is what the stem divides the resolution by.
func (m Macro) stride() int {
	switch m.Stem {
	case StemPooled, StemDeep, StemWhitened:
		return 2
	}
	return 1
}

// flatten returns the errors that errors.Join has joined.
func flatten(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// DARTS returns the skeleton of the DARTS space that m stands for.
func (m Macro) DARTS() DARTSMacro {
	return DARTSMacro{Channels: m.Channels, Layers: m.Cells, Classes: m.Classes, Image: m.Image, Stem: m.Stem}
}

// macro is the opposite of Macro.DARTS.
func (m DARTSMacro) macro() Macro {
	return Macro{Channels: m.Channels, Cells: m.Layers, Classes: m.Classes, Image: m.Image, Stem: m.Stem}
}

// Check reports whether a network can be built on the skeleton, and all that is wrong with it. Errors about settings are
// *pipeline.SettingError.
func (m Macro) Check() error {
	var errs []error
	if m.Channels < 1 {
		errs = append(errs, &pipeline.SettingError{Path: "channels", Err: fmt.Errorf("%d channels; at least 1 is needed", m.Channels)})
	}
	if m.Cells < 1 {
		errs = append(errs, &pipeline.SettingError{Path: "cells", Err: fmt.Errorf("%d cells a stage; at least 1 is needed", m.Cells)})
	}
	if m.Classes < 2 {
		errs = append(errs, fmt.Errorf("%d classes; a classifier needs at least 2", m.Classes))
	}
	if m.Stages < 0 || m.Stages > maxStages {
		return errors.Join(append(errs, &pipeline.SettingError{Path: "stages", Err: fmt.Errorf("%d stages; give 1 to %d", m.Stages, maxStages)})...)
	}
	return errors.Join(append(errs, m.checkImage())...)
}

func (m Macro) checkImage() error {
	step := m.stride() << (m.stages() - 1)
	least := max(8, 2*step)
	switch {
	case m.Image[0] < 1 || m.Image[1] < least || m.Image[2] < least:
		return fmt.Errorf("images of %d channels, %dx%d; at least one channel and %dx%d pixels are needed", m.Image[0], m.Image[1], m.Image[2], least, least)
	case m.Image[1]%step != 0 || m.Image[2]%step != 0:
		times := "twice"
		if halvings := m.stages() - 2 + m.stride(); halvings != DefaultStages-1 {
			times = fmt.Sprintf("%d times", halvings)
		}
		return fmt.Errorf("images of %dx%d; height and width must be divisible by %d, since the network halves them %s (set the dataset's size, for example to %d)", m.Image[1], m.Image[2], step, times, m.Image[1]/step*step)
	}
	return nil
}
