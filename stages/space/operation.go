package space

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Operation is an operation by its settings. Its name is its kind, then for all but none and skip_connect the size of the
// kernel, then the dilation where it is not the kind's own, then the activation where that is not relu:
//
//	skip_connect  nor_conv_3x3  sep_conv_5x5  dil_conv_3x3_d3  nor_conv_3x3_d2_hardswish  max_pool_5x5
//
// NAS-Bench-201 and DARTS name their operations like this too.
type Operation struct {
	Kind       string // of OperationKinds
	Kernel     int    // height and width, odd; 0 where there is none
	Dilation   int    // of the kernel of a convolution; 0 where there is none
	Activation string // in front of a convolution, of Activations; "" where there is none
}

// OperationKinds returns the registered kinds of operations: none (zeros); skip_connect (identity); nor_conv (activation,
// convolution, normalization); dep_conv (activation, depthwise convolution, 1x1 convolution, normalization); dil_conv
// (the same, dilation 2 unless the name tells otherwise); sep_conv (dep_conv twice); avg_pool and max_pool (stride 1).
func OperationKinds() []string {
	return []string{"none", "skip_connect", "nor_conv", "dep_conv", "dil_conv", "sep_conv", "avg_pool", "max_pool"}
}

// Activations returns the registered activations. The first is what a convolution has without one in its name.
func Activations() []string { return []string{"relu", "hardswish", "swish", "gelu"} }

// Limits of the settings of an operation.
const (
	maxKernel   = 15
	maxDilation = 8
)

// ParseOperation reads the name of an operation. The error names the nearest registered kind.
func ParseOperation(name string) (Operation, error) {
	fail := func(format string, args ...any) (Operation, error) {
		return Operation{}, fmt.Errorf("operation %q: %s", shorten(name, 40), fmt.Sprintf(format, args...))
	}
	parts := strings.Split(name, "_")
	at := slices.IndexFunc(parts, func(part string) bool { _, _, ok := kernelSize(part); return ok })
	o := Operation{Kind: name}
	var settings []string
	if at >= 0 {
		o.Kind, settings = strings.Join(parts[:at], "_"), parts[at+1:]
	}
	if !slices.Contains(OperationKinds(), o.Kind) {
		hint := ""
		if near := nearest(o.Kind, OperationKinds()); near != "" {
			if at >= 0 {
				near += "_" + strings.Join(parts[at:], "_")
			}
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		return fail("unknown kind %q: known are %s%s", shorten(o.Kind, 40), strings.Join(OperationKinds(), ", "), hint)
	}
	plain := o.Kind == "none" || o.Kind == "skip_connect"
	switch {
	case plain && at >= 0:
		return fail("%s has no kernel; write %s alone", o.Kind, o.Kind)
	case plain:
		return o, nil
	case at < 0:
		return fail("%s needs the size of its kernel, such as %s_3x3", o.Kind, o.Kind)
	}
	height, width, _ := kernelSize(parts[at])
	least := 1
	if strings.HasSuffix(o.Kind, "_pool") {
		least = 2
	}
	if parts[at] != fmt.Sprintf("%dx%d", height, width) || height != width || height%2 == 0 || height < least || height > maxKernel {
		return fail("a kernel of %s; it must be square and odd, up to %dx%d", parts[at], maxKernel, maxKernel)
	}
	o.Kernel = height
	if strings.HasSuffix(o.Kind, "_pool") {
		if len(settings) > 0 {
			return fail("a pool has no setting %q; write %s_%s", settings[0], o.Kind, parts[at])
		}
		return o, nil
	}
	o.Dilation, o.Activation = o.ownDilation(), Activations()[0]
	if len(settings) > 0 && strings.HasPrefix(settings[0], "d") {
		d, err := strconv.Atoi(settings[0][1:])
		if err != nil || d < 1 || d > maxDilation {
			return fail("a dilation of %q; write d1 to d%d", settings[0], maxDilation)
		}
		if d == o.ownDilation() {
			return fail("a dilation of %d is what %s has without a word; leave _%s out", d, o.Kind, settings[0])
		}
		o.Dilation, settings = d, settings[1:]
	}
	if len(settings) > 0 {
		if !slices.Contains(Activations()[1:], settings[0]) {
			hint := ""
			if near := nearest(settings[0], Activations()[1:]); near != "" {
				hint = fmt.Sprintf("; did you mean %q?", near)
			}
			return fail("unknown activation %q: known are %s, and %s when none is named%s", shorten(settings[0], 40), strings.Join(Activations()[1:], ", "), Activations()[0], hint)
		}
		o.Activation, settings = settings[0], settings[1:]
	}
	if len(settings) > 0 {
		return fail("%q after the activation; nothing follows it", shorten(settings[0], 40))
	}
	if o.Name() != name {
		return fail("numbers are written in another way; write %s", o.Name())
	}
	return o, nil
}

// Name returns the name that ParseOperation reads.
func (o Operation) Name() string {
	name := o.Kind
	if o.Kernel != 0 {
		name += fmt.Sprintf("_%dx%d", o.Kernel, o.Kernel)
	}
	if o.Dilation != 0 && o.Dilation != o.ownDilation() {
		name += fmt.Sprintf("_d%d", o.Dilation)
	}
	if o.Activation != "" && o.Activation != Activations()[0] {
		name += "_" + o.Activation
	}
	return name
}

func (o Operation) ownDilation() int {
	if o.Kind == "dil_conv" {
		return 2
	}
	return 1
}

// kernelSize reads "3x3".
func kernelSize(text string) (height, width int, ok bool) {
	h, w, found := strings.Cut(text, "x")
	if !found {
		return 0, 0, false
	}
	height, err := strconv.Atoi(h)
	width, err2 := strconv.Atoi(w)
	return height, width, err == nil && err2 == nil
}
