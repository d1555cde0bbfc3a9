package supernet

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/stages/dataset"
)

// The patches that StemWhitened looks at.
const (
	patchSide = 2
	// patchImages is how many images say how patches are spread; a thousand patches a filter do already.
	patchImages = 5000
	// patchNoise is added to the variance of every direction, so that those in which patches hardly differ are not blown up; Jordan's
	// value.
	patchNoise = 5e-4
	// patchWeight is the name of the filters.
	patchWeight = "stem.patches.weight"
)

// patches is the convolution of StemWhitened: [N, C, H, W] to [N, 8 C, H, W], two filters of opposite sign for each of the 4 C directions
// that a patch of 2x2 pixels has, so that ReLU loses nothing. The last row and column are padded with zeros, which is the mean.
func (l *layers) patches(x *graph.Value) *graph.Value {
	g := x.Graph()
	defer g.Scope("patches")()
	channels := x.Dim(1)
	w := l.param(g, "weight", params.Conv, 2*patchSide*patchSide*channels, channels, patchSide, patchSide)
	return l.convolve(x, w, graph.ConvConfig{Pad: [4]int{0, 0, patchSide - 1, patchSide - 1}})
}

// Whiten replaces the first values of the filters of StemWhitened, among all parameters, by those that whiten the patches of the images as
// a network gets them, normalized by mean and std (of pixels as a share of 255): what the filters of one sign give is without correlation,
// and of variance 1. For a network with another stem it does nothing. It is what networks for short trainings begin with since Page ("How
// to train your ResNet", part 8, 2019); here the filters are trained like all others.
func Whiten(index *params.Index, values []float32, images *dataset.Images, mean, std []float32) error {
	p, ok := index.Lookup(patchWeight)
	if !ok {
		return nil
	}
	c := images.Channels
	n := c * patchSide * patchSide
	if !slices.Equal(p.Shape, []int{2 * n, c, patchSide, patchSide}) {
		return fmt.Errorf("whitening: %s is %v, and images have %d channels", patchWeight, p.Shape, c)
	}
	if len(mean) != c || len(std) != c {
		return fmt.Errorf("whitening: %d means and %d deviations for %d channels", len(mean), len(std), c)
	}
	moments, err := patchMoments(images, mean, std)
	if err != nil {
		return fmt.Errorf("whitening: %w", err)
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(moments, true) {
		return errors.New("whitening: the patches of the images have no eigenvectors; is a pixel not a number?")
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	out := p.Of(values)
	for d, variance := range eigen.Values(nil) {
		// The directions in which patches differ most come first.
		at := (n - 1 - d) * n
		scale := 1 / math.Sqrt(max(variance, 0)+patchNoise)
		for i := range n {
			v := float32(scale * vectors.At(i, d))
			out[at+i], out[n*n+at+i] = v, -v
		}
	}
	return nil
}

// patchMoments returns the mean products of the values of normalized patches, which are in the order of a filter: [C, 2, 2].
func patchMoments(images *dataset.Images, mean, std []float32) (*mat.SymDense, error) {
	c, height, width := images.Channels, images.Height, images.Width
	n, plane := c*patchSide*patchSide, height*width
	sum, patch := make([]float64, n*n), make([]float64, n)
	count := min(images.Count, patchImages)
	for i := range count {
		pixels, err := images.Read(i)
		if err != nil {
			return nil, err
		}
		for y := range height - patchSide + 1 {
			for x := range width - patchSide + 1 {
				for k := range patch {
					channel, dy, dx := k/(patchSide*patchSide), k/patchSide%patchSide, k%patchSide
					v := float64(pixels[channel*plane+(y+dy)*width+x+dx]) / 255
					patch[k] = (v - float64(mean[channel])) / float64(std[channel])
				}
				for a, u := range patch {
					for b := a; b < n; b++ {
						sum[a*n+b] += u * patch[b]
					}
				}
			}
		}
	}
	total := float64(max(count*(height-patchSide+1)*(width-patchSide+1), 1))
	out := mat.NewSymDense(n, nil)
	for a := range n {
		for b := a; b < n; b++ {
			out.SetSym(a, b, sum[a*n+b]/total)
		}
	}
	return out, nil
}
