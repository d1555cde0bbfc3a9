package autodiff

import "github.com/plateau-nas/plateau/exporter/graph"

// convWeightGradient returns dw of y = conv(x, w): for each position of the kernel the products of dy with the
// part of the padded input that this position sees, summed over the batch. These are k*k matrix products on shifted
// slices, which in ONNX Runtime are faster than a convolution with dy as its kernel and than one product with all
// slices side by side, since that copies the input k*k times into one place. Small ones gain from fewer, larger nodes
// (see byAxes).
func (o *options) convWeightGradient(x, w, dy *graph.Value, c graph.ConvConfig) *graph.Value {
	joined := c.Groups == 1 && w.Dim(2)*w.Dim(3) > 1
	if o.uses(SelectionProduct) && joined && x.Dim(2)*x.Dim(3)*dy.Dim(2)*dy.Dim(3) <= selectionPays {
		return bySelection(x, w, dy, c)
	}
	depthwise := w.Dim(1) == 1 && c.Groups > 1
	if o.uses(RowProducts) && depthwise && w.Dim(3) > 1 && x.Dim(3) < rowsPay*w.Dim(3) {
		return depthwiseByRows(x, w, dy, c)
	}
	padded := graph.Pad(x, []int{0, 0, c.Pad[0], c.Pad[1]}, []int{0, 0, c.Pad[2], c.Pad[3]}, 0)
	if o.uses(AxesApart) && joined && !depthwise && x.Size()+dy.Size() <= axesPay {
		return byAxes(padded, w, dy, c)
	}
	var taps []*graph.Value
	for i := range w.Dim(2) {
		for j := range w.Dim(3) {
			seen := graph.Slice(padded, window(2, i, dy.Dim(2), c.Dilation[0], c.Stride[0]), window(3, j, dy.Dim(3), c.Dilation[1], c.Stride[1]))
			if depthwise && w.Dim(0) == c.Groups {
				taps = append(taps, graph.ReduceSum(graph.Mul(seen, dy), false, 0, 2, 3))
			} else {
				taps = append(taps, tapGradient(seen, w, dy, c.Groups))
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
func bySelection(x, w, dy *graph.Value, c graph.ConvConfig) *graph.Value {
	batch, out, in, kh, kw := dy.Dim(0), w.Dim(0), w.Dim(1), w.Dim(2), w.Dim(3)
	rows, columns, height, width := dy.Dim(2), dy.Dim(3), x.Dim(2), x.Dim(3)
	positions, taps := rows*columns, kh*kw
	selection := make([]float32, height*width*taps*positions)
	for t := range taps {
		for p := range positions {
			i := p/columns*c.Stride[0] + t/kw*c.Dilation[0] - c.Pad[0]
			j := p%columns*c.Stride[1] + t%kw*c.Dilation[1] - c.Pad[1]
			if i >= 0 && i < height && j >= 0 && j < width {
				selection[((i*width+j)*taps+t)*positions+p] = 1
			}
		}
	}
	seen := graph.MatMul(graph.Reshape(x, batch*in, height*width), x.Graph().Floats(selection, height*width, taps*positions))
	perImage := graph.MatMul(graph.Reshape(dy, batch, out, positions), swapped(graph.Reshape(seen, batch, in*taps, positions)))
	return graph.Reshape(graph.ReduceSum(perImage, false, 0), w.Shape()...)
}

// axesPay is the number of elements of x and dy together up to which byAxes is faster than k*k slices.
const axesPay = 1 << 20

// byAxes is convWeightGradient with the kernel's columns side by side as channels: kw slices for the columns and, of
// those, kh slices for the rows, each a run of whole rows, so that there are kh + kw copies and kh products instead of
// kh * kw of each. It copies more in all, which costs more than it saves once the images leave the cache.
func byAxes(padded, w, dy *graph.Value, c graph.ConvConfig) *graph.Value {
	batch, out, in, kh, kw := dy.Dim(0), w.Dim(0), w.Dim(1), w.Dim(2), w.Dim(3)
	positions := dy.Dim(2) * dy.Dim(3)
	var columns []*graph.Value
	for j := range kw {
		columns = append(columns, graph.Slice(padded, window(3, j, dy.Dim(3), c.Dilation[1], c.Stride[1])))
	}
	beside := graph.Concat(1, columns...) // [N, kw*C, H, OW]
	d := graph.Reshape(dy, batch, out, positions)
	var taps []*graph.Value
	for i := range kh {
		seen := graph.Slice(beside, window(2, i, dy.Dim(2), c.Dilation[0], c.Stride[0]))
		perImage := graph.MatMul(d, swapped(graph.Reshape(seen, batch, kw*in, positions)))
		taps = append(taps, graph.Reshape(graph.ReduceSum(perImage, false, 0), out, kw, in, 1))
	}
	return graph.Reshape(graph.Transpose(graph.Concat(3, taps...), 0, 2, 3, 1), w.Shape()...)
}

// window is the range of padded input positions that kernel position k sees along an axis with n outputs.
func window(axis, k, n, dilation, stride int) graph.Range {
	start := k * dilation
	return graph.Range{Axis: axis, Start: start, End: start + (n-1)*stride + 1, Step: stride}
}

// tapGradient returns the gradient [M, C/groups] of the weights at one kernel position, which sees x [N, C, OH, OW].
func tapGradient(x, w, dy *graph.Value, groups int) *graph.Value {
	batch, positions := dy.Dim(0), dy.Dim(2)*dy.Dim(3)
	shape := func(channels int) []int {
		if groups == 1 {
			return []int{batch, channels, positions}
		}
		return []int{batch, groups, channels, positions}
	}
	a, b := graph.Reshape(dy, shape(w.Dim(0)/groups)...), graph.Reshape(x, shape(w.Dim(1))...)
	perImage := graph.MatMul(a, swapped(b))
	return graph.Reshape(graph.ReduceSum(perImage, false, 0), w.Dim(0), w.Dim(1))
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
