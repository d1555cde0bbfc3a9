package graph

// The algorithm of Winograd for convolutions with 3x3 kernels, F(4x4, 3x3) of Lavin and Gray (Fast Algorithms for Convolutional
// Neural Networks, CVPR 2016): an output tile of 4x4 takes 36 multiplications for a pair of channels instead of 144. Per axis, a
// tile of 6 inputs d and the kernel g give 4 outputs A^T((G g) * (B^T d)). The matrices follow from five points at which
// polynomials are evaluated, and infinity.
const (
	// WinogradTile is the number of outputs of a tile along an axis. Smaller images waste most of a tile, and where products that
	// are zero leave a weight without a gradient, rounding gives it one.
	WinogradTile   = 4
	winogradKernel = 3
	winogradSpan   = WinogradTile + winogradKernel - 1 // inputs of a tile, and points
)

// winogradPoints returns the finite points. Small numbers keep the loss of precision small.
func winogradPoints() [winogradSpan - 1]float64 { return [...]float64{0, 0.625, -0.625, 1.5, -1.5} }

// winogradMatrices returns A^T [4][6], G [6][3] and B^T [6][6].
func winogradMatrices() (at [WinogradTile][winogradSpan]float64, kernel [winogradSpan][winogradKernel]float64, bt [winogradSpan][winogradSpan]float64) {
	points := winogradPoints()
	// withRoots returns the coefficients of the product of (x - p) over the points but one.
	withRoots := func(but int) [winogradSpan]float64 {
		out := [winogradSpan]float64{1}
		degree := 0
		for l, p := range points {
			if l == but {
				continue
			}
			degree++
			for k := degree; k >= 0; k-- {
				out[k] *= -p
				if k > 0 {
					out[k] += out[k-1]
				}
			}
		}
		return out
	}
	for j, p := range points {
		scale := 1.0
		for l, q := range points {
			if l != j {
				scale *= p - q
			}
		}
		power := 1.0
		for k := range WinogradTile {
			at[k][j] = power
			if k < winogradKernel {
				kernel[j][k] = power / scale
			}
			power *= p
		}
		bt[j] = withRoots(j)
	}
	last := winogradSpan - 1
	at[WinogradTile-1][last], kernel[last][winogradKernel-1], bt[last] = 1, 1, withRoots(-1)
	return at, kernel, bt
}

// ConvWinograd is Conv of x [N, C, H, W] with w [M, C, 3, 3], stride 1, padding 1 and no bias, with a quarter of the
// multiplications. What it computes beside them moves each value a few times, which pays for small images with many channels.
// Results differ from Conv's by rounding, about ten times as much as those of Conv among themselves.
//
// The image's rows and columns come first, so that each transform is a product with a constant matrix and nothing is moved between
// them: [H, W, N, C] to [6, tiles, 6, tiles*N, C], times [6, 1, 6, C, M], and back.
func ConvWinograd(x, w *Value) *Value {
	g := graphOf(x)
	y := Conv(x, w, nil, Same(winogradKernel, 1, 1, 1)) // checks the arguments; nothing uses it
	if g.Err() != nil {
		return y
	}
	if w.shape[2] != winogradKernel || w.shape[3] != winogradKernel {
		g.fail("ConvWinograd", "is for 3x3 kernels, has %v", w.shape)
		return y
	}
	n, in, height, width, out := x.shape[0], x.shape[1], x.shape[2], x.shape[3], w.shape[0]
	tiles := [2]int{(height + WinogradTile - 1) / WinogradTile, (width + WinogradTile - 1) / WinogradTile}
	at, kernel, bt := winogradMatrices()
	// The transforms of a whole axis; what lies outside the image is zero, and what comes out outside is left out.
	forward := func(tiles, length int) *Value {
		m := make([]float32, winogradSpan*tiles*length)
		for p := range winogradSpan {
			for t := range tiles {
				for i := range winogradSpan {
					if at := t*WinogradTile + i - 1; at >= 0 && at < length {
						m[(p*tiles+t)*length+at] = float32(bt[p][i])
					}
				}
			}
		}
		return g.Floats(m, winogradSpan*tiles, length)
	}
	back := func(tiles, length int) *Value {
		m := make([]float32, length*winogradSpan*tiles)
		for o := range length {
			for p := range winogradSpan {
				m[(o*winogradSpan+p)*tiles+o/WinogradTile] = float32(at[o%WinogradTile][p])
			}
		}
		return g.Floats(m, length, winogradSpan*tiles)
	}
	flat := make([]float32, 0, winogradSpan*winogradKernel)
	for _, row := range kernel {
		for _, v := range row {
			flat = append(flat, float32(v))
		}
	}
	onKernel := g.Floats(flat, winogradSpan, winogradKernel)
	// both applies matrices along the first two axes of v [a, b, rest].
	both := func(first, second, v *Value, b, rest int) *Value {
		v = MatMul(first, Reshape(v, -1, b*rest))
		return MatMul(second, Reshape(v, first.shape[0], b, rest))
	}
	pixels := Transpose(Reshape(x, n, in, height*width), 2, 0, 1)
	v := both(forward(tiles[0], height), forward(tiles[1], width), pixels, width, n*in)
	u := both(onKernel, onKernel, Transpose(w, 2, 3, 1, 0), winogradKernel, in*out)
	m := MatMul(Reshape(v, winogradSpan, tiles[0], winogradSpan, tiles[1]*n, in), Reshape(u, winogradSpan, 1, winogradSpan, in, out))
	// Back along the second axis first, where it is already last but one.
	z := MatMul(back(tiles[1], width), Reshape(m, winogradSpan*tiles[0], winogradSpan*tiles[1], n*out))
	z = MatMul(back(tiles[0], height), Reshape(z, winogradSpan*tiles[0], width*n*out))
	return Reshape(Transpose(Reshape(z, height*width, n, out), 1, 2, 0), n, out, height, width)
}
