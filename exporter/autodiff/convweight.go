package autodiff

import "github.com/plateau-nas/plateau/exporter/graph"

// convWeightGradient returns dw of y = conv(x, w): for each position of the kernel the products of dy with the
// part of the padded input that this position sees, summed over the batch. These are k*k matrix products on shifted
// slices, which in ONNX Runtime are faster than a convolution with dy as its kernel and than one product with all
// slices side by side, since that copies the input k*k times into one place.
func convWeightGradient(x, w, dy *graph.Value, c graph.ConvConfig) *graph.Value {
	padded := graph.Pad(x, []int{0, 0, c.Pad[0], c.Pad[1]}, []int{0, 0, c.Pad[2], c.Pad[3]}, 0)
	depthwise := w.Dim(1) == 1 && w.Dim(0) == c.Groups
	if depthwise && padded.Dim(3) < rowsPay*w.Dim(3)-5 {
		return depthwiseByRows(padded, w, dy, c)
	}
	var taps []*graph.Value
	for i := range w.Dim(2) {
		for j := range w.Dim(3) {
			seen := graph.Slice(padded, window(2, i, dy.Dim(2), c.Dilation[0], c.Stride[0]), window(3, j, dy.Dim(3), c.Dilation[1], c.Stride[1]))
			if depthwise {
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

// rowsPay is the padded width, in kernel widths, up to which depthwiseByRows beats k*k slices: its arithmetic grows with
// the width, its copying is k times less. Measured on the CPU: 0.13 + 0.024 * width nanoseconds an output element
// and kernel row, against 0.36 for each kernel position.
const rowsPay = 15

// depthwiseByRows is convWeightGradient for one filter a channel. For each row of the kernel it multiplies the rows of
// the input with those of dy, as matrices: entry (p, q) of the product is the sum over rows and images of x at
// column p times dy at column q. What column j of the kernel sees are the entries with p = stride*q + dilation*j; a constant
// matrix adds them up.
func depthwiseByRows(padded, w, dy *graph.Value, c graph.ConvConfig) *graph.Value {
	channels, kh, kw := w.Dim(0), w.Dim(2), w.Dim(3)
	width, columns := padded.Dim(3), dy.Dim(3)
	var rows []*graph.Value
	for i := range kh {
		seen := graph.Slice(padded, window(2, i, dy.Dim(2), c.Dilation[0], c.Stride[0])) // [N, C, OH, W]
		products := graph.ReduceSum(graph.MatMul(swapped(seen), dy), false, 0)           // [C, W, OW]
		rows = append(rows, graph.Reshape(products, channels, 1, width*columns))
	}
	diagonals := make([]float32, width*columns*kw)
	for q := range columns {
		for j := range kw {
			p := q*c.Stride[1] + j*c.Dilation[1]
			diagonals[(p*columns+q)*kw+j] = 1
		}
	}
	sums := graph.MatMul(graph.Concat(1, rows...), w.Graph().Floats(diagonals, width*columns, kw)) // [C, KH, KW]
	return graph.Reshape(sums, w.Shape()...)
}
