package dataset

import (
	"fmt"
	"image"
	"slices"
)

// Images is a set of labeled pictures of one size.
type Images struct {
	Count, Channels, Height, Width int
	// Pixels holds Count x Channels x Height x Width values of 0 to 255, image by image, in each image plane by
	// plane (red, green, blue), in each plane row by row from the top (NCHW).
	Pixels []uint8
	// Labels holds the class of each image, counted from 0.
	Labels []int64
}

// newImages returns count black images with label 0.
func newImages(count, channels, height, width int) *Images {
	return &Images{
		Count: count, Channels: channels, Height: height, Width: width,
		Pixels: make([]uint8, count*channels*height*width),
		Labels: make([]int64, count),
	}
}

// Values returns the number of values of one image: channels x height x width.
func (im *Images) Values() int { return im.Channels * im.Height * im.Width }

// at returns the values of image i.
func (im *Images) at(i int) []uint8 {
	n := im.Values()
	return im.Pixels[i*n : (i+1)*n : (i+1)*n]
}

// Image returns a copy of picture i for drawing and saving: gray for one channel, color for three. It returns
// nil when there is no picture i.
func (im *Images) Image(i int) image.Image {
	if i < 0 || i >= im.Count {
		return nil
	}
	box := image.Rect(0, 0, im.Width, im.Height)
	values := im.at(i)
	if im.Channels == 1 {
		return &image.Gray{Pix: slices.Clone(values), Stride: im.Width, Rect: box}
	}
	out := image.NewNRGBA(box)
	plane := im.Height * im.Width
	for p := range plane {
		for c := range 3 {
			out.Pix[4*p+c] = values[c*plane+p]
		}
		out.Pix[4*p+3] = 255
	}
	return out
}

// ClassCounts returns how many images each class has; classes is the number of classes.
func (im *Images) ClassCounts(classes int) []int {
	counts := make([]int, classes)
	for _, l := range im.Labels {
		counts[l]++
	}
	return counts
}

// pick returns copies of the images with the given indices, in that order.
func (im *Images) pick(indices []int) *Images {
	out := newImages(len(indices), im.Channels, im.Height, im.Width)
	for to, from := range indices {
		copy(out.at(to), im.at(from))
		out.Labels[to] = im.Labels[from]
	}
	return out
}

// check returns an error unless the sizes fit each other and every label names one of the classes.
func (im *Images) check(classes int) error {
	if im == nil {
		return fmt.Errorf("missing")
	}
	if im.Count < 0 || im.Height < 1 || im.Width < 1 {
		return fmt.Errorf("%d images of %dx%d pixels", im.Count, im.Width, im.Height)
	}
	if im.Channels != 1 && im.Channels != 3 {
		return fmt.Errorf("images with %d channels, want 1 (gray) or 3 (red, green, blue)", im.Channels)
	}
	if want := im.Count * im.Values(); len(im.Pixels) != want {
		return fmt.Errorf("%d pixel values, want %d for %d images of %dx%dx%d",
			len(im.Pixels), want, im.Count, im.Channels, im.Height, im.Width)
	}
	if len(im.Labels) != im.Count {
		return fmt.Errorf("%d labels for %d images", len(im.Labels), im.Count)
	}
	for i, l := range im.Labels {
		if l < 0 || l >= int64(classes) {
			return fmt.Errorf("image %d has label %d, want 0 to %d", i, l, classes-1)
		}
	}
	return nil
}
