package graph

// ResizeNearest repeats each element of x [N, C, H, W] rows times down and columns times across; the result is
// [N, C, rows*H, columns*W]. It is PyTorch's interpolate with mode "nearest" at whole factors. (To shrink an image
// likewise is Slice with a step.)
func ResizeNearest(x *Value, rows, columns int) *Value {
	g := graphOf(x)
	if len(x.shape) != 4 || x.dtype != Float32 || rows < 1 || columns < 1 {
		g.fail("Resize", "wants float32 x [N, C, H, W] and factors of 1 or more, has %v%v, %d and %d", x.dtype, x.shape, rows, columns)
		return g.dummy(Float32, []int{1, 1, 1, 1})
	}
	if rows == 1 && columns == 1 {
		return x
	}
	out := []int{x.shape[0], x.shape[1], rows * x.shape[2], columns * x.shape[3]}
	scales := g.Floats([]float32{1, 1, float32(rows), float32(columns)}, 4)
	attrs := Attributes{{"coordinate_transformation_mode", "asymmetric"}, {"mode", "nearest"}, {"nearest_mode", "floor"}}
	return g.node("Resize", []*Value{x, nil, scales}, attrs, nil, []spec{{Float32, out}}, true)[0]
}
