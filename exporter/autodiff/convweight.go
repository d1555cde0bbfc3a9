package autodiff

import (
	"slices"

	"github.com/plateau-nas/plateau/exporter/graph"
)

// convWeightGradient returns dw of y = conv(x, w): for each position of the kernel the products of dy with the
// part of the padded input that this position sees, summed over the batch. These are k*k matrix products on shifted
// slices, which in ONNX Runtime are faster than a convolution with dy as its kernel and than one product with all
// slices side by side, since that copies the input k*k times into one place. Small ones gain from fewer, larger nodes
// (see byAxes).
func (o *options) convWeightGradient(x, w, dy *graph.Value, c graph.ConvConfig) *graph.Value {
	joined := c.Groups == 1 && w.Dim(2)*w.Dim(3) > 1
	if o.uses(SelectionProduct) && joined && x.Dim(2)*x.Dim(3)*dy.Dim(2)*dy.Dim(3) <= selectionPays {
		return o.bySelection(x, w, dy, c)
	}
	depthwise := w.Dim(1) == 1 && c.Groups > 1
	if o.uses(RowProducts) && depthwise && w.Dim(3) > 1 && x.Dim(3) < rowsPay*w.Dim(3) {
		return depthwiseByRows(x, w, dy, c)
	}
	if o.uses(AxesApart) && joined && !depthwise {
		if o.uses(GradientRows) && w.Dim(2) > 1 && c.Stride[0] == 1 && w.Dim(0) <= w.Dim(1)*w.Dim(3) {
			return o.byGradientRows(x, w, dy, c)
		}
		if o.axesPay(x, dy) {
			return o.byAxes(x, w, dy, c)
		}
	}
	padded := graph.Pad(x, []int{0, 0, c.Pad[0], c.Pad[1]}, []int{0, 0, c.Pad[2], c.Pad[3]}, 0)
	var taps []*graph.Value
	for i := range w.Dim(2) {
		for j := range w.Dim(3) {
			seen := graph.Slice(padded, window(2, i, dy.Dim(2), c.Dilation[0], c.Stride[0]), window(3, j, dy.Dim(3), c.Dilation[1], c.Stride[1]))
			if depthwise && w.Dim(0) == c.Groups {
				taps = append(taps, graph.ReduceSum(graph.Mul(seen, dy), false, 0, 2, 3))
			} else {
				taps = append(taps, o.tapGradient(seen, w, dy, c.Groups))
			}
		}
	}
	for i, t := range taps {
		taps[i] = graph.Reshape(t, w.Dim(0), w.Dim(1), 1)
	}
	return graph.Reshape(graph.Concat(2, taps...), w.Shape()...)
}

// selectionPays is the number of pairs of an input and an output position up to which bySelection is the fastest: 4x4
// images.
const selectionPays = 1 << 10

// bySelection is convWeightGradient for very small images, where a product with a constant matrix of zeros and ones lays
// out the k*k shifted inputs side by side faster than slices do. One product with dy for all positions of the kernel remains.
func (o *options) bySelection(x, w, dy *graph.Value, c graph.ConvConfig) *graph.Value {
	batch, out, in, kh, kw := dy.Dim(0), w.Dim(0), w.Dim(1), w.Dim(2), w.Dim(3)
	rows, columns, height, width := dy.Dim(2), dy.Dim(3), x.Dim(2), x.Dim(3)
	positions, taps := rows*columns, kh*kw
	selection := make([]float32, height*width*taps*positions)
	c.Meet([2]int{height, width}, [2]int{kh, kw}, [2]int{rows, columns}, func(tap, pixel, position int) {
		selection[(pixel*taps+tap)*positions+position] = 1
	})
	seen := graph.MatMul(graph.Reshape(x, batch*in, height*width), x.Graph().Floats(selection, height*width, taps*positions))
	return graph.Reshape(o.outer(graph.Reshape(dy, batch, out, positions), graph.Reshape(seen, batch, in*taps, positions)), w.Shape()...)
}

// axesPay tells whether byAxes is faster than k*k slices: up to 2^20 elements of x and dy together and, where columns are shifted by
// products, up to 2^22.
func (o *options) axesPay(x, dy *graph.Value) bool {
	size := x.Size() + dy.Size()
	return size <= 1<<20 || size <= 1<<22 && o.byProducts(dy.Dim(3))
}

// byAxes is convWeightGradient with the kernel's columns side by side as channels: kw shifts for the columns and, of
// those, kh slices for the rows, each a run of whole rows, so that there are kh + kw copies and kh products instead of
// kh * kw of each. It copies more in all, which costs more than it saves once the images leave the cache.
func (o *options) byAxes(x, w, dy *graph.Value, c graph.ConvConfig) *graph.Value {
	batch, out, in, kh, kw := dy.Dim(0), w.Dim(0), w.Dim(1), w.Dim(2), w.Dim(3)
	positions := dy.Dim(2) * dy.Dim(3)
	beside := graph.Concat(1, o.shiftedColumns(x, kw, dy.Dim(3), c)...) // [N, kw*C, H, OW]
	d := graph.Reshape(dy, batch, out, positions)
	var taps []*graph.Value
	for i := range kh {
		seen := graph.Slice(beside, window(2, i, dy.Dim(2), c.Dilation[0], c.Stride[0]))
		taps = append(taps, o.outer(d, graph.Reshape(seen, batch, kw*in, positions)))
	}
	return ofRows(taps, w)
}

// ofRows puts the gradient of the weights w together from those of the kernel's rows, [M, KW*C] each or the transpose of that.
func ofRows(rows []*graph.Value, w *graph.Value) *graph.Value {
	out, in, kh, kw := w.Dim(0), w.Dim(1), w.Dim(2), w.Dim(3)
	turned := make([]*graph.Value, len(rows)) // [KW*C, M]
	for i, v := range rows {
		n := v.Node()
		if n == nil || n.Op != "Transpose" {
			all := graph.Reshape(graph.Concat(0, rows...), kh, out, kw, in)
			return graph.Transpose(all, 1, 3, 0, 2)
		}
		turned[i] = n.Inputs[0]
	}
	return graph.Transpose(graph.Reshape(graph.Concat(0, turned...), kh, kw, in, out), 3, 2, 0, 1)
}

// byGradientRows is byAxes with the rows shifted in dy instead of in the shifted columns of x, which have kw times the channels of x.
func (o *options) byGradientRows(x, w, dy *graph.Value, c graph.ConvConfig) *graph.Value {
	batch, out, in, kh, kw := dy.Dim(0), w.Dim(0), w.Dim(1), w.Dim(2), w.Dim(3)
	height, width := x.Dim(2), dy.Dim(3)
	offset := func(i int) int { return i*c.Dilation[0] - c.Pad[0] } // of the row that row i of the kernel sees
	rows := c
	rows.Pad[0], rows.Pad[2] = 0, 0
	beside := graph.Reshape(graph.Concat(1, o.shiftedColumns(x, kw, width, rows)...), batch, kw*in, height*width)
	// Row p of x meets row p - offset of dy.
	before, after := max(offset(kh-1), 0), max(height-dy.Dim(2)-offset(0), 0)
	padded := graph.Pad(dy, []int{0, 0, before, 0}, []int{0, 0, after, 0}, 0)
	var taps []*graph.Value
	for i := range kh {
		d := dy
		if offset(i) != 0 || dy.Dim(2) != height {
			d = graph.Slice(padded, graph.Range{Axis: 2, Start: before - offset(i), End: before - offset(i) + height})
		}
		taps = append(taps, o.outer(graph.Reshape(d, batch, out, height*width), beside))
	}
	return ofRows(taps, w)
}

// byProducts tells whether a product with a constant matrix shifts columns faster than padding and slices do, which copy runs of a
// row each on one thread: 2 to 5 times as fast at widths from 4 to 16, still faster with all that follows at 32.
func (o *options) byProducts(columns int) bool { return o.uses(ColumnProducts) && columns <= 32 }

// shiftedColumns returns what each column of the kernel sees of x, which gets the padding rows too: kw times [N, C, H + padding, columns].
func (o *options) shiftedColumns(x *graph.Value, kw, columns int, c graph.ConvConfig) []*graph.Value {
	width := x.Dim(3)
	shifted := make([]*graph.Value, kw)
	if !o.byProducts(columns) {
		padded := graph.Pad(x, []int{0, 0, c.Pad[0], c.Pad[1]}, []int{0, 0, c.Pad[2], c.Pad[3]}, 0)
		for j := range shifted {
			shifted[j] = graph.Slice(padded, window(3, j, columns, c.Dilation[1], c.Stride[1]))
		}
		return shifted
	}
	rows := func(n int) []*graph.Value {
		if n == 0 {
			return nil
		}
		return []*graph.Value{graph.Expand(x.Graph().Fill(0, 1), x.Dim(0), x.Dim(1), n, width)}
	}
	if c.Pad[0]+c.Pad[2] > 0 {
		x = graph.Concat(2, slices.Concat(rows(c.Pad[0]), []*graph.Value{x}, rows(c.Pad[2]))...)
	}
	for j := range shifted {
		if j*c.Dilation[1] == c.Pad[1] && c.Stride[1] == 1 && columns == width {
			shifted[j] = x
			continue
		}
		seen := make([]float32, width*columns)
		for q := range columns {
			if p := q*c.Stride[1] + j*c.Dilation[1] - c.Pad[1]; p >= 0 && p < width {
				seen[p*columns+q] = 1
			}
		}
		shifted[j] = graph.MatMul(x, x.Graph().Floats(seen, width, columns))
	}
	return shifted
}

// window is the range of padded input positions that kernel position k sees along an axis with n outputs.
func window(axis, k, n, dilation, stride int) graph.Range {
	start := k * dilation
	return graph.Range{Axis: axis, Start: start, End: start + (n-1)*stride + 1, Step: stride}
}

// tapGradient returns the gradient [M, C/groups] of the weights at one kernel position, which sees x [N, C, OH, OW].
func (o *options) tapGradient(x, w, dy *graph.Value, groups int) *graph.Value {
	batch, positions := dy.Dim(0), dy.Dim(2)*dy.Dim(3)
	shape := func(channels int) []int {
		if groups == 1 {
			return []int{batch, channels, positions}
		}
		return []int{batch, groups, channels, positions}
	}
	a, b := graph.Reshape(dy, shape(w.Dim(0)/groups)...), graph.Reshape(x, shape(w.Dim(1))...)
	return graph.Reshape(o.outer(a, b), w.Dim(0), w.Dim(1))
}

// outer returns, summed over the batch, the products of all rows of a [N, ..., A, K] with all rows of b [N, ..., B, K]: [..., A, B].
// ONNX Runtime repacks the right operand of a product, so the one with more rows is better on the left; except that
// fewer rows than a vector holds leave most of it empty on the right.
func (o *options) outer(a, b *graph.Value) *graph.Value {
	const half = 8 // of a vector of 16
	last := a.Rank() - 2
	rows, columns := a.Dim(last), b.Dim(last)
	exchange := columns > rows && rows >= half || columns < half && rows > columns
	if !exchange || !o.uses(OperandOrder) {
		return graph.ReduceSum(graph.MatMul(a, swapped(b)), false, 0)
	}
	return swapped(graph.ReduceSum(graph.MatMul(b, swapped(a)), false, 0))
}

// rowsPay is the width, in kernel widths, up to which depthwiseByRows beats k*k slices: its arithmetic grows with the
// width, its copying is k times less. Measured on the CPU up to 112 columns with 3x3 kernels, where the slices take 1.2
// times as long; at 32 columns they take 1.6 times as long, with 5x5 kernels 3 times.
const rowsPay = 40

// depthwiseByRows is convWeightGradient for filters that see one channel, one or several of them each. For each row of the kernel it multiplies the rows of
// the input with those of dy, as matrices: entry (p, q) of the product is the sum over rows and images of x at
// column p times dy at column q. What column j of the kernel sees are the entries with p = stride*q + dilation*j; a constant
// matrix adds them up. Channels come first, so that one product a channel goes over all images.
func depthwiseByRows(x, w, dy *graph.Value, c graph.ConvConfig) *graph.Value {
	channels, filters, kh, kw := c.Groups, w.Dim(0)/c.Groups, w.Dim(2), w.Dim(3)
	rows := dy.Dim(0) * dy.Dim(2)
	x = graph.Pad(graph.Transpose(x, 1, 0, 2, 3), []int{0, 0, c.Pad[0], c.Pad[1]}, []int{0, 0, c.Pad[2], c.Pad[3]}, 0)
	width, columns := x.Dim(3), dy.Dim(3)
	d := graph.Reshape(graph.Transpose(dy, 1, 0, 2, 3), channels, filters, rows, columns)
	var products []*graph.Value
	for i := range kh {
		seen := graph.Reshape(graph.Slice(x, window(2, i, dy.Dim(2), c.Dilation[0], c.Stride[0])), channels, 1, rows, width)
		products = append(products, graph.Reshape(graph.MatMul(swapped(seen), d), w.Dim(0), 1, width*columns))
	}
	diagonals := make([]float32, width*columns*kw)
	for q := range columns {
		for j := range kw {
			p := q*c.Stride[1] + j*c.Dilation[1]
			diagonals[(p*columns+q)*kw+j] = 1
		}
	}
	sums := graph.MatMul(graph.Concat(1, products...), w.Graph().Floats(diagonals, width*columns, kw)) // [C, KH, KW]
	return graph.Reshape(sums, w.Shape()...)
}
