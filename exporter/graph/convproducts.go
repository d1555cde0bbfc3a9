package graph

// ConvByProducts is Conv without groups and bias as two matrix products: one with a constant matrix of zeros and ones lays out what
// each position of the kernel sees, channel by channel and image by image, and one multiplies that with the weights for all
// images at once. The first takes H*W*OH*OW*KH*KW multiplications for each channel and image, so this is for very small images,
// which a convolution takes one by one.
func ConvByProducts(x, w *Value, c ConvConfig) *Value {
	g := graphOf(x)
	y := Conv(x, w, nil, c) // checks the arguments; nothing uses it
	if g.Err() != nil {
		return y
	}
	if c.normal().Groups != 1 {
		g.fail("ConvByProducts", "is for one group, has %d", c.Groups)
		return y
	}
	n, in, out := x.shape[0], x.shape[1], y.shape[1]
	taps, pixels, positions := plane(w), plane(x), plane(y)
	sees := make([]float32, taps*pixels*positions)
	c.Meet(side(x), side(w), side(y), func(tap, pixel, position int) { sees[(tap*pixels+pixel)*positions+position] = 1 })
	seen := MatMul(Reshape(Transpose(x, 1, 0, 2, 3), 1, in*n, pixels), g.Floats(sees, taps, pixels, positions))
	kernels := Reshape(Transpose(Reshape(w, out, in, taps), 0, 2, 1), out, taps*in)
	z := MatMul(kernels, Reshape(seen, taps*in, n*positions))
	return Transpose(Reshape(z, out, n, y.shape[2], y.shape[3]), 1, 0, 2, 3)
}

// DepthwiseByPlanes is Conv of x [N, C, H, W] with w [C*F, 1, KH, KW], F filters for each channel, as a product of the channel's
// planes with a matrix [H*W, OH*OW] for each filter. The matrix holds the weights where input and output meet; it is a product too, of
// the weights and constants. For small images that is faster than Conv, which takes each plane by itself, and its gradients are two
// products more.
func DepthwiseByPlanes(x, w *Value, c ConvConfig) *Value {
	g := graphOf(x)
	y := Conv(x, w, nil, c) // checks the arguments; nothing uses it
	if g.Err() != nil {
		return y
	}
	n, channels := x.shape[0], x.shape[1]
	if w.shape[1] != 1 || c.Groups != channels {
		g.fail("DepthwiseByPlanes", "is for filters that see one channel, has %v in %d groups", w.shape, c.Groups)
		return y
	}
	taps, pixels, positions := plane(w), plane(x), plane(y)
	meet := make([]float32, taps*pixels*positions)
	c.Meet(side(x), side(w), side(y), func(tap, pixel, position int) { meet[(tap*pixels+pixel)*positions+position] = 1 })
	matrices := MatMul(Reshape(w, w.shape[0], taps), g.Floats(meet, taps, pixels*positions))
	planes := Reshape(Transpose(x, 1, 0, 2, 3), channels, 1, n, pixels)
	z := MatMul(planes, Reshape(matrices, channels, w.shape[0]/channels, pixels, positions))
	return Transpose(Reshape(z, w.shape[0], n, y.shape[2], y.shape[3]), 1, 0, 2, 3)
}

// side returns the height and width of images [N, C, H, W] or of kernels, plane how many elements that are.
func side(v *Value) [2]int { return [2]int{v.shape[2], v.shape[3]} }

func plane(v *Value) int { return v.shape[2] * v.shape[3] }
