package dataset

import (
	"image"
	"image/draw"
	"math"

	"github.com/plateau-nas/plateau/stages/dataset/jpeg"
)

// maxPixels bounds the size of a picture, so that a small damaged or hostile file cannot fill the memory. Cameras
// have up to about this many.
const maxPixels = 1 << 27

// decodePicture returns the picture of a file.
func decodePicture(content []byte) (image.Image, error) {
	f, width, height, err := pictureSize(content)
	if err != nil {
		return nil, err
	}
	if f.decode == nil {
		p, err := new(jpeg.Decoder).Decode(content, jpeg.Options{})
		if err != nil {
			return nil, unreadable(f, err)
		}
		return (&Images{Count: 1, Channels: 3, Height: height, Width: width, Pixels: p.Pix}).Image(0), nil
	}
	picture, err := f.decode(content)
	if err != nil {
		return nil, unreadable(f, err)
	}
	return picture, nil
}

// square is what is taken of a picture.
type square struct {
	image *Images
	// brightest is the largest value of a picture with 16 bits, 0 to 65535; -1 for other pictures.
	brightest int
}

// readSquare returns the center square of a picture.
func readSquare(content []byte, f framing, d *jpeg.Decoder) (s square, err error) {
	s.brightest = -1
	format, width, height, err := pictureSize(content)
	if err != nil {
		return s, err
	}
	if format.decode == nil {
		s.image, err = readJPEG(content, width, height, f, d)
	} else {
		var picture image.Image
		if picture, err = format.decode(content); err == nil {
			s.brightest = brightest(picture)
			s.image, err = squarePicture(picture, f.center).resize(f.size)
		}
	}
	if err != nil {
		return s, unreadable(format, err)
	}
	if !f.stored {
		s.image = orientationOf(content).turn(s.image)
	}
	return s, nil
}

// readJPEG returns the center square of a JPEG, which is read at the smallest scale that leaves leastScale pixels for one of the
// image's.
func readJPEG(content []byte, width, height int, f framing, d *jpeg.Decoder) (*Images, error) {
	side := sideOf(width, height, f.center)
	part := image.Rect(0, 0, side, side).Add(image.Pt((width-side)/2, (height-side)/2))
	by := 1
	for by < 8 && float64(side) >= leastScale*float64(2*by*f.size) {
		by *= 2
	}
	p, err := d.Decode(content, jpeg.Options{Reduce: by, Part: part})
	if err != nil {
		return nil, err
	}
	im := &Images{Count: 1, Channels: 3, Height: p.Bounds.Dy(), Width: p.Bounds.Dx(), Pixels: p.Pix, Labels: make([]int64, 1)}
	if side < f.size {
		return im.enlarge(f.size), nil // is side x side pixels
	}
	return im.part(part.Min.X-by*p.Bounds.Min.X, part.Min.Y-by*p.Bounds.Min.Y, side, by, f.size), nil
}

// leastScale is by how much at least a reduced JPEG is larger than the image that is made of it. An image's pixel covers parts of the
// reduced ones at its borders, of which only the mean is known: at 1.4, photos differ by half a level from what they
// are when reduced by area from their full size.
const leastScale = 1.4

// sideOf returns the side of the square that is taken of a picture, in pixels.
func sideOf(width, height int, share float64) int {
	return max(int(math.Round(share*float64(min(width, height)))), 1)
}

// brightest returns the largest value of a picture with 16 bits a channel, or -1 for others.
func brightest(picture image.Image) int {
	most, last := -1, 4
	var values []uint8
	switch p := picture.(type) {
	case *image.Gray16:
		values = p.Pix
	case *image.RGBA64:
		values, last = p.Pix, 3
	case *image.NRGBA64:
		values, last = p.Pix, 3
	}
	for i := 0; i+1 < len(values); i += 2 {
		if i/2%4 < last { // the fourth is how opaque it is
			most = max(most, int(values[i])<<8|int(values[i+1]))
		}
	}
	return most
}

// squarePicture returns a square in the center of a picture, of the given share of the short side, red, green and blue, as one
// image.
// What is transparent lets white through.
func squarePicture(picture image.Image, share float64) *Images {
	box := picture.Bounds()
	side := sideOf(box.Dx(), box.Dy(), share)
	square := image.NewRGBA(image.Rect(0, 0, side, side))
	draw.Draw(square, square.Bounds(), image.White, image.Point{}, draw.Src)
	from := box.Min.Add(image.Pt((box.Dx()-side)/2, (box.Dy()-side)/2))
	draw.Draw(square, square.Bounds(), picture, from, draw.Over)
	out := newImages(1, 3, side, side)
	plane := side * side
	for p := range plane {
		for c := range 3 {
			out.Pixels[c*plane+p] = square.Pix[4*p+c]
		}
	}
	return out
}

// resize returns the images at size x size pixels: reduced by area or enlarged between pixels.
func (im *Images) resize(size int) (*Images, error) {
	if size > im.Height || size > im.Width {
		return im.enlarge(size), nil
	}
	return im.Downscale(size, size)
}

// enlarge returns square images at size x size pixels by bilinear interpolation: a new pixel's value is that at its
// center between the four centers of old pixels around it, and beyond the outermost centers theirs. It counts in whole
// numbers, so the result is the same on every machine.
func (im *Images) enlarge(size int) *Images {
	out := newImages(im.Count, im.Channels, size, size)
	copy(out.Labels, im.Labels)
	side, unit := im.Height, 2*size // positions are in units of 1/(2*size) of an old pixel
	at := make([]int, size)
	for i := range at {
		at[i] = min(max((2*i+1)*side-size, 0), (side-1)*unit)
	}
	for p := range im.Count * im.Channels {
		from, to := im.Pixels[p*side*side:][:side*side], out.Pixels[p*size*size:][:size*size]
		for y, v := range at {
			upper, fy := v/unit, v%unit
			lower := min(upper+1, side-1)
			for x, u := range at {
				left, fx := u/unit, u%unit
				right := min(left+1, side-1)
				above := int(from[upper*side+left])*(unit-fx) + int(from[upper*side+right])*fx
				below := int(from[lower*side+left])*(unit-fx) + int(from[lower*side+right])*fx
				to[y*size+x] = uint8((above*(unit-fy) + below*fy + unit*unit/2) / (unit * unit))
			}
		}
	}
	return out
}

// copyOnto puts a picture on another one, with its transparency, its upper left corner at a point.
func copyOnto(whole draw.Image, picture image.Image, at image.Point) {
	box := picture.Bounds()
	draw.Draw(whole, image.Rectangle{Min: at, Max: at.Add(box.Size())}, picture, box.Min, draw.Src)
}
