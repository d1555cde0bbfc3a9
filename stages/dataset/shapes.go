package dataset

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/plateau-nas/plateau/pipeline/seed"
)

// ShapesSettings says how hard the drawn images are to tell apart.
type ShapesSettings struct {
	Clutter int     `yaml:"clutter" doc:"Largest number of small marks drawn around and over the shape."`
	Noise   float64 `yaml:"noise" doc:"Largest standard deviation of the pixel noise, with pixels from 0 to 1."`
}

// DefaultShapesSettings returns a task that a linear classifier on pixels does not solve and a small convolutional
// network does.
func DefaultShapesSettings() ShapesSettings {
	return ShapesSettings{Clutter: 5, Noise: 0.06}
}

// The sizes of shapes in pixels. Below the smallest, stripes are as fine as the pixels.
const (
	minShapesSize = 12
	maxShapesSize = 256
	// Many marks hide the shape.
	maxClutter = 100
)

// forms are the outlines, each within about one unit around the origin: the function says whether a point lies
// inside. Their areas are similar, so that none is told by its size.
var forms = [...]struct {
	name   string
	inside func(x, y float64) bool
}{
	{"disk", func(x, y float64) bool { return x*x+y*y < 0.81 }},
	{"bar", func(x, y float64) bool { return math.Abs(x) < 1.15 && math.Abs(y) < 0.5 }},
	{"triangle", func(x, y float64) bool { return y > -0.6 && y < 1.2-math.Sqrt(3)*math.Abs(x) }},
	{"cross", func(x, y float64) bool {
		x, y = math.Abs(x), math.Abs(y)
		return min(x, y) < 0.34 && max(x, y) < 1.05
	}},
	{"ring", func(x, y float64) bool { r := x*x + y*y; return r < 1 && r > 0.25 }},
}

// textures are the two ways in which a form is filled.
var textures = [...]string{"plain", "striped"}

// ShapeClasses returns the names of the ten classes of Shapes: every form in every texture.
func ShapeClasses() []string {
	var names []string
	for _, f := range forms {
		for _, t := range textures {
			names = append(names, t+" "+f.name)
		}
	}
	return names
}

// Shapes draws count color images of size x size pixels. The classes take turns, so their counts differ by one at
// most, also in the first n images. Each image shows one shape, of random colors, place, size, proportions and
// rotation, on a shaded background, among small marks, under noise. Image i depends on the seed, the settings, the
// size and i alone.
func Shapes(ctx context.Context, count, size int, s ShapesSettings, from uint64) (*Images, error) {
	switch {
	case count < 0:
		return nil, fmt.Errorf("draw shapes: a count of %d images is negative", count)
	case size < minShapesSize || size > maxShapesSize:
		return nil, fmt.Errorf("draw shapes: a size of %d pixels is out of range, want %d to %d", size, minShapesSize, maxShapesSize)
	}
	im := newImages(count, 3, size, size)
	classes := len(forms) * len(textures)
	const chunk = 64
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for first := 0; first < count; first += chunk {
		group.Go(func() error {
			c := newCanvas(size)
			for i := first; i < min(first+chunk, count); i++ {
				if err := ctx.Err(); err != nil {
					return err
				}
				im.Labels[i] = int64(i % classes)
				c.drawShape(i%classes, s, seed.At(from, uint64(i)))
				c.store(im.at(i))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("draw shapes: %w", err)
	}
	return im, nil
}

// drawShape paints one image of the class.
func (c *canvas) drawShape(class int, s ShapesSettings, rng *rand.Rand) {
	uniform := func(low, high float64) float64 { return low + (high-low)*rng.Float64() }
	form, striped := forms[class/len(textures)], class%len(textures) == 1

	ground := randomColor(rng)
	c.shade(ground, ground.toward(randomColor(rng), uniform(0, 0.25)), uniform(0, 2*math.Pi))
	marks := rng.IntN(s.Clutter + 1)
	over := rng.IntN(marks/2 + 1)
	for range marks - over {
		c.drawMark(rng)
	}

	ink := randomColor(rng, ground)
	second := randomColor(rng, ground, ink)
	radius := uniform(0.30, 0.42)
	place := spot{
		x: uniform(radius*0.9, 1-radius*0.9), y: uniform(radius*0.9, 1-radius*0.9),
		radius: radius, stretch: uniform(0.87, 1.15), angle: uniform(0, 2*math.Pi),
	}
	period, phase, turn := uniform(0.2, 0.27)/radius, uniform(0, 1), uniform(0, math.Pi)
	sin, cos := math.Sincos(turn)
	c.paint(place, 1.3, ink, second, func(x, y float64) fill {
		switch {
		case !form.inside(x, y):
			return none
		case striped:
			t := (x*cos+y*sin)/period + phase
			if t-math.Floor(t) < 0.5 {
				return secondary
			}
		}
		return primary
	})
	for range over {
		c.drawMark(rng)
	}
	c.noise(uniform(0, s.Noise), rng)
}

// drawMark paints a dot or a short stroke somewhere: too small to be taken for a shape.
func (c *canvas) drawMark(rng *rand.Rand) {
	uniform := func(low, high float64) float64 { return low + (high-low)*rng.Float64() }
	color := randomColor(rng)
	place := spot{x: rng.Float64(), y: rng.Float64(), radius: uniform(0.04, 0.1), stretch: 1, angle: uniform(0, math.Pi)}
	stroke := rng.IntN(2) == 0
	c.paint(place, 1, color, color, func(x, y float64) fill {
		if stroke && math.Abs(y) < 0.35 && math.Abs(x) < 1 || !stroke && x*x+y*y < 0.5 {
			return primary
		}
		return none
	})
}
