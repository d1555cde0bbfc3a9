package dataset

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// imagesOf returns images whose values rapid chooses.
func imagesOf(t *rapid.T, count, channels, height, width, classes int) *Images {
	im := newImages(count, channels, height, width)
	state := rapid.Uint64().Draw(t, "pixels") | 1
	for i := range im.Pixels {
		state = state*6364136223846793005 + 1442695040888963407
		im.Pixels[i] = uint8(state >> 56)
	}
	for i := range im.Labels {
		state = state*6364136223846793005 + 1442695040888963407
		im.Labels[i] = int64(state>>33) % int64(classes)
	}
	return im
}

// Each new pixel is the exact mean over the area it covers, rounded: checked against the old picture enlarged until
// its pixels and the new ones have a common raster.
func TestDownscaleIsTheMeanOfTheArea(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, w := rapid.IntRange(1, 9).Draw(t, "height"), rapid.IntRange(1, 9).Draw(t, "width")
		nh, nw := rapid.IntRange(1, h).Draw(t, "new height"), rapid.IntRange(1, w).Draw(t, "new width")
		im := imagesOf(t, 2, rapid.SampledFrom([]int{1, 3}).Draw(t, "channels"), h, w, 4)
		got, err := im.Downscale(nh, nw)
		if err != nil {
			t.Fatal(err)
		}
		if err := got.check(4); err != nil || got.Height != nh || got.Width != nw || !slices.Equal(got.Labels, im.Labels) {
			t.Fatalf("%dx%d: %v, labels %v", got.Height, got.Width, err, got.Labels)
		}
		for p := range 2 * im.Channels {
			for y := range nh {
				for x := range nw {
					sum := 0
					// The raster has h*nh rows: a new pixel covers h of them, an old one nh.
					for i := y * h; i < (y+1)*h; i++ {
						for j := x * w; j < (x+1)*w; j++ {
							sum += int(im.Pixels[p*h*w+(i/nh)*w+j/nw])
						}
					}
					want := uint8(math.Floor(float64(sum)/float64(h*w) + 0.5))
					if v := got.Pixels[p*nh*nw+y*nw+x]; v != want {
						t.Fatalf("plane %d, pixel (%d, %d) is %d, want %d", p, x, y, v, want)
					}
				}
			}
		}
	})
}

func TestDownscaleKeepsConstantsAndMeans(t *testing.T) {
	im := newImages(1, 3, 32, 32)
	for i := range im.Pixels {
		im.Pixels[i] = 173
	}
	for _, size := range []int{1, 7, 16, 31, 32} {
		got, err := im.Downscale(size, size)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Min(got.Pixels) != 173 || slices.Max(got.Pixels) != 173 {
			t.Errorf("%d pixels: a picture of one color became one of %d to %d", size, slices.Min(got.Pixels), slices.Max(got.Pixels))
		}
	}
	im = &Images{Count: 1, Channels: 1, Height: 2, Width: 4, Pixels: []uint8{0, 2, 255, 255, 4, 6, 255, 254}, Labels: []int64{0}}
	got, err := im.Downscale(1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if want := []uint8{3, 255}; !slices.Equal(got.Pixels, want) {
		t.Errorf("means %v, want %v", got.Pixels, want)
	}
	if same, err := im.Downscale(2, 4); err != nil || !slices.Equal(same.Pixels, im.Pixels) || &same.Pixels[0] == &im.Pixels[0] {
		t.Errorf("the same size is not a copy: %v, %v", same, err)
	}
}

func TestDownscaleRejects(t *testing.T) {
	im := newImages(1, 1, 4, 6)
	for _, size := range [][2]int{{5, 6}, {4, 7}, {0, 3}, {3, 0}, {-1, 3}} {
		_, err := im.Downscale(size[0], size[1])
		if err == nil || !strings.Contains(err.Error(), "want 1 to 6 wide and 1 to 4 high") {
			t.Errorf("%v: error %v", size, err)
		}
	}
}

func BenchmarkDownscale(b *testing.B) {
	im := newImages(1000, 3, 32, 32)
	for b.Loop() {
		if _, err := im.Downscale(16, 16); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(im.Count*b.N)/b.Elapsed().Seconds(), "images/s")
}

// The division by a reciprocal is the division.
func TestQuotientIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		by := rapid.Uint64Range(1, 1<<44).Draw(t, "by")
		n := rapid.Uint64Range(0, 256*by-1).Draw(t, "n")
		near := rapid.Uint64Range(0, 255).Draw(t, "multiple") * by
		for _, n := range []uint64{n, near, near + by - 1, near + by/2} {
			if got := newQuotient(by).of(n); got != n/by {
				t.Fatalf("%d / %d is %d, want %d", n, by, got, n/by)
			}
		}
	})
}
