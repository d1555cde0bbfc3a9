package graph

import "slices"

// ConvConfig are the settings of Conv and ConvTranspose. The zero value is stride 1, no padding, no dilation, one
// group.
type ConvConfig struct {
	Stride   [2]int // rows, columns; 0 means 1
	Pad      [4]int // top, left, bottom, right
	Dilation [2]int // 0 means 1
	Groups   int    // 0 means 1
	// OutputPad is added at the bottom and right of the result; ConvTranspose only.
	OutputPad [2]int
}

// Same returns the settings of a convolution with a square odd kernel that keeps height and width at stride 1
// ("same" padding: dilation * (kernel - 1) / 2 on every side).
func Same(kernel, stride, dilation, groups int) ConvConfig {
	p := dilation * (kernel - 1) / 2
	return ConvConfig{Stride: [2]int{stride, stride}, Pad: [4]int{p, p, p, p}, Dilation: [2]int{dilation, dilation}, Groups: groups}
}

func (c ConvConfig) normal() ConvConfig {
	for i := range c.Stride {
		c.Stride[i] = max(c.Stride[i], 1)
		c.Dilation[i] = max(c.Dilation[i], 1)
	}
	c.Groups = max(c.Groups, 1)
	return c
}

// ConvConfigOf reads the settings back from a Conv or ConvTranspose node, defaults filled in.
func ConvConfigOf(n *Node) ConvConfig {
	var c ConvConfig
	copy(c.Stride[:], n.Attrs.Ints("strides", nil))
	copy(c.Pad[:], n.Attrs.Ints("pads", nil))
	copy(c.Dilation[:], n.Attrs.Ints("dilations", nil))
	copy(c.OutputPad[:], n.Attrs.Ints("output_padding", nil))
	c.Groups = n.Attrs.Int("group", 1)
	return c.normal()
}

func (c ConvConfig) attrs(kernel []int) Attributes {
	return Attributes{
		{"kernel_shape", kernel}, {"strides", []int{c.Stride[0], c.Stride[1]}}, {"pads", []int{c.Pad[0], c.Pad[1], c.Pad[2], c.Pad[3]}},
		{"dilations", []int{c.Dilation[0], c.Dilation[1]}}, {"group", c.Groups},
	}
}

// Meet calls f for each position of a kernel, pixel of the input and position of the output that meet in a convolution. All are
// counted row by row; what lies in the padding meets nothing.
func (c ConvConfig) Meet(input, kernel, output [2]int, f func(tap, pixel, position int)) {
	c = c.normal()
	for tap := range kernel[0] * kernel[1] {
		for position := range output[0] * output[1] {
			i := position/output[1]*c.Stride[0] + tap/kernel[1]*c.Dilation[0] - c.Pad[0]
			j := position%output[1]*c.Stride[1] + tap%kernel[1]*c.Dilation[1] - c.Pad[1]
			if i >= 0 && i < input[0] && j >= 0 && j < input[1] {
				f(tap, i*input[1]+j, position)
			}
		}
	}
}

// Conv is a two-dimensional convolution (cross-correlation) of x [N, C, H, W] with w [M, C/groups, KH, KW]; the result
// is [N, M, OH, OW]. bias, of shape [M], may be nil.
func Conv(x, w, bias *Value, c ConvConfig) *Value {
	g := graphOf(x)
	c = c.normal()
	if len(x.shape) != 4 || len(w.shape) != 4 || slices.Min(c.Pad[:]) < 0 {
		g.fail("Conv", "wants x [N, C, H, W], w [M, C/groups, KH, KW] and padding of 0 or more, has %v, %v and %v", x.shape, w.shape, c.Pad)
		return g.dummy(Float32, []int{1, 1, 1, 1})
	}
	if x.shape[1] != w.shape[1]*c.Groups || w.shape[0]%c.Groups != 0 {
		g.fail("Conv", "input %v does not fit the weights %v in %d groups", x.shape, w.shape, c.Groups)
	}
	out := []int{x.shape[0], w.shape[0], 0, 0}
	for i := range 2 {
		span := c.Dilation[i]*(w.shape[2+i]-1) + 1
		room := x.shape[2+i] + c.Pad[i] + c.Pad[i+2] - span
		if room < 0 {
			g.fail("Conv", "the kernel %v with dilation %v does not fit into the padded input %v", w.shape, c.Dilation, x.shape)
		}
		out[2+i] = room/c.Stride[i] + 1
	}
	in := []*Value{x, w}
	if bias != nil {
		if len(bias.shape) != 1 || bias.shape[0] != w.shape[0] {
			g.fail("Conv", "the bias %v does not fit the weights %v", bias.shape, w.shape)
		}
		in = append(in, bias)
	}
	return g.node("Conv", in, c.attrs([]int{w.shape[2], w.shape[3]}), nil, []spec{{Float32, out}}, true)[0]
}

// ConvTranspose is the transposed convolution of x [N, M, H, W] with w [M, C/groups, KH, KW]; the result is
// [N, C, OH, OW] with OH = stride * (H - 1) + outputPad + dilation * (KH - 1) + 1 - padTop - padBottom.
func ConvTranspose(x, w *Value, c ConvConfig) *Value {
	g := graphOf(x)
	c = c.normal()
	if len(x.shape) != 4 || len(w.shape) != 4 || x.shape[1] != w.shape[0] || w.shape[0]%c.Groups != 0 || slices.Min(c.Pad[:]) < 0 {
		g.fail("ConvTranspose", "wants x [N, M, H, W] and w [M, C/groups, KH, KW], has %v and %v in %d groups", x.shape, w.shape, c.Groups)
		return g.dummy(Float32, []int{1, 1, 1, 1})
	}
	out := []int{x.shape[0], w.shape[1] * c.Groups, 0, 0}
	for i := range 2 {
		out[2+i] = c.Stride[i]*(x.shape[2+i]-1) + c.OutputPad[i] + c.Dilation[i]*(w.shape[2+i]-1) + 1 - c.Pad[i] - c.Pad[i+2]
		if out[2+i] <= 0 {
			g.fail("ConvTranspose", "padding %v leaves nothing of the result of %v and %v", c.Pad, x.shape, w.shape)
		}
	}
	attrs := append(c.attrs([]int{w.shape[2], w.shape[3]}), Attribute{"output_padding", []int{c.OutputPad[0], c.OutputPad[1]}})
	return g.node("ConvTranspose", []*Value{x, w}, attrs, nil, []spec{{Float32, out}}, true)[0]
}

// PoolConfig are the settings of MaxPool and AveragePool.
type PoolConfig struct {
	Kernel [2]int
	Stride [2]int // 0 means 1
	Pad    [4]int // top, left, bottom, right
	// CountPad makes AveragePool divide by the kernel's size also where it covers padding
	// (count_include_pad).
	CountPad bool
}

// SquarePool returns the settings of a pool with a square kernel and equal padding on every side.
func SquarePool(kernel, stride, pad int) PoolConfig {
	return PoolConfig{Kernel: [2]int{kernel, kernel}, Stride: [2]int{stride, stride}, Pad: [4]int{pad, pad, pad, pad}}
}

// PoolConfigOf reads the settings back from a MaxPool or AveragePool node, defaults filled in.
func PoolConfigOf(n *Node) PoolConfig {
	var c PoolConfig
	copy(c.Kernel[:], n.Attrs.Ints("kernel_shape", nil))
	copy(c.Stride[:], n.Attrs.Ints("strides", []int{1, 1}))
	copy(c.Pad[:], n.Attrs.Ints("pads", nil))
	c.CountPad = n.Attrs.Int("count_include_pad", 0) == 1
	return c
}

func pool(op string, x *Value, c PoolConfig, indices bool, extra ...Attribute) []*Value {
	g := graphOf(x)
	if len(x.shape) != 4 {
		g.fail(op, "wants x [N, C, H, W], has %v", x.shape)
		return []*Value{g.dummy(Float32, []int{1, 1, 1, 1}), g.dummy(Int64, []int{1, 1, 1, 1})}
	}
	out := []int{x.shape[0], x.shape[1], 0, 0}
	for i := range 2 {
		c.Stride[i] = max(c.Stride[i], 1)
		room := x.shape[2+i] + c.Pad[i] + c.Pad[i+2] - c.Kernel[i]
		if c.Kernel[i] <= 0 || room < 0 || max(c.Pad[i], c.Pad[i+2]) >= c.Kernel[i] || min(c.Pad[i], c.Pad[i+2]) < 0 {
			g.fail(op, "the kernel %v with padding %v does not fit the input %v", c.Kernel, c.Pad, x.shape)
		}
		out[2+i] = room/c.Stride[i] + 1
	}
	attrs := append(Attributes{
		{"kernel_shape", []int{c.Kernel[0], c.Kernel[1]}}, {"strides", []int{c.Stride[0], c.Stride[1]}},
		{"pads", []int{c.Pad[0], c.Pad[1], c.Pad[2], c.Pad[3]}},
	}, extra...)
	specs := []spec{{Float32, out}}
	if indices {
		specs = append(specs, spec{Int64, out})
	}
	return g.node(op, []*Value{x}, attrs, nil, specs, true)
}

// MaxPool takes the maximum over windows of x [N, C, H, W]; padding never wins.
func MaxPool(x *Value, c PoolConfig) *Value { return pool("MaxPool", x, c, false)[0] }

// MaxPoolIndices is MaxPool that also returns, as int64, where each maximum stands in x taken as one flat vector. Of
// equal maxima it is the first. Without indices the runtime has a faster kernel.
func MaxPoolIndices(x *Value, c PoolConfig) (y, indices *Value) {
	out := pool("MaxPool", x, c, true)
	return out[0], out[1]
}

// AveragePool takes the mean over windows of x [N, C, H, W].
func AveragePool(x *Value, c PoolConfig) *Value {
	count := 0
	if c.CountPad {
		count = 1
	}
	return pool("AveragePool", x, c, false, Attribute{"count_include_pad", count})[0]
}

// GlobalAveragePool takes the mean over height and width of x [N, C, H, W]; the result is [N, C, 1, 1].
func GlobalAveragePool(x *Value) *Value {
	g := graphOf(x)
	if len(x.shape) != 4 {
		g.fail("GlobalAveragePool", "wants x [N, C, H, W], has %v", x.shape)
		return g.dummy(Float32, []int{1, 1, 1, 1})
	}
	return g.node("GlobalAveragePool", []*Value{x}, nil, nil, []spec{{Float32, []int{x.shape[0], x.shape[1], 1, 1}}}, true)[0]
}
