package autodiff

import (
	"math"
	"slices"

	"github.com/plateau-nas/plateau/exporter/graph"
)

func globalAveragePoolRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	x := n.Inputs[0]
	share := x.Graph().Scalar(1 / float32(x.Dim(2)*x.Dim(3)))
	return one(graph.Expand(graph.Mul(dy[0], share), x.Shape()...))
}

// resizeRule adds up the gradients of each element's copies: their number times their mean, for which there is a fast
// kernel.
func resizeRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	x, y := n.Inputs[0], n.Outputs[0]
	out := make([]*graph.Value, len(n.Inputs))
	block := [2]int{y.Dim(2) / max(x.Dim(2), 1), y.Dim(3) / max(x.Dim(3), 1)}
	mean := graph.AveragePool(dy[0], graph.PoolConfig{Kernel: block, Stride: block})
	out[0] = graph.Mul(mean, x.Graph().Scalar(float32(block[0]*block[1])))
	return out
}

// averagePoolRule: every input element gets dy / count of each window that covers it. At stride 1 that is again an
// average over windows, with mirrored padding that counts. At other strides it is a product with a small
// constant matrix along each axis: windows are separable, and spreading elements out by padding is slow.
func averagePoolRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	x, d := n.Inputs[0], dy[0]
	c := graph.PoolConfigOf(n)
	if c.Stride != [2]int{1, 1} {
		for i := range 2 {
			d = along(d, 2+i, windowMatrix(x.Dim(2+i), d.Dim(2+i), i, c))
		}
		return one(d)
	}
	if shares := windowShares(x, d, c); shares != nil {
		d = graph.Mul(d, shares)
	}
	back := graph.PoolConfig{Kernel: c.Kernel, CountPad: true}
	for i := range 2 {
		back.Pad[i], back.Pad[i+2] = c.Kernel[i]-1-c.Pad[i], c.Kernel[i]-1-c.Pad[i+2]
	}
	return one(graph.AveragePool(d, back))
}

// covered returns the part of the input, of the given length, that window o along axis i covers, and by how much its
// sum is divided.
func covered(o, length, i int, c graph.PoolConfig) (start, end int, count float32) {
	start = o*c.Stride[i] - c.Pad[i]
	end = min(start+c.Kernel[i], length)
	start = max(start, 0)
	if c.CountPad {
		return start, end, float32(c.Kernel[i])
	}
	return start, end, float32(end - start)
}

// windowMatrix returns the matrix [outputs, length] of which row o holds the weight of each input element along axis i
// in window o.
func windowMatrix(length, outputs, i int, c graph.PoolConfig) [][]float32 {
	rows := make([][]float32, outputs)
	for o := range rows {
		rows[o] = make([]float32, length)
		start, end, count := covered(o, length, i, c)
		for p := start; p < end; p++ {
			rows[o][p] = 1 / count
		}
	}
	return rows
}

// windowShares returns, for each output position, the kernel's size divided by the number of input elements that its
// window covers: a constant [1, 1, OH, OW], or nil where AveragePool divides by the kernel's size everywhere.
func windowShares(x, y *graph.Value, c graph.PoolConfig) *graph.Value {
	var shares []float32
	for p := range y.Dim(2) {
		for q := range y.Dim(3) {
			_, _, rows := covered(p, x.Dim(2), 0, c)
			_, _, columns := covered(q, x.Dim(3), 1, c)
			shares = append(shares, float32(c.Kernel[0]*c.Kernel[1])/(rows*columns))
		}
	}
	if !slices.ContainsFunc(shares, func(s float32) bool { return s != 1 }) {
		return nil
	}
	return x.Graph().Floats(shares, 1, 1, y.Dim(2), y.Dim(3))
}

// maxPoolRule gives dy to the first maximum of each window in the order of rows, then columns, as PyTorch does. The
// maximum over a window is that over its rows' maxima, so this is done along one axis after the other with k steps
// each instead of k*k. It compares values because MaxPool with indices is many times slower in ONNX Runtime.
func maxPoolRule(n *graph.Node, dy []*graph.Value, need []bool) []*graph.Value {
	x, c := n.Inputs[0], graph.PoolConfigOf(n)
	rowMax := graph.MaxPool(x, graph.PoolConfig{Kernel: [2]int{1, c.Kernel[1]}, Stride: [2]int{1, c.Stride[1]}, Pad: [4]int{0, c.Pad[1], 0, c.Pad[3]}})
	d := firstMaximum(rowMax, n.Outputs[0], dy[0], 0, c)
	return one(firstMaximum(x, rowMax, d, 1, c))
}

// firstMaximum is maxPoolRule for y = maximum of windows of x along axis i of the image. The gradient dy that no earlier
// element of the window has taken goes to the next one that equals y.
func firstMaximum(x, y, dy *graph.Value, i int, c graph.PoolConfig) *graph.Value {
	axis, length, kernel, stride := 2+i, x.Dim(2+i), c.Kernel[i], c.Stride[i]
	before, after := make([]int, 4), make([]int, 4)
	before[axis], after[axis] = c.Pad[i], c.Pad[i+2]
	padded := graph.Pad(x, before, after, float32(math.Inf(-1)))
	rest := dy
	taps := make([]*graph.Value, kernel)
	for k := range taps {
		taps[k] = rest
		if k < kernel-1 {
			seen := graph.Slice(padded, window(axis, k, y.Dim(axis), 1, stride))
			taps[k] = graph.Mul(rest, graph.Cast(graph.Equal(seen, y), graph.Float32))
			rest = graph.Sub(rest, taps[k])
		}
	}
	return foldTaps(taps, axis, length, stride, c.Pad[i])
}

// foldTaps adds up the gradients that the elements of windows got: tap k of output o belongs to input o*stride + k -
// pad along the axis. What falls outside the length is dropped.
func foldTaps(taps []*graph.Value, axis, length, stride, pad int) *graph.Value {
	outputs := taps[0].Dim(axis)
	if stride > 1 {
		all := graph.Concat(axis, taps...)
		rows := make([][]float32, len(taps)*outputs)
		for k := range taps {
			for o := range outputs {
				row := make([]float32, length)
				if p := o*stride + k - pad; p >= 0 && p < length {
					row[p] = 1
				}
				rows[k*outputs+o] = row
			}
		}
		return along(all, axis, rows)
	}
	terms := make([]*graph.Value, len(taps))
	for k, v := range taps {
		terms[k] = place(v, axis, k-pad, length)
	}
	return graph.Sum(terms...)
}
