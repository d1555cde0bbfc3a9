package dataset

import (
	"errors"
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
	// Encoded has the pictures as files in the place of Pixels, which is nil then; see Read. It is nil for most data sets.
	Encoded *Encoded
	// Labels holds the class of each image, counted from 0.
	Labels []int64
	// Files holds the file of each image, as a path with slashes below the folder that was read. It is nil where images are not one
	// file each.
	Files []string
	// Groups holds for each image the number of the group of copies and near copies that it belongs to, from 1 on, and 0 for those
	// that are like no other. It is nil where there are none, or where nobody has looked. Numbers are those of the whole data set, so that
	// a group may be in several splits.
	Groups []int64
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

// at returns the values of image i, which is not encoded.
func (im *Images) at(i int) []uint8 {
	n := im.Values()
	return im.Pixels[i*n : (i+1)*n : (i+1)*n]
}

// Image returns a copy of picture i for drawing and saving: gray for one channel, color for three. It returns
// nil when there is no picture i, or it cannot be decoded.
func (im *Images) Image(i int) image.Image {
	if i < 0 || i >= im.Count {
		return nil
	}
	box := image.Rect(0, 0, im.Width, im.Height)
	values, err := im.Read(i)
	if err != nil {
		return nil
	}
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
	out := &Images{Count: len(indices), Channels: im.Channels, Height: im.Height, Width: im.Width, Labels: make([]int64, len(indices))}
	if im.Encoded != nil {
		out.Encoded = im.Encoded.pick(indices)
	} else {
		out.Pixels = make([]uint8, out.Count*out.Values())
		for to, from := range indices {
			copy(out.at(to), im.at(from))
		}
	}
	im.describe(out, indices)
	return out
}

// describe gives out, whose images are those of im with the given indices, what is known of each.
func (im *Images) describe(out *Images, indices []int) {
	for to, from := range indices {
		out.Labels[to] = im.Labels[from]
	}
	if im.Files != nil {
		out.Files = pickOf(im.Files, indices)
	}
	if im.Groups != nil {
		out.Groups = pickOf(im.Groups, indices)
	}
}

func pickOf[T any](from []T, indices []int) []T {
	out := make([]T, len(indices))
	for to, i := range indices {
		out[to] = from[i]
	}
	return out
}

// Pick returns copies of the images with the given indices, in that order. An index may be given more than once.
func (im *Images) Pick(indices []int) (*Images, error) {
	for _, i := range indices {
		if i < 0 || i >= im.Count {
			return nil, fmt.Errorf("pick image %d of %d", i, im.Count)
		}
	}
	return im.pick(indices), nil
}

// Join returns the images of both, those of the second behind those of the first. They must have one size. What only one of them knows, such as
// its files, is not known of the whole; without an image in the second it is the first itself.
func (im *Images) Join(other *Images) (*Images, error) {
	if other == nil || other.Count == 0 {
		return im, nil
	}
	if im.Channels != other.Channels || im.Height != other.Height || im.Width != other.Width {
		return nil, fmt.Errorf("join images of %dx%dx%d with images of %dx%dx%d", im.Channels, im.Height, im.Width, other.Channels, other.Height, other.Width)
	}
	if (im.Encoded == nil) != (other.Encoded == nil) || im.Encoded != nil && im.Encoded.View != other.Encoded.View {
		return nil, errors.New("join images that are kept in different ways")
	}
	out := *im
	out.Count += other.Count
	out.Pixels, out.Labels = slices.Concat(im.Pixels, other.Pixels), slices.Concat(im.Labels, other.Labels)
	if im.Encoded != nil {
		out.Pixels, out.Encoded = nil, &Encoded{slices.Concat(im.Encoded.Contents, other.Encoded.Contents), im.Encoded.View}
	}
	out.Files, out.Groups = nil, nil
	if im.Files != nil && other.Files != nil {
		out.Files = slices.Concat(im.Files, other.Files)
	}
	if im.Groups != nil || other.Groups != nil {
		none := func(x *Images) []int64 {
			if x.Groups == nil {
				return make([]int64, x.Count)
			}
			return x.Groups
		}
		out.Groups = slices.Concat(none(im), none(other))
	}
	return &out, nil
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
	if err := im.checkValues(); err != nil {
		return err
	}
	if len(im.Labels) != im.Count {
		return fmt.Errorf("%d labels for %d images", len(im.Labels), im.Count)
	}
	if im.Files != nil && len(im.Files) != im.Count || im.Groups != nil && len(im.Groups) != im.Count {
		return fmt.Errorf("%d files and %d groups for %d images", len(im.Files), len(im.Groups), im.Count)
	}
	for i, l := range im.Labels {
		if l < 0 || l >= int64(classes) {
			return fmt.Errorf("image %d has label %d, want 0 to %d", i, l, classes-1)
		}
	}
	return nil
}

// checkValues returns an error unless there is a picture, encoded or as pixels, for each image.
func (im *Images) checkValues() error {
	if e := im.Encoded; e != nil {
		if len(im.Pixels) != 0 || len(e.Contents) != im.Count || im.Channels != 3 || im.Height != e.View.Size || im.Width != e.View.Size {
			return fmt.Errorf("%d pixel values and %d encoded pictures of %dx%[3]d do not make %d images of %dx%dx%d", len(im.Pixels), len(e.Contents), e.View.Size, im.Count, im.Channels, im.Height, im.Width)
		}
		return nil
	}
	if want := im.Count * im.Values(); len(im.Pixels) != want {
		return fmt.Errorf("%d pixel values, want %d for %d images of %dx%dx%d",
			len(im.Pixels), want, im.Count, im.Channels, im.Height, im.Width)
	}
	return nil
}
