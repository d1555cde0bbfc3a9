package dataset

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Downscale returns the images reduced to height x width pixels by area: each new pixel is the mean of the part
// of the old picture that it covers, rounded to the nearest value (halves up). The sizes need not divide each
// other. Neither side may grow.
func (im *Images) Downscale(height, width int) (*Images, error) {
	if height < 1 || width < 1 || height > im.Height || width > im.Width {
		return nil, fmt.Errorf("downscale images of %dx%d pixels to %dx%d: want 1 to %d wide and 1 to %d high",
			im.Width, im.Height, width, height, im.Width, im.Height)
	}
	if im.Encoded != nil {
		return im.downscaleEncoded(height, width)
	}
	out := newImages(im.Count, im.Channels, height, width)
	copy(out.Labels, im.Labels)
	if height == im.Height && width == im.Width {
		copy(out.Pixels, im.Pixels)
		return out, nil
	}
	rows, columns := overlaps(im.Height, height), overlaps(im.Width, width)
	// The weights of a pixel sum up to the old height x width in units that make every overlap a whole
	// number, so the means are exact before rounding.
	total := uint64(im.Height) * uint64(im.Width)
	oldPlane, newPlane := im.Height*im.Width, height*width
	for p := range im.Count * im.Channels {
		from, to := im.Pixels[p*oldPlane:(p+1)*oldPlane], out.Pixels[p*newPlane:(p+1)*newPlane]
		for y, r := range rows {
			for x, c := range columns {
				var sum uint64
				for i, wy := range r.weights {
					line := from[(r.first+i)*im.Width+c.first:]
					var part uint64
					for j, wx := range c.weights {
						part += wx * uint64(line[j])
					}
					sum += wy * part
				}
				to[y*width+x] = uint8((2*sum + total) / (2 * total))
			}
		}
	}
	return out, nil
}

// overlap tells which old pixels of a line a new pixel covers, from first on, and how much of each, in
// units of 1/(new length) of an old pixel.
type overlap struct {
	first   int
	weights []uint64
}

func overlaps(from, to int) []overlap {
	out := make([]overlap, to)
	for o := range out {
		begin, end := o*from, (o+1)*from // in units of 1/to of an old pixel
		out[o].first = begin / to
		for i := begin / to; i*to < end; i++ {
			out[o].weights = append(out[o].weights, uint64(min(end, (i+1)*to)-max(begin, i*to)))
		}
	}
	return out
}

// part returns the square of side x side pixels at x0, y0 of one picture at size x size pixels, reduced by area. The image is that picture
// reduced by a whole number already: x0, y0 and side count the pixels that it had before, and side is at least size.
func (im *Images) part(x0, y0, side, by, size int) *Images {
	out := newImages(1, im.Channels, size, size)
	columns, rows := shares(x0, side, by, size, im.Width), shares(y0, side, by, size, im.Height)
	total := uint64(side) * uint64(side)
	share := newQuotient(2 * total)
	// Columns that the square does not touch are left out of the sums.
	left, last := columns[0].first, columns[size-1]
	sums := make([]uint64, last.first+len(last.weights)-left)
	for c := range im.Channels {
		from, to := im.Pixels[c*im.Height*im.Width:][:im.Height*im.Width], out.Pixels[c*size*size:][:size*size]
		for y, r := range rows {
			clear(sums)
			for i, w := range r.weights {
				line := from[(r.first+i)*im.Width+left:][:len(sums)]
				for x, v := range line {
					sums[x] += w * uint64(v)
				}
			}
			for x, column := range columns {
				var sum uint64
				for i, w := range column.weights {
					sum += w * sums[column.first-left+i]
				}
				to[y*size+x] = uint8(share.of(2*sum + total))
			}
		}
	}
	return out
}

// quotient divides by one number many times, which is faster by its reciprocal.
type quotient struct {
	by      uint64
	inverse float64
}

func newQuotient(by uint64) quotient { return quotient{by, 1 / float64(by)} }

// of returns n / by for an n below 256 x by and a by below 2^44. The product is off by less than one, which is mended.
func (q quotient) of(n uint64) uint64 {
	out := uint64(float64(n) * q.inverse)
	if out*q.by > n {
		return out - 1
	}
	if n-out*q.by >= q.by {
		return out + 1
	}
	return out
}

// shares tells which pixels of a line of count a new pixel covers, and how much of each, in units of 1/size of an old pixel before it was
// reduced. The line of new pixels begins at start and is side long.
func shares(start, side, by, size, count int) []overlap {
	out := make([]overlap, size)
	unit := by * size
	for o := range out {
		begin := start*size + o*side
		end := begin + side
		first := min(begin/unit, count-1)
		out[o].first = first
		for i := first; i < count && i*unit < end; i++ {
			upper := (i + 1) * unit
			if i == count-1 {
				upper = end // the last pixel may stand for a part of one
			}
			out[o].weights = append(out[o].weights, uint64(min(end, upper)-max(begin, i*unit)))
		}
	}
	return out
}

// downscaleEncoded is Downscale for images that are kept encoded: they are decoded one by one, so that only what they are reduced to is held.
func (im *Images) downscaleEncoded(height, width int) (*Images, error) {
	out := newImages(im.Count, im.Channels, height, width)
	copy(out.Labels, im.Labels)
	var mu sync.Mutex
	var failed error
	err := im.eachDecoded(context.Background(), func(i int, values []uint8) {
		one := &Images{Count: 1, Channels: im.Channels, Height: im.Height, Width: im.Width, Pixels: values, Labels: []int64{0}}
		small, err := one.Downscale(height, width)
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			failed = err
			return
		}
		copy(out.at(i), small.Pixels)
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	return out, nil
}
