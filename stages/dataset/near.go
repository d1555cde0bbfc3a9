package dataset

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"
)

// Near copies are one picture that was rescaled, compressed again, made brighter or cropped a little. They are found in two steps. The low
// frequencies of a picture, without its brightness and contrast, are a point in space, and near copies are near there, which a
// grid finds among many. Then the one is laid over slightly smaller parts of the other, and what correlates is a near copy.
//
// The numbers are by 12,000 images of CIFAR-10 and by copies that were made of them: among 400 each, all that were compressed again (quality
// 30), reduced to 90 pixels and compressed, or cropped by 3% of their sides, and 19 of 20 cropped by 6%, are within nearRadius, and
// then correlate by more than 0.977 (99 of 100). Of different images, pairs begin to correlate by chance at 0.95: ships on a plain sea.
const (
	nearFrequencies = 6    // of each axis; those whose sum is below
	nearRadius      = 0.30 // of points of length 1 at most
	nearCoarse      = 0.92 // correlation of a first look, at a few places and without color
	nearAlike       = 0.965
	// nearFlat is the standard deviation of gray values, of 255, below which a picture shows too little to be told from others.
	nearFlat = 6.0
	// nearMost is up to how many pictures are compared.
	nearMost = 200_000

	nearSide, nearColor = 32, 24 // pixels of images, and of what is compared of them
	nearSmall, nearGray = 16, 8  // the same for a first look
)

// nearPair is two images that are nearly the same, the first the one with the smaller index.
type nearPair struct {
	a, b  int
	alike float64 // correlation, up to 1
}

// nearImages are images to be compared, all of them or a part of each.
type nearImages struct {
	*Images
	share float64             // of the side of the square in the center
	used  func(pixels []byte) // nil, or told pixels that have been looked at
}

// looked tells that image i has been looked at, about one after the other, a stretch at a time.
func (s nearImages) looked(i int) {
	if s.used == nil || s.Encoded != nil {
		return
	}
	stretch := max(1, stretchBytes/s.Values())
	if end := i + 1; end%stretch == 0 || end == s.Count {
		s.used(s.Pixels[max(0, end-2*stretch)*s.Values() : end*s.Values()]) // also what others were late to look at
	}
}

// nearPairs finds images that are near copies of each other, in the order of their indices, which go through all sets.
func nearPairs(ctx context.Context, sets ...nearImages) ([]nearPair, error) {
	n := 0
	for _, s := range sets {
		n += s.Count
	}
	if n > nearMost {
		return nil, fmt.Errorf("%d pictures are too many to be compared, at most %d are", n, nearMost)
	}
	at := func(i int) (nearImages, int) {
		for _, s := range sets {
			if i < s.Count {
				return s, i
			}
			i -= s.Count
		}
		return nearImages{}, 0
	}
	points := make([]nearPoint, n)
	waves := cosines(nearSide, nearFrequencies)
	err := inParallel(ctx, n, func(i int) error {
		s, k := at(i)
		t, err := s.thumbnail(k)
		if err == nil {
			points[i] = nearPoint{i, describe(t.gray(), waves)}
			s.looked(k)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	points = slices.DeleteFunc(points, func(p nearPoint) bool { return p.at == nil })
	if len(points) < 2 {
		return nil, nil
	}
	cells := map[nearCell][]nearPoint{}
	for _, p := range points {
		cells[p.cell()] = append(cells[p.cell()], p)
	}
	found := make([][]nearPair, len(points))
	crops := cropsOf()
	err = inParallel(ctx, len(points), func(i int) (err error) {
		p := points[i]
		var own *thumbnail
		p.cell().around(func(c nearCell) {
			for _, other := range cells[c] {
				if err != nil || other.index <= p.index || !p.near(other) {
					continue // the image itself, or a pair that is found from its other end
				}
				if own == nil {
					s, k := at(p.index)
					if own, err = s.thumbnail(k); err != nil {
						return
					}
				}
				s, k := at(other.index)
				var that *thumbnail
				if that, err = s.thumbnail(k); err != nil {
					return
				}
				if r := alike(own, that, crops); r >= nearAlike {
					found[i] = append(found[i], nearPair{p.index, other.index, r})
				}
			}
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	out := slices.Concat(found...)
	slices.SortFunc(out, func(p, q nearPair) int { return slices.Compare([]int{p.a, p.b}, []int{q.a, q.b}) })
	return out, nil
}

// inParallel calls do for 0 to n-1.
func inParallel(ctx context.Context, n int, do func(i int) error) error {
	const each = 64
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for from := 0; from < n; from += each {
		group.Go(func() error {
			for i := from; i < min(from+each, n); i++ {
				if err := do(i); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
	}
	return group.Wait()
}

// nearPoint is an image in the space of low frequencies.
type nearPoint struct {
	index int
	at    []float32 // nil for images that show too little
}

// near tells whether two points are within nearRadius of each other.
func (p nearPoint) near(other nearPoint) bool {
	var sum float32
	for i, v := range other.at {
		sum += (p.at[i] - v) * (p.at[i] - v)
		if sum > nearRadius*nearRadius {
			return false
		}
	}
	return true
}

// nearCell is a part of the space of low frequencies, nearRadius wide along the four that differ most between images. What is near lies in
// a cell and those around it.
type nearCell [4]int8

// cell returns where a point is.
func (p nearPoint) cell() (c nearCell) {
	// The two lowest frequencies down, then the two across; see describe.
	for i, k := range []int{0, 1, nearFrequencies - 1, 2*nearFrequencies - 2} {
		c[i] = int8(math.Floor(float64(p.at[k]) / nearRadius))
	}
	return c
}

// around calls do for a cell and its 80 neighbors.
func (c nearCell) around(do func(nearCell)) {
	for i := range 81 {
		do(nearCell{c[0] + int8(i%3-1), c[1] + int8(i/3%3-1), c[2] + int8(i/9%3-1), c[3] + int8(i/27-1)})
	}
}

// cosines holds the first waves of the discrete cosine transform of n values.
func cosines(n, waves int) [][]float64 {
	out := make([][]float64, waves)
	for k := range out {
		out[k] = make([]float64, n)
		scale := math.Sqrt(2 / float64(n))
		if k == 0 {
			scale = math.Sqrt(1 / float64(n))
		}
		for i := range n {
			out[k][i] = scale * math.Cos(math.Pi*float64(k)*(float64(i)+0.5)/float64(n))
		}
	}
	return out
}

// describe returns the low frequencies of an image of gray values as shares of its contrast; nil where it has next to none.
func describe(gray []float32, waves [][]float64) []float32 {
	n := len(waves[0])
	var sum, squares float64
	for _, v := range gray {
		sum, squares = sum+float64(v), squares+float64(v)*float64(v)
	}
	contrast := squares - sum*sum/float64(len(gray))
	if contrast < nearFlat*nearFlat*float64(len(gray)) {
		return nil
	}
	rows := make([]float64, len(waves)*n) // wave of x by y
	for k, wave := range waves {
		for y := range n {
			for x, w := range wave {
				rows[k*n+y] += w * float64(gray[y*n+x])
			}
		}
	}
	var out []float32
	for k := range waves {
		for l := range len(waves) - k {
			if k+l == 0 {
				continue // brightness
			}
			v := 0.0
			for y, w := range waves[l] {
				v += w * rows[k*n+y]
			}
			out = append(out, float32(v/math.Sqrt(contrast)))
		}
	}
	return out
}
