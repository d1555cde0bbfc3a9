package train

import (
	"math"
	"math/rand/v2"
)

// mixer puts the images of a batch together of two each (CutMix: Yun et al., ICCV 2019, arXiv 1905.04899). The share of the first is
// uniform, as with the authors' alpha of 1.
type mixer struct {
	probability             float64
	channels, height, width int
}

// mix changes images, [N, channels, height, width], in place: image i and image N-1-i swap a box. Batches are in random order, so that
// these are random pairs. labels are theirs; mixed becomes the labels of the boxes. The result is the share of labels in the target: 1
// where nothing was mixed. It draws as many numbers whatever they are.
func (m mixer) mix(images []float32, labels, mixed []int64, rng *rand.Rand) float32 {
	copy(mixed, labels)
	chance, share := rng.Float64(), rng.Float64()
	row, column := rng.IntN(m.height), rng.IntN(m.width)
	if chance >= m.probability {
		return 1
	}
	// Half of the box's sides, around a center that lies anywhere, so that part of the box may lie outside.
	side := math.Sqrt(1-share) / 2
	clip := func(center, size int) (from, to int) {
		half := int(side * float64(size))
		return max(center-half, 0), min(center+half, size)
	}
	top, bottom := clip(row, m.height)
	left, right := clip(column, m.width)
	n, values := len(labels), m.channels*m.height*m.width
	for i := range n / 2 {
		a, b := images[i*values:][:values], images[(n-1-i)*values:][:values]
		for c := range m.channels {
			for y := top; y < bottom; y++ {
				at := (c*m.height + y) * m.width
				for x := at + left; x < at+right; x++ {
					a[x], b[x] = b[x], a[x]
				}
			}
		}
		mixed[i], mixed[n-1-i] = labels[n-1-i], labels[i]
	}
	return 1 - float32((bottom-top)*(right-left))/float32(m.height*m.width)
}
