package dataset

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func jitter() Jitter { return Jitter{Brightness: 0.4, Contrast: 0.4, Saturation: 0.4, Hue: 0.2} }

// plainStd normalizes to pixel values of 0 to 1.
var (
	noMean = []float32{0, 0, 0}
	oneStd = []float32{1, 1, 1}
)

func close32(a, b, tolerance float32) bool { return a-b < tolerance && b-a < tolerance }

// A part of an image has a share of its area and an aspect ratio within the bounds, and all kinds come about.
func TestResizedCropDrawsParts(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	a := Augment{ResizedCrop: 0.08}
	const side, n = 256, 4000
	var areas, wide, whole float64
	for range n {
		d := a.distort(rng, side, side)
		if d.x < 0 || d.y < 0 || d.x+d.width > side || d.y+d.height > side {
			t.Fatalf("%+v is not within the image", d)
		}
		area, ratio := float64(d.width*d.height)/(side*side), float64(d.width)/float64(d.height)
		if area < 0.078 || ratio < 0.74 || ratio > 1.35 {
			t.Fatalf("%+v has the share %.3f of the area and the ratio %.3f", d, area, ratio)
		}
		areas += area / n
		if ratio > 1 {
			wide++
		}
		if d.width == side && d.height == side {
			whole++
		}
	}
	// Large parts that are not square do not fit and are drawn again, so the mean is a little below (0.08+1)/2.
	if areas < 0.46 || areas > 0.54 || wide/n < 0.45 || wide/n > 0.55 || whole > n/50 {
		t.Errorf("mean area %.3f, %.3f of the parts are wide, %v are the whole image", areas, wide/n, whole)
	}
}

// Resampling keeps what is constant, keeps an image of the same size as it is, is the area's mean where the size is halved
// evenly enough, and mirrors.
func TestResample(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, w := rapid.IntRange(1, 9).Draw(t, "height"), rapid.IntRange(1, 9).Draw(t, "width")
		out := rapid.IntRange(1, 12).Draw(t, "size")
		channels := rapid.SampledFrom([]int{1, 3}).Draw(t, "channels")
		im := imagesOf(t, 1, channels, h, w, 2)
		d := distortion{x: rapid.IntRange(0, w-1).Draw(t, "x"), y: rapid.IntRange(0, h-1).Draw(t, "y")}
		d.width, d.height = rapid.IntRange(1, w-d.x).Draw(t, "part's width"), rapid.IntRange(1, h-d.y).Draw(t, "part's height")
		o := newDistorter(im, out, out, noMean[:channels], oneStd[:channels])
		o.resample(im.Pixels, false, d)
		plain := slices.Clone(o.picture)
		for c := range channels {
			low, high := float32(1), float32(0)
			for y := d.y; y < d.y+d.height; y++ {
				for x := d.x; x < d.x+d.width; x++ {
					v := float32(im.Pixels[(c*h+y)*w+x]) / 255
					low, high = min(low, v), max(high, v)
					if d.width == out && d.height == out && !close32(plain[(c*out+y-d.y)*out+x-d.x], v, 1e-5) {
						t.Fatalf("a part of the size that is wanted was changed at (%d, %d)", x, y)
					}
				}
			}
			for _, v := range plain[c*out*out:][:out*out] {
				if v < low-1e-5 || v > high+1e-5 {
					t.Fatalf("the value %v lies outside of those of the part, %v to %v", v, low, high)
				}
			}
		}
		o.resample(im.Pixels, true, d)
		for i, v := range o.picture {
			if x := i % out; !close32(v, plain[i-x+out-1-x], 1e-5) {
				t.Fatal("the mirrored part is not the part mirrored")
			}
		}
	})
}

// Reducing weighs by a triangle as wide as two new pixels, as picture libraries do.
func TestReducingWeighsByATriangle(t *testing.T) {
	tp := newTaps(8, 4)
	tp.set(0, 8, 4, false)
	first, weights := tp.at(1) // the new pixel's center lies at 3, between the old pixels 2 and 3
	want := []float32{0.125, 0.375, 0.375, 0.125}
	if first != 1 || len(weights) != 4 {
		t.Fatalf("from pixel %d: %v", first, weights)
	}
	for i, w := range weights {
		if !close32(w, want[i], 1e-6) {
			t.Errorf("weights %v, want %v", weights, want)
		}
	}
}

// recolored applies one change of color to one pixel.
func recolored(r, g, b float32, d distortion, j Jitter) [3]float32 {
	im := newImages(1, 3, 1, 1)
	o := newDistorter(im, 1, 1, noMean, oneStd)
	copy(o.picture, []float32{r, g, b})
	d.order = [4]int{0, 1, 2, 3}
	o.recolor(j, d)
	return [3]float32(o.picture)
}

func TestJitterChangesColors(t *testing.T) {
	for _, c := range []struct {
		name       string
		j          Jitter
		factor     [4]float64
		from, want [3]float32
	}{
		{"brighter, up to white", Jitter{Brightness: 1}, [4]float64{1.5, 0, 0, 0}, [3]float32{0.2, 0.4, 0.8}, [3]float32{0.3, 0.6, 1}},
		{"no contrast is the mean gray", Jitter{Contrast: 1}, [4]float64{0, 0, 0, 0}, [3]float32{1, 0, 0}, [3]float32{0.299, 0.299, 0.299}},
		{"no saturation is gray", Jitter{Saturation: 1}, [4]float64{0, 0, 0, 0}, [3]float32{0, 1, 0}, [3]float32{0.587, 0.587, 0.587}},
		{"a third of a turn makes red green", Jitter{Hue: 0.5}, [4]float64{0, 0, 0, 1.0 / 3}, [3]float32{0.9, 0.1, 0.1}, [3]float32{0.1, 0.9, 0.1}},
		{"and back makes red blue", Jitter{Hue: 0.5}, [4]float64{0, 0, 0, -1.0 / 3}, [3]float32{0.9, 0.1, 0.1}, [3]float32{0.1, 0.1, 0.9}},
		{"a sixth of a turn makes blue magenta", Jitter{Hue: 0.5}, [4]float64{0, 0, 0, 1.0 / 6}, [3]float32{0, 0, 1}, [3]float32{1, 0, 1}},
		{"gray has no hue", Jitter{Hue: 0.5}, [4]float64{0, 0, 0, 0.3}, [3]float32{0.4, 0.4, 0.4}, [3]float32{0.4, 0.4, 0.4}},
	} {
		got := recolored(c.from[0], c.from[1], c.from[2], distortion{factor: c.factor}, c.j)
		for i := range got {
			if !close32(got[i], c.want[i], 1e-5) {
				t.Errorf("%s: %v becomes %v, want %v", c.name, c.from, got, c.want)
				break
			}
		}
	}
}

// However much the hue turns, the brightest and the darkest channel stay, and a turn back restores the color.
func TestHueTurnsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := func(name string) float32 { return float32(rapid.IntRange(0, 255).Draw(t, name)) / 255 }
		from := [3]float32{value("red"), value("green"), value("blue")}
		turn := rapid.Float64Range(-0.5, 0.5).Draw(t, "turn")
		there := recolored(from[0], from[1], from[2], distortion{factor: [4]float64{3: turn}}, Jitter{Hue: 0.5})
		back := recolored(there[0], there[1], there[2], distortion{factor: [4]float64{3: -turn}}, Jitter{Hue: 0.5})
		if !close32(slices.Max(from[:]), slices.Max(there[:]), 1e-5) || !close32(slices.Min(from[:]), slices.Min(there[:]), 1e-5) {
			t.Fatalf("%v turned by %v is %v", from, turn, there)
		}
		for i := range back {
			if !close32(from[i], back[i], 1e-3) {
				t.Fatalf("%v turned by %v and back is %v", from, turn, back)
			}
		}
	})
}

// Factors lie within their bounds, and every order comes about.
func TestJitterDraws(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	orders := map[[4]int]int{}
	for range 2400 {
		d := Augment{Jitter: Jitter{Brightness: 0.4, Contrast: 2, Hue: 0.2}}.distort(rng, 8, 8)
		orders[d.order]++
		if b, c := d.factor[0], d.factor[1]; b < 0.6 || b > 1.4 || c < 0 || c > 3 || d.factor[2] != 1 || math.Abs(d.factor[3]) > 0.2 {
			t.Fatalf("factors %v", d.factor)
		}
		if d.width != 8 || d.height != 8 {
			t.Fatalf("without a resized crop %dx%d pixels are shown", d.width, d.height)
		}
	}
	if len(orders) != 24 {
		t.Errorf("%d of 24 orders", len(orders))
	}
}

// Batches of distorted images are the same for any number of workers, of the size that is wanted, and hide the cutout.
func TestDistortedEpochs(t *testing.T) {
	im := mustShapes(t, 20, 24, 1)
	mean, std := im.statistics(nil)
	a := Augment{Flip: true, ResizedCrop: 0.08, Cutout: 6, Jitter: jitter()}
	load := func(a Augment, size, workers int) []float32 {
		l, err := NewLoader(im, mean, std, LoaderOptions{Batch: 5, Size: size, Shuffle: true, Augment: a, Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		var all []float32
		for b, err := range l.Epoch(context.Background(), 3) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b.X...)
		}
		return all
	}
	for _, size := range []int{16, 24, 32} {
		one := load(a, size, 1)
		if len(one) != 20*3*size*size || !slices.Equal(one, load(a, size, 4)) {
			t.Errorf("size %d: %d values, or others with more workers", size, len(one))
		}
		hidden := 0
		for _, v := range one {
			if v == 0 {
				hidden++
			}
		}
		if hidden < 20*3*9 {
			t.Errorf("size %d: %d values are hidden", size, hidden)
		}
	}
	// Colors alone leave the shift and the mirroring as they are without.
	plain, colored := Augment{Flip: true, Crop: 3}, Augment{Flip: true, Crop: 3, Jitter: Jitter{Hue: 1e-12}}
	x, y := load(plain, 24, 1), load(colored, 0, 2)
	for i := range x {
		if !close32(x[i], y[i], 1e-4) {
			t.Fatalf("value %d is %v, without a change of colors %v", i, y[i], x[i])
		}
	}
}

func TestAugmentRejects(t *testing.T) {
	for want, a := range map[string]Augment{
		"augment.crop: -1 pixels":                                     {Crop: -1},
		"augment.cutout: -2 pixels":                                   {Cutout: -2},
		"augment.resized_crop: 1.5 is not a share":                    {ResizedCrop: 1.5},
		"augment.crop: an image is cut once: set crop to 0 where":     {ResizedCrop: 0.1, Crop: 4},
		"augment.jitter.contrast: -1 is not a number of at least 0":   {Jitter: Jitter{Contrast: -1}},
		"augment.jitter.hue: 0.6 is not a number of 0 to 0.5":         {Jitter: Jitter{Hue: 0.6}},
		"augment.jitter.brightness: NaN is not a number of at least":  {Jitter: Jitter{Brightness: math.NaN()}},
		"augment.jitter.saturation: +Inf is not a number of at least": {Jitter: Jitter{Saturation: math.Inf(1)}},
	} {
		if err := a.Validate("augment"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	im := mustShapes(t, 4, 16, 1)
	for _, o := range []LoaderOptions{{Batch: 1, Size: 8}, {Batch: 1, Size: -1}, {Batch: 1, Size: 24, Augment: Augment{Flip: true}}} {
		if _, err := NewLoader(im, noMean, oneStd, o); err == nil || !strings.Contains(err.Error(), "only those that are augmented by resized_crop") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
