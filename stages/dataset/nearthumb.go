package dataset

import (
	"cmp"
	"math"
	"slices"
)

// thumbnail is an image of nearSide x nearSide pixels, its three planes one after the other.
type thumbnail struct{ values []float32 }

// thumbnail returns image i, of which a part may be left out, small.
func (s nearImages) thumbnail(i int) (*thumbnail, error) {
	im := s.Images
	values, err := im.Read(i)
	if err != nil {
		return nil, err
	}
	plane := im.Height * im.Width
	side := s.share * float64(min(im.Height, im.Width))
	across := newSpans((float64(im.Width)-side)/2, side, nearSide)
	down := newSpans((float64(im.Height)-side)/2, side, nearSide)
	t := &thumbnail{make([]float32, 0, 3*nearSide*nearSide)}
	line := make([]float32, im.Width)
	from := make([]float32, plane)
	for c := range 3 {
		for k, v := range values[min(c, im.Channels-1)*plane:][:plane] {
			from[k] = float32(v)
		}
		t.values = shrink(t.values, from, im.Width, across, down, line)
	}
	return t, nil
}

// gray returns the brightness of the pixels, as eyes see it.
func (t *thumbnail) gray() []float32 {
	n := nearSide * nearSide
	out := make([]float32, n)
	for i := range out {
		out[i] = 0.299*t.values[i] + 0.587*t.values[n+i] + 0.114*t.values[2*n+i]
	}
	return out
}

// span is the part of a line that a pixel of a smaller image covers.
type span struct {
	first   int
	weights []float32 // of the pixels from first on; they sum to one
}

// newSpans divides the part of a line from start on, length long, into n equal ones. Parts that are shorter than a pixel are the pixel that
// they are in.
func newSpans(start, length float64, n int) []span {
	out := make([]span, n)
	for i := range out {
		low, high := start+length*float64(i)/float64(n), start+length*float64(i+1)/float64(n)
		first := int(low + 1e-6)
		last := max(first, int(math.Ceil(high-1e-6))-1)
		out[i].first = first
		for k := first; k <= last; k++ {
			share := min(high, float64(k+1)) - max(low, float64(k))
			out[i].weights = append(out[i].weights, float32(share/(high-low)))
		}
	}
	return out
}

// shrink appends an image's plane, reduced by area to the spans. line is room for one of its lines.
func shrink(to, from []float32, width int, across, down []span, line []float32) []float32 {
	for _, y := range down {
		clear(line)
		for k, w := range y.weights {
			for x, v := range from[(y.first+k)*width:][:width] {
				line[x] += w * v
			}
		}
		for _, x := range across {
			var sum float32
			for k, w := range x.weights {
				sum += w * line[x.first+k]
			}
			to = append(to, sum)
		}
	}
	return to
}

// crop is a square part of an image.
type crop struct {
	gray  [2][]span // from nearSmall to nearGray pixels, across and down
	color [2][]span // from nearSide to nearColor
}

// cropsOf returns parts of a square, down to 0.88 of its side: all of it, and smaller ones at 25 places each.
func cropsOf() []crop {
	part := func(share, left, top float64) crop {
		spans := func(side float64, n int) [2][]span {
			length := side * share
			return [2][]span{newSpans((side-length)*left, length, n), newSpans((side-length)*top, length, n)}
		}
		return crop{gray: spans(nearSmall, nearGray), color: spans(nearSide, nearColor)}
	}
	out := []crop{part(1, 0, 0)}
	for _, share := range []float64{0.97, 0.94, 0.91, 0.88} {
		for left := range 5 {
			for top := range 5 {
				out = append(out, part(share, float64(left)/4, float64(top)/4))
			}
		}
	}
	return out
}

// alike returns how much two images correlate at most, when one is laid over a part of the other; -1 where a first look is enough to see
// that they do not.
func alike(a, b *thumbnail, crops []crop) float64 {
	const looks = 5 // at the parts that correlate most at the first look
	best := -1.0
	line := make([]float32, nearSide)
	x, y := a.small(), b.small()
	for _, pair := range [2][2]*thumbnail{{a, b}, {b, a}} {
		var tried []triedCrop
		whole := shrink(nil, y, nearSmall, crops[0].gray[0], crops[0].gray[1], line[:nearSmall])
		var part []float32
		for i, c := range crops {
			part = shrink(part[:0], x, nearSmall, c.gray[0], c.gray[1], line[:nearSmall])
			if r := correlation(part, whole); r >= nearCoarse {
				tried = append(tried, triedCrop{i, r})
			}
		}
		x, y = y, x
		if len(tried) == 0 {
			continue
		}
		slices.SortFunc(tried, func(p, q triedCrop) int { return cmp.Or(cmp.Compare(q.alike, p.alike), p.index-q.index) })
		whole = whole[:0]
		for _, plane := range pair[1].planes() {
			whole = shrink(whole, plane, nearSide, crops[0].color[0], crops[0].color[1], line)
		}
		for _, c := range tried[:min(looks, len(tried))] {
			part = part[:0]
			for _, plane := range pair[0].planes() {
				part = shrink(part, plane, nearSide, crops[c.index].color[0], crops[c.index].color[1], line)
			}
			best = max(best, correlation(part, whole))
		}
	}
	return best
}

// triedCrop is a part that was looked at once.
type triedCrop struct {
	index int
	alike float64
}

// small returns the gray values of an image of nearSmall x nearSmall pixels.
func (t *thumbnail) small() []float32 {
	const by = nearSide / nearSmall
	gray, out := t.gray(), make([]float32, nearSmall*nearSmall)
	for i, v := range gray {
		out[i/nearSide/by*nearSmall+i%nearSide/by] += v / (by * by)
	}
	return out
}

func (t *thumbnail) planes() [][]float32 {
	n := nearSide * nearSide
	return [][]float32{t.values[:n], t.values[n : 2*n], t.values[2*n:]}
}

// correlation is Pearson's.
func correlation(x, y []float32) float64 {
	var sx, sy, xx, yy, xy float64
	for i, v := range x {
		a, b := float64(v), float64(y[i])
		sx, sy, xx, yy, xy = sx+a, sy+b, xx+a*a, yy+b*b, xy+a*b
	}
	n := float64(len(x))
	spread := (xx - sx*sx/n) * (yy - sy*sy/n)
	if spread <= 0 {
		return -1
	}
	return (xy - sx*sy/n) / math.Sqrt(spread)
}
