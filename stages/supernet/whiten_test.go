package supernet

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/dataset"
)

// smooth returns images whose neighboring pixels and channels go together, as in photographs.
func smooth(rng *rand.Rand, count, channels, side int) *dataset.Images {
	im := &dataset.Images{Count: count, Channels: channels, Height: side, Width: side, Labels: make([]int64, count)}
	for range count {
		base, slope := rng.Float64()*200, rng.Float64()*4
		for range channels {
			tint := rng.Float64() * 20
			for y := range side {
				for x := range side {
					im.Pixels = append(im.Pixels, uint8(base/2+slope*float64(x+y)+tint+rng.Float64()*15))
				}
			}
		}
	}
	return im
}

// What the filters of one sign give of the images they were made of is without correlation and of variance 1, less where patches
// hardly differ; those of the other sign give the opposite. Other parameters stay as they are.
func TestWhitenedPatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		channels := rapid.SampledFrom([]int{1, 3}).Draw(t, "channels")
		images := smooth(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)), 20, channels, 12)
		net := Network{Space: "nasbench201", Architecture: "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|",
			Macro: Macro{Channels: 4, Cells: 1, Classes: 10, Image: [3]int{channels, 16, 16}, Stem: StemWhitened}}
		index, _, err := net.Indexes()
		if err != nil {
			t.Fatal(err)
		}
		mean, std := []float32{0.5, 0.45, 0.4}[:channels], []float32{0.2, 0.25, 0.3}[:channels]
		values := index.Initialize(rand.New(rand.NewPCG(1, 2)))
		before := index.Initialize(rand.New(rand.NewPCG(1, 2)))
		if err := Whiten(index, values, images, mean, std); err != nil {
			t.Fatal(err)
		}
		p, _ := index.Lookup("stem.patches.weight")
		n := 4 * channels
		filters := p.Of(values)
		for i := range values {
			if inside := i >= p.Offset && i < p.Offset+p.Size(); !inside && values[i] != before[i] {
				t.Fatalf("value %d has changed", i)
			}
		}
		products, count := make([]float64, n*n), 0.0
		for i := range images.Count {
			for y := range images.Height - 1 {
				for x := range images.Width - 1 {
					out := make([]float64, n)
					for f := range n {
						var opposite float64
						for k := range n {
							c, dy, dx := k/4, k/2%2, k%2
							v := float64(images.Pixels[((i*channels+c)*images.Height+y+dy)*images.Width+x+dx]) / 255
							v = (v - float64(mean[c])) / float64(std[c])
							out[f] += v * float64(filters[f*n+k])
							opposite += v * float64(filters[(n+f)*n+k])
						}
						if math.Abs(out[f]+opposite) > 1e-5*(1+math.Abs(out[f])) {
							t.Fatalf("filter %d gives %v and its opposite %v", f, out[f], opposite)
						}
					}
					for a := range n {
						for b := range n {
							products[a*n+b] += out[a] * out[b]
						}
					}
					count++
				}
			}
		}
		for a := range n {
			for b := range n {
				got := products[a*n+b] / count
				if a != b && math.Abs(got) > 1e-3 || a == b && (got > 1+1e-3 || got < 0) {
					t.Fatalf("the mean product of %d and %d is %v", a, b, got)
				}
			}
		}
		if first := products[0] / count; first < 0.99 {
			t.Fatalf("the direction in which patches differ most has variance %v", first)
		}
	})
}

// A network without these filters keeps its weights; one for other images is refused.
func TestWhitenKnowsItsNetwork(t *testing.T) {
	images := smooth(rand.New(rand.NewPCG(3, 4)), 4, 3, 8)
	net := Network{Space: "nasbench201", Architecture: "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|",
		Macro: Macro{Channels: 4, Cells: 1, Classes: 10, Image: [3]int{1, 16, 16}, Stem: StemDeep}}
	for _, test := range []struct {
		stem Stem
		fits bool
	}{{StemDeep, true}, {StemWhitened, false}} {
		net.Stem = test.stem
		index, _, err := net.Indexes()
		if err != nil {
			t.Fatal(err)
		}
		values := index.Initialize(rand.New(rand.NewPCG(1, 2)))
		if err := Whiten(index, values, images, []float32{0, 0, 0}, []float32{1, 1, 1}); (err == nil) != test.fits {
			t.Errorf("stem %s: %v", test.stem, err)
		}
	}
}
