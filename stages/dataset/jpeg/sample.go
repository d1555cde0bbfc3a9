package jpeg

import "image"

// ratio is how many samples of a component there are for a pixel of the reduced picture.
type ratio struct{ up, down int }

// between returns the sample before the center of a pixel, and at what share of the way to the next one the center lies, in 256ths.
// The sample may be -1.
func (r ratio) between(pixel int) (sample int, share int32) {
	unit := 2 * r.down
	at := (2*pixel+1)*r.up - r.down // in units of a sample
	sample = (at+unit)/unit - 1
	return sample, int32((256*(at-sample*unit) + r.down) / unit)
}

// blocks returns which of count blocks of n samples pixels take their values from: from the first one to before the second one.
func (r ratio) blocks(from, to, n, count int) (first, end int) {
	lower, _ := r.between(from)
	upper, share := r.between(to - 1)
	if share > 0 {
		upper++
	}
	return max(lower, 0) / n, min(upper/n+1, count)
}

func (d *Decoder) ratio(c *component) (x, y ratio) {
	n := 8 / d.options.Reduce
	return ratio{c.h * c.nx, d.hMax * n}, ratio{c.v * c.ny, d.vMax * n}
}

// line gives the samples of a component for one line of pixels after the other. Where there are fewer samples than pixels, the
// values of pixels lie between those of the samples around them, and beyond the outermost samples are theirs.
type line struct {
	c       *component
	x, y    ratio
	from    int // the first pixel
	width   int
	columns []column // nil where there is a sample for each pixel
	blended []int32  // a line of samples, times 256
	out     []uint8
}

// column is where a pixel takes its value from: two samples of the plane, and the share of the second one.
type column struct{ left, right, share int32 }

func (d *Decoder) line(c *component, part image.Rectangle) line {
	l := line{c: c, from: part.Min.X, width: part.Dx()}
	l.x, l.y = d.ratio(c)
	if l.x.up == l.x.down && l.y.up == l.y.down {
		return l
	}
	first, stride := c.blocks.Min.X*c.nx, c.blocks.Dx()*c.nx
	last := min(c.samples.X, first+stride) - 1
	l.columns, l.out, l.blended = make([]column, l.width), make([]uint8, l.width), make([]int32, stride)
	for p := range l.columns {
		at, share := l.x.between(l.from + p)
		l.columns[p] = column{int32(min(max(at, first), last) - first), int32(min(max(at+1, first), last) - first), share}
	}
	return l
}

// at returns the values of the line of pixels, valid until the next call.
func (l *line) at(y int) []uint8 {
	c := l.c
	first, stride := c.blocks.Min.Y*c.ny, c.blocks.Dx()*c.nx
	row := func(y int) []uint8 { return c.plane[(y-first)*stride:][:stride] }
	if l.columns == nil {
		return row(y)[l.from-c.blocks.Min.X*c.nx:][:l.width]
	}
	last := min(c.samples.Y, first+c.blocks.Dy()*c.ny) - 1
	upper, share := l.y.between(y)
	a, b := row(min(max(upper, first), last)), row(min(max(upper+1, first), last))
	for i := range l.blended {
		l.blended[i] = int32(a[i])*(256-share) + int32(b[i])*share
	}
	for p, column := range l.columns {
		l.out[p] = uint8((l.blended[column.left]*(256-column.share) + l.blended[column.right]*column.share + 1<<15) >> 16)
	}
	return l.out
}
