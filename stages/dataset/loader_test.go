package dataset

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

// everything copies all batches of an epoch.
func everything(t interface{ Fatal(...any) }, l *Loader, epoch int) (x []float32, y []int64, sizes []int) {
	for b, err := range l.Epoch(context.Background(), epoch) {
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Y) != b.Count || len(b.X) != b.Count*l.images.Values() {
			t.Fatal("a batch of ", b.Count, " images has ", len(b.X), " values and ", len(b.Y), " labels")
		}
		x, y, sizes = append(x, b.X...), append(y, b.Y...), append(sizes, b.Count)
	}
	return x, y, sizes
}

func augmentFor(t *rapid.T, height, width int) Augment {
	side := min(height, width)
	return Augment{
		Flip:   rapid.Bool().Draw(t, "flip"),
		Crop:   rapid.IntRange(0, side-1).Draw(t, "crop"),
		Cutout: rapid.IntRange(0, 2*side-1).Draw(t, "cutout"),
	}
}

// The bytes of an epoch depend neither on how many goroutines prepare it, nor on how far ahead, nor on the epochs
// before it; they do depend on the seed and the epoch.
func TestEpochIsTheSameForAnyWorkers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, w := rapid.IntRange(2, 6).Draw(t, "height"), rapid.IntRange(2, 6).Draw(t, "width")
		im := imagesOf(t, rapid.IntRange(1, 40).Draw(t, "count"), 3, h, w, 10)
		mean, std := im.statistics(nil)
		o := LoaderOptions{
			Batch: rapid.IntRange(1, 12).Draw(t, "batch"), Shuffle: rapid.Bool().Draw(t, "shuffle"),
			Seed: rapid.Uint64().Draw(t, "seed"), Augment: augmentFor(t, h, w),
		}
		open := func(workers, ahead int) *Loader {
			o.Workers, o.Ahead = workers, ahead
			l, err := NewLoader(im, mean, std, o)
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		one, many := open(1, 1), open(rapid.IntRange(0, 6).Draw(t, "workers"), rapid.IntRange(0, 9).Draw(t, "ahead"))
		epoch := rapid.IntRange(0, 5).Draw(t, "epoch")
		for range many.Epoch(context.Background(), epoch+1) { // an epoch that is left early leaves no trace
			break
		}
		x, y, sizes := everything(t, one, epoch)
		mx, my, msizes := everything(t, many, epoch)
		if !slices.Equal(x, mx) || !slices.Equal(y, my) || !slices.Equal(sizes, msizes) {
			t.Fatal("another number of workers gave other batches")
		}
		from, skipped := rapid.IntRange(0, len(sizes)).Draw(t, "from"), 0
		for _, n := range sizes[:from] {
			skipped += n
		}
		x, y, sizes = x[skipped*im.Values():], y[skipped:], sizes[from:]
		for b, err := range many.EpochFrom(context.Background(), epoch, from) {
			if err != nil {
				t.Fatal(err)
			}
			if len(sizes) == 0 || b.Count != sizes[0] || !slices.Equal(b.X, x[:len(b.X)]) || !slices.Equal(b.Y, y[:b.Count]) {
				t.Fatal("an epoch that is entered later has other batches")
			}
			x, y, sizes = x[len(b.X):], y[b.Count:], sizes[1:]
		}
		if len(sizes) > 0 {
			t.Fatalf("an epoch that is entered later lacks %d batches", len(sizes))
		}
	})
}

func TestEpochsDiffer(t *testing.T) {
	im := mustShapes(t, 50, 16, 1)
	mean, std := im.statistics(nil)
	var all [][]float32
	for _, from := range []uint64{1, 2} {
		l, err := NewLoader(im, mean, std, LoaderOptions{Batch: 50, Augment: Augment{Flip: true, Crop: 2}, Seed: from})
		if err != nil {
			t.Fatal(err)
		}
		for epoch := range 2 {
			x, y, _ := everything(t, l, epoch)
			if !slices.Equal(y, im.Labels) {
				t.Error("images without shuffling are not in their order")
			}
			for _, o := range all {
				if slices.Equal(x, o) {
					t.Error("two seeds or epochs have the same augmentation")
				}
			}
			all = append(all, x)
		}
	}
}

// An epoch holds each image once; DropLast leaves out less than a batch.
func TestEpochHoldsEachImageOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		im := marked(rapid.IntRange(1, 100).Draw(t, "count"), 10)
		o := LoaderOptions{
			Batch: rapid.IntRange(1, im.Count).Draw(t, "batch"), DropLast: rapid.Bool().Draw(t, "drop last"),
			Shuffle: rapid.Bool().Draw(t, "shuffle"), Seed: rapid.Uint64().Draw(t, "seed"), Workers: 3,
		}
		l, err := NewLoader(im, []float32{0, 0, 0}, []float32{1, 1, 1}, o)
		if err != nil {
			t.Fatal(err)
		}
		x, y, sizes := everything(t, l, 4)
		var seen []string
		for k := range y {
			v := func(c int) int { return int(math.Round(float64(x[3*k+c]) * 255)) }
			if int64(v(2)) != y[k] {
				t.Fatalf("image %d came with label %d", k, y[k])
			}
			seen = append(seen, fmt.Sprintf("%05d", v(0)+v(1)<<8))
		}
		all := names(t, im)
		if !o.Shuffle && !slices.Equal(seen, all[:len(seen)]) {
			t.Fatal("images without shuffling are not in their order")
		}
		slices.Sort(seen)
		if len(slices.Compact(slices.Clone(seen))) != len(seen) {
			t.Fatal("an image came twice")
		}
		want := im.Count
		if o.DropLast {
			want -= im.Count % o.Batch
		}
		if len(seen) != want || len(sizes) != l.Batches() {
			t.Fatalf("%d images in %d batches, want %d in %d", len(seen), len(sizes), want, l.Batches())
		}
		for i, s := range sizes {
			if s != o.Batch && (i < len(sizes)-1 || o.DropLast) {
				t.Fatalf("batches of %v, want %d each", sizes, o.Batch)
			}
		}
	})
}

// apply does what its words say: checked against a version that looks up one value at a time.
func TestApply(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, w := rapid.IntRange(1, 7).Draw(t, "height"), rapid.IntRange(1, 7).Draw(t, "width")
		channels := rapid.SampledFrom([]int{1, 3}).Draw(t, "channels")
		im := imagesOf(t, 1, channels, h, w, 2)
		mean, std := []float32{0.4, 0.5, 0.6}[:channels], []float32{0.2, 0.3, 0.25}[:channels]
		v := augmentFor(t, h, w).draw(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)), h, w)
		got := make([]float32, im.Values())
		for i := range got {
			got[i] = float32(math.NaN())
		}
		newNormalizer(mean, std).apply(got, im.Pixels, h, w, v)
		for c := range channels {
			for y := range h {
				for x := range w {
					sx, sy := x+v.dx, y+v.dy
					value := uint8(0)
					if sx >= 0 && sx < w && sy >= 0 && sy < h {
						if v.mirror {
							sx = w - 1 - sx
						}
						value = im.Pixels[(c*h+sy)*w+sx]
					}
					want := (float32(value)/255 - mean[c]) / std[c]
					if x >= v.x0 && x < v.x1 && y >= v.y0 && y < v.y1 {
						want = 0
					}
					if g := got[(c*h+y)*w+x]; g != want {
						t.Fatalf("%+v: channel %d at (%d, %d) is %v, want %v", v, c, x, y, g, want)
					}
				}
			}
		}
	})
}

// Every shift, both directions and every place of the cutout come about equally often.
func TestDrawIsUniform(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const n = 20000
	shifts, mirrored, corners := map[[2]int]int{}, 0, map[[2]int]int{}
	for range n {
		v := Augment{Flip: true, Crop: 2, Cutout: 2}.draw(rng, 4, 4)
		shifts[[2]int{v.dx, v.dy}]++
		corners[[2]int{v.x1, v.y1}]++
		if v.mirror {
			mirrored++
		}
	}
	near := func(count int, share float64) bool {
		return math.Abs(float64(count)-n*share) < 5*math.Sqrt(n*share)
	}
	if len(shifts) != 25 || len(corners) != 16 || !near(mirrored, 0.5) {
		t.Errorf("%d shifts, %d places of the cutout, %d of %d mirrored", len(shifts), len(corners), mirrored, n)
	}
	for s, count := range shifts {
		if !near(count, 1.0/25) {
			t.Errorf("shift %v came %d times of %d", s, count, n)
		}
	}
	for c, count := range corners {
		if !near(count, 1.0/16) {
			t.Errorf("a cutout that ends at %v came %d times of %d", c, count, n)
		}
	}
}

func TestEpochEnds(t *testing.T) {
	defer goleak.VerifyNone(t)
	im := mustShapes(t, 100, 16, 1)
	mean, std := im.statistics(nil)
	l, err := NewLoader(im, mean, std, LoaderOptions{Batch: 7, Shuffle: true, Workers: 4, Ahead: 5})
	if err != nil {
		t.Fatal(err)
	}
	for stop := range l.Batches() {
		got := 0
		for _, err := range l.Epoch(t.Context(), stop) {
			if err != nil {
				t.Fatal(err)
			}
			if got++; got > stop {
				break
			}
		}
		goleak.VerifyNone(t)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	batches, failed := 0, error(nil)
	for b, err := range l.Epoch(ctx, 0) {
		if failed != nil {
			t.Fatal("the iteration went on after an error")
		}
		if failed = err; err == nil {
			if batches++; b == nil {
				t.Fatal("no batch and no error")
			}
		}
		if batches == 3 {
			cancel()
		}
	}
	if batches != 3 || !errors.Is(failed, context.Canceled) {
		t.Errorf("cancelled after 3 batches: got %d and error %v", batches, failed)
	}
	for _, err := range l.Epoch(ctx, 1) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want one that wraps %v", err, context.Canceled)
		}
	}
	func() {
		defer func() { _ = recover() }()
		for range l.Epoch(t.Context(), 0) {
			panic("in the loop")
		}
	}()
	if _, y, _ := everything(t, l, 0); len(y) != im.Count {
		t.Errorf("the next epoch has %d images, want %d", len(y), im.Count)
	}
}

func TestLoaderIsForOneEpochAtATime(t *testing.T) {
	im := marked(10, 2)
	l, err := NewLoader(im, []float32{0, 0, 0}, []float32{1, 1, 1}, LoaderOptions{Batch: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range l.Epoch(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range l.Epoch(t.Context(), 1) {
			if err == nil || !strings.Contains(err.Error(), "epoch 1: the loader is still in use") {
				t.Fatalf("error %v", err)
			}
		}
	}
}

func TestNewLoaderRejects(t *testing.T) {
	im := marked(10, 2)
	ones := []float32{1, 1, 1}
	for want, open := range map[string]func() (*Loader, error){
		"there are no images": func() (*Loader, error) { return NewLoader(newImages(0, 3, 1, 1), ones, ones, LoaderOptions{Batch: 1}) },
		"29 pixel values, want 30 for 10 images of 3x1x1": func() (*Loader, error) {
			return NewLoader(&Images{Count: 10, Channels: 3, Height: 1, Width: 1, Pixels: im.Pixels[1:], Labels: im.Labels}, ones, ones, LoaderOptions{Batch: 1})
		},
		"2 means and 3 standard deviations": func() (*Loader, error) { return NewLoader(im, ones[:2], ones, LoaderOptions{Batch: 1}) },
		"deviation of channel 1 is 0":       func() (*Loader, error) { return NewLoader(im, ones, []float32{1, 0, 1}, LoaderOptions{Batch: 1}) },
		"a batch of 0 images":               func() (*Loader, error) { return NewLoader(im, ones, ones, LoaderOptions{}) },
		"-1 workers":                        func() (*Loader, error) { return NewLoader(im, ones, ones, LoaderOptions{Batch: 1, Workers: -1}) },
		"10 images do not fill a batch of 11": func() (*Loader, error) {
			return NewLoader(im, ones, ones, LoaderOptions{Batch: 11, DropLast: true})
		},
		"a crop with 1 pixels of padding does not fit": func() (*Loader, error) {
			return NewLoader(im, ones, ones, LoaderOptions{Batch: 1, Augment: Augment{Crop: 1}})
		},
		"a cutout of 2 pixels does not fit": func() (*Loader, error) {
			return NewLoader(im, ones, ones, LoaderOptions{Batch: 1, Augment: Augment{Cutout: 2}})
		},
	} {
		if _, err := open(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// Batches cost no allocations: an epoch of many has as many as an epoch of few.
func TestBatchesDoNotAllocate(t *testing.T) {
	allocations := func(count int, a Augment) float64 {
		im := newImages(count, 3, 16, 16)
		l, err := NewLoader(im, []float32{0, 0, 0}, []float32{1, 1, 1},
			LoaderOptions{Batch: 8, Shuffle: true, Augment: a, Workers: 2, Ahead: 2})
		if err != nil {
			t.Fatal(err)
		}
		return testing.AllocsPerRun(5, func() {
			for _, err := range l.Epoch(context.Background(), 1) {
				if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	for _, a := range []Augment{{Flip: true, Crop: 2, Cutout: 4}, {Flip: true, ResizedCrop: 0.1, Jitter: jitter()}} {
		if few, many := allocations(80, a), allocations(2000, a); many > few+5 {
			t.Errorf("%+v: 250 batches allocate %v times, 10 batches %v times", a, many, few)
		}
	}
}

func BenchmarkLoader(b *testing.B) {
	im := newImages(5000, 3, 32, 32)
	for i := range im.Pixels {
		im.Pixels[i] = uint8(i * 7)
	}
	for name, augment := range map[string]Augment{"plain": {}, "augmented": {Flip: true, Crop: 4, Cutout: 8}, "distorted": {Flip: true, ResizedCrop: 0.08, Jitter: jitter()}} {
		b.Run(name, func(b *testing.B) {
			l, err := NewLoader(im, []float32{0.5, 0.5, 0.5}, []float32{0.25, 0.25, 0.25}, LoaderOptions{Batch: 64, Shuffle: true, Augment: augment})
			if err != nil {
				b.Fatal(err)
			}
			epoch := 0
			for b.Loop() {
				for _, err := range l.Epoch(b.Context(), epoch) {
					if err != nil {
						b.Fatal(err)
					}
				}
				epoch++
			}
			b.ReportMetric(float64(im.Count*b.N)/b.Elapsed().Seconds(), "images/s")
		})
	}
}
