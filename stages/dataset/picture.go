package dataset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// maxPixels bounds the size of a picture, so that a small damaged or hostile file cannot fill the memory. Cameras
// have up to about this many.
const maxPixels = 1 << 27

// pictureFormat is a format that images of one's own may have.
type pictureFormat struct {
	name     string
	magic    string // the first bytes of every such file
	suffixes []string
	decode   func(io.Reader) (image.Image, error)
	config   func(io.Reader) (image.Config, error)
}

// pictureFormats lists the formats, rather than to rely on what other packages have registered with image.Decode.
func pictureFormats() []pictureFormat {
	return []pictureFormat{
		{"PNG", "\x89PNG\r\n\x1a\n", []string{".png"}, png.Decode, png.DecodeConfig},
		{"JPEG", "\xff\xd8", []string{".jpg", ".jpeg"}, jpeg.Decode, jpeg.DecodeConfig},
		{"GIF", "GIF8", []string{".gif"}, gif.Decode, gif.DecodeConfig}, // the first frame
	}
}

// formatNames returns "PNG, JPEG or GIF".
func formatNames() string { return "PNG, JPEG or GIF" }

// isImage tells by its suffix whether a file is meant to be a picture. What it is, its first bytes tell.
func isImage(name string) bool {
	suffix := strings.ToLower(filepath.Ext(name))
	return slices.ContainsFunc(pictureFormats(), func(f pictureFormat) bool { return slices.Contains(f.suffixes, suffix) })
}

// decodePicture returns the picture of a file.
func decodePicture(content []byte) (image.Image, error) {
	for _, f := range pictureFormats() {
		if !bytes.HasPrefix(content, []byte(f.magic)) {
			continue
		}
		size, err := f.config(bytes.NewReader(content))
		if err != nil {
			return nil, fmt.Errorf("damaged %s file: %w", f.name, err)
		}
		if size.Width < 1 || size.Height < 1 || size.Width > maxPixels/size.Height {
			return nil, fmt.Errorf("a picture of %dx%d pixels, want at least one and at most %d", size.Width, size.Height, maxPixels)
		}
		picture, err := f.decode(bytes.NewReader(content))
		if err != nil {
			return nil, fmt.Errorf("damaged %s file: %w", f.name, err)
		}
		return picture, nil
	}
	if len(content) == 0 {
		return nil, errors.New("the file is empty")
	}
	return nil, fmt.Errorf("not a %s file", formatNames())
}

// squarePicture returns a square in the center of a picture, of the given share of the short side, red, green and blue, as one
// image.
// What is transparent lets white through.
func squarePicture(picture image.Image, share float64) *Images {
	box := picture.Bounds()
	side := max(int(math.Round(share*float64(min(box.Dx(), box.Dy())))), 1)
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

// maxBadFiles is how many files an error names.
const maxBadFiles = 10

// framing is what is taken of a picture.
type framing struct {
	size   int     // height and width of the image in pixels
	center float64 // share of the center square's side that it shows
	stored bool    // as its pixels are stored, whatever the camera says of its orientation
}

// readPictures reads the files, in their order, as images of f.size x f.size pixels. It looks at every file, and its error names
// those that cannot be read.
func readPictures(ctx context.Context, root string, files []imageFile, f framing, to *pixels) error {
	errs := make([]error, len(files))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, file := range files {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			to.images.Labels[i] = int64(file.label)
			var values []uint8
			if values, errs[i] = readPicture(filepath.Join(root, file.name), f); errs[i] != nil {
				return nil
			}
			return to.put(i, values)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	var bad []error
	for i, err := range errs {
		if err != nil {
			bad = append(bad, fmt.Errorf("%s: %w", files[i].name, err))
		}
	}
	if more := len(bad) - maxBadFiles; more > 0 {
		bad = append(bad[:maxBadFiles], fmt.Errorf("and %d more", more))
	}
	return errors.Join(bad...)
}

func readPicture(path string, f framing) ([]uint8, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	im, err := f.image(content)
	if err != nil {
		return nil, err
	}
	return im.Pixels, nil
}

// image returns the picture of a file as one image [3, size, size].
func (f framing) image(content []byte) (*Images, error) {
	picture, err := decodePicture(content)
	if err != nil {
		return nil, err
	}
	im, err := squarePicture(picture, f.center).resize(f.size)
	if err != nil {
		return nil, err
	}
	if !f.stored {
		im = orientationOf(content).turn(im)
	}
	return im, nil
}
