package dataset

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/plateau-nas/plateau/pipeline"
)

// Augment says how training images are varied. The zero value leaves them as they are.
type Augment struct {
	Flip   bool `yaml:"flip" doc:"Mirror half of the images, chosen at random, from left to right."`
	Crop   int  `yaml:"crop" doc:"Pad the image by so many black pixels on each side and cut a random part of the old size out; 0 for none."`
	Cutout int  `yaml:"cutout" doc:"Replace a square of this side length in pixels, at a random place, by the mean color; 0 for none."`
	// ResizedCrop makes images of another size than the stored ones (LoaderOptions.Size).
	ResizedCrop float64 `yaml:"resized_crop" doc:"Cut out a random part, at least this share of the area, and bring it to the size that the network takes, in place of a crop; 0.08 in the usual recipe for ImageNet, 0 for none."`
	Jitter      Jitter  `yaml:"jitter" doc:"Change the colors at random."`
}

// Validate checks the ranges that do not depend on the images, and reports every mistake, each as a *pipeline.SettingError
// with a path below prefix.
func (a Augment) Validate(prefix string) error {
	var errs []error
	check := func(ok bool, path, format string, args ...any) {
		if !ok {
			errs = append(errs, &pipeline.SettingError{Path: prefix + "." + path, Err: fmt.Errorf(format, args...)})
		}
	}
	check(a.Crop >= 0, "crop", "%d pixels; give a number of at least 0", a.Crop)
	check(a.Cutout >= 0, "cutout", "%d pixels; give a number of at least 0", a.Cutout)
	check(a.ResizedCrop >= 0 && a.ResizedCrop <= 1, "resized_crop", "%v is not a share of the area, from 0 to 1", a.ResizedCrop)
	check(!(a.ResizedCrop > 0 && a.ResizedCrop <= 1 && a.Crop > 0), "crop", "an image is cut once: set crop to 0 where resized_crop is given")
	for _, j := range []struct {
		name  string
		value float64
		most  float64
	}{{"brightness", a.Jitter.Brightness, math.MaxFloat32}, {"contrast", a.Jitter.Contrast, math.MaxFloat32}, {"saturation", a.Jitter.Saturation, math.MaxFloat32}, {"hue", a.Jitter.Hue, 0.5}} {
		limit := "at least 0"
		if j.most == 0.5 {
			limit = "0 to 0.5"
		}
		check(j.value >= 0 && j.value <= j.most, "jitter."+j.name, "%v is not a number of %s", j.value, limit)
	}
	return errors.Join(errs...)
}

// check returns an error unless the augmentation fits images of the given size.
func (a Augment) check(height, width int) error {
	if err := a.Validate("augment"); err != nil && (a.ResizedCrop != 0 || a.Jitter != (Jitter{})) {
		return err
	}
	switch side := min(height, width); {
	case a.Crop < 0 || a.Crop >= side:
		return fmt.Errorf("a crop with %d pixels of padding does not fit images of %dx%d pixels, want 0 to %d", a.Crop, width, height, side-1)
	case a.Cutout < 0 || a.Cutout >= 2*side:
		// A square of twice the side can hide the whole image.
		return fmt.Errorf("a cutout of %d pixels does not fit images of %dx%d pixels, want 0 to %d", a.Cutout, width, height, 2*side-1)
	}
	return nil
}

// variant is one way to vary an image.
type variant struct {
	dx, dy int // the pixel at (x, y) comes from (x+dx, y+dy) of the mirrored or plain image
	mirror bool
	// hidden is the cutout, within the image: columns x0 to x1-1, rows y0 to y1-1.
	x0, x1, y0, y1 int
}

// draw chooses a variant. It always takes as many numbers from rng for the same settings, and its choices do not
// depend on the image.
func (a Augment) draw(rng *rand.Rand, height, width int) variant {
	var v variant
	if a.Crop > 0 {
		v.dx, v.dy = rng.IntN(2*a.Crop+1)-a.Crop, rng.IntN(2*a.Crop+1)-a.Crop
	}
	if a.Flip {
		v.mirror = rng.IntN(2) == 1
	}
	if a.Cutout > 0 {
		// As in DeVries and Taylor 2017 the center lies anywhere in the image, so part of the square may not.
		x, y := rng.IntN(width)-a.Cutout/2, rng.IntN(height)-a.Cutout/2
		v.x0, v.x1 = max(x, 0), min(x+a.Cutout, width)
		v.y0, v.y1 = max(y, 0), min(y+a.Cutout, height)
	}
	return v
}

// normalizer turns pixel values into network inputs: for each channel a table of all 256 values.
type normalizer [][256]float32

func newNormalizer(mean, std []float32) normalizer {
	n := make(normalizer, len(mean))
	for c := range n {
		for v := range n[c] {
			n[c][v] = (float32(v)/255 - mean[c]) / std[c]
		}
	}
	return n
}

// apply writes the varied and normalized image. Padding is black before normalization, as when a picture file
// is padded; cutout is zero after it, which is the mean color.
func (n normalizer) apply(to []float32, from []uint8, height, width int, v variant) {
	// Columns left to right-1 of a row come from the image, the others from the padding.
	left, right := max(-v.dx, 0), min(width-v.dx, width)
	for c := range n {
		table := &n[c]
		for y := range height {
			row := to[(c*height+y)*width:][:width]
			sy := y + v.dy
			if sy < 0 || sy >= height {
				fillRow(row, table[0])
				continue
			}
			source := from[(c*height+sy)*width:][:width]
			fillRow(row[:left], table[0])
			fillRow(row[right:], table[0])
			inner := row[left:right]
			if v.mirror {
				// Column x of the mirrored image is column width-1-x of the image.
				s := source[:width-left-v.dx]
				for x := range inner {
					inner[x] = table[s[len(s)-1-x]]
				}
			} else {
				s := source[left+v.dx:][:len(inner)]
				for x, p := range s {
					inner[x] = table[p]
				}
			}
		}
	}
	v.cover(to, len(n), height, width)
}

// cover hides the cutout in a normalized image.
func (v variant) cover(to []float32, channels, height, width int) {
	for c := range channels {
		for y := v.y0; y < v.y1; y++ {
			clear(to[(c*height+y)*width:][v.x0:v.x1])
		}
	}
}

func fillRow(row []float32, v float32) {
	for i := range row {
		row[i] = v
	}
}
