package dataset

import (
	"math"
	"math/rand/v2"
)

// color is red, green and blue from 0 to 1.
type color [3]float64

// contrast is the least distance between two colors that belong to different things.
const contrast = 0.5

// randomColor returns a color with enough contrast to each of the others.
func randomColor(rng *rand.Rand, others ...color) color {
	for {
		c := color{rng.Float64(), rng.Float64(), rng.Float64()}
		clear := true
		for _, o := range others {
			clear = clear && c.distance(o) >= contrast
		}
		if clear {
			return c
		}
	}
}

func (c color) distance(o color) float64 {
	return math.Sqrt((c[0]-o[0])*(c[0]-o[0]) + (c[1]-o[1])*(c[1]-o[1]) + (c[2]-o[2])*(c[2]-o[2]))
}

// toward returns the color that lies at share t (0 to 1) of the way to o.
func (c color) toward(o color, t float64) color {
	for i := range c {
		c[i] += t * (o[i] - c[i])
	}
	return c
}

// canvas is a square picture that is being painted, with values of about 0 to 1.
type canvas struct {
	size   int
	pixels []color
}

func newCanvas(size int) *canvas {
	return &canvas{size: size, pixels: make([]color, size*size)}
}

// shade fills the canvas with a straight gradient from one color to another.
func (c *canvas) shade(from, to color, angle float64) {
	sin, cos := math.Sincos(angle)
	for y := range c.size {
		for x := range c.size {
			u, v := (float64(x)+0.5)/float64(c.size)-0.5, (float64(y)+0.5)/float64(c.size)-0.5
			// The corners lie at most sqrt(1/2) from the center.
			c.pixels[y*c.size+x] = from.toward(to, 0.5+(u*cos+v*sin)/math.Sqrt2)
		}
	}
}

// spot is where and how large a thing is: its own unit becomes radius, with the canvas from 0 to 1.
type spot struct {
	x, y, radius float64
	stretch      float64 // of its first axis; its second is narrowed by as much
	angle        float64
}

// fill is what a thing has at a point.
type fill int

const (
	none fill = iota
	primary
	secondary
)

// paint draws a thing: at tells what it has at a point of its own coordinates, within extent of its center. A
// pixel is the mean of 4 x 4 points, which smooths the edges.
func (c *canvas) paint(s spot, extent float64, first, second color, at func(x, y float64) fill) {
	const points = 4
	n := float64(c.size)
	reach := extent * s.radius * max(s.stretch, 1/s.stretch)
	limit := func(v float64) int { return min(max(int(math.Floor(v*n)), 0), c.size-1) }
	sin, cos := math.Sincos(s.angle)
	for py := limit(s.y - reach); py <= limit(s.y+reach); py++ {
		for px := limit(s.x - reach); px <= limit(s.x+reach); px++ {
			var hits [3]int
			for i := range points * points {
				u := (float64(px)+(float64(i%points)+0.5)/points)/n - s.x
				v := (float64(py)+(float64(i/points)+0.5)/points)/n - s.y
				x, y := (u*cos+v*sin)/(s.radius*s.stretch), (v*cos-u*sin)/s.radius*s.stretch
				hits[at(x, y)]++
			}
			if hits[none] == points*points {
				continue
			}
			p := &c.pixels[py*c.size+px]
			for k := range p {
				p[k] = (float64(hits[none])*p[k] + float64(hits[primary])*first[k] + float64(hits[secondary])*second[k]) / (points * points)
			}
		}
	}
}

// noise adds normally distributed noise of the given standard deviation to every value.
func (c *canvas) noise(deviation float64, rng *rand.Rand) {
	for i := range c.pixels {
		for k := range c.pixels[i] {
			c.pixels[i][k] += deviation * rng.NormFloat64()
		}
	}
}

// store writes the picture plane by plane as bytes.
func (c *canvas) store(values []uint8) {
	plane := len(c.pixels)
	for i, p := range c.pixels {
		for k, v := range p {
			values[k*plane+i] = uint8(min(max(v, 0), 1)*255 + 0.5)
		}
	}
}
