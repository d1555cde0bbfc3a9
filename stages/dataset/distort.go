package dataset

import (
	"math"
	"math/rand/v2"
)

// Jitter changes the colors of an image by random factors, one after the other in random order, as in the usual recipes for
// ImageNet. The zero value changes nothing.
type Jitter struct {
	Brightness float64 `yaml:"brightness" doc:"Largest change of the brightness: its factor is drawn from 1 minus to 1 plus this."`
	Contrast   float64 `yaml:"contrast" doc:"The same for the distance from the image's mean gray."`
	Saturation float64 `yaml:"saturation" doc:"The same for the distance of each pixel from its own gray."`
	Hue        float64 `yaml:"hue" doc:"Largest turn of the hue, in turns of the color circle, up to 0.5."`
}

// The part of an image that a resized crop shows has an aspect ratio of 3:4 to 4:3, and is looked for so often before the
// whole image is taken (Szegedy et al., CVPR 2015, in the form of torchvision).
const (
	cropRatio = 4.0 / 3
	cropTries = 10
)

// distortion is how an image is resampled and recolored, beyond what a variant says.
type distortion struct {
	x, y, width, height int // the part that is shown, in pixels of the stored image
	order               [4]int
	factor              [4]float64 // of brightness, contrast and saturation; the turn of the hue
}

// distorts tells whether images are more than shifted, mirrored and covered.
func (a Augment) distorts() bool { return a.ResizedCrop > 0 || a.Jitter != (Jitter{}) }

// distort chooses a distortion. The draws do not depend on the image's content.
func (a Augment) distort(rng *rand.Rand, height, width int) distortion {
	d := distortion{width: width, height: height, order: [4]int{0, 1, 2, 3}}
	if a.ResizedCrop > 0 {
		d.part(rng, a.ResizedCrop, height, width)
	}
	for i := len(d.order) - 1; i > 0; i-- {
		j := rng.IntN(i + 1)
		d.order[i], d.order[j] = d.order[j], d.order[i]
	}
	for i, most := range [3]float64{a.Jitter.Brightness, a.Jitter.Contrast, a.Jitter.Saturation} {
		low := max(0, 1-most)
		d.factor[i] = low + (1+most-low)*rng.Float64()
	}
	d.factor[3] = a.Jitter.Hue * (2*rng.Float64() - 1)
	return d
}

// part draws the part that is shown: at least the given share of the area.
func (d *distortion) part(rng *rand.Rand, least float64, height, width int) {
	for range cropTries {
		area := float64(height*width) * (least + (1-least)*rng.Float64())
		ratio := math.Exp(math.Log(cropRatio) * (2*rng.Float64() - 1)) // of width to height
		w, h := int(math.Round(math.Sqrt(area*ratio))), int(math.Round(math.Sqrt(area/ratio)))
		if w >= 1 && h >= 1 && w <= width && h <= height {
			d.x, d.y, d.width, d.height = rng.IntN(width-w+1), rng.IntN(height-h+1), w, h
			return
		}
	}
}

// distorter applies distortions with buffers of its own, for images of one size.
type distorter struct {
	channels, height, width int // of the stored images
	outHeight, outWidth     int
	mean, std               []float32
	identity                normalizer // values 0 to 1
	picture                 []float32  // channels x outHeight x outWidth values of 0 to 1
	strip                   []float32  // one channel of the part, resampled along the rows
	columns, rows           taps
}

func newDistorter(im *Images, outHeight, outWidth int, mean, std []float32) *distorter {
	zero, one := make([]float32, im.Channels), make([]float32, im.Channels)
	for c := range one {
		one[c] = 1
	}
	return &distorter{
		channels: im.Channels, height: im.Height, width: im.Width, outHeight: outHeight, outWidth: outWidth, mean: mean, std: std,
		identity: newNormalizer(zero, one),
		picture:  make([]float32, im.Channels*outHeight*outWidth),
		strip:    make([]float32, im.Height*outWidth),
		columns:  newTaps(im.Width, outWidth), rows: newTaps(im.Height, outHeight),
	}
}

// apply writes the distorted, varied and normalized image.
func (o *distorter) apply(to []float32, from []uint8, a Augment, v variant, d distortion) {
	if a.ResizedCrop > 0 {
		o.resample(from, v.mirror, d)
	} else {
		shift := v
		shift.x0, shift.x1, shift.y0, shift.y1 = 0, 0, 0, 0
		o.identity.apply(o.picture, from, o.height, o.width, shift)
	}
	if a.Jitter != (Jitter{}) {
		o.recolor(a.Jitter, d)
	}
	plane := o.outHeight * o.outWidth
	for c := range o.channels {
		mean, std := o.mean[c], o.std[c]
		for i, p := range o.picture[c*plane:][:plane] {
			to[c*plane+i] = (p - mean) / std
		}
	}
	v.cover(to, o.channels, o.outHeight, o.outWidth)
}

// resample brings the part of the image to the size of the picture.
func (o *distorter) resample(from []uint8, mirror bool, d distortion) {
	o.columns.set(d.x, d.width, o.outWidth, mirror)
	o.rows.set(d.y, d.height, o.outHeight, false)
	for c := range o.channels {
		source := from[c*o.height*o.width:][:o.height*o.width]
		for y := d.y; y < d.y+d.height; y++ {
			line, to := source[y*o.width:][:o.width], o.strip[y*o.outWidth:][:o.outWidth]
			for x := range to {
				var sum float32
				first, weights := o.columns.at(x)
				for i, w := range weights {
					sum += w * float32(line[first+i])
				}
				to[x] = sum / 255
			}
		}
		picture := o.picture[c*o.outHeight*o.outWidth:]
		for y := range o.outHeight {
			to := picture[y*o.outWidth:][:o.outWidth]
			clear(to)
			first, weights := o.rows.at(y)
			for i, w := range weights {
				for x, v := range o.strip[(first+i)*o.outWidth:][:o.outWidth] {
					to[x] += w * v
				}
			}
		}
	}
}

// taps are the old pixels that each new pixel of a line is made of, and their weights: a triangle as wide as two new pixels or
// two old ones, whichever is wider. So nothing is left out when a line shrinks, and it is linear interpolation when a line grows.
type taps struct {
	most    int // old pixels for a new one
	first   []int
	count   []int
	weights []float32
}

func newTaps(from, to int) taps {
	most := 2*((from+to-1)/to) + 2
	return taps{most: most, first: make([]int, to), count: make([]int, to), weights: make([]float32, to*most)}
}

// set makes the taps of n new pixels from the given number of old ones that begin at first.
func (t *taps) set(first, length, n int, mirror bool) {
	scale := float64(length) / float64(n)
	reach := max(scale, 1)
	for i := range n {
		center := (float64(i) + 0.5) * scale
		low, high := max(int(center-reach+0.5), 0), min(int(center+reach+0.5), length)
		at := i
		if mirror {
			at = n - 1 - i
		}
		t.first[at], t.count[at] = first+low, high-low
		weights, sum := t.weights[at*t.most:][:high-low], 0.0
		for k := range weights {
			w := max(0, 1-math.Abs(float64(low+k)+0.5-center)/reach)
			weights[k], sum = float32(w), sum+w
		}
		for k := range weights {
			weights[k] /= float32(sum)
		}
	}
}

func (t *taps) at(i int) (first int, weights []float32) {
	return t.first[i], t.weights[i*t.most:][:t.count[i]]
}

// recolor changes the picture's colors. One of a single channel has no colors, only brightness and contrast.
func (o *distorter) recolor(j Jitter, d distortion) {
	for _, what := range d.order {
		switch {
		case what == 0 && j.Brightness > 0:
			scale(o.picture, 0, float32(d.factor[0]))
		case what == 1 && j.Contrast > 0:
			scale(o.picture, o.meanGray(), float32(d.factor[1]))
		case what == 2 && j.Saturation > 0 && o.channels == 3:
			o.saturate(float32(d.factor[2]))
		case what == 3 && j.Hue > 0 && o.channels == 3:
			o.turn(d.factor[3])
		}
	}
}

// scale moves values away from a point, or toward it, within 0 to 1.
func scale(values []float32, point, factor float32) {
	for i, v := range values {
		values[i] = min(max(point+(v-point)*factor, 0), 1)
	}
}

// gray is the luma of ITU-R 601, which picture libraries use.
func gray(r, g, b float32) float32 { return 0.299*r + 0.587*g + 0.114*b }

func (o *distorter) colors() (r, g, b []float32) {
	n := o.outHeight * o.outWidth
	return o.picture[:n], o.picture[n:][:n], o.picture[2*n:][:n]
}

func (o *distorter) meanGray() float32 {
	var sum float64
	if o.channels != 3 {
		for _, v := range o.picture {
			sum += float64(v)
		}
		return float32(sum / float64(len(o.picture)))
	}
	r, g, b := o.colors()
	for i := range r {
		sum += float64(gray(r[i], g[i], b[i]))
	}
	return float32(sum / float64(len(r)))
}

func (o *distorter) saturate(factor float32) {
	r, g, b := o.colors()
	for i := range r {
		p := gray(r[i], g[i], b[i])
		r[i] = min(max(p+(r[i]-p)*factor, 0), 1)
		g[i] = min(max(p+(g[i]-p)*factor, 0), 1)
		b[i] = min(max(p+(b[i]-p)*factor, 0), 1)
	}
}

// turn moves the hue by a share of the color circle; value and saturation (of HSV) stay.
func (o *distorter) turn(share float64) {
	r, g, b := o.colors()
	for i := range r {
		high, low := max(r[i], g[i], b[i]), min(r[i], g[i], b[i])
		spread := high - low
		if spread == 0 {
			continue
		}
		var hue float32 // in sixths of the circle
		switch high {
		case r[i]:
			hue = (g[i] - b[i]) / spread
		case g[i]:
			hue = 2 + (b[i]-r[i])/spread
		default:
			hue = 4 + (r[i]-g[i])/spread
		}
		hue += float32(6 * share)
		// From 0 to below 6, also for turns in the other direction.
		hue -= 6 * float32(math.Floor(float64(hue)/6))
		channel := func(offset float32) float32 {
			k := offset + hue
			if k >= 6 {
				k -= 6
			}
			return high - spread*max(0, min(k, 4-k, 1))
		}
		r[i], g[i], b[i] = channel(5), channel(3), channel(1)
	}
}
