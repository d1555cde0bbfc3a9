package dataset

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/pipeline/seed"
)

func mustShapes(t testing.TB, count, size int, from uint64) *Images {
	t.Helper()
	im, err := Shapes(t.Context(), count, size, DefaultShapesSettings(), from)
	if err != nil {
		t.Fatal(err)
	}
	return im
}

func TestShapeClasses(t *testing.T) {
	want := []string{
		"plain disk", "striped disk", "plain bar", "striped bar", "plain triangle", "striped triangle",
		"plain cross", "striped cross", "plain ring", "striped ring",
	}
	if diff := cmp.Diff(want, ShapeClasses()); diff != "" {
		t.Errorf("classes differ (-want +got):\n%s", diff)
	}
}

func TestShapesAreWholeAndBalanced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count, size := rapid.IntRange(0, 45).Draw(t, "count"), rapid.IntRange(minShapesSize, 40).Draw(t, "size")
		s := ShapesSettings{Clutter: rapid.IntRange(0, 12).Draw(t, "clutter"), Noise: rapid.Float64Range(0, 0.3).Draw(t, "noise")}
		im, err := Shapes(context.Background(), count, size, s, rapid.Uint64().Draw(t, "seed"))
		if err != nil {
			t.Fatal(err)
		}
		if err := im.check(10); err != nil || im.Count != count || im.Channels != 3 || im.Height != size || im.Width != size {
			t.Fatalf("%d images of %dx%dx%d: %v", im.Count, im.Channels, im.Height, im.Width, err)
		}
		counts := im.ClassCounts(10)
		if slices.Max(counts)-slices.Min(counts) > 1 {
			t.Fatalf("class counts %v", counts)
		}
		for i := range im.Count {
			if v := im.at(i); slices.Min(v) == slices.Max(v) {
				t.Fatalf("image %d shows nothing", i)
			}
		}
	})
}

// An image depends on the seed, the settings and its own number: not on how many there are, nor on who draws them.
func TestShapesAreReproducible(t *testing.T) {
	all := mustShapes(t, 200, 16, 5)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	again := mustShapes(t, 130, 16, 5)
	if !slices.Equal(again.Pixels, all.Pixels[:len(again.Pixels)]) || !slices.Equal(again.Labels, all.Labels[:130]) {
		t.Error("the same seed gave other images")
	}
	other := mustShapes(t, 130, 16, 6)
	for i := range other.Count {
		if slices.Equal(other.at(i), again.at(i)) {
			t.Errorf("image %d is the same with another seed", i)
		}
	}
}

func TestShapesRejects(t *testing.T) {
	for _, c := range []struct {
		count, size int
		want        string
	}{
		{-1, 16, "a count of -1 images is negative"},
		{1, minShapesSize - 1, "a size of 11 pixels is out of range, want 12 to 256"},
		{1, maxShapesSize + 1, "a size of 257 pixels is out of range"},
	} {
		_, err := Shapes(t.Context(), c.count, c.size, DefaultShapesSettings(), 0)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Shapes(ctx, 1000, 32, DefaultShapesSettings(), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want one that wraps %v", err, context.Canceled)
	}
}

// Forms keep within the extent that they are painted with, and none is told by how much of the picture it fills.
func TestFormsAreOfOneSize(t *testing.T) {
	const extent, steps = 1.3, 520
	for _, f := range forms {
		points := 0
		for i := range steps {
			for j := range steps {
				at := func(k int) float64 { return 2*extent*(float64(k)+0.5)/steps - extent }
				if f.inside(at(i), at(j)) {
					points++
					if math.Hypot(at(i), at(j)) > extent {
						t.Fatalf("%s reaches beyond %v", f.name, extent)
					}
				}
			}
		}
		area := float64(points) * (2 * extent / steps) * (2 * extent / steps)
		if area < 1.8 || area > 2.6 {
			t.Errorf("%s has an area of %.2f, want 1.8 to 2.6", f.name, area)
		}
	}
}

// A painted disk covers its area however it lies between the pixels, so edges are smooth.
func TestPaintIsAntiAliased(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCanvas(32)
		s := spot{
			x: rapid.Float64Range(0.4, 0.6).Draw(t, "x"), y: rapid.Float64Range(0.4, 0.6).Draw(t, "y"),
			radius:  rapid.Float64Range(0.15, 0.3).Draw(t, "radius"),
			stretch: rapid.Float64Range(0.8, 1.25).Draw(t, "stretch"), angle: rapid.Float64Range(0, 7).Draw(t, "angle"),
		}
		white := color{1, 1, 1}
		c.paint(s, 1, white, white, func(x, y float64) fill {
			if x*x+y*y < 1 {
				return primary
			}
			return none
		})
		area := 0.0
		for _, p := range c.pixels {
			area += p[0] / (32 * 32)
		}
		if want := math.Pi * s.radius * s.radius; math.Abs(area-want) > 0.03*want {
			t.Fatalf("covers %v of the picture, want %v", area, want)
		}
	})
}

// The task is what it is for: a linear classifier on pixels stays far below what a small convolutional network
// reaches (above 90%). The same classifier solves images whose classes are told by where they are bright.
func TestShapesDefeatLinearClassifier(t *testing.T) {
	if testing.Short() {
		t.Skip("trains for a second or two")
	}
	linear := func(count int, from uint64) *Images {
		im, rng := newImages(count, 3, 10, 10), seed.New(from, "linear")
		for i := range im.Count {
			im.Labels[i] = int64(i % 10)
			for k := range im.at(i) {
				im.at(i)[k] = uint8(rng.IntN(200))
				if k%100/10 == i%10 {
					im.at(i)[k] += 55
				}
			}
		}
		return im
	}
	if unseen := trainSoftmax(t, linear(1000, 1), linear(500, 2), 8); unseen < 0.95 {
		t.Errorf("the linear classifier reaches %.3f where it should reach 1", unseen)
	}
	for size, epochs := range map[int]int{16: 16, 32: 8} {
		unseen := trainSoftmax(t, mustShapes(t, 2500, size, 1), mustShapes(t, 500, size, 2), epochs)
		t.Logf("%dx%d: a linear classifier reaches %.3f on test images", size, size, unseen)
		if unseen > 0.5 {
			t.Errorf("%dx%d: a linear classifier reaches %.3f on test images, want at most 0.5", size, size, unseen)
		}
	}
}

// trainSoftmax trains softmax regression by stochastic gradient descent and returns its accuracy on the test images.
func trainSoftmax(t *testing.T, train, test *Images, epochs int) float64 {
	const classes, batch = 10, 50
	mean, std := train.statistics(nil)
	n := train.Values()
	weights, bias := make([]float32, classes*n), make([]float32, classes)
	probabilities := func(x []float32) (p [classes]float64) {
		total := 0.0
		for c := range p {
			sum := bias[c]
			for i, w := range weights[c*n : (c+1)*n] {
				sum += w * x[i]
			}
			p[c] = math.Exp(float64(sum))
			total += p[c]
		}
		for c := range p {
			p[c] /= total
		}
		return p
	}
	loader, err := NewLoader(train, mean, std, LoaderOptions{Batch: batch, Shuffle: true, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	for e := range epochs {
		// The step must shrink as inputs get more: all of them pull at once.
		rate := 8 / float32(n) * (1 - float32(e)/float32(epochs)) / batch
		for b, err := range loader.Epoch(t.Context(), e) {
			if err != nil {
				t.Fatal(err)
			}
			for k := range b.Count {
				x := b.X[k*n : (k+1)*n]
				p := probabilities(x)
				p[b.Y[k]]--
				for c := range p {
					step := rate * float32(p[c])
					bias[c] -= step
					for i, w := range weights[c*n : (c+1)*n] {
						weights[c*n+i] = w - step*x[i]
					}
				}
			}
		}
	}
	loader, err = NewLoader(test, mean, std, LoaderOptions{Batch: batch})
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for b, err := range loader.Epoch(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		for k := range b.Count {
			p := probabilities(b.X[k*n : (k+1)*n])
			if p[b.Y[k]] == slices.Max(p[:]) {
				right++
			}
		}
	}
	return float64(right) / float64(test.Count)
}

func TestRandomColorsContrast(t *testing.T) {
	rng := seed.New(1, "colors")
	for range 1000 {
		a := randomColor(rng)
		b := randomColor(rng, a)
		c := randomColor(rng, a, b)
		if min(a.distance(b), a.distance(c), b.distance(c)) < contrast {
			t.Fatalf("colors %v, %v, %v are too close", a, b, c)
		}
	}
}

func BenchmarkShapes(b *testing.B) {
	for b.Loop() {
		mustShapes(b, 1000, 32, 1)
	}
	b.ReportMetric(float64(1000*b.N)/b.Elapsed().Seconds(), "images/s")
}
